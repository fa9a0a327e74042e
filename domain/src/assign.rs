//! Filling free places: queued runs up to the limit, ready tasks onto free slots.
//! Assignment is a rule like any other: it happens in the entry that made either side available.

use crate::{
    event::Event,
    ids::{ComponentId, TaskId, Token},
    indexes::Place,
    state::State,
};

/// The next run to start, if the limit allows one.
pub(crate) fn admit(state: &State) -> Option<Event> {
    state.indexes.next_run(state.config().runs_active_max).map(|run| Event::RunStarted { run })
}

/// The next attempt to start: the best placed task that has a component, on the one with most free slots.
pub(crate) fn assign(state: &State) -> Option<Event> {
    if state.indexes.tasks_running() >= state.config().tasks_running_max {
        return None;
    }
    let mut best: Option<(Place, TaskId, &ComponentId)> = None;
    for (place, task, labels, components) in
        state.indexes.matches(&state.meta.paused_actions, state.config().head_start)
    {
        if best.is_some_and(|(best_place, best_task, _)| (best_place, best_task) <= (place, task)) {
            continue;
        }
        let fits = |id: &&ComponentId| {
            state.components.get(id).is_some_and(|component| component.has_labels(labels))
        };
        if let Some(component) = { components }.find(fits) {
            best = Some((place, task, component));
        }
    }
    let (_, id, component) = best?;
    let task = state.tasks.get(&id).expect("a queued task is live");
    let deadline = state.meta.now + task.timeout;
    Some(Event::TaskAssigned {
        task: id,
        component: component.clone(),
        token: Token(state.meta.token.0 + 1),
        deadline: task.total_deadline().map_or(deadline, |total| total.min(deadline)),
    })
}
