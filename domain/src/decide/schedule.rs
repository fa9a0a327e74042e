//! Decisions about schedules: what each instant leads to, once and never early.
//! Knows no calendar: plans come by command and are fenced by what they were computed from.

use alloc::{boxed::Box, format, string::ToString, vec, vec::Vec};
use uuid::{Builder, Uuid};

use super::{Decided, holds, run, workflow};
use crate::{
    event::Event,
    ids::{Json, RunId, Text, Timestamp},
    names::ScheduleId,
    rejection::{Limited, Rejection},
    request::{CreateRun, Expect},
    schedule::{Missed, Overlap, Schedule, ScheduleEvent, ScheduleSpec, SkipCause, Turn, seed},
    state::State,
    workflow::{Origin, StartedBy, WorkflowRef},
};

pub(super) fn set(state: &State, spec: &ScheduleSpec, expect: Expect) -> Decided {
    let known = state.schedules.get(&spec.id);
    let version = known.map(|known| known.version);
    if !holds(expect, version) {
        return Err(Rejection::ScheduleConflict { schedule: spec.id.clone(), version: version.unwrap_or(0) });
    }
    workflow::known(state, &spec.workflow)?;
    if let Some(known) = known {
        not_of_file(known)?;
    }
    if spec.of_file {
        return Err(Rejection::Invalid("only a workflow's file brings schedules of a file".to_string()));
    }
    check(spec)?;
    within_limit(state.schedules.len() + usize::from(known.is_none()))?;
    if known.is_some_and(|known| known.spec == *spec) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::Schedule(ScheduleEvent::Set(Box::new(spec.clone())))])
}

/// Refuses what cannot work.
pub(super) fn check(spec: &ScheduleSpec) -> Result<(), Rejection> {
    if spec.catch_up < ScheduleSpec::CATCH_UP_MIN {
        return Err(Rejection::Invalid(format!(
            "catchUp must be at least {} s: an instant is never given its turn on time to the millisecond",
            ScheduleSpec::CATCH_UP_MIN.as_secs()
        )));
    }
    Ok(())
}

pub(super) fn within_limit(count: usize) -> Result<(), Rejection> {
    let limit = ScheduleSpec::KEPT_MAX;
    if count > limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Schedules, limit });
    }
    Ok(())
}

pub(super) fn delete(state: &State, id: &ScheduleId) -> Decided {
    not_of_file(known(state, id)?)?;
    Ok(vec![Event::Schedule(ScheduleEvent::Deleted { schedule: id.clone() })])
}

pub(super) fn pause(state: &State, id: &ScheduleId) -> Decided {
    let paused = known(state, id)?.paused;
    Ok(if paused {
        Vec::new()
    } else {
        vec![Event::Schedule(ScheduleEvent::Paused { schedule: id.clone() })]
    })
}

pub(super) fn resume(state: &State, id: &ScheduleId) -> Decided {
    let paused = known(state, id)?.paused;
    Ok(if paused {
        vec![Event::Schedule(ScheduleEvent::Resumed { schedule: id.clone() })]
    } else {
        Vec::new()
    })
}

pub(super) fn trigger(state: &State, id: &ScheduleId, run: RunId) -> Decided {
    let schedule = known(state, id)?;
    let workflow = workflow::known(state, &schedule.spec.workflow)?;
    workflow::may_start(state, &workflow.name, workflow.version)?;
    if state.runs.contains(&run) {
        return Err(Rejection::RunExists { run });
    }
    let limit = state.config().runs_live_max;
    if state.runs.len() >= limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Runs, limit });
    }
    start(state, schedule, (state.meta.now, Turn::Hand), run)
}

/// What the hands computed.
pub(super) struct Plan<'a> {
    /// The next instant.
    pub(super) instant: Timestamp,
    /// Instants before it whose turn was over.
    pub(super) missed: Option<&'a Missed>,
}

/// A plan counts only for the schedule it was computed for, as it stood then.
pub(super) fn plan(
    state: &State,
    id: &ScheduleId,
    (version, after): (u64, Timestamp),
    plan: &Plan<'_>,
) -> Decided {
    let schedule = known(state, id)?;
    if !schedule.awaits_plan() || schedule.version != version || schedule.after != after {
        return Err(Rejection::PlanNotAwaited { schedule: id.clone() });
    }
    let missed = |missed: &Missed| {
        let between = after < missed.last && missed.last < plan.instant;
        between && missed.count > 0 && schedule.spec.is_missed(missed.last, state.meta.now)
    };
    if plan.instant <= after || !plan.missed.is_none_or(missed) {
        return Err(Rejection::Invalid(format!("this is no plan for schedule {id}")));
    }
    let (schedule, missed) = (id.clone(), plan.missed.cloned());
    Ok(vec![Event::Schedule(ScheduleEvent::Planned { schedule, instant: plan.instant, missed })])
}

