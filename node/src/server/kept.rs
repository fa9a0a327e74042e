//! What the gateway reads of state keys at earlier times and of durable messages.
//! Knows nothing of requests.

use std::sync::Arc;

use orc_domain::{ComponentId, DeadMessage, KeyRecord, MessageId, QueuedMessage, Snapshot};
use orc_raft::{
    error::ReadError,
    store::{KeyDifference, Keys},
};

use super::cluster::Cluster;

impl Cluster {
    /// Every named snapshot, the oldest first.
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.reader().snapshots()
    }

    /// At most `limit` keys that have a value, now or when the snapshot of a number was made.
    pub async fn keys_at(
        &self,
        number: Option<u64>,
        wanted: Keys,
        limit: usize,
    ) -> Result<Vec<Arc<KeyRecord>>, ReadError> {
        self.reader().keys_at(number, wanted, limit).await
    }

    /// At most `limit` keys that differ between a snapshot and a later one, or now.
    pub async fn key_differences(
        &self,
        numbers: (u64, Option<u64>),
        wanted: Keys,
        limit: usize,
    ) -> Result<Vec<KeyDifference>, ReadError> {
        self.reader().key_differences(numbers, wanted, limit).await
    }

    /// Gives every key that has a value, in order, to `with` until it says no; none at the end.
    pub async fn each_key(
        &self,
        number: Option<u64>,
        wanted: Keys,
        with: impl FnMut(Option<KeyRecord>) -> bool + Send + 'static,
    ) -> Result<(), ReadError> {
        self.reader().each_key(number, wanted, with).await
    }

    /// A durable message that is in a queue.
    pub fn message(&self, id: MessageId) -> Option<Arc<QueuedMessage>> {
        self.reader().message(id)
    }

    /// At most `limit` durable messages in the queue of a component, in order, from a number on.
    pub fn messages(&self, component: &ComponentId, from: u64, limit: usize) -> Vec<Arc<QueuedMessage>> {
        self.reader().messages(component, from, limit)
    }

    /// A durable message that was given up.
    pub fn dead_message(&self, id: MessageId) -> Option<Arc<DeadMessage>> {
        self.reader().dead_message(id)
    }

    /// At most `limit` durable messages that were given up, the newest first, before `before`.
    pub fn dead_messages(
        &self,
        before: Option<MessageId>,
        limit: usize,
        filter: impl Fn(&DeadMessage) -> bool,
    ) -> Vec<Arc<DeadMessage>> {
        self.reader().dead_messages(before, limit, filter)
    }
}
