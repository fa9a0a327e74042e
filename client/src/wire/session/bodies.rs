//! What each message of a component session holds. Names are camelCase, times milliseconds since 1970.
//! Knows neither the tags nor the order of messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{ErrorBody, LogStream, Millis, Raw, raw_null};

/// An attempt, named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRef {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
}

/// The first message of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// What kind of program it is: `worker`, ...
    #[serde(default)]
    pub kind: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The actions it offers.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Labels that tasks can ask for.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many tasks it takes at a time.
    #[serde(default)]
    pub slots: u32,
    /// The attempts it has from an earlier session; those of its attempts that are not listed are lost.
    #[serde(default)]
    pub held: Vec<AttemptRef>,
    /// Without a connection it is forgotten after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Millis>,
}

/// The session is in the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The component's id.
    pub component_id: String,
    /// The session's id.
    #[serde(default)]
    pub session: String,
    /// The node that has it.
    #[serde(default)]
    pub node: String,
    /// A heartbeat is due at least so often, in milliseconds.
    pub heartbeat_interval: u64,
}

/// Start an attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskOrder {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// Which attempt it is, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// How many there may be.
    #[serde(default)]
    pub attempts_max: u32,
    /// What to do.
    pub action: String,
    /// The task's name.
    #[serde(default)]
    pub name: String,
    /// What the handler gets.
    #[serde(default = "raw_null")]
    pub payload: Raw,
    /// Until when it may take, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// A sign of life of the attempt is due at least so often, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<u64>,
    /// The run it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The step it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<String>,
}

/// Stop an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelOrder {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Answer a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageOrder {
    /// The message's id, for the reply.
    pub message_id: String,
    /// What kind of message it is.
    pub message_type: String,
    /// What the handler gets.
    #[serde(default = "raw_null")]
    pub payload: Raw,
    /// Nobody waits for the reply after this, in milliseconds since 1970.
    #[serde(default)]
    pub reply_before: u64,
}

/// Take a durable message: it comes again, in its place, until it is acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DurableOrder {
    /// The message's id.
    pub message_id: String,
    /// What kind of message it is.
    pub message_type: String,
    /// What the handler gets.
    #[serde(default = "raw_null")]
    pub payload: Raw,
    /// Its place: messages of a component come in the order of these.
    pub number: u64,
    /// The delivery, for the acknowledgement.
    pub token: u64,
    /// Once one message went back, what else came in its round is void and comes again in a later round.
    #[serde(default)]
    pub round: u64,
    /// Which delivery it is, from 1.
    #[serde(default)]
    pub delivery: u32,
}

/// A durable message is done with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// The message.
    pub message_id: String,
    /// The delivery.
    pub token: u64,
}

/// A durable message could not be dealt with: it comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Nack {
    /// The message.
    pub message_id: String,
    /// The delivery.
    pub token: u64,
    /// Why.
    pub error: ErrorBody,
    /// Not again for so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What became of an `ack` or `nack`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The message.
    pub message_id: String,
    /// The delivery.
    pub token: u64,
    /// It counts for nothing: the message was delivered again since.
    #[serde(default)]
    pub stale: bool,
}

/// A result is in the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
}

/// A result counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// Why, as a code: `STALE_ATTEMPT`.
    #[serde(default)]
    pub code: String,
    /// Why, as a sentence.
    #[serde(default)]
    pub detail: String,
}

/// Nobody could say; send the result again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryResult {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// After so many milliseconds.
    #[serde(default)]
    pub retry_after: u64,
}

/// The node closes the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
}

open_enum! {
    /// Why a node closes a session.
    ByeReason {
        /// A newer session of the same id took over; do not reconnect.
        Superseded => "superseded",
        /// The node stops; connect to another one.
        Shutdown => "shutdown",
        /// The last attempt of a draining component has ended.
        Drained => "drained",
        /// The component broke the protocol.
        Protocol => "protocol",
    }
}

/// An attempt succeeded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Complete {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// The result.
    #[serde(default = "raw_null")]
    pub output: Raw,
}

/// An attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fail {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// Why.
    pub error: ErrorBody,
    /// When the component wants it tried again, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// The component lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The attempts that live, too; needed only for those with a `heartbeatTimeout`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptRef>,
}

/// The answer to a message: either `payload` or `error`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// The message's id.
    pub message_id: String,
    /// The reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

/// No new tasks, please.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {}

/// Lines that an attempt logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The task.
    pub task_id: String,
    /// The attempt's fencing token.
    pub token: u64,
    /// The lines, in their order.
    pub lines: Vec<Logged>,
}

/// One line that an attempt logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Where it was written.
    pub stream: LogStream,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The line, without its line break.
    pub text: String,
}
