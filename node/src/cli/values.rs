//! Reads and shows single values of the command line: durations, `key=value`, JSON, times, files.
//! Knows nothing of commands.

use std::{
    io::Read,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use orc_client::wire::{ItemCounts, Priority, Raw, Timestamp, When};
use serde_json::{Map, Value};

use super::{Failure, Out};
use crate::definition::duration::{format_duration, parse_duration};

/// What lists of runs and of tasks can be searched by.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub struct Sought {
    /// Only with one of these labels, separated by commas; given again, one of those too
    #[arg(long, value_name = "NAME:VALUE")]
    label: Vec<String>,
    /// Only what was created since: a duration before now, or a time
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only what was created before: a duration before now, or a time
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only with this text in the id, or in the name of what it is about
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
}

impl Sought {
    /// As the query has them.
    pub fn labels(&self) -> Option<String> {
        Some(self.label.join(";")).filter(|text| !text.is_empty())
    }
}

/// A duration of a flag.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
}

/// A time to wait for, of a flag.
pub(super) fn when(text: &str) -> Result<When, String> {
    text.parse().map_err(str::to_owned)
}

/// A priority of a flag.
pub(super) fn priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(str::to_owned)
}

/// `key=value` of a flag.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write KEY=VALUE".to_owned()),
    }
}

/// A value: JSON if it reads as JSON, else text.
pub(super) fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The inputs of a run: the file first, then single values over it.
pub(super) fn inputs(
    file: Option<&Path>,
    whole: Option<&str>,
    single: &[(String, String)],
) -> Result<Map<String, Value>, Failure> {
    let mut inputs = Map::new();
    let from_file = file.map(read_text).transpose()?;
    for (text, origin) in [(from_file.as_deref(), "--input-file"), (whole, "--input")] {
        let Some(text) = text else { continue };
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => inputs.extend(map),
            Ok(_) => return Err(Failure::Usage(format!("{origin}: the inputs must be a JSON object"))),
            Err(error) => return Err(Failure::Usage(format!("{origin}: {error}"))),
        }
    }
    inputs.extend(single.iter().map(|(key, value)| (key.clone(), json_or_text(value))));
    Ok(inputs)
}

/// The text of a file; `-` is stdin.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::file(path, &error))?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

/// A time: `2m ago`, or as it is stored with `--utc`.
pub(super) fn time(at: Option<Timestamp>, out: &Out) -> String {
    match at {
        None => "-".to_owned(),
        Some(at) if out.utc => at.to_string(),
        Some(at) => format!("{} ago", rough(Duration::from_millis(now_ms().saturating_sub(at.0)))),
    }
}

/// A duration in milliseconds, or `-`.
pub(super) fn millis(duration: Option<u64>) -> String {
    duration.map_or_else(|| "-".to_owned(), |millis| format_duration(Duration::from_millis(millis)))
}

/// A duration in its largest unit alone: `2m`, `6h`.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m", seconds / 60),
        3_600..=86_399 => format!("{}h", seconds / 3_600),
        86_400.. => format!("{}d", seconds / 86_400),
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// JSON on one line, cut; nothing of `null`.
pub(super) fn short_json(raw: Option<&Raw>, chars_max: usize) -> String {
    raw.filter(|raw| raw.get() != "null").map_or_else(String::new, |raw| cut(raw.get(), chars_max))
}

/// Text on one line, cut.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let text = text.replace('\n', " ");
    let cut: String = text.chars().take(chars_max).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// How far a `foreach` is: `3/10 items, 2 at work, 1 failed`.
pub(super) fn items(items: &ItemCounts) -> String {
    let part = |count: u32, word: &str| if count > 0 { format!(", {count} {word}") } else { String::new() };
    let (running, failed) = (part(items.running, "at work"), part(items.failed, "failed"));
    format!("{}/{} items{running}{failed}", items.ended, items.total)
}

/// An optional value, or `-`.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_are_json_if_they_read_as_json() {
        let single = [("epochs", "3"), ("name", "x y"), ("deep", "{\"a\":[1]}"), ("text", "\"3\"")];
        let single = single.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let read = inputs(None, Some("{\"epochs\": 1, \"z\": null}"), &single).expect("they are fine");
        let expected = json!({"epochs": 3, "name": "x y", "deep": {"a": [1]}, "text": "3", "z": null});
        assert_eq!(Value::Object(read), expected);
        assert!(inputs(None, Some("[1]"), &[]).is_err());
    }

    #[test]
    fn items_say_only_what_there_is() {
        let counts = |running, failed| items(&ItemCounts { total: 10, running, ended: 3, failed });
        assert_eq!(counts(2, 1), "3/10 items, 2 at work, 1 failed");
        assert_eq!(counts(0, 0), "3/10 items");
    }

    #[test]
    fn pairs_need_a_name() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("=b").is_err() && pair("b").is_err());
    }
}
