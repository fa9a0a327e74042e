//! What can go wrong with a call: the one error type of the client.
//! Says whether the call certainly had no effect; knows nothing of how calls are retried.

use std::time::Duration;

use crate::wire::{ErrorBody, Problem};

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node answered that it cannot be done.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No node answered until the call's deadline.
    #[error("no node answered in {attempts} attempts")]
    Unreachable {
        /// How often it was tried.
        attempts: u32,
        /// `Some(false)`: no attempt can have had an effect. `None`: nobody can say.
        executed: Option<bool>,
        /// How the last attempt ended.
        #[source]
        last: TransportError,
    },
    /// Nodes answered, but not with a result until the call's deadline.
    #[error("no result within {timeout:?} in {attempts} attempts")]
    DeadlineExceeded {
        /// How long the call was allowed to take.
        timeout: Duration,
        /// How often it was tried.
        attempts: u32,
        /// `Some(false)`: no attempt can have had an effect. `None`: nobody can say.
        executed: Option<bool>,
        /// How the last attempt ended; absent when a wait was simply too short.
        #[source]
        last: Option<Box<Error>>,
    },
    /// The run or task whose output is wanted did not complete.
    #[error("{id} is {status}{}", .error.as_ref().map(|error| format!(": {} ({})", error.message, error.code)).unwrap_or_default())]
    NotCompleted {
        /// The run or task.
        id: String,
        /// Where it stands.
        status: String,
        /// Why it failed.
        error: Option<ErrorBody>,
    },
    /// A component answered a message with an error of its own.
    #[error("component {component} answered {}: {}", .error.code, .error.message)]
    Component {
        /// Who answered.
        component: String,
        /// What it said.
        error: ErrorBody,
    },
    /// Events were compacted before they could be read; the stream goes on with `first_seq`.
    #[error("events before {first_seq} are no longer kept")]
    EventsReset {
        /// The oldest event that is still kept.
        first_seq: u64,
    },
    /// An answer has another shape than expected.
    #[error("an answer could not be read")]
    Decode(#[source] serde_json::Error),
    /// The call makes no sense as it is.
    #[error("{0}")]
    Usage(String),
}

/// Why an attempt got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The node was not reached: it has not heard of the call.
    #[error("{node} cannot be reached: {reason}")]
    Unreachable {
        /// Its address.
        node: String,
        /// Why not.
        reason: String,
    },
    /// The connection broke: nobody can say what became of the call.
    #[error("the connection to {node} broke before the answer came")]
    Lost {
        /// Its address.
        node: String,
    },
    /// The node took too long: nobody can say what became of the call.
    #[error("{node} did not answer within {timeout:?}")]
    Silent {
        /// Its address.
        node: String,
        /// How long it had.
        timeout: Duration,
    },
    /// A plain HTTP request failed.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl TransportError {
    /// `Some(false)`: the call certainly had no effect. `None`: nobody can say.
    #[must_use]
    pub fn executed(&self) -> Option<bool> {
        match self {
            Self::Unreachable { .. } => Some(false),
            Self::Lost { .. } | Self::Silent { .. } => None,
            Self::Http(error) => (error.is_connect() || error.is_builder()).then_some(false),
        }
    }

    /// The request itself is at fault: no node can take it.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_builder())
    }
}

impl Error {
    /// A stable word: the problem's code, or one of the client's own.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::DeadlineExceeded { last: Some(last), .. } => last.code(),
            Self::DeadlineExceeded { last: None, .. } => "DEADLINE_EXCEEDED",
            Self::NotCompleted { error: Some(error), .. } => &error.code,
            Self::NotCompleted { error: None, .. } => "NOT_COMPLETED",
            Self::Component { error, .. } => &error.code,
            Self::EventsReset { .. } => "EVENTS_COMPACTED",
            Self::Decode(_) => "DECODE",
            Self::Usage(_) => "USAGE",
        }
    }

    /// Whether the same call, with the same idempotency key, may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Problem(problem) => is_retryable(problem),
            Self::Unreachable { .. } | Self::DeadlineExceeded { .. } => true,
            Self::Component { error, .. } => error.retryable.unwrap_or(false),
            Self::NotCompleted { .. } | Self::EventsReset { .. } | Self::Decode(_) | Self::Usage(_) => false,
        }
    }

    /// `Some(false)`: the call certainly had no effect. `None`: nobody can say.
    #[must_use]
    pub fn executed(&self) -> Option<bool> {
        match self {
            Self::Problem(problem) => problem.executed,
            Self::Unreachable { executed, .. } | Self::DeadlineExceeded { executed, .. } => *executed,
            Self::Usage(_) => Some(false),
            Self::NotCompleted { .. }
            | Self::Component { .. }
            | Self::EventsReset { .. }
            | Self::Decode(_) => None,
        }
    }

    /// The problem that a node answered with, if one did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::DeadlineExceeded { last: Some(last), .. } => last.problem(),
            _ => None,
        }
    }

    pub(crate) fn no_json_form(what: &str, error: &serde_json::Error) -> Self {
        Self::Usage(format!("{what} has no JSON form: {error}"))
    }
}

/// Overload and lost leaders pass; a component that did not answer in time has had its time.
pub(crate) fn is_retryable(problem: &Problem) -> bool {
    let passing =
        matches!(problem.status, 429 | 502..=504) && problem.code != crate::wire::codes::COMPONENT_TIMEOUT;
    passing || problem.retryable
}
