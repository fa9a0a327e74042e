//! Decisions about children: which run a step or handler starts next, and what a child's end means for its parent.
//! Knows nothing of what a child does.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use super::{begin::Turn, run as whole, step::steps_of};
use crate::{
    child::{CHUNK_ITEMS, Earlier, Fan, FanItem, Parent, Repeat, Role, child_id, chunk_of, place_in_chunk},
    definition::StepKind,
    event::Event,
    ids::{Json, RunId, StepIx, Text},
    request::CreateRun,
    run::{Failure, Run, RunStatus},
    state::State,
    step::{StepOutcome, StepStatus},
    workflow::Origin,
};

/// The largest list of outputs of a `foreach`, or map of those of a group, as JSON text.
pub(super) const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// A child of a run, of the same definition unless the caller says otherwise. Its expressions see the inputs and the
/// trigger of the run around it: with a copy in each child, a `foreach` would store them as often as it has items.
pub(super) fn blank(state: &State, parent: &Run, role: Role) -> CreateRun {
    let id = child_id(state.meta.now, parent.id, role);
    CreateRun {
        priority: parent.priority,
        parent: Some(Box::new(Parent { run: parent.id, role, item: None })),
        origin: Origin { trigger: None, ..parent.origin.clone() },
        ..CreateRun::new(id, parent.definition)
    }
}

/// The same run without a parent: it counts as one that somebody started.
pub(super) fn detached(create: CreateRun, starter: RunId) -> CreateRun {
    CreateRun { parent: None, earlier: Some(Earlier { run: starter, how: Repeat::Detached }), ..create }
}

/// Creates a child; without a concurrency group it starts at once, in its parent's place.
pub(super) fn launch(create: CreateRun) -> Vec<Event> {
    let (run, grouped) = (create.id, create.group.is_some());
    let mut events = vec![Event::RunCreated(Box::new(create))];
    if !grouped {
        events.push(Event::RunStarted { run });
    }
    events
}

/// Pauses the children of a run, or has them go on.
pub(super) fn pause_all(state: &State, id: RunId, pause: bool) -> Vec<Event> {
    let children = state.indexes.children(&id).filter_map(|child| state.runs.get(&child));
    let changed = children.filter_map(|child| match (child.status, pause) {
        (RunStatus::Running, true) if !child.timing_out => Some(Event::RunPaused { run: child.id }),
        (RunStatus::Paused, false) => Some(Event::RunResumed { run: child.id }),
        _ => None,
    });
    changed.collect()
}

/// Ends the children of a step; they get the grace time.
pub(super) fn cancel_all(state: &State, id: RunId, step: StepIx, reason: &Text) -> Vec<Event> {
    let of_step = |role| match role {
        Role::Item { step: of, .. } | Role::Step(of) => of == step,
        Role::Handler(_) => false,
    };
    let children = state.indexes.children(&id).filter_map(|child| state.runs.get(&child));
    let own = children.filter(|child| child.parent.as_ref().is_some_and(|parent| of_step(parent.role)));
    own.flat_map(|child| whole::cancel(state, child.id, reason).unwrap_or_default()).collect()
}

fn item(state: &State, run: RunId, step: StepIx, index: u32) -> Option<&FanItem> {
    state.fans.get(&chunk_of(run, step, index))?.items.get(place_in_chunk(index))
}

/// Starts items up to the limit, or ends the step once none is left.
pub(super) fn feed(state: &State, id: RunId, place: StepIx) -> Vec<Event> {
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    let step = &run.steps[usize::from(place)];
    let (StepStatus::Running, Some(fan)) = (step.status, step.fan()) else { return Vec::new() };
    if fan.running == 0 && (step.stopping.is_some() || fan.ended == fan.total) {
        return collect(state, run, place, fan);
    }
    let kind = &steps_of(state, run)[usize::from(place)].kind;
    let StepKind::ForEach { block, parallel_max, .. } = kind else { return Vec::new() };
    let parallel_max = if state.config().switches.parallel_steps { *parallel_max } else { 1 };
    let starts = run.status == RunStatus::Running && !run.is_winding_down() && step.stopping.is_none();
    let free = if starts { parallel_max.saturating_sub(fan.running) } else { 0 };
    let waiting = (fan.next..fan.total)
        .filter_map(|index| Some((index, item(state, id, place, index)?)))
        .filter(|(_, item)| item.outcome.is_none());
    let start = |(index, item): (u32, &FanItem)| {
        let role = Role::Item { step: place, index };
        let parent = Parent { run: id, role, item: Some(item.given.value.clone()) };
        launch(CreateRun { block: *block, parent: Some(Box::new(parent)), ..blank(state, run, role) })
    };
    waiting.take(free as usize).flat_map(start).collect()
}

/// The same for every `foreach` of a run that goes on.
pub(super) fn feed_all(state: &State, id: RunId) -> Vec<Event> {
    let steps = state.runs.get(&id).map_or(0, |run| run.steps.len());
    (0..).take(steps).flat_map(|place| feed(state, id, place)).collect()
}

