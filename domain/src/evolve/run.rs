//! Facts about runs and steps, written.

use alloc::{boxed::Box, vec::Vec};

use super::child;
use crate::{
    cache::{CacheEvent, CachedOutput},
    child::Role,
    definition::{OnFalse, StepDef, StepKind},
    event::Event,
    ids::{Json, RunId, StepIx, TaskId, Text},
    request::CreateRun,
    run::{Failure, Run, RunStatus},
    state::State,
    step::{EvalPoint, Step, StepCache, StepOutcome, StepStatus},
    task::Task,
};

pub(super) fn created(state: &mut State, create: &CreateRun) {
    let definition = state.definitions.get(&create.definition).expect("it was added before the run");
    let mut run = Run::created(create, definition, state.meta.now, state.meta.rev);
    let around = create.parent.as_ref().and_then(|parent| state.runs.get(&parent.run));
    run.retention = run.retention.or(around.and_then(|around| around.retention));
    state.add_run(run);
    if let Some(parent) = &create.parent {
        child::created(state, create.id, parent);
    }
}

fn become_status(run: &mut Run, next: RunStatus) {
    debug_assert!(run.status.may_become(next), "run {} {:?} -> {next:?}", run.id, run.status);
    run.status = next;
}

fn become_step(step: &mut Step, next: StepStatus) {
    debug_assert!(step.status.may_become(next), "step {:?} -> {next:?}", step.status);
    step.status = next;
}

pub(super) fn started(state: &mut State, id: RunId) {
    let now = state.meta.now;
    // An item ends with its parent at the latest; whatever else runs has a time limit of its own.
    let limited =
        |run: &&Run| !run.parent.as_ref().is_some_and(|parent| matches!(parent.role, Role::Item { .. }));
    let run = state.runs.get(&id).filter(limited);
    let timeout = run.and_then(|run| state.definitions.get(&run.definition)).map(|def| def.timeout);
    state.change_run(id, |run| {
        become_status(run, RunStatus::Running);
        run.started_at = Some(now);
        run.deadline = timeout.map(|timeout| now + timeout);
    });
}

pub(super) fn paused(state: &mut State, id: RunId, held: bool) {
    let next = if held { RunStatus::Paused } else { RunStatus::Running };
    state.change_run(id, |run| become_status(run, next));
    let running = |(place, step): (StepIx, &Step)| {
        (step.status == StepStatus::Running).then_some(TaskId::Step(id, place))
    };
    let tasks: Vec<TaskId> = match state.runs.get(&id) {
        Some(run) => (0..).zip(&run.steps).filter_map(running).collect(),
        None => Vec::new(),
    };
    for task in tasks {
        state.change_task(&task, |task| task.held = held);
    }
}

pub(super) fn cancel_requested(state: &mut State, id: RunId, reason: &Text) {
    state.change_run(id, |run| {
        become_status(run, RunStatus::Cancelling);
        run.cancelling = Some(reason.clone());
    });
}

pub(super) fn evaluation_awaited(state: &mut State, id: RunId, point: EvalPoint) {
    let now = state.meta.now;
    state.change_run(id, |run| match point {
        EvalPoint::Outputs => run.finishing = true,
        EvalPoint::Step(place) | EvalPoint::StepOutputs(place) => {
            let step = &mut run.steps[place as usize];
            become_step(step, StepStatus::Evaluating);
            step.started_at = Some(now);
        }
    });
}

pub(super) fn ended(state: &mut State, event: &Event) {
    let Event::RunEnded { run: id, status, conclusion, outputs, failure, parent: _ } = event else { return };
    let now = state.meta.now;
    state.change_run(*id, |run| {
        become_status(run, *status);
        run.conclusion = Some(*conclusion);
        run.outputs = Some(outputs.clone());
        run.error.clone_from(failure);
        run.ended_at = Some(now);
        run.finishing = false;
        for step in run.steps.iter_mut().filter(|step| !step.status.is_terminal()) {
            become_step(step, StepStatus::Cancelled);
        }
        run.open_steps = 0;
    });
    super::schedule::run_ended(state, *id);
    state.archive_run(*id);
}

/// The task has done its work: what is left are the step's outputs.
pub(super) fn step_returned(state: &mut State, id: RunId, place: StepIx, output: &Json) {
    let task = TaskId::Step(id, place);
    let (attempts, history) = match state.tasks.get(&task) {
        Some(task) => (task.attempts, task.history_at(state.meta.now, None, false)),
        None => (0, Vec::new()),
    };
    state.drop_task(&task);
    state.change_step(id, place, |step| {
        become_step(step, StepStatus::Evaluating);
        (step.attempts, step.history) = (attempts, history);
        step.wakes_at = None;
        step.output = Some(output.clone());
    });
}

