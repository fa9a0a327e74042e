//! Strict reading of JSON bodies: depth, position, pointer and the suggestion for a misspelt field.
//! Knows nothing of what bodies mean.

use orc_client::wire::{ProblemError, codes};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::problem::Refusal;
use crate::definition::suggest::did_you_mean;

/// How deep a body may nest.
pub const DEPTH_MAX: usize = 64;

/// Reads a body.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Err(Refusal::bad_request("the request needs a JSON body"));
    }
    if let Some((line, column)) = too_deep(body) {
        let detail = format!("the body nests more than {DEPTH_MAX} deep");
        return Err(Refusal::invalid("", detail.clone()).errors(vec![place("", (line, column), detail)]));
    }
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Reads a body that may be left out.
pub fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { read(body) }
}

/// An unknown name in a serde message, with the nearest known one: "unknown field `typ`, did you mean `type`?".
pub fn with_suggestion(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let Some((_, rest)) = message.split_once("unknown field `") else { return message.to_owned() };
    let Some((unknown, expected)) = rest.split_once('`') else { return message.to_owned() };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match did_you_mean(unknown, known.iter().copied()) {
        meant if meant.is_empty() && known.is_empty() => {
            format!("unknown field `{unknown}`: none is expected")
        }
        meant if meant.is_empty() => format!("unknown field `{unknown}`, expected {}", known.join(", ")),
        meant => format!("unknown field `{unknown}`{meant}"),
    }
}

/// A body that has been parsed once in vain is parsed again to learn where it went wrong.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    let detail = with_suggestion(&message);
    let pointer = pointer_of::<T>(body);
    let code = match error.classify() {
        Category::Data if !message.contains("unknown field") => codes::VALIDATION_FAILED,
        Category::Data | Category::Syntax | Category::Eof | Category::Io => codes::BAD_REQUEST,
    };
    let at = (error.line(), error.column());
    let summary = match error.classify() {
        Category::Data => detail.clone(),
        Category::Syntax | Category::Eof | Category::Io => {
            format!("the body is not JSON: {detail} at line {}, column {}", at.0, at.1)
        }
    };
    Refusal::new(code, summary).errors(vec![place(&pointer, at, detail)])
}

fn place(pointer: &str, (line, column): (usize, usize), detail: String) -> ProblemError {
    let number = |value: usize| u32::try_from(value).ok().filter(|value| *value > 0);
    ProblemError { pointer: pointer.to_owned(), line: number(line), column: number(column), detail }
}

fn pointer_of<T: DeserializeOwned>(body: &[u8]) -> String {
    use serde_path_to_error::Segment;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return String::new();
    };
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Where a body nests deeper than allowed. Raw JSON inside it is not parsed later, so this looks at all of it.
fn too_deep(body: &[u8]) -> Option<(usize, usize)> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for (place, byte) in body.iter().enumerate() {
        if in_text {
            (in_text, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' if depth == DEPTH_MAX => return Some(line_and_column(body, place)),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Whether JSON nests deeper than bodies may.
pub fn nests_too_deep(text: &[u8]) -> bool {
    too_deep(text).is_some()
}

/// Line and column, from 1, of a place in a text.
pub fn line_and_column(text: &[u8], place: usize) -> (usize, usize) {
    let before = &text[..place.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line, before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_client::wire::{ScheduleTask, SetState};

    fn check<T: DeserializeOwned>(body: &str, status: u16, pointer: &str, words: &str) {
        let Err(refusal) = read::<T>(body.as_bytes()) else { panic!("{body} should be refused") };
        let (problem, _) = refusal.into_parts();
        assert_eq!(problem.status, status, "{problem}");
        let error = &problem.errors[0];
        assert_eq!(error.pointer, pointer, "{error:?}");
        assert!(error.detail.contains(words), "{error:?}");
        assert!(error.line.is_some(), "{error:?}");
    }

    #[test]
    fn a_malformed_body_is_refused_with_its_place() {
        check::<ScheduleTask>("{\"name\": \"a\",\n \"priority\": }", 400, "/priority", "expected value");
        check::<ScheduleTask>("{\"name\":\"a\",\"typ\":\"x\"}", 400, "/typ", "did you mean `type`?");
        check::<ScheduleTask>("{\"name\":\"a\",\"priority\":9}", 422, "/priority", "");
        check::<ScheduleTask>("{\"name\":\"a\",\"labels\":{\"gpu\":true}}", 422, "/labels/gpu", "string");
        check::<SetState>("{}", 422, "", "missing field `value`");
        check::<SetState>("[", 400, "", "EOF");
    }

    #[test]
    fn raw_json_nests_only_so_deep() {
        let nested = |depth: usize| format!("{{\"value\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<SetState>(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        check::<SetState>(&nested(DEPTH_MAX), 422, "", "64 deep");
        let text = format!("{{\"value\":\"{}\\\"[\"}}", "[".repeat(100));
        assert!(read::<SetState>(text.as_bytes()).is_ok(), "brackets in a text do not nest");
    }
}
