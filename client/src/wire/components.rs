//! Components, their long polls and their messages as requests and answers.
//! Knows nothing of sessions' life; [`super::session`] has the WebSocket messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::session::{CancelOrder, DurableOrder, MessageOrder, TaskOrder};
use super::{ErrorBody, Millis, Raw, Timestamp};

open_enum! {
    /// Where a component stands.
    ComponentStatus {
        /// Known, never connected.
        Registered => "registered",
        /// It has a session.
        Connected => "connected",
        /// Its connection broke; it may come back and go on.
        Lost => "lost",
        /// It has a session and takes no new tasks.
        Draining => "draining",
        /// Its session ended.
        Disconnected => "disconnected",
    }
}

/// `PUT /components/{id}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RegisterComponent {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What kind of program it is: `worker`, `linear-integration`, ...
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The actions it offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Labels that tasks can ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How many tasks it takes at a time; 0: it is no worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// How long its registration outlives its last session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Millis>,
}

/// `GET /components/{id}`, and the answer to `PUT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentView {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What kind of program it is.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The actions it offers.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many tasks it takes at a time.
    #[serde(default)]
    pub slots: u32,
    /// How many tasks it works on.
    #[serde(default)]
    pub running: u32,
    /// Where it stands.
    pub status: ComponentStatus,
    /// The node that has its session.
    #[serde(default)]
    pub node: Option<String>,
    /// When its session began.
    #[serde(default)]
    pub connected_at: Option<Timestamp>,
}

/// `POST /components/{id}/drain`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainComponent {
    /// Attempts that have not ended after so long are taken back and tried elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Millis>,
}

/// `POST /components/{id}/poll`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Poll {
    /// At most so many tasks; by default as many as there are free slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How long to wait when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Millis>,
}

/// The answer to a [`Poll`]; times are milliseconds since 1970, as in a session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Polled {
    /// Attempts to start.
    #[serde(default)]
    pub tasks: Vec<TaskOrder>,
    /// Messages to answer.
    #[serde(default)]
    pub messages: Vec<MessageOrder>,
    /// Attempts to stop.
    #[serde(default)]
    pub cancels: Vec<CancelOrder>,
    /// Durable messages to acknowledge, in order.
    #[serde(default)]
    pub durable: Vec<DurableOrder>,
}

/// `POST /components/{id}/messages` and `POST /components/broadcast`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// What kind of message it is; the component chooses its handler by it.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the handler gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// It waits in the component's queue until it is acknowledged; nobody waits for a reply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub durable: bool,
}

/// What a component answered to a message: either `payload` or `error`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageReply {
    /// Who answered.
    pub component_id: String,
    /// The reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// The answer to `POST /components/broadcast`: one entry per connected component.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BroadcastReplies {
    /// What each answered.
    pub responses: Vec<MessageReply>,
}

/// `POST /messages/{id}/reply`: either `payload` or `error`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReplyMessage {
    /// The reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}
