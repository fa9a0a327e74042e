//! Facts about runs and steps, written.

use alloc::{vec, vec::Vec};

use crate::{
    command::CreateRun,
    definition::{OnFalse, StepKind},
    event::Event,
    ids::{Json, RunId, StepIx, TaskId, Text},
    run::{EvalPoint, Failure, Run, RunStatus, Step, StepOutcome, StepStatus},
    state::State,
    task::{Task, TaskStatus},
};

pub(super) fn created(state: &mut State, create: &CreateRun) {
    let definition = state.definitions.get(&create.definition).expect("it was added before the run");
    let steps = vec![Step::pending(); definition.steps.len()];
    let run = Run {
        id: create.id,
        definition: create.definition,
        workflow: definition.name.clone(),
        status: RunStatus::Queued,
        conclusion: None,
        inputs: create.inputs.clone(),
        labels: create.labels.clone(),
        priority: create.priority,
        created_rev: state.meta.rev,
        created_at: state.meta.now,
        started_at: None,
        ended_at: None,
        deadline: None,
        open_steps: u32::try_from(steps.len()).expect("at most 1,000 steps"),
        steps,
        error: None,
        cancelling: None,
        timing_out: false,
        gated: false,
        finishing: false,
        outputs: None,
        origin: create.origin.clone(),
    };
    state.add_run(run);
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
    let timeout =
        state.runs.get(&id).and_then(|run| state.definitions.get(&run.definition)).map(|def| def.timeout);
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
        EvalPoint::Step(place) => {
            let step = &mut run.steps[place as usize];
            become_step(step, StepStatus::Evaluating);
            step.started_at = Some(now);
        }
    });
}

pub(super) fn ended(state: &mut State, event: &Event) {
    let Event::RunEnded { run: id, status, conclusion, outputs, failure } = event else { return };
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

pub(super) fn step_started(state: &mut State, id: RunId, place: StepIx, config: Option<&Json>) {
    let now = state.meta.now;
    let Some(run) = state.runs.get(&id) else { return };
    let step = &state.definitions.get(&run.definition).expect("a live run's definition is in memory").steps
        [place as usize];
    let (next, wakes_at) = match &step.kind {
        StepKind::Delay { duration } => (StepStatus::Waiting, Some(now + *duration)),
        StepKind::Task { .. } | StepKind::Condition { .. } | StepKind::Parallel { .. } => {
            (StepStatus::Running, None)
        }
    };
    let task = match &step.kind {
        StepKind::Task { action, config: fixed, .. } => Some(Task {
            id: TaskId::Step(id, place),
            name: step.name.clone(),
            action: action.clone(),
            payload: config.unwrap_or(fixed).clone(),
            priority: step.priority.unwrap_or(run.priority),
            labels: step.labels.clone(),
            dependencies: Vec::new(),
            waits_for: Default::default(),
            timeout: step.timeout,
            queue_timeout: step.queue_timeout,
            retry: step.retry.clone(),
            status: TaskStatus::Queued,
            held: run.status == RunStatus::Paused,
            attempts: 0,
            failures: 0,
            lost: 0,
            created_at: now,
            ready_at: now,
            queued_at: now,
            started_at: None,
            ended_at: None,
            assignment: None,
            retry_at: None,
            cancel: None,
            output: None,
            error: None,
        }),
        StepKind::Delay { .. } | StepKind::Condition { .. } | StepKind::Parallel { .. } => None,
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

pub(super) fn step_ended(state: &mut State, id: RunId, place: StepIx, outcome: &StepOutcome) {
    let now = state.meta.now;
    let task_id = TaskId::Step(id, place);
    let attempts = state.tasks.get(&task_id).map_or(0, |task| task.attempts);
    state.drop_task(&task_id);
    let Some(run) = state.runs.get(&id) else { return };
    let step = &state.definitions.get(&run.definition).expect("a live run's definition is in memory").steps
        [place as usize];
    let forgiven = step.continue_on_error;
    let gates = matches!(step.kind, StepKind::Condition { on_false: OnFalse::Skip, .. });
    state.change_run(id, |run| {
        let step = &mut run.steps[place as usize];
        become_step(step, outcome.status());
        step.attempts = attempts;
        step.ended_at = Some(now);
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
        let is_false = step.decision.as_ref().is_some_and(|decision| !decision.value);
        run.gated |= gates && is_false && matches!(outcome, StepOutcome::Completed(_));
        run.open_steps -= 1;
        if let Some(failure) = outcome.failure().filter(|_| !forgiven && run.error.is_none()) {
            run.error = Some(failure.clone());
        }
    });
}
