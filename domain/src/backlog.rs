//! What waits and runs of each action: counted as tasks change, so that nobody has to look at them all.
//! Knows nothing of who takes tasks.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::cmp::Reverse;

use crate::{
    ids::{ActionName, TaskId, Timestamp},
    indexes::Indexes,
    task::{DeadTask, Task, TaskStatus},
};

/// What waits and runs of one action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionBacklog {
    /// Tasks that wait for a component, those of paused runs included.
    pub queued: u32,
    /// Those of them whose run is paused.
    pub held: u32,
    /// Tasks that wait for others, or for their time.
    pub blocked: u32,
    /// Tasks between two attempts.
    pub retrying: u32,
    /// Running attempts.
    pub running: u32,
    /// Since when the longest waiting task waits; those of paused runs are left out.
    pub oldest: Option<Timestamp>,
    /// Free slots of components that offer it.
    pub slots_free: u32,
    /// Its tasks are not assigned.
    pub paused: bool,
}

/// The live tasks of each action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backlog(BTreeMap<ActionName, ActionBacklog>);

impl Backlog {
    pub(crate) fn add(&mut self, task: &Task) {
        if !self.0.contains_key(&task.action) {
            self.0.insert(task.action.clone(), ActionBacklog::default());
        }
        self.change(task, |count| *count += 1);
    }

    pub(crate) fn remove(&mut self, task: &Task) {
        self.change(task, |count| *count -= 1);
        if self.0.get(&task.action).is_some_and(|counts| *counts == ActionBacklog::default()) {
            self.0.remove(&task.action);
        }
    }

    fn change(&mut self, task: &Task, count: impl Fn(&mut u32)) {
        let Some(counts) = self.0.get_mut(&task.action) else { return };
        match task.status {
            TaskStatus::Blocked => count(&mut counts.blocked),
            TaskStatus::Retrying => count(&mut counts.retrying),
            TaskStatus::Running => count(&mut counts.running),
            TaskStatus::Queued => {
                count(&mut counts.queued);
                if task.held {
                    count(&mut counts.held);
                }
            }
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::TimedOut => {}
        }
    }
}

/// Whole answers of the indexes about what waits, and about what gave up.
impl Indexes {
    /// The counts of each action; a paused one, or one that has free slots only, is among them.
    pub(crate) fn backlog(&self, paused: &BTreeSet<ActionName>) -> BTreeMap<ActionName, ActionBacklog> {
        let mut actions = self.backlog.0.clone();
        for (action, since) in self.waiting_since() {
            let oldest = &mut actions.entry(action.clone()).or_default().oldest;
            *oldest = Some(oldest.map_or(since, |oldest| oldest.min(since)));
        }
        for (action, free) in &self.free {
            actions.entry(action.clone()).or_default().slots_free =
                free.iter().map(|(Reverse(free), _)| free).sum();
        }
        paused.iter().for_each(|action| actions.entry(action.clone()).or_default().paused = true);
        actions
    }

    pub(crate) fn add_dead(&mut self, dead: &DeadTask) {
        self.dead.entry(dead.action.clone()).or_default().insert((dead.at, dead.task));
    }

    pub(crate) fn remove_dead(&mut self, dead: &DeadTask) {
        if let Some(tasks) = self.dead.get_mut(&dead.action) {
            tasks.remove(&(dead.at, dead.task));
            if tasks.is_empty() {
                self.dead.remove(&dead.action);
            }
        }
    }

    /// The oldest of the actions that have most: one that fails all the time pushes nobody else's off the list.
    pub(crate) fn surplus_dead(&self, count: usize) -> Vec<TaskId> {
        let mut left: Vec<_> = self.dead.values().map(|tasks| (tasks.len(), tasks.iter())).collect();
        let mut surplus = Vec::new();
        while surplus.len() < count {
            let most = left.iter_mut().max_by_key(|(length, tasks)| (*length, Reverse(tasks.clone().next())));
            let Some((length, (_, task))) = most.and_then(|(length, tasks)| Some((length, tasks.next()?)))
            else {
                break;
            };
            *length -= 1;
            surplus.push(*task);
        }
        surplus
    }
}
