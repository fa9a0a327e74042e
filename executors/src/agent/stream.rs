//! What `stream-json` says, one JSON object a line: as lines for people, and how it ended.
//! Knows nothing of who writes it; other lines are let be.

use orc_client::TaskError;
use serde_json::{Map, Value};

/// The fields of a result that go to the output, and their names there.
const FACTS: [(&str, &str); 4] =
    [("total_cost_usd", "costUsd"), ("num_turns", "turns"), ("usage", "usage"), ("session_id", "sessionId")];
/// What a failure tells of an agent's last words.
const MESSAGE_BYTES_MAX: usize = 2048;

/// A line as people want to read it: what the agent says and which tools it uses; any other line as it is.
pub(super) fn readable(line: &str) -> String {
    said(line).unwrap_or_else(|| line.to_owned())
}

fn said(line: &str) -> Option<String> {
    let message = message(line, "assistant")?;
    match message.get("message")?.get("content")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) if !blocks.is_empty() => {
            Some(blocks.iter().map(block).collect::<Vec<String>>().join("\n"))
        }
        _ => None,
    }
}

fn block(block: &Value) -> String {
    let field = |name: &str| block.get(name).and_then(Value::as_str);
    let text = match field("type") {
        Some("text") => field("text").map(str::to_owned),
        Some("tool_use") => field("name").map(|name| format!("tool {name}")),
        Some(_) | None => None,
    };
    text.unwrap_or_else(|| block.to_string())
}

/// A line as a message, if it is one of that type.
fn message(line: &str, kind: &str) -> Option<Map<String, Value>> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    let message: Map<String, Value> = serde_json::from_str(line).ok()?;
    (message.get("type")?.as_str()? == kind).then_some(message)
}

/// The message that ends a stream.
pub(super) struct Ending(Map<String, Value>);

impl Ending {
    /// The last one of an output, if it is a stream.
    pub(super) fn of(output: &str) -> Option<Self> {
        output.lines().rev().find_map(|line| message(line, "result")).map(Self)
    }

    /// The agent's last words.
    pub(super) fn text(&self) -> String {
        match self.0.get("result") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// What the agent tells of its work.
    pub(super) fn facts(&self) -> Map<String, Value> {
        let fact = |(theirs, ours): (&str, &str)| {
            let value = self.0.get(theirs).filter(|value| !value.is_null())?;
            Some((ours.to_owned(), value.clone()))
        };
        FACTS.into_iter().filter_map(fact).collect()
    }

    /// Why the agent did not do what was asked. One that ran out of turns may tell it by the subtype alone.
    pub(super) fn failure(&self) -> Option<TaskError> {
        let subtype = self.0.get("subtype").and_then(Value::as_str).unwrap_or_default();
        let failed = self.0.get("is_error") == Some(&Value::Bool(true)) || subtype.starts_with("error");
        failed.then(|| {
            let text = self.text();
            let text = if text.trim().is_empty() { subtype } else { text.trim() };
            let end = text.floor_char_boundary(MESSAGE_BYTES_MAX);
            TaskError::new("AGENT_FAILED", format!("the agent failed: {}", &text[..end]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_agent_are_readable_and_all_else_stays() {
        let blocks = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I look.\nYes."},
            {"type":"tool_use","name":"Read","input":{}},{"type":"thinking"}]}}"#;
        for (line, expected) in [
            (blocks, "I look.\nYes.\ntool Read\n{\"type\":\"thinking\"}"),
            (r#"{"type":"assistant","message":{"content":"Hi"}}"#, "Hi"),
            (
                r#"{"type":"assistant","message":{"content":[]}}"#,
                r#"{"type":"assistant","message":{"content":[]}}"#,
            ),
            (r#"{"type":"system","subtype":"init"}"#, r#"{"type":"system","subtype":"init"}"#),
            (r#"{"type": "user"}"#, r#"{"type": "user"}"#),
            (r#"{"type":"assistant","#, r#"{"type":"assistant","#),
            ("[1]", "[1]"),
            ("  plain", "  plain"),
            ("", ""),
        ] {
            assert_eq!(readable(line), expected);
        }
    }

    #[test]
    fn the_last_result_ends_a_stream() {
        let ending = Ending::of(
            "{\"type\":\"result\",\"result\":\"a\"}\n{\"type\":\"result\",\"result\":\"b\"}\nbye\n",
        );
        assert_eq!(ending.expect("an ending").text(), "b");
        for plain in ["", "result", "{}", "{\"type\":1}", "{\"type\":\"assistant\"}", "{\"type\":\"result\""]
        {
            assert!(Ending::of(plain).is_none(), "{plain}");
        }
    }

    #[test]
    fn an_agent_may_fail_in_words_or_by_a_subtype() {
        let failure = |line: &str| Ending::of(line)?.failure().map(|error| error.message);
        for (line, expected) in [
            (r#"{"type":"result","is_error":true,"result":"no key\n"}"#, Some("the agent failed: no key")),
            (r#"{"type":"result","subtype":"error_max_turns"}"#, Some("the agent failed: error_max_turns")),
            (r#"{"type":"result","subtype":"success","is_error":false,"result":"ok"}"#, None),
        ] {
            assert_eq!(failure(line).as_deref(), expected);
        }
    }
}
