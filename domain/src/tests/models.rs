//! What random histories must be like, told anew from the facts: snapshots by copies of all keys, queues by lists.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;

/// Values of all keys that have one.
type Values = BTreeMap<StateKey, Json>;

/// What the facts so far say.
#[derive(Default)]
pub(super) struct Models {
    values: Values,
    snapshots: BTreeMap<SnapshotId, Values>,
    /// Messages that are neither acknowledged nor dead, in order, with the token of their delivery.
    queues: BTreeMap<ComponentId, Vec<(MessageId, Option<Token>)>>,
    /// Every message ever sent, and those that were acknowledged.
    sent: BTreeSet<MessageId>,
    done: BTreeSet<MessageId>,
}

fn values(state: &State) -> Values {
    let with_value = state.keys.iter().filter_map(|(key, record)| Some((key.clone(), record.value.clone()?)));
    with_value.collect()
}

impl Models {
    /// Looks at the new facts, and at the state after them.
    pub(super) fn watch(&mut self, facts: &[Arc<Recorded>], state: &State) {
        for (place, fact) in facts.iter().enumerate() {
            match &fact.event {
                Event::StateChanged(change) => {
                    assert_eq!(change.old, self.values.get(&change.key).cloned(), "of {}", change.key);
                    match &change.value {
                        Some(value) => self.values.insert(change.key.clone(), value.clone()),
                        None => self.values.remove(&change.key),
                    };
                }
                Event::Snapshot(event) => self.snapshot(event, &facts[place + 1..], fact.at),
                Event::Message(event) => self.message(event),
                _ => {}
            }
        }
        if !facts.is_empty() {
            assert_eq!(values(state), self.values);
            self.check_queues(state);
        }
    }

    fn snapshot(&mut self, event: &SnapshotEvent, changes: &[Arc<Recorded>], now: Timestamp) {
        match event {
            SnapshotEvent::Created(snapshot) => {
                assert_eq!(snapshot.keys, self.values.len() as u64);
                self.snapshots.insert(snapshot.id, self.values.clone());
            }
            SnapshotEvent::Deleted { snapshot, .. } => {
                self.snapshots.remove(snapshot).expect("it was made");
            }
            SnapshotEvent::Restored { restore, keys } => {
                let mut after = self.values.clone();
                let mut changed = 0;
                for change in changes {
                    let Event::StateChanged(change) = &change.event else { break };
                    changed += 1;
                    match &change.value {
                        Some(value) => after.insert(change.key.clone(), value.clone()),
                        None => after.remove(&change.key),
                    };
                }
                assert_eq!(changed, *keys);
                self.check_restored(restore, &after, now);
            }
        }
    }

    /// Keys within the prefix have the snapshot's values, the others those they had. Values whose time was over by then may
    /// be gone.
    fn check_restored(&self, restore: &RestoreSnapshot, after: &Values, _: Timestamp) {
        let then = &self.snapshots[&restore.snapshot];
        let wanted =
            |key: &StateKey| restore.prefix.as_ref().is_none_or(|prefix| key.as_str().starts_with(&**prefix));
        let keys: BTreeSet<&StateKey> = then.keys().chain(after.keys()).chain(self.values.keys()).collect();
        for key in keys {
            let (now, was, had) = (after.get(key), then.get(key), self.values.get(key));
            let fits = match (wanted(key), was) {
                (false, _) => now == had,
                (true, None) => now.is_none() || restore.keep_new && now == had,
                // Where the value had a time to live that is over, it is as if there had been none.
                (true, Some(_)) => now == was || now.is_none() || restore.keep_new && now == had,
            };
            assert!(fits, "{key}: {now:?} after the restore of {was:?} over {had:?}");
        }
    }

    fn message(&mut self, event: &MessageEvent) {
        let queue = |queues: &mut BTreeMap<ComponentId, Vec<_>>, place: &MessagePlace| {
            core::mem::take(queues.entry(place.0.clone()).or_default())
        };
        match event {
            MessageEvent::Queued(message) => {
                self.sent.insert(message.id);
                self.queues.entry(message.component.clone()).or_default().push((message.id, None));
            }
            MessageEvent::Delivered { place, message, delivery } => {
                let mut queue = queue(&mut self.queues, place);
                let first = queue.iter_mut().find(|(_, token)| token.is_none()).expect("something waits");
                assert_eq!(first.0, *message, "messages are delivered in the order they were sent");
                first.1 = Some(delivery.token);
                self.queues.insert(place.0.clone(), queue);
            }
            MessageEvent::Returned { place, message, .. } => {
                let mut queue = queue(&mut self.queues, place);
                let one = queue.iter_mut().find(|(id, _)| id == message).expect("it is in its queue");
                assert!(one.1.take().is_some(), "it was with its component");
                self.queues.insert(place.0.clone(), queue);
            }
            MessageEvent::Acknowledged { place, message }
            | MessageEvent::DeadLettered { place, message, .. } => {
                let mut queue = queue(&mut self.queues, place);
                let at = queue.iter().position(|(id, _)| id == message).expect("it is in its queue");
                queue.remove(at);
                self.queues.insert(place.0.clone(), queue);
                if matches!(event, MessageEvent::Acknowledged { .. }) {
                    assert!(self.done.insert(*message), "{message} was acknowledged twice");
                }
            }
            MessageEvent::Ready { .. } | MessageEvent::Requeued(_) => {}
            MessageEvent::Dropped { messages, .. } => {
                messages.iter().for_each(|message| assert!(self.sent.remove(message), "it was sent"));
            }
        }
    }

    /// What was sent is acknowledged, in its queue, or on the dead-letter list; what is delivered comes before what waits.
    fn check_queues(&self, state: &State) {
        let queued: BTreeSet<MessageId> = self.queues.values().flatten().map(|(id, _)| *id).collect();
        let dead: BTreeSet<MessageId> = state.dead_messages.iter().map(|(id, _)| *id).collect();
        let live: BTreeSet<MessageId> = state.messages.iter().map(|(_, message)| message.id).collect();
        assert_eq!(queued, live);
        let all: BTreeSet<MessageId> = queued.union(&dead).chain(&self.done).copied().collect();
        assert_eq!(all, self.sent, "no message is lost");
        for (component, queue) in &self.queues {
            assert!(queue.is_sorted_by_key(|(_, token)| token.is_none()), "of {component}: {queue:?}");
            let with = queue.iter().filter(|(_, token)| token.is_some()).count();
            assert!(with <= QueuedMessage::WINDOW);
            let connected = state
                .components
                .get(component)
                .is_some_and(|row| row.live_session().is_some() && !row.draining);
            let next = state.messages.iter().map(|(_, message)| message);
            let next = next.filter(|message| message.component == *component).find(|m| m.delivery.is_none());
            let pauses = next.is_some_and(|message| message.retry_at.is_some());
            let alone = state.messages.iter().map(|(_, message)| message).any(|message| {
                message.component == *component && message.delivery.is_some() && message.failure.is_some()
            });
            let waits = next.is_some() && connected && !pauses && !alone && with < QueuedMessage::WINDOW;
            assert!(!waits, "a message waits for {component} without a reason");
        }
    }
}
