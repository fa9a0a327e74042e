//! P8: what can go on does: no free slot beside a task that fits, no free place beside a run that waits, nothing
//! without something that will wake it, and all work ends.

use super::*;
use crate::assign::{admit, assign};

#[derive(Default)]
struct NothingStuck;

impl Property for NothingStuck {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        let Happened { state, outcome, .. } = happened;
        let settled = outcome.is_ok();
        if let (true, Some(event)) = (settled, admit(state).or_else(|| assign(state))) {
            return Err(format!("left undone: {event:?}"));
        }
        if let Some(stuck) = state.stuck().first() {
            return Err(stuck.clone());
        }
        let asleep = state.tasks.iter().find(|(_, task)| !state.indexes.has_wake_up(task));
        asleep.map_or(Ok(()), |(id, _)| Err(format!("{id} has not exactly one wake-up")))
    }
}

#[test]
fn what_can_go_on_does_and_all_work_ends() {
    holds::<NothingStuck>();
}

#[test]
fn a_task_in_two_places_is_noticed() {
    // A rule that queues a task whose attempt still runs.
    let broken = breaks::<NothingStuck>(|state, _| {
        let running = state.tasks.iter().find(|(_, task)| task.status == TaskStatus::Running);
        running.map(|(task, _)| Event::TaskRequeued { task: *task }).into_iter().collect()
    });
    assert!(broken.contains("wake-up") || broken.contains("left undone"), "{broken}");
}
