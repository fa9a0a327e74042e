//! What an agent answered, and the output that it makes: a text, or JSON that fits a schema.
//! Knows nothing of how the agent was asked.

use jsonschema::{PatternOptions, Validator};
use orc_client::TaskError;
use orc_client::wire::codes;
use serde_json::{Map, Value, json};

use super::stream::Ending;
use crate::process::Finished;
use crate::{RESULT_BYTES_MAX, too_large};

/// Mistakes of a value that are told at once.
const MISTAKES_MAX: usize = 5;
/// What is told of each.
const MISTAKE_BYTES_MAX: usize = 300;

/// The shape that an answer must have.
pub(super) struct Shape(Validator);

impl Shape {
    /// By a JSON Schema.
    pub(super) fn new(schema: &Value) -> Result<Self, TaskError> {
        // Patterns in linear time: schemas come from users.
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let is_schema = |error| format!("outputSchema is no JSON Schema: {error}");
        let validator = options.build(schema);
        validator.map(Self).map_err(|error| TaskError::permanent(codes::INVALID_PAYLOAD, is_schema(error)))
    }

    fn check(&self, value: &Value) -> Result<(), TaskError> {
        let mistakes = self.0.iter_errors(value).take(MISTAKES_MAX).map(|mistake| {
            let text = mistake.to_string();
            let text = &text[..text.floor_char_boundary(MISTAKE_BYTES_MAX)];
            match mistake.instance_path().as_str() {
                "" => text.to_owned(),
                place => format!("{place}: {text}"),
            }
        });
        let mistakes: Vec<String> = mistakes.collect();
        if mistakes.is_empty() { Ok(()) } else { Err(invalid(&mistakes.join("; "))) }
    }
}

/// What an agent that ended well left.
pub(super) struct Answer {
    text: String,
    /// Whether the text is only the end of what it said.
    truncated: bool,
    facts: Map<String, Value>,
}

impl Answer {
    /// The last words of a stream, or else the whole output. What the agent says of its failure counts before its exit
    /// status: it tells more.
    pub(super) fn of(finished: &Finished) -> Result<Self, TaskError> {
        let output = finished.stdout.text();
        let ending = Ending::of(&output);
        let failure = ending.as_ref().and_then(Ending::failure).or_else(|| finished.failure());
        match (failure, ending) {
            (Some(failure), _) => Err(failure),
            (None, Some(ending)) => Ok(Self { text: ending.text(), truncated: false, facts: ending.facts() }),
            (None, None) => {
                let text = output.trim_end().to_owned();
                Ok(Self { text, truncated: finished.stdout.truncated, facts: Map::new() })
            }
        }
    }

    /// The text as output; of one that is too long the end.
    pub(super) fn plain(self) -> Result<Value, TaskError> {
        let (mut text, mut truncated) = (self.text.as_str(), self.truncated);
        loop {
            let mut output = json!({ "text": text, "agent": self.facts });
            if truncated {
                output["truncated"] = true.into();
            }
            if fits(&output) {
                return Ok(output);
            }
            if text.is_empty() {
                return Err(too_large());
            }
            let half = (text.len() / 2).min(RESULT_BYTES_MAX);
            text = &text[text.ceil_char_boundary(text.len() - half)..];
            truncated = true;
        }
    }

    /// The JSON in the text as output.
    pub(super) fn shaped(self, shape: &Shape) -> Result<Value, TaskError> {
        let value = json_in(&self.text).ok_or_else(|| invalid("it has no JSON"))?;
        shape.check(&value)?;
        let mut output = match value {
            Value::Object(object) => object,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        output.entry("agent").or_insert(Value::Object(self.facts));
        let output = Value::Object(output);
        if fits(&output) { Ok(output) } else { Err(too_large()) }
    }
}

fn fits(output: &Value) -> bool {
    output.to_string().len() <= RESULT_BYTES_MAX
}

/// Another attempt may do better.
fn invalid(why: &str) -> TaskError {
    TaskError::new(codes::INVALID_OUTPUT, format!("the answer does not fit outputSchema: {why}"))
}

/// The text as JSON, or else its last fenced `json` block.
fn json_in(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim()).ok().or_else(|| serde_json::from_str(&last_block(text)?).ok())
}

fn last_block(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.iter().rposition(|line| line.trim().eq_ignore_ascii_case("```json"))? + 1;
    let block: Vec<&str> =
        lines.iter().skip(start).take_while(|line| !line.trim_start().starts_with("```")).copied().collect();
    Some(block.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let facts = Map::from_iter([("turns".to_owned(), json!(2))]);
        Answer { text: text.to_owned(), truncated: false, facts }
    }

    #[test]
    fn json_is_the_text_or_its_last_fenced_block() {
        for (text, expected) in [
            (" {\"a\": 1}\n", Some(json!({ "a": 1 }))),
            ("7", Some(json!(7))),
            ("So:\n```json\n1\n```\nno:\n```json\n{\"a\":\n\"```\"}\n```\nbye", Some(json!({ "a": "```" }))),
            ("```JSON\n[1]", Some(json!([1]))),
            ("  ```json\n  2\n  ```", Some(json!(2))),
            ("```json\n1\n```\n```json\nno\n```", None),
            ("```\n1\n```", None),
            ("", None),
        ] {
            assert_eq!(json_in(text), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_of_the_shape_is_the_output() {
        let shape = |schema: Value| Shape::new(&schema).map_err(|error| (error.code, error.retryable));
        let count =
            json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
        let count = shape(count).expect("a schema");
        let shaped = |text: &str, shape: &Shape| answer(text).shaped(shape).map_err(|error| error.message);
        assert_eq!(shaped("{\"n\":1}", &count), Ok(json!({ "n": 1, "agent": { "turns": 2 } })));
        assert_eq!(shaped("{\"n\":1,\"agent\":\"x\"}", &count), Ok(json!({ "n": 1, "agent": "x" })));
        assert_eq!(
            shaped("{\"n\":\"many\"}", &count),
            Err("the answer does not fit outputSchema: /n: \"many\" is not of type \"integer\"".to_owned())
        );
        assert_eq!(
            shaped("n is 1", &count),
            Err("the answer does not fit outputSchema: it has no JSON".to_owned())
        );
        let list = shape(json!({ "type": "array" })).expect("a schema");
        assert_eq!(shaped("[1]", &list), Ok(json!({ "value": [1], "agent": { "turns": 2 } })));
        assert_eq!(shape(json!({ "type": 7 })).err(), Some(("INVALID_PAYLOAD".to_owned(), false)));
        let any = shape(json!(true)).expect("a schema");
        let long = Value::from("x".repeat(RESULT_BYTES_MAX)).to_string();
        assert_eq!(answer(&long).shaped(&any).expect_err("too long").code, "RESULT_TOO_LARGE");
    }

    #[test]
    fn the_end_of_a_long_text_is_kept() {
        let output = answer(&format!("{}end", "ä\"".repeat(RESULT_BYTES_MAX))).plain().expect("it is cut");
        let text = output["text"].as_str().expect("text");
        assert!(text.ends_with("\"end") && text.len() > RESULT_BYTES_MAX / 8, "{}", text.len());
        assert_eq!((&output["truncated"], &output["agent"]), (&json!(true), &json!({ "turns": 2 })));
        assert_eq!(answer("short").plain(), Ok(json!({ "text": "short", "agent": { "turns": 2 } })));
    }
}
