//! Facts about tasks and attempts, written.

use crate::{
    ids::{ComponentId, TaskId, Text, Timestamp, Token},
    run::Failure,
    state::State,
    step::StepOutcome,
    task::{Assignment, CancelRequest, TaskStatus},
};

pub(super) fn dependency_completed(state: &mut State, id: &TaskId, dependency: &TaskId) {
    let now = state.meta.now;
    state.change_task(id, |task| {
        task.waits_for.remove(dependency);
        if task.waits_for.is_empty() && task.run_at.is_none_or(|at| at <= now) {
            task.status = TaskStatus::Queued;
            task.ready_at = now;
            task.queued_at = now;
        }
    });
}

pub(super) fn requeued(state: &mut State, id: &TaskId) {
    let now = state.meta.now;
    state.change_task(id, |task| {
        task.status = TaskStatus::Queued;
        task.ready_at = now;
        task.queued_at = now;
        task.retry_at = None;
    });
}

pub(super) fn assigned(
    state: &mut State,
    id: &TaskId,
    component: &ComponentId,
    (token, deadline): (Token, Timestamp),
) {
    let now = state.meta.now;
    state.meta.token = token;
    state.change_task(id, |task| {
        task.status = TaskStatus::Running;
        task.attempts += 1;
        task.started_at = task.started_at.or(Some(now));
        task.assignment =
            Some(Assignment { component: component.clone(), token, assigned_at: now, deadline });
    });
}

pub(super) fn attempt_failed(
    state: &mut State,
    id: &TaskId,
    failure: &Failure,
    (lost, retry_at): (bool, Option<Timestamp>),
) {
    let now = state.meta.now;
    state.change_task(id, |task| {
        task.history = task.history_at(now, Some(failure.clone()), lost);
        task.assignment = None;
        task.error = Some(failure.clone());
        if lost {
            task.lost += 1;
        } else {
            task.failures += 1;
        }
        // A lost attempt keeps its old place; a failed one queues anew when its pause is over.
        task.status = TaskStatus::Queued;
        task.queued_at = now;
        if let Some(at) = retry_at.filter(|at| *at > now) {
            task.status = TaskStatus::Retrying;
            task.retry_at = Some(at);
        }
    });
}

pub(super) fn cancel_requested(state: &mut State, id: &TaskId, reason: &Text, deadline: Timestamp) {
    state.change_task(id, |task| task.cancel = Some(CancelRequest { reason: reason.clone(), deadline }));
}

/// A task of its own ends and leaves memory; a step's task is dropped by its step's end.
pub(super) fn ended(state: &mut State, id: &TaskId, outcome: &StepOutcome) {
    let now = state.meta.now;
    state.end_task(id, |task| {
        task.history = task.history_at(now, outcome.of_attempt(), false);
        task.assignment = None;
        task.retry_at = None;
        task.cancel = None;
        task.ended_at = Some(now);
        task.waits_for.clear();
        match outcome {
            StepOutcome::Completed(output) => {
                task.status = TaskStatus::Completed;
                task.output = Some(output.clone());
                task.error = None;
            }
            StepOutcome::Failed(failure) => {
                task.status = TaskStatus::Failed;
                task.error = Some(failure.clone());
            }
            StepOutcome::TimedOut(failure) => {
                task.status = TaskStatus::TimedOut;
                task.error = Some(failure.clone());
            }
            StepOutcome::Cancelled(reason) | StepOutcome::Skipped { reason, .. } => {
                task.status = TaskStatus::Cancelled;
                task.error = Some(Failure::new("CANCELLED", reason.clone()));
            }
        }
    });
}