/// The end of a `foreach`: its outputs in order, or why it failed.
fn collect(state: &State, run: &Run, place: StepIx, fan: &Fan) -> Vec<Event> {
    let step = &run.steps[usize::from(place)];
    if let Some(outcome) = step.stopping.as_deref() {
        return vec![Event::StepEnded { run: run.id, step: place, outcome: outcome.clone() }];
    }
    let items = (0..fan.total.div_ceil(CHUNK_ITEMS))
        .filter_map(|number| state.fans.get(&chunk_of(run.id, place, number * CHUNK_ITEMS)))
        .flat_map(|chunk| &chunk.items);
    let mut list = String::from("[");
    let mut first_failure = None;
    for (index, item) in items.enumerate() {
        if index > 0 {
            list.push(',');
        }
        match &item.outcome {
            Some(StepOutcome::Completed(output)) => list.push_str(output.as_str()),
            outcome => {
                list.push_str("null");
                let failure = outcome.as_ref().and_then(StepOutcome::failure);
                first_failure = first_failure.or_else(|| Some((index, failure.cloned())));
            }
        }
        if list.len() > OUTPUT_BYTES_MAX {
            let message = format!("the outputs of its items are more than {OUTPUT_BYTES_MAX} bytes together");
            let outcome = StepOutcome::Failed(Failure::new("RESULT_TOO_LARGE", message));
            return vec![Event::StepEnded { run: run.id, step: place, outcome }];
        }
    }
    list.push(']');
    let output = Json::from(list);
    let Some((index, failure)) = first_failure else { return finished(state, run, place, output) };
    let why = failure.map_or_else(String::new, |failure| format!(": {}", failure.message));
    let message = format!("{} of {} items failed, the first is item {index}{why}", fan.failed, fan.total);
    let outcome = StepOutcome::Failed(Failure::new("ITEM_FAILED", message));
    vec![
        Event::ItemsCollected { run: run.id, step: place, output },
        Event::StepEnded { run: run.id, step: place, outcome },
    ]
}

/// A step's work is done: it ends, or has its outputs evaluated first.
pub(super) fn finished(state: &State, run: &Run, step: StepIx, output: Json) -> Vec<Event> {
    if steps_of(state, run)[usize::from(step)].outputs.is_empty() {
        return vec![Event::StepEnded { run: run.id, step, outcome: StepOutcome::Completed(output) }];
    }
    vec![Event::StepReturned { run: run.id, step, output }]
}

/// What a child's end means for its parent.
pub(super) fn after(state: &State, parent: &Parent, child: &StepOutcome) -> Vec<Event> {
    let Some(run) = state.runs.get(&parent.run) else { return Vec::new() };
    match parent.role {
        Role::Item { step, index } => {
            let outcome = seen_from(run, child);
            let fails = !matches!(outcome, StepOutcome::Completed(_));
            let mut events = vec![Event::ItemEnded { run: run.id, step, index, outcome: outcome.clone() }];
            let kind = &steps_of(state, run)[usize::from(step)].kind;
            let fast = matches!(kind, StepKind::ForEach { fail_fast: true, .. });
            if fails && fast && run.steps[usize::from(step)].stopping.is_none() {
                events.extend(stop_items(state, run, step, (index, &outcome)));
            }
            events
        }
        Role::Step(step) if run.steps[usize::from(step)].status != StepStatus::Running => Vec::new(),
        Role::Step(step) => match (run.steps[usize::from(step)].stopping.as_deref(), child) {
            (Some(outcome), _) => vec![Event::StepEnded { run: run.id, step, outcome: outcome.clone() }],
            (None, StepOutcome::Completed(output)) => finished(state, run, step, output.clone()),
            (None, _) => vec![Event::StepEnded { run: run.id, step, outcome: seen_from(run, child) }],
        },
        Role::Handler(job) => vec![Event::HandlerEnded { run: run.id, job, outcome: child.clone() }],
    }
}

/// A cancel that does not come from the parent's own is a failure of the child.
fn seen_from(run: &Run, child: &StepOutcome) -> StepOutcome {
    match child {
        StepOutcome::Cancelled(reason) if !run.is_winding_down() => {
            StepOutcome::Failed(Failure::new("CHILD_CANCELLED", reason.clone()))
        }
        outcome => outcome.clone(),
    }
}

fn stop_items(state: &State, run: &Run, step: StepIx, (index, outcome): (u32, &StepOutcome)) -> Vec<Event> {
    let why = outcome.failure().map_or("it was cancelled", |failure| &failure.message);
    let message = format!("item {index} failed: {why}");
    let outcome = StepOutcome::Failed(Failure::new("ITEM_FAILED", message));
    let mut events = vec![Event::StepStopping { run: run.id, step, outcome }];
    events.extend(cancel_all(state, run.id, step, &Text::from("another item failed")));
    events
}

/// What a passed time limit means for a step that is not a task.
pub(super) fn limit_over(turn: Turn<'_>) -> Vec<Event> {
    let (run, step) = (turn.run.id, turn.place);
    let message = format!("step `{}` took longer than its time limit", turn.step().id);
    let outcome = StepOutcome::TimedOut(Failure::new("STEP_TIMEOUT", message));
    let mut events = vec![Event::StepStopping { run, step, outcome }];
    events.extend(cancel_all(turn.state, run, step, &Text::from("the step's time was up")));
    events
}
