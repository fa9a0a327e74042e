//! Decisions about the dead-letter list: who leaves it for good. A new task takes a dead one's place in `task::create`.
//! Knows nothing of why tasks die.

use alloc::{vec, vec::Vec};

use super::Decided;
use crate::{event::Event, ids::TaskId, rejection::Rejection, request::DeadSelection, state::State};

pub(super) fn drop_dead(state: &State, which: &DeadSelection) -> Decided {
    let tasks: Vec<TaskId> = match which {
        DeadSelection::Tasks(tasks) => match tasks.iter().find(|task| !state.dead.contains(task)) {
            Some(absent) => return Err(Rejection::TaskNotDead { task: *absent }),
            None => tasks.clone(),
        },
        DeadSelection::Action(action) => {
            state.dead.iter().filter(|(_, dead)| dead.action == *action).map(|(task, _)| *task).collect()
        }
        DeadSelection::All => state.dead.iter().map(|(task, _)| *task).collect(),
    };
    Ok(dropped(tasks, false))
}

/// The oldest of the actions that have most leave a list that is too long.
pub(super) fn trim(state: &State) -> Vec<Event> {
    let over = state.dead.len().saturating_sub(state.config().tasks_dead_max as usize);
    dropped(state.indexes.surplus_dead(over), true)
}

fn dropped(tasks: Vec<TaskId>, overflow: bool) -> Vec<Event> {
    if tasks.is_empty() {
        return Vec::new();
    }
    vec![Event::DeadTasksDropped { tasks, overflow }]
}
