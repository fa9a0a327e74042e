//! Facts about children, items, handlers and what steps wait for, in their public form.
//! Knows nothing of other facts.

use orc_domain::{CacheEvent, Event, Parent, Role, RunStatus, StepOutcome};

use super::{
    data::Data,
    event::{Names, Told, hex, of_run, of_step, with_outcome},
    time,
};

/// The name of the end or beginning of a child that executes a part of its parent's workflow.
pub(super) fn child_kind(parent: Option<&Parent>, status: Option<RunStatus>) -> Option<&'static str> {
    match parent?.role {
        Role::Step(_) => return None,
        Role::Item { .. } | Role::Handler(_) => {}
    }
    Some(match status {
        None => "workflow.childCreated",
        Some(RunStatus::Failed) => "workflow.childFailed",
        Some(RunStatus::Cancelled | RunStatus::Cancelling) => "workflow.childCancelled",
        Some(RunStatus::TimedOut) => "workflow.childTimedOut",
        Some(RunStatus::Completed | RunStatus::Queued | RunStatus::Running | RunStatus::Paused) => {
            "workflow.childCompleted"
        }
    })
}

/// Whose child a run is, for its data.
pub(super) fn with_parent(data: Data, parent: Option<&Parent>) -> Data {
    let Some(parent) = parent else { return data };
    let data = data.text("parentRunId", parent.run);
    match parent.role {
        Role::Item { step, index } => data.with("parentStep", step).with("index", index),
        Role::Step(step) => data.with("parentStep", step),
        Role::Handler(job) => data.text("handler", job.name()),
    }
}

/// Subject and data of a fact of this file; none for others.
pub(super) fn tell(event: &Event, names: &dyn Names) -> Option<Told> {
    Some(match event {
        Event::FanStarted { run, step, items } => {
            of_step((*run, *step), names).and(|data| data.with("items", items.len()))
        }
        Event::ItemEnded { run, step, index, outcome } => {
            of_step((*run, *step), names).and(|data| with_outcome(data.with("index", *index), outcome))
        }
        Event::ItemsCollected { run, step, output } | Event::StepReturned { run, step, output } => {
            of_step((*run, *step), names).and(|data| data.carry("output", Some(output)))
        }
        Event::StepStopping { run, step, outcome } => {
            of_step((*run, *step), names).and(|data| with_outcome(data, outcome))
        }
        Event::TimeAwaited { run, step, until } => {
            of_step((*run, *step), names).and(|data| data.text("until", time(*until)))
        }
        Event::SignalAwaited { run, step, name } => {
            of_step((*run, *step), names).and(|data| data.text("name", name))
        }
        Event::EventAwaited { run, step, kind } => {
            of_step((*run, *step), names).and(|data| data.text("event", kind))
        }
        Event::ApprovalAwaited { run, step, request } | Event::MessageAwaited { run, step, request } => {
            of_step((*run, *step), names).and(|data| data.carry("request", Some(request)))
        }
        Event::ApprovalDecided { run, step, approved, by, comment } => {
            of_step((*run, *step), names).and(|data| {
                let data = data.with("approved", *approved).text("by", by);
                data.maybe("comment", comment.as_deref())
            })
        }
        Event::RunSignalled { run, name, data: sent } => {
            of_run(*run, names).and(|data| data.text("name", name).carry("data", Some(sent)))
        }
        Event::SignalTaken { run, name } => of_run(*run, names).and(|data| data.text("name", name)),
        Event::RunConcluding { run, conclusion, jobs } => of_run(*run, names).and(|data| {
            let jobs: Vec<&str> = jobs.iter().map(|job| job.name()).collect();
            data.text("conclusion", conclusion.name()).with("handlers", jobs)
        }),
        Event::HandlerEnded { run, job, outcome } => of_run(*run, names).and(|data| {
            let data = data.text("handler", job.name()).text("status", outcome.status().name());
            match outcome {
                StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) => data.error(Some(failure)),
                StepOutcome::Completed(_) | StepOutcome::Skipped { .. } | StepOutcome::Cancelled(_) => data,
            }
        }),
        Event::HandlersDropped { run } => of_run(*run, names),
        Event::Emitted { run, step, data: sent, .. } => {
            of_step((*run, *step), names).and(|data| data.carry("data", Some(sent)))
        }
        Event::Cache(event) => of_step(event.step(), names).and(|data| match event {
            CacheEvent::Hit { from, .. } => data.text("fromRunId", from),
            CacheEvent::Missed { key, .. } | CacheEvent::Kept { key, .. } => data.text("key", hex(&key.0)),
        }),
        _ => return None,
    })
}

/// The name of what happened to a step with a `cache`.
pub(super) fn cache_kind(event: &CacheEvent) -> &'static str {
    match event {
        CacheEvent::Missed { .. } => "step.cacheMissed",
        CacheEvent::Hit { .. } => "step.cacheHit",
        CacheEvent::Kept { .. } => "step.outputKept",
    }
}
