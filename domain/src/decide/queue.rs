//! Decisions about what waits: its priority, pauses of an action, and the report of what nothing can wake.
//! Knows nothing of attempts.

use alloc::{collections::BTreeSet, vec, vec::Vec};

use super::Decided;
use crate::{
    event::Event,
    ids::{ActionName, Priority, TaskId, Text},
    rejection::{Limited, Rejection},
    state::State,
    task::TaskStatus,
};

/// Actions that may be paused at once.
const PAUSED_MAX: u32 = 1_000;

pub(super) fn set_priority(state: &State, id: TaskId, priority: Priority) -> Decided {
    let task = state.tasks.get(&id).ok_or(Rejection::TaskNotLive { task: id })?;
    match task.status {
        TaskStatus::Blocked | TaskStatus::Queued | TaskStatus::Retrying if task.priority == priority => {
            Ok(Vec::new())
        }
        TaskStatus::Blocked | TaskStatus::Queued | TaskStatus::Retrying => {
            Ok(vec![Event::TaskPriorityChanged { task: id, priority }])
        }
        status @ (TaskStatus::Running
        | TaskStatus::Completed
        | TaskStatus::Failed
        | TaskStatus::Cancelled
        | TaskStatus::TimedOut) => Err(Rejection::TaskStarted { task: id, status }),
    }
}

pub(super) fn pause(state: &State, action: &ActionName) -> Decided {
    let paused = &state.meta.paused_actions;
    if paused.contains(action) {
        return Ok(Vec::new());
    }
    if paused.len() >= PAUSED_MAX as usize {
        return Err(Rejection::LimitExceeded { what: Limited::PausedActions, limit: PAUSED_MAX });
    }
    Ok(vec![Event::ActionPaused(action.clone())])
}

pub(super) fn resume(state: &State, action: &ActionName) -> Vec<Event> {
    let paused = state.meta.paused_actions.contains(action);
    paused.then(|| Event::ActionResumed(action.clone())).into_iter().collect()
}

/// What was not reported before, and what was and is not found any more.
pub(super) fn report_stuck(state: &State, found: &BTreeSet<Text>) -> Vec<Event> {
    let known = &*state.meta.stuck;
    let detected = found.difference(known).map(|work| Event::DeadlockDetected(work.clone()));
    let resolved = known.difference(found).map(|work| Event::DeadlockResolved(work.clone()));
    resolved.chain(detected).collect()
}