pub(super) fn step_started(state: &mut State, id: RunId, place: StepIx, config: Option<&Json>) {
    let now = state.meta.now;
    let Some(run) = state.runs.get(&id) else { return };
    let step = step_def(state, run, place);
    let limit = step.limit.map(|limit| now + limit);
    let (next, wakes_at) = match &step.kind {
        StepKind::Delay { duration } => (StepStatus::Waiting, Some(now + *duration)),
        StepKind::Until { .. }
        | StepKind::Signal { .. }
        | StepKind::Approval { .. }
        | StepKind::Event { .. } => (StepStatus::Waiting, limit),
        StepKind::ForEach { .. } | StepKind::Workflow { .. } | StepKind::Message { .. } => {
            (StepStatus::Running, limit)
        }
        StepKind::Task { .. }
        | StepKind::Condition { .. }
        | StepKind::Parallel { .. }
        | StepKind::State { .. }
        | StepKind::Emit { .. } => (StepStatus::Running, None),
    };
    let task = match &step.kind {
        StepKind::Task { action, config: fixed, .. } => Some(Task {
            name: step.name.clone(),
            payload: config.unwrap_or(fixed).clone(),
            priority: step.priority.unwrap_or(run.priority),
            labels: step.labels.clone(),
            timeout: step.timeout,
            queue_timeout: step.queue_timeout,
            held: run.status == RunStatus::Paused,
            total_timeout: step.total_timeout,
            heartbeat_timeout: step.heartbeat_timeout,
            ..Task::queued(TaskId::Step(id, place), action.clone(), step.retry.clone(), now)
        }),
        StepKind::Delay { .. }
        | StepKind::Condition { .. }
        | StepKind::Parallel { .. }
        | StepKind::Until { .. }
        | StepKind::Signal { .. }
        | StepKind::Approval { .. }
        | StepKind::ForEach { .. }
        | StepKind::Workflow { .. }
        | StepKind::State { .. }
        | StepKind::Message { .. }
        | StepKind::Emit { .. }
        | StepKind::Event { .. } => None,
    };
    state.change_run(id, |run| {
        let step = &mut run.steps[place as usize];
        become_step(step, next);
        step.started_at = step.started_at.or(Some(now));
        step.wakes_at = wakes_at;
    });
    if let Some(task) = task {
        state.add_task(task);
    }
}

pub(super) fn cache_changed(state: &mut State, event: &CacheEvent) {
    let (id, place) = event.step();
    match event {
        CacheEvent::Missed { key, .. } => {
            state.change_step(id, place, |step| step.cache = Some(Box::new(StepCache::Missed(*key))));
        }
        CacheEvent::Hit { from, .. } => {
            let now = state.meta.now;
            state.change_step(id, place, |step| {
                become_step(step, StepStatus::Running);
                step.started_at = Some(now);
                step.cache = Some(Box::new(StepCache::Hit(*from)));
            });
        }
        CacheEvent::Kept { key, .. } => {
            let step = state.runs.get(&id).map(|run| &run.steps[usize::from(place)]);
            if let Some(output) = step.and_then(|step| step.output.clone()) {
                let (at, rev) = (state.meta.now, state.meta.rev);
                state.keep_output(*key, CachedOutput { output, run: id, at, rev });
            }
        }
    }
}

pub(super) fn step_ended(state: &mut State, id: RunId, place: StepIx, outcome: &StepOutcome) {
    let now = state.meta.now;
    let task_id = TaskId::Step(id, place);
    let (attempts, history) = match state.tasks.get(&task_id) {
        Some(task) => (task.attempts, task.history_at(now, outcome.of_attempt(), false)),
        None => (0, Vec::new()),
    };
    state.drop_task(&task_id);
    let Some(run) = state.runs.get(&id) else { return };
    let step = step_def(state, run, place);
    let fan = run.steps[usize::from(place)].fan().copied();
    let forgiven = step.continue_on_error;
    let gates = matches!(step.kind, StepKind::Condition { on_false: OnFalse::Skip, .. });
    state.change_run(id, |run| {
        let step = &mut run.steps[place as usize];
        become_step(step, outcome.status());
        step.attempts = step.attempts.max(attempts);
        if !history.is_empty() {
            step.history = history;
        }
        step.ended_at = Some(now);
        step.stopping = None;
        step.wakes_at = None;
        match outcome {
            StepOutcome::Completed(output) => step.output = Some(output.clone()),
            StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) => {
                step.error = Some(failure.clone())
            }
            StepOutcome::Skipped { why, reason } => {
                step.skip = Some(*why);
                step.error = Some(Failure::new("SKIPPED", reason.clone()));
            }
            StepOutcome::Cancelled(reason) => step.error = Some(Failure::new("CANCELLED", reason.clone())),
        }
        run.gated |= gates && step.is_false() && matches!(outcome, StepOutcome::Completed(_));
        run.open_steps -= 1;
        if let Some(failure) = outcome.failure().filter(|_| !forgiven && run.error.is_none()) {
            run.error = Some(failure.clone());
        }
    });
    if let Some(fan) = fan {
        child::fan_ended(state, id, place, fan);
    }
}

fn step_def<'a>(state: &'a State, run: &Run, place: StepIx) -> &'a StepDef {
    let definition = state.definitions.get(&run.definition).expect("a live run's definition is in memory");
    &definition.block(run.block)[usize::from(place)]
}
