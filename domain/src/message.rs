//! Durable messages: data for a component that waits in its queue until it is acknowledged, delivered at least once and in
//! order. What is delivered over and over without success goes to the dead-letter list.
//! Knows nothing of requests and their replies, which are not in the log.

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{ComponentId, Json, SessionId, Text, Timestamp, Token},
    run::Failure,
};

/// A durable message; written `msg_` and 26 characters of base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub Uuid);

/// Where a message stands: whose queue, and its number there.
pub type MessagePlace = (ComponentId, u64);

/// A message in the queue of its component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Minted by the gateway.
    pub id: MessageId,
    /// For whom.
    pub component: ComponentId,
    /// Its place: the queue is in the order of these numbers.
    pub number: u64,
    /// The sender's word for it.
    pub kind: Text,
    /// JSON.
    pub payload: Json,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Deliveries that count, the present one included.
    pub deliveries: u32,
    /// The present delivery.
    pub delivery: Option<MessageDelivery>,
    /// It is not delivered again, nor what is behind it, before this time.
    pub retry_at: Option<Timestamp>,
    /// What came of the last delivery.
    pub failure: Option<Failure>,
}

/// A message that is with its component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDelivery {
    /// The session that it was given to.
    pub session: SessionId,
    /// What an acknowledgement must carry.
    pub token: Token,
    /// How often messages had gone back into this queue before: after one went back, what came in the same round is void.
    pub round: u64,
    /// The first one of those that are with the component must be acknowledged by then.
    pub deadline: Option<Timestamp>,
}

impl QueuedMessage {
    /// Messages that are with one component at a time.
    pub const WINDOW: usize = 64;

    /// Time alone changes it then.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match &self.delivery {
            Some(delivery) => delivery.deadline,
            None => self.retry_at,
        }
    }

    /// Its place.
    pub fn place(&self) -> MessagePlace {
        (self.component.clone(), self.number)
    }
}

/// A message of the dead-letter list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadMessage {
    /// As it was.
    pub message: QueuedMessage,
    /// Why it is here.
    pub failure: Failure,
    /// Since when.
    pub at: Timestamp,
}

/// A durable message to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// Minted by the gateway.
    pub id: MessageId,
    /// For whom.
    pub component: ComponentId,
    /// The sender's word for it.
    pub kind: Text,
    /// JSON.
    pub payload: Json,
}

/// Messages of the dead-letter list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadMessages {
    /// These; each must be on the list.
    Messages(Vec<MessageId>),
    /// Those for a component.
    Component(ComponentId),
    /// All.
    All,
}

/// What is asked about durable messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageCommand {
    /// Put them into the queues of their components, all or none.
    Send(Vec<NewMessage>),
    /// The component has done with it.
    Acknowledge {
        /// Which.
        message: MessageId,
        /// Which delivery.
        token: Token,
    },
    /// The component could not.
    Return {
        /// Which.
        message: MessageId,
        /// Which delivery.
        token: Token,
        /// Why.
        failure: Failure,
        /// The component's wish for the pause.
        retry_after: Option<Duration>,
    },
    /// Put them back into their queues, at the end.
    Requeue(DeadMessages),
    /// Take them off the dead-letter list for good.
    Drop(DeadMessages),
}

/// What happened to a durable message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageEvent {
    /// It is in its queue.
    Queued(Box<QueuedMessage>),
    /// It is with its component.
    Delivered {
        /// Where it stands.
        place: MessagePlace,
        /// Which.
        message: MessageId,
        /// To whom and for how long.
        delivery: MessageDelivery,
    },
    /// The component has done with it.
    Acknowledged {
        /// Where it stood.
        place: MessagePlace,
        /// Which.
        message: MessageId,
    },
    /// It waits again.
    Returned {
        /// Where it stands.
        place: MessagePlace,
        /// Which.
        message: MessageId,
        /// Why; none where one before it had to go back, which does not count.
        failure: Option<Failure>,
        /// Not again before this time.
        retry_at: Option<Timestamp>,
    },
    /// Its pause is over.
    Ready {
        /// Where it stands.
        place: MessagePlace,
        /// Which.
        message: MessageId,
    },
    /// It is on the dead-letter list.
    DeadLettered {
        /// Where it stood.
        place: MessagePlace,
        /// Which.
        message: MessageId,
        /// Why.
        failure: Failure,
    },
    /// It left the dead-letter list for its queue, which the next fact says.
    Requeued(MessageId),
    /// They left the dead-letter list for good.
    Dropped {
        /// Which.
        messages: Vec<MessageId>,
        /// The list was full; otherwise somebody asked.
        overflow: bool,
    },
}
