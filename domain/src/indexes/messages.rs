//! The queues of durable messages: what waits, what is with its component, and whose turn it is.
//! A function of the rows of messages and components.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{
    component::Component,
    ids::ComponentId,
    message::{MessageId, MessagePlace, QueuedMessage},
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    places: BTreeMap<MessageId, MessagePlace>,
    queues: BTreeMap<ComponentId, Queue>,
    /// Components that can be given their next message now.
    ready: BTreeSet<ComponentId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Queue {
    waiting: BTreeSet<u64>,
    with_component: BTreeSet<u64>,
    /// Of those that wait: they pause, and so does what is behind them.
    pausing: BTreeSet<u64>,
    /// Those of which a delivery failed: nothing is delivered behind one of them, so that it can fail again alone.
    suspect: BTreeSet<u64>,
}

impl Queue {
    fn next(&self) -> Option<u64> {
        let first = self.waiting.first().filter(|first| !self.pausing.contains(first))?;
        let window = match self.suspect.first() {
            Some(suspect) if self.with_component.contains(suspect) => 0,
            Some(_) | None => QueuedMessage::WINDOW,
        };
        (self.with_component.len() < window).then_some(*first)
    }
}

impl Messages {
    pub(super) fn add(&mut self, message: &QueuedMessage, component: Option<&Component>) {
        self.places.insert(message.id, message.place());
        let queue = self.queues.entry(message.component.clone()).or_default();
        match message.delivery {
            Some(_) => queue.with_component.insert(message.number),
            None => queue.waiting.insert(message.number),
        };
        if message.retry_at.is_some() {
            queue.pausing.insert(message.number);
        }
        if message.failure.is_some() {
            queue.suspect.insert(message.number);
        }
        self.check(&message.component, component);
    }

    pub(super) fn remove(&mut self, message: &QueuedMessage, component: Option<&Component>) {
        self.places.remove(&message.id);
        if let Some(queue) = self.queues.get_mut(&message.component) {
            queue.waiting.remove(&message.number);
            queue.with_component.remove(&message.number);
            queue.pausing.remove(&message.number);
            queue.suspect.remove(&message.number);
            if queue.waiting.is_empty() && queue.with_component.is_empty() {
                self.queues.remove(&message.component);
            }
        }
        self.check(&message.component, component);
    }

    /// Looks whether a component, as it is now, can be given its next message.
    pub(super) fn check(&mut self, id: &ComponentId, component: Option<&Component>) {
        let connected = component.is_some_and(|row| row.live_session().is_some() && !row.draining);
        if connected && self.queues.get(id).is_some_and(|queue| queue.next().is_some()) {
            self.ready.insert(id.clone());
        } else {
            self.ready.remove(id);
        }
    }

    /// Whose turn it is, and which message.
    pub(crate) fn next(&self) -> Option<(&ComponentId, u64)> {
        let component = self.ready.first()?;
        Some((component, self.queues.get(component)?.next()?))
    }

    /// Where a message stands.
    pub(crate) fn place_of(&self, id: MessageId) -> Option<&MessagePlace> {
        self.places.get(&id)
    }

    /// Messages in the queue of a component, delivered ones included.
    pub(crate) fn depth(&self, component: &ComponentId) -> usize {
        self.queues.get(component).map_or(0, |queue| queue.waiting.len() + queue.with_component.len())
    }

    /// Whether any message is with the component.
    pub(crate) fn is_with(&self, component: &ComponentId) -> bool {
        self.queues.get(component).is_some_and(|queue| !queue.with_component.is_empty())
    }

    /// Messages that are with a component, in order.
    pub(crate) fn with<'a>(&'a self, component: &ComponentId) -> impl Iterator<Item = u64> + use<'a> {
        self.queues.get(component).into_iter().flat_map(|queue| queue.with_component.iter().copied())
    }

    /// Messages in the queue of a component, in order.
    pub(crate) fn all<'a>(&'a self, component: &ComponentId) -> impl Iterator<Item = u64> + use<'a> {
        let queue = self.queues.get(component).into_iter();
        queue.flat_map(|queue| queue.with_component.iter().chain(&queue.waiting).copied())
    }

    /// Components that have messages with them.
    pub(crate) fn with_components(&self) -> impl Iterator<Item = &ComponentId> {
        self.queues.iter().filter(|(_, queue)| !queue.with_component.is_empty()).map(|(id, _)| id)
    }
}