/// The next instant of a schedule has come.
pub(super) fn due(state: &State, id: &ScheduleId) -> Vec<Event> {
    let schedule = state.schedules.get(id).expect("what is due is there");
    let instant = schedule.next.expect("a schedule is due at its next instant");
    if schedule.spec.is_missed(instant, state.meta.now) {
        return skip(schedule, (instant, Turn::Due), SkipCause::Late);
    }
    let overlaps = !schedule.running.is_empty() || !schedule.waiting.is_empty();
    match schedule.spec.overlap {
        Overlap::Skip if overlaps => skip(schedule, (instant, Turn::Due), SkipCause::Overlap),
        Overlap::Queue if overlaps && schedule.waiting.len() >= Schedule::WAITING_MAX => {
            skip(schedule, (instant, Turn::Due), SkipCause::QueueFull)
        }
        Overlap::Queue if overlaps => {
            vec![Event::Schedule(ScheduleEvent::Queued { schedule: id.clone(), instant })]
        }
        Overlap::CancelRunning => {
            let next = turn(state, schedule, (instant, Turn::Due));
            if next.iter().any(|event| matches!(event, Event::Schedule(ScheduleEvent::Skipped { .. }))) {
                return next;
            }
            // Its concurrency group may have ended some of them already.
            let is_over = |run: &&RunId| next.iter().any(|event| is_end(event, **run));
            let reason = Text::from(format!("the next run of schedule {id} is due"));
            let others = schedule.running.iter().filter(|run| !is_over(run));
            let ends = others.flat_map(|run| run::cancel(state, *run, &reason).unwrap_or_default());
            let mut events: Vec<Event> = ends.collect();
            events.extend(next);
            events
        }
        Overlap::Skip | Overlap::Queue | Overlap::Allow => turn(state, schedule, (instant, Turn::Due)),
    }
}

fn is_end(event: &Event, of: RunId) -> bool {
    match event {
        Event::RunEnded { run, .. } | Event::RunCancelRequested { run, .. } => *run == of,
        _ => false,
    }
}

/// The oldest waiting instant of the first schedule that nothing holds back any more.
pub(super) fn release(state: &State) -> Vec<Event> {
    let Some(id) = state.indexes.first_ready_schedule() else { return Vec::new() };
    let schedule = state.schedules.get(id).expect("an index is a function of rows");
    turn(state, schedule, (schedule.waiting[0], Turn::Waited))
}

/// An instant has its turn.
fn turn(state: &State, schedule: &Schedule, of: (Timestamp, Turn)) -> Vec<Event> {
    if state.workflows.get(&schedule.spec.workflow).is_none_or(|workflow| workflow.paused) {
        return skip(schedule, of, SkipCause::WorkflowPaused);
    }
    if state.runs.len() >= state.config().runs_live_max as usize {
        return skip(schedule, of, SkipCause::RunLimit);
    }
    let started = start(state, schedule, of, run_id(state, schedule, of.0));
    started.unwrap_or_else(|_| skip(schedule, of, SkipCause::GroupBusy))
}

fn skip(schedule: &Schedule, (instant, turn): (Timestamp, Turn), cause: SkipCause) -> Vec<Event> {
    vec![Event::Schedule(ScheduleEvent::Skipped { schedule: schedule.spec.id.clone(), instant, turn, cause })]
}

/// Starts a run, unless its concurrency group is busy and refuses more.
fn start(state: &State, schedule: &Schedule, (instant, turn): (Timestamp, Turn), run: RunId) -> Decided {
    let id = &schedule.spec.id;
    let workflow = state.workflows.get(&schedule.spec.workflow).expect("a schedule goes with its workflow");
    // Names need no quoting, and times are numbers here as they are in `run`.
    let by_hand = turn == Turn::Hand;
    let trigger =
        format!(r#"{{"type":"cron","schedule":"{id}","scheduledAt":{},"manual":{by_hand}}}"#, instant.0);
    let origin = Origin {
        by: StartedBy::Schedule(id.clone()),
        workflow: Some(WorkflowRef { name: workflow.name.clone(), version: workflow.version }),
        trigger: Some(Json::from(trigger)),
    };
    let (inputs, group) = (schedule.spec.inputs.clone(), schedule.spec.group.clone());
    let definition =
        state.definitions.get(&workflow.definition).expect("a kept workflow's latest version stays");
    let priority = definition.priority;
    let create = CreateRun { inputs, priority, origin, group, ..CreateRun::new(run, workflow.definition) };
    let mut events = run::make_room(state, &create)?;
    events.push(Event::Schedule(ScheduleEvent::Fired { schedule: id.clone(), instant, turn, run }));
    events.push(Event::RunCreated(Box::new(create)));
    Ok(events)
}

/// Instants of a schedule differ, so their runs do. Begins with the time like ids that are minted, so that lists of runs
/// are in order.
fn run_id(state: &State, schedule: &Schedule, instant: Timestamp) -> RunId {
    let bits = seed(&schedule.spec.id, instant).to_be_bytes();
    let rest = core::array::from_fn(|place| bits[place + 6] ^ bits[place % 6]);
    let id: Uuid = Builder::from_unix_timestamp_millis(state.meta.now.0, &rest).into_uuid();
    RunId(id)
}

fn known<'a>(state: &'a State, id: &ScheduleId) -> Result<&'a Schedule, Rejection> {
    state.schedules.get(id).ok_or_else(|| Rejection::ScheduleUnknown { schedule: id.clone() })
}

fn not_of_file(schedule: &Schedule) -> Result<(), Rejection> {
    let spec = &schedule.spec;
    if spec.of_file {
        return Err(Rejection::ScheduleOfFile { schedule: spec.id.clone(), workflow: spec.workflow.clone() });
    }
    Ok(())
}
