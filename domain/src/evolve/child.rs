//! Facts about children, items and handlers, written.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};

use crate::{
    child::{
        CHUNK_ITEMS, Fan, FanChunk, FanItem, Handling, Item, Job, KeptItems, Parent, Role, chunk_of,
        place_in_chunk,
    },
    ids::{RunId, StepIx, Text},
    run::Conclusion,
    state::State,
    step::{StepOutcome, Work},
};

/// A child was created: its parent knows.
pub(super) fn created(state: &mut State, child: RunId, parent: &Parent) {
    match parent.role {
        Role::Item { step, index } => {
            change_item(state, (parent.run, step, index), |item| item.run = Some(child));
            change_fan(state, parent.run, step, |fan| {
                fan.next = index + 1;
                fan.running += 1;
            });
        }
        Role::Step(step) => state.set_work(parent.run, step, Work::Child(child)),
        Role::Handler(job) => state.change_run(parent.run, |run| {
            if let Some(handling) = &mut run.handling {
                handling.waiting.retain(|waiting| *waiting != job);
                handling.current = Some(job);
                handling.started.push((job, child));
            }
        }),
    }
}

/// The items get their rows; those kept of an earlier run have ended where their key is still there, or, without one, the
/// same value in the same place.
pub(super) fn fan_started(state: &mut State, id: RunId, place: StepIx, items: &Arc<[Item]>) {
    let Some(run) = state.runs.get(&id) else { return };
    let kept = run.kept.iter().find(|kept| kept.step == place).map_or(&[][..], |kept| &kept.items);
    let mut all: Vec<FanItem> =
        items.iter().map(|given| FanItem { given: given.clone(), run: None, outcome: None }).collect();
    let by_key: BTreeMap<&Text, usize> =
        items.iter().enumerate().filter_map(|(place, item)| Some((item.key.as_ref()?, place))).collect();
    let mut ended = 0;
    for (index, was, output) in kept {
        let place = match &was.key {
            Some(key) => by_key.get(key).copied(),
            None => Some(*index as usize).filter(|place| items.get(*place) == Some(was)),
        };
        if let Some(item) = place.and_then(|place| all.get_mut(place)) {
            ended += u32::from(item.outcome.is_none());
            item.outcome = Some(StepOutcome::Completed(output.clone()));
        }
    }
    let total = u32::try_from(all.len()).expect("a foreach has at most 10,000 items");
    for (number, chunk) in (0..).zip(all.chunks(CHUNK_ITEMS as usize)) {
        let key = chunk_of(id, place, number * CHUNK_ITEMS);
        state.fans.insert(key, FanChunk { items: chunk.to_vec() });
    }
    let fan = Fan { total, next: 0, running: 0, ended, failed: 0 };
    state.set_work(id, place, Work::Fan(fan));
    state.change_run(id, |run| run.kept.retain(|kept: &KeptItems| kept.step != place));
}

pub(super) fn item_ended(state: &mut State, (run, step, index): (RunId, StepIx, u32), outcome: &StepOutcome) {
    change_item(state, (run, step, index), |item| item.outcome = Some(outcome.clone()));
    change_fan(state, run, step, |fan| {
        fan.running -= 1;
        fan.ended += 1;
        fan.failed += u32::from(!matches!(outcome, StepOutcome::Completed(_)));
    });
}

/// The step has ended: its items leave memory.
pub(super) fn fan_ended(state: &mut State, run: RunId, step: StepIx, fan: Fan) {
    for number in 0..fan.total.div_ceil(CHUNK_ITEMS) {
        state.fans.archive(&chunk_of(run, step, number * CHUNK_ITEMS));
    }
}

fn change_item(
    state: &mut State,
    (run, step, index): (RunId, StepIx, u32),
    change: impl FnOnce(&mut FanItem),
) {
    state.fans.update(&chunk_of(run, step, index), |chunk| {
        if let Some(item) = chunk.items.get_mut(place_in_chunk(index)) {
            change(item);
        }
    });
}

fn change_fan(state: &mut State, run: RunId, step: StepIx, change: impl FnOnce(&mut Fan)) {
    state.change_step(run, step, |step| {
        if let Some(Work::Fan(fan)) = step.work.as_deref_mut() {
            change(fan);
        }
    });
}

pub(super) fn concluding(state: &mut State, id: RunId, conclusion: Conclusion, jobs: &[Job]) {
    let handling = Handling { conclusion, waiting: jobs.to_vec(), current: None, started: Vec::new() };
    state.change_run(id, |run| run.handling = Some(Box::new(handling)));
}

/// A handler that fails makes a failure of what would have been a success.
pub(super) fn handler_ended(state: &mut State, id: RunId, job: Job, outcome: &StepOutcome) {
    state.change_run(id, |run| {
        let Some(handling) = run.handling.as_mut().filter(|handling| handling.current == Some(job)) else {
            return;
        };
        handling.current = None;
        let good = matches!(handling.conclusion, Conclusion::Success | Conclusion::Gated);
        if let (true, Some(failure)) = (good, outcome.failure()) {
            handling.conclusion = Conclusion::Failure;
            run.error = Some(failure.clone());
        }
    });
}

pub(super) fn handlers_dropped(state: &mut State, id: RunId) {
    state.change_run(id, |run| {
        if let Some(handling) = &mut run.handling {
            handling.waiting.retain(|job| *job == Job::Finally);
            handling.conclusion = Conclusion::Cancelled;
        }
    });
}
