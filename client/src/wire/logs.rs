//! What tasks log: a line, a page of lines, and what is asked of them.
//! Knows nothing of where lines are kept; they are outside the replicated state.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The longest line that is kept; what goes beyond is cut.
pub const LOG_LINE_BYTES_MAX: usize = 16 * 1024;

open_enum! {
    /// Where a line was written.
    LogStream {
        /// The standard output.
        Stdout => "stdout",
        /// The standard error.
        Stderr => "stderr",
        /// Not a task's own line, but one about its log, such as how many lines were dropped here.
        System => "system",
    }
}

/// Cuts a line that is longer than [`LOG_LINE_BYTES_MAX`]; an ellipsis shows where.
pub fn cut_log_line(text: &mut String) {
    if text.len() > LOG_LINE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
        text.push('…');
    }
}

/// The line that stands for others.
#[must_use]
pub fn dropped_log_lines(count: u64, why: &str) -> String {
    let (lines, were) = if count == 1 { ("line", "was") } else { ("lines", "were") };
    format!("{count} {lines} {were} dropped here: {why}")
}

/// One line of `POST /tasks/{id}/logs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// The line, without its line break.
    pub text: String,
    /// Where it was written; the standard output if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<LogStream>,
    /// When; now if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The query of `POST /tasks/{id}/logs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogToken {
    /// The attempt's fencing token.
    pub token: u64,
}

/// A line that a task logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When, by the clock of the component.
    pub at: Timestamp,
    /// The node that keeps it.
    pub node: String,
    /// The task; absent on a line about the whole log of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The run of the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The step of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
    /// The attempt, from 1; 0 on a line about the log itself.
    #[serde(default)]
    pub attempt: u32,
    /// Where it was written.
    pub stream: LogStream,
    /// The line.
    pub text: String,
}

/// Lines of all nodes in the order of their times: the answer to `GET …/logs`, and each event of `GET …/logs/stream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// The lines.
    pub items: Vec<LogLine>,
    /// Where to go on, as `from` or `Last-Event-ID`: it names the place after these lines on every node.
    #[serde(default)]
    pub next: String,
    /// Whether there were more lines when this was read.
    #[serde(default)]
    pub more: bool,
    /// The run or task has ended, and these are the last of its lines.
    #[serde(default)]
    pub ended: bool,
    /// Nodes that did not answer: their lines are not here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// `GET /runs/{id}/logs`, `GET /tasks/{id}/logs` and their streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    /// Only lines of this step; runs only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only lines of steps that have failed; runs only, and not for streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<bool>,
    /// Only lines in which this text occurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// The `next` of the page before; without it the first lines that are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only so many of the last lines; instead of `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Lines per page, 1 to 5000; pages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        let mut text = "é".repeat(LOG_LINE_BYTES_MAX);
        cut_log_line(&mut text);
        assert_eq!(text.len(), LOG_LINE_BYTES_MAX + '…'.len_utf8());
        let mut short = "x".repeat(LOG_LINE_BYTES_MAX);
        cut_log_line(&mut short);
        assert_eq!(short.len(), LOG_LINE_BYTES_MAX);
    }

    #[test]
    fn an_entry_refuses_what_it_does_not_know() {
        let entry: LogEntry = serde_json::from_str(r#"{"text":"a"}"#).expect("reads");
        assert_eq!((entry.text.as_str(), entry.stream, entry.at), ("a", None, None));
        assert!(serde_json::from_str::<LogEntry>(r#"{"text":"a","strem":"stderr"}"#).is_err());
    }
}
