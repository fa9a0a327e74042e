//! Durable messages as requests and answers.
//! Knows nothing of how they are delivered; [`super::session`] has what a component hears.

use serde::{Deserialize, Serialize};

use super::{ErrorBody, Millis, Raw, Timestamp};

open_enum! {
    /// Where a durable message stands.
    MessageStatus {
        /// It waits in its queue.
        Queued => "queued",
        /// It is with its component.
        Delivered => "delivered",
        /// It was given up.
        Dead => "dead",
    }
}

/// A durable message: `GET /messages/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DurableMessage {
    /// Its id.
    pub id: String,
    /// For whom.
    pub component_id: String,
    /// The sender's word for it.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What it carries.
    pub payload: Raw,
    /// Where it stands.
    pub status: MessageStatus,
    /// Its place: messages of a component are in the order of these.
    pub number: u64,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Deliveries so far.
    #[serde(default)]
    pub deliveries: u32,
    /// It is not delivered again before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
    /// What came of the last delivery, or why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// When it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_at: Option<Timestamp>,
}

/// The answer to a durable message: 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAccepted {
    /// Its id.
    pub message_id: String,
    /// For whom.
    pub component_id: String,
    /// Log index at which it was queued.
    #[serde(default)]
    pub rev: u64,
}

/// The answer to a durable broadcast: 202, one entry for each registered component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastAccepted {
    /// What was queued.
    pub messages: Vec<MessageAccepted>,
}

/// `POST /messages/{id}/ack`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckMessage {
    /// The delivery.
    pub token: u64,
}

/// `POST /messages/{id}/nack`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NackMessage {
    /// The delivery.
    pub token: u64,
    /// Why.
    pub error: ErrorBody,
    /// Not again before so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
}

/// `POST /messages/dead/requeue` and `POST /messages/dead/drop`: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectDeadMessages {
    /// These.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Those for this component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// All.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// How many messages were requeued or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesMoved {
    /// So many.
    pub count: u64,
}

/// A page of durable messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagesQuery {
    /// Only those for this component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}
