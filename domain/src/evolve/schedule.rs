//! Facts about schedules, written.

use alloc::vec::Vec;

use crate::{
    ids::{RunId, Timestamp},
    names::ScheduleId,
    schedule::{Missed, Schedule, ScheduleSpec, SkipCause, Started, Turn},
    state::State,
    workflow::StartedBy,
};

/// A schedule with the same instants as before keeps its place among them.
pub(super) fn set(state: &mut State, spec: &ScheduleSpec) {
    let now = state.meta.now;
    let fresh = Schedule {
        spec: spec.clone(),
        paused: false,
        version: 1,
        created_at: now,
        after: now,
        next: None,
        running: Vec::new(),
        waiting: Vec::new(),
        last: None,
        started: 0,
        skipped: 0,
        missed: 0,
    };
    let schedule = match state.schedules.get(&spec.id) {
        None => fresh,
        Some(known) => {
            let stays = known.spec.has_instants_of(spec);
            let (after, next) = if stays { (known.after, known.next) } else { (now, None) };
            Schedule { spec: spec.clone(), version: known.version + 1, after, next, ..known.clone() }
        }
    };
    state.put_schedule(schedule);
}

pub(super) fn paused(state: &mut State, id: &ScheduleId, paused: bool) {
    let now = state.meta.now;
    state.change_schedule(id, |schedule| {
        schedule.paused = paused;
        schedule.version += 1;
        schedule.skipped += schedule.waiting.len() as u64;
        schedule.waiting.clear();
        (schedule.after, schedule.next) = (schedule.after.max(now), None);
    });
}

pub(super) fn planned(state: &mut State, id: &ScheduleId, instant: Timestamp, missed: Option<&Missed>) {
    state.change_schedule(id, |schedule| {
        schedule.next = Some(instant);
        if let Some(missed) = missed {
            schedule.missed += missed.count;
            schedule.after = missed.last;
        }
    });
}

/// The instant has had its turn.
fn leave(schedule: &mut Schedule, instant: Timestamp, turn: Turn) {
    match turn {
        Turn::Due => (schedule.after, schedule.next) = (instant, None),
        Turn::Waited => schedule.waiting.retain(|waiting| *waiting != instant),
        Turn::Hand => {}
    }
}

pub(super) fn fired(state: &mut State, id: &ScheduleId, (instant, turn): (Timestamp, Turn), run: RunId) {
    let at = state.meta.now;
    state.change_schedule(id, |schedule| {
        leave(schedule, instant, turn);
        schedule.running.push(run);
        schedule.started += 1;
        schedule.last = Some(Started { run, instant, at });
    });
}

pub(super) fn skipped(
    state: &mut State,
    id: &ScheduleId,
    (instant, turn): (Timestamp, Turn),
    cause: SkipCause,
) {
    state.change_schedule(id, |schedule| {
        leave(schedule, instant, turn);
        match cause {
            SkipCause::Late => schedule.missed += 1,
            SkipCause::Overlap
            | SkipCause::WorkflowPaused
            | SkipCause::QueueFull
            | SkipCause::RunLimit
            | SkipCause::GroupBusy => {
                schedule.skipped += 1;
            }
        }
    });
}

pub(super) fn queued(state: &mut State, id: &ScheduleId, instant: Timestamp) {
    state.change_schedule(id, |schedule| {
        leave(schedule, instant, Turn::Due);
        schedule.waiting.push(instant);
    });
}

/// A run that a schedule started is over.
pub(super) fn run_ended(state: &mut State, run: RunId) {
    let by = state.runs.get(&run).map(|run| run.origin.by.clone());
    if let Some(StartedBy::Schedule(id)) = by {
        state.change_schedule(&id, |schedule| schedule.running.retain(|running| *running != run));
    }
}
