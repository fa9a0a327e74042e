//! What a component is told, and how a message is named.

use std::{fmt, str::FromStr, sync::Arc};

use orc_domain::{BadId, Json, NodeId, QueuedMessage, Task, TaskId, Text, Timestamp, Token};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order to a component, in the order given. An attempt comes at most once per session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start an attempt.
    Task(Delivery),
    /// Stop an attempt.
    Cancel(Cancel),
    /// Answer a message.
    Message(Message),
    /// Take a durable message and acknowledge it.
    Durable(Arc<QueuedMessage>),
    /// The session is over; nothing follows.
    Bye(Goodbye),
}

/// An attempt to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The task as it was when it was assigned.
    pub task: Arc<Task>,
    /// What a result must carry.
    pub token: Token,
}

/// An attempt to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub token: Token,
    /// Why.
    pub reason: Text,
}

/// A message that awaits a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What a reply must carry.
    pub id: MessageId,
    /// The sender's word for it.
    pub kind: Text,
    /// JSON.
    pub payload: Json,
    /// A later reply is of no use.
    pub reply_before: Timestamp,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// A newer session took over: do not reconnect.
    Superseded,
    /// Somebody deleted the component: register again.
    Deregistered,
    /// The node shuts down: reconnect, elsewhere.
    Shutdown,
    /// It was drained and its last attempt has ended.
    Drained,
}

impl Goodbye {
    /// The word of the component protocol.
    pub fn name(self) -> &'static str {
        match self {
            Goodbye::Superseded => "superseded",
            Goodbye::Deregistered => "deregistered",
            Goodbye::Shutdown => "shutdown",
            Goodbye::Drained => "drained",
        }
    }
}

/// A request that awaits its reply at a node; written `msg_`, 32 hexadecimal digits, `-` and the node's number, so that
/// a reply finds its way from any node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageId {
    pub(crate) node: NodeId,
    pub(crate) id: Uuid,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msg_{}-{}", self.id.simple(), self.node.0)
    }
}

impl FromStr for MessageId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let parse = || {
            let (id, node) = text.strip_prefix("msg_")?.split_once('-')?;
            Some(MessageId { node: NodeId(node.parse().ok()?), id: Uuid::try_parse(id).ok()? })
        };
        parse()
            .ok_or_else(|| BadId {
                text: text.chars().take(80).collect(), expected: "a message id (msg_…)"
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_survive_their_text_form() {
        let id = MessageId { node: NodeId(3), id: Uuid::from_u128(7) };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("msg_1".parse::<MessageId>().is_err());
    }
}
