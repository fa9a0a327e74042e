//! What nodes ask of each other about logs, and how it is written: JSON, so that nodes of different versions understand
//! each other. Knows nothing of how it travels.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Found, Owner, Wanted};

/// What a node asks of a node about the logs it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose logs, and after which place of each.
    pub after: Vec<(Owner, u64)>,
    /// Which of their lines.
    pub wanted: Wanted,
    /// How long to wait for a line if there is none.
    pub wait: Duration,
}

/// What the node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// What it keeps.
    Lines {
        /// In the order of their times.
        lines: Vec<Found>,
        /// Up to where it looked.
        upto: Vec<(Owner, u64)>,
        /// Whether there is more behind that.
        more: bool,
    },
    /// Its disk could not be read.
    Failed,
}

/// As it travels: its first word tells it from what nodes ask about components.
#[derive(Serialize, Deserialize)]
enum Envelope<R> {
    ReadLogs(R),
}

impl Request {
    /// Reads what another node asks; none if it is about something else.
    pub fn of_bytes(bytes: &[u8]) -> Option<Request> {
        serde_json::from_slice(bytes).ok().map(|Envelope::ReadLogs(request)| request)
    }

    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&Envelope::ReadLogs(self)).expect("a request has only string keys")
    }
}

impl Answer {
    /// Reads an answer; none if the node does not know the question.
    pub fn of_bytes(bytes: &[u8]) -> Option<Answer> {
        serde_json::from_slice(bytes).ok()
    }

    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an answer has only string keys")
    }
}
