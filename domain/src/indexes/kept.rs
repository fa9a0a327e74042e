//! Entries of components, state keys and durable messages, and the check that every task has one wake-up.
//! A function of the rows, as all of the indexes.

use super::{Due, Indexes};
#[cfg(test)]
use crate::task::Task;
use crate::{component::Component, key::KeyRecord, message::QueuedMessage};

impl Indexes {
    pub(crate) fn add_component(&mut self, component: &Component) {
        if let Some(until) = component.due_at() {
            self.due.insert((until, Due::Component(component.id.clone())));
        }
        self.messages.check(&component.id, Some(component));
        self.list(component);
    }

    pub(crate) fn remove_component(&mut self, component: &Component) {
        if let Some(until) = component.due_at() {
            self.due.remove(&(until, Due::Component(component.id.clone())));
        }
        self.messages.check(&component.id, None);
        self.unlist(component);
    }

    pub(crate) fn add_key(&mut self, record: &KeyRecord) {
        self.keys_present += usize::from(record.value.is_some());
        if let Some(at) = record.expires_at {
            self.due.insert((at, Due::Key(record.key.clone())));
        }
    }

    pub(crate) fn remove_key(&mut self, record: &KeyRecord) {
        self.keys_present -= usize::from(record.value.is_some());
        if let Some(at) = record.expires_at {
            self.due.remove(&(at, Due::Key(record.key.clone())));
        }
    }

    pub(crate) fn keys_present(&self) -> usize {
        self.keys_present
    }

    pub(crate) fn add_message(&mut self, message: &QueuedMessage, component: Option<&Component>) {
        if let Some(at) = message.due_at() {
            self.due.insert((at, Due::Message(message.place())));
        }
        self.messages.add(message, component);
    }

    pub(crate) fn remove_message(&mut self, message: &QueuedMessage, component: Option<&Component>) {
        if let Some(at) = message.due_at() {
            self.due.remove(&(at, Due::Message(message.place())));
        }
        self.messages.remove(message, component);
    }

    #[cfg(test)]
    pub(crate) fn has_wake_up(&self, task: &Task) -> bool {
        let queued = || self.queues.values().flatten().filter(|(_, id)| *id == task.id).count();
        let due = || self.due.iter().filter(|(_, due)| *due == Due::Task(task.id)).count();
        let blocked = || self.dependants.values().flatten().filter(|id| **id == task.id).count();
        let running = || self.running_on.values().flatten().filter(|id| **id == task.id).count();
        let entries = [queued().min(1), running().min(1), blocked().min(1)].iter().sum::<usize>();
        match task.wake_up() {
            Some(crate::task::WakeUp::Timer(_)) => entries == 0 && due() == 1,
            Some(crate::task::WakeUp::Resume) => entries == 0,
            Some(crate::task::WakeUp::Dependencies) => {
                blocked() == task.waits_for.len() && queued() + running() == 0
            }
            Some(crate::task::WakeUp::Queue) => entries == 1 && queued() == 1,
            Some(crate::task::WakeUp::Attempt) => entries == 1 && running() == 1 && due() == 1,
            None => false,
        }
    }
}
