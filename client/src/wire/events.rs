//! Events: the envelope, a page of them, and the words of an event stream.
//! Knows nothing of what an event's data says.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Raw, Timestamp};

/// A fact, numbered without gaps, the same on every node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// The log index at which it happened.
    pub rev: u64,
    /// Its dotted name: `workflow.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// What it happened to: the id of a run, a task, a component, or a key.
    #[serde(default)]
    pub subject: String,
    /// What happened, by type.
    pub data: Raw,
}

impl Event {
    /// Reads the data as a type of yours.
    ///
    /// # Errors
    /// When the data has another shape.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.data.get())
    }
}

/// `GET /events`: events after `since`, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events.
    pub items: Vec<Event>,
    /// The oldest event that is still kept; 0 when there is none.
    pub first_seq: u64,
    /// The newest event of all, whatever the filter; 0 when there is none. A stream from now on begins after it.
    pub last_seq: u64,
}

/// The name of the stream event that says: events were compacted, go on from [`StreamReset::first_seq`].
pub const STREAM_EVENT_RESET: &str = "reset";

/// The data of a `reset` in an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamReset {
    /// The oldest event that is still kept.
    pub first_seq: u64,
}

/// `POST /events`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostEvent {
    /// Its type: dotted words, the first of which is no built-in one.
    #[serde(rename = "type")]
    pub kind: String,
    /// Any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
}

/// The answer to an event: 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPosted {
    /// Its log index.
    pub rev: u64,
}
