//! The body of every answer that is not 2xx: RFC 9457, `application/problem+json`.
//! Knows nothing of how a rule's rejection becomes one; the gateway maps that.

use serde::{Deserialize, Serialize};

/// What went wrong with a request (RFC 9457, with members of our own).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Where the code is explained: `/docs/problems/state-version-conflict`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The code in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable word of [`super::codes`].
    #[serde(default)]
    pub code: String,
    /// What happened here, in a sentence.
    #[serde(default)]
    pub detail: String,
    /// The path that was called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The request's id, as in the logs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Whether the same call, with the same idempotency key, may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// `false`: the call certainly had no effect. Absent: nobody can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed: Option<bool>,
    /// The places in the request that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemError>,
}

/// One wrong place in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemError {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// The line in the text that was sent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in the text that was sent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong there.
    #[serde(default)]
    pub detail: String,
}

impl Problem {
    /// A problem of a code, with its page and title made from the code and its status from [`super::codes`] (else 500).
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let lower = code.to_ascii_lowercase();
        let mut title = lower.replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self {
            kind: format!("/docs/problems/{}", lower.replace('_', "-")),
            title,
            status: super::codes::status(code).unwrap_or(500),
            code: code.to_owned(),
            detail: detail.into(),
            instance: String::new(),
            request_id: String::new(),
            retryable: false,
            hint: None,
            executed: None,
            errors: Vec::new(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.detail.is_empty() { &self.title } else { &self.detail };
        write!(formatter, "{} ({}): {text}", self.code, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_made_from_its_code_and_read_tolerantly() {
        let problem = Problem::new("STATE_VERSION_CONFLICT", "k is at version 3");
        assert_eq!((problem.status, problem.title.as_str()), (412, "State version conflict"));
        assert_eq!(problem.kind, "/docs/problems/state-version-conflict");

        let read: Problem =
            serde_json::from_str(r#"{"status":503,"code":"NO_LEADER","retryable":true,"new":1}"#)
                .expect("reads");
        assert_eq!((read.status, read.retryable, read.executed), (503, true, None));
    }
}
