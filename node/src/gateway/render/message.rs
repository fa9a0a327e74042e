//! Durable messages in their public form.
//! Knows nothing of who reads them.

use orc_client::wire::{DurableMessage, MessageStatus};
use orc_domain::{DeadMessage, QueuedMessage};

use super::{error, raw, time};

/// A message in its queue.
pub fn queued(message: &QueuedMessage) -> DurableMessage {
    let is_delivered = message.delivery.is_some();
    DurableMessage {
        id: message.id.to_string(),
        component_id: message.component.to_string(),
        kind: message.kind.to_string(),
        payload: raw(&message.payload),
        status: if is_delivered { MessageStatus::Delivered } else { MessageStatus::Queued },
        number: message.number,
        sent_at: time(message.sent_at),
        deliveries: message.deliveries,
        retry_at: message.retry_at.map(time),
        error: message.failure.as_ref().map(error),
        dead_at: None,
    }
}

/// A message that was given up.
pub fn dead(dead: &DeadMessage) -> DurableMessage {
    DurableMessage {
        status: MessageStatus::Dead,
        error: Some(error(&dead.failure)),
        dead_at: Some(time(dead.at)),
        ..queued(&dead.message)
    }
}
