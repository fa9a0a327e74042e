//! Decisions about tasks and their attempts: create, complete, fail, lose, retry, time out, cancel.
//! Knows of runs only that a step's task ends its step.

use alloc::{format, vec, vec::Vec};
use core::time::Duration;

use super::{Decided, child, trouble};
use crate::{
    cache::CacheEvent,
    child::mix,
    component::HeldAttempt,
    definition::Retry,
    event::Event,
    ids::{ComponentId, Json, TaskId, Text, Token},
    rejection::{Limited, Rejection},
    request::{Dependency, NewTask},
    run::Failure,
    state::State,
    step::{StepCache, StepOutcome},
    task::{Task, TaskStatus},
};

/// The code of an attempt whose time was up.
const TASK_TIMEOUT: &str = "TASK_TIMEOUT";
/// The code of a task whose time over all attempts was up.
const TOTAL_TIMEOUT: &str = "TOTAL_TIMEOUT";
/// The code of an attempt that gave no sign of life.
const HEARTBEAT_TIMEOUT: &str = "HEARTBEAT_TIMEOUT";
/// The code of an attempt that was lost to a component because its time to drain was up.
const DRAIN_TIMEOUT: &str = "DRAIN_TIMEOUT";
/// Codes of attempts that the rules end, so that the component has to be told.
pub(crate) const ENDED_BY_US: [&str; 4] = [TASK_TIMEOUT, TOTAL_TIMEOUT, HEARTBEAT_TIMEOUT, DRAIN_TIMEOUT];

pub(super) fn create(state: &State, tasks: &[NewTask]) -> Decided {
    if !state.config().switches.dependencies && tasks.iter().any(|task| !task.dependencies.is_empty()) {
        return Err(Rejection::SwitchedOff { setting: "tasks.enableDependencyResolution".into() });
    }
    let limit = state.config().tasks_live_max;
    if state.tasks.len() + tasks.len() > limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Tasks, limit });
    }
    let mut events = Vec::new();
    for (place, new) in tasks.iter().enumerate() {
        let earlier = &tasks[..place];
        if state.tasks.contains(&new.id) || earlier.iter().any(|task| task.id == new.id) {
            return Err(Rejection::TaskExists { task: new.id });
        }
        let mut task = blank(state, new);
        let mut failed = None;
        for dependency in &new.dependencies {
            match standing(state, dependency, earlier)? {
                TaskStatus::Completed => {}
                status if status.is_terminal() => failed = Some((dependency.task, status)),
                _ => {
                    task.waits_for.insert(dependency.task);
                }
            }
        }
        if !task.waits_for.is_empty() || task.run_at.is_some_and(|at| at > state.meta.now) {
            task.status = TaskStatus::Blocked;
        }
        events.push(Event::TaskCreated(alloc::boxed::Box::new(task)));
        if let Some(dead) = new.requeued_from {
            let taken = earlier.iter().any(|task| task.requeued_from == Some(dead));
            if taken || !state.dead.contains(&dead) {
                return Err(Rejection::TaskNotDead { task: dead });
            }
            events.push(Event::DeadTaskRequeued { task: dead, requeued_as: new.id });
        }
        if let Some((dependency, status)) = failed {
            events.push(ended(new.id, dependency_failed(dependency, status.name())));
        }
    }
    Ok(events)
}

fn blank(state: &State, new: &NewTask) -> Task {
    let config = state.config();
    let retry = new.retry.clone().unwrap_or_else(|| config.task_retry.clone());
    Task {
        name: new.name.clone(),
        payload: new.payload.clone(),
        priority: new.priority,
        labels: new.labels.clone(),
        dependencies: new.dependencies.iter().map(|dependency| dependency.task).collect(),
        timeout: new.timeout.unwrap_or(config.task_timeout),
        queue_timeout: new.queue_timeout,
        run_at: new.run_at,
        total_timeout: new.total_timeout,
        heartbeat_timeout: new.heartbeat_timeout,
        requeued_from: new.requeued_from,
        ..Task::queued(new.id, new.action.clone(), retry, state.meta.now)
    }
}

/// Where a dependency stands, by the state or else by what the gateway found in the archive.
fn standing(state: &State, dependency: &Dependency, earlier: &[NewTask]) -> Result<TaskStatus, Rejection> {
    if let Some(task) = state.tasks.get(&dependency.task) {
        return Ok(task.status);
    }
    if earlier.iter().any(|task| task.id == dependency.task) {
        return Ok(TaskStatus::Queued);
    }
    dependency.ended.ok_or(Rejection::DependencyUnknown { task: dependency.task })
}

fn dependency_failed(dependency: TaskId, how: &str) -> StepOutcome {
    StepOutcome::Failed(Failure::new("DEPENDENCY_FAILED", format!("it depends on {dependency}, which {how}")))
}

pub(super) fn cancel(state: &State, id: TaskId, reason: &Text) -> Decided {
    if id.step().is_some() {
        return Err(Rejection::TaskOfRun { task: id });
    }
    let task = state.tasks.get(&id).ok_or(Rejection::TaskNotLive { task: id })?;
    if task.status.is_terminal() {
        return Err(Rejection::TaskTransition { task: id, status: task.status });
    }
    Ok(wind_down(state, id, reason))
}

/// Ends a task, or asks its running attempt to end.
pub(super) fn wind_down(state: &State, id: TaskId, reason: &Text) -> Vec<Event> {
    let Some(task) = state.tasks.get(&id) else { return Vec::new() };
    if task.assignment.is_none() {
        return vec![ended(id, StepOutcome::Cancelled(reason.clone()))];
    }
    if task.cancel.is_some() {
        return Vec::new();
    }
    let deadline = state.meta.now + state.config().cancel_grace;
    vec![Event::TaskCancelRequested { task: id, reason: reason.clone(), deadline }]
}

fn current(state: &State, id: TaskId, token: Token) -> Result<&Task, Rejection> {
    let task = state.tasks.get(&id).filter(|task| task.is_current(token));
    task.ok_or(Rejection::StaleAttempt { task: id, token })
}

pub(super) fn complete(state: &State, id: TaskId, token: Token, output: &Json) -> Decided {
    let task = current(state, id, token)?;
    Ok(match (&task.cancel, id.step().and_then(|(run, step)| Some((state.runs.get(&run)?, step)))) {
        (None, Some((run, step))) => {
            let mut events: Vec<Event> = trouble::recovered(task).into_iter().collect();
            events.extend(child::finished(state, run, step, output.clone()));
            if let Some(StepCache::Missed(key)) = run.steps[usize::from(step)].cache.as_deref() {
                events.push(Event::Cache(CacheEvent::Kept { run: run.id, step, key: *key }));
            }
            events
        }
        (None, None) => {
            let done = ended(id, StepOutcome::Completed(output.clone()));
            trouble::recovered(task).into_iter().chain([done]).collect()
        }
        (Some(cancel), _) => vec![ended(id, StepOutcome::Cancelled(cancel.reason.clone()))],
    })
}

/// What a component says of a failed attempt.
pub(super) struct Failed<'a> {
    pub(super) failure: &'a Failure,
    pub(super) retryable: bool,
    pub(super) retry_after: Option<Duration>,
}

pub(super) fn fail(state: &State, id: TaskId, token: Token, failed: &Failed<'_>) -> Decided {
    let task = current(state, id, token)?;
    let retries = failed.retryable && may_retry(state, task, &failed.failure.code);
    let pause = failed.retry_after.unwrap_or_else(|| pause(task));
    Ok(attempt_failed(state, task, failed.failure, retries.then_some(pause)))
}

/// Whether an attempt that failed like this is tried again.
fn may_retry(state: &State, task: &Task, code: &str) -> bool {
    let switches = &state.config().switches;
    let on = switches.recovery && (switches.step_retries || task.id.step().is_none());
    on && task.retry.follows(code, task.failures + 1)
}

/// The end of an attempt without a result, with the pause before the next one if there is one.
fn attempt_failed(state: &State, task: &Task, failure: &Failure, pause: Option<Duration>) -> Vec<Event> {
    if let Some(cancel) = &task.cancel {
        return vec![ended(task.id, StepOutcome::Cancelled(cancel.reason.clone()))];
    }
    let token = task.assignment.as_ref().map(|assignment| assignment.token).unwrap_or_default();
    let retry_at = pause.map(|pause| state.meta.now + pause);
    let attempt =
        Event::AttemptFailed { task: task.id, token, failure: failure.clone(), lost: false, retry_at };
    if retry_at.is_some() {
        return vec![attempt];
    }
    let outcome = match &*failure.code {
        TASK_TIMEOUT | TOTAL_TIMEOUT => StepOutcome::TimedOut(failure.clone()),
        _ => StepOutcome::Failed(failure.clone()),
    };
    [vec![attempt], gave_up(state, task, outcome)].concat()
}

/// The end of a task that was not cancelled and did all it could: one of its own goes to the dead-letter list.
fn gave_up(state: &State, task: &Task, outcome: StepOutcome) -> Vec<Event> {
    let mut events = vec![ended(task.id, outcome.clone())];
    if let StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) = &outcome {
        events.extend(trouble::task_failed(task, failure));
    }
    if task.id.step().is_none() && state.config().tasks_dead_max > 0 {
        events.push(Event::TaskDeadLettered { task: task.id, action: task.action.clone() });
    }
    events
}

/// An attempt gave no sign of life within its time.
pub(super) fn expire_heartbeat(state: &State, id: TaskId, token: Token) -> Decided {
    let task = current(state, id, token)?;
    let stale = Rejection::StaleAttempt { task: id, token };
    let limit = task.heartbeat_timeout.ok_or(stale)?.as_millis();
    let message = format!("the attempt gave no sign of life for {limit} ms");
    let retries = may_retry(state, task, HEARTBEAT_TIMEOUT);
    let failure = Failure::new(HEARTBEAT_TIMEOUT, message);
    Ok(attempt_failed(state, task, &failure, retries.then(|| pause(task))))
}

fn attempt_lost(state: &State, task: &Task, why: &Failure) -> Vec<Event> {
    let again = (task.lost < task.retry.lost_max).then_some(Duration::ZERO);
    let mut events = attempt_failed(state, task, why, again);
    if let Some(Event::AttemptFailed { lost, .. }) = events.first_mut() {
        *lost = true;
    }
    events
}

/// The attempts of a component that is gone or does not hold them any more.
pub(super) fn lose(state: &State, component: &ComponentId, held: &[HeldAttempt]) -> Vec<Event> {
    let attempts = state.indexes.running_on(component).into_iter().filter_map(|id| state.tasks.get(&id));
    let lost =
        attempts.filter(|task| !held.iter().any(|kept| kept.task == task.id && task.is_current(kept.token)));
    let gone = Failure::new("COMPONENT_LOST", "the component that ran it went away");
    lost.flat_map(|task| attempt_lost(state, task, &gone)).collect()
}

/// The attempts of a component that had to be drained by now.
pub(super) fn out_of_time(state: &State, component: &ComponentId) -> Vec<Event> {
    let late = Failure::new(DRAIN_TIMEOUT, "the component was drained and its time was up");
    let attempts = state.indexes.running_on(component).into_iter().filter_map(|id| state.tasks.get(&id));
    attempts.flat_map(|task| attempt_lost(state, task, &late)).collect()
}

/// What a passed deadline means for a task.
pub(super) fn due(state: &State, id: TaskId) -> Vec<Event> {
    let task = state.tasks.get(&id).expect("a task in the index is live");
    if task.total_deadline().is_some_and(|at| at <= state.meta.now) {
        return total_timeout(state, task);
    }
    match task.status {
        TaskStatus::Retrying | TaskStatus::Blocked => vec![Event::TaskRequeued { task: id }],
        TaskStatus::Queued => {
            let waited = state.meta.now.since(task.queued_at);
            let message = format!("no component took it within {} ms", waited.as_millis());
            gave_up(state, task, StepOutcome::TimedOut(Failure::new("QUEUE_TIMEOUT", message)))
        }
        TaskStatus::Running => match &task.cancel {
            Some(cancel) if cancel.deadline <= state.meta.now => {
                vec![ended(id, StepOutcome::Cancelled(cancel.reason.clone()))]
            }
            Some(_) | None => {
                let message = format!("the attempt took longer than {} ms", task.timeout.as_millis());
                let retries = may_retry(state, task, TASK_TIMEOUT);
                let failure = Failure::new(TASK_TIMEOUT, message);
                attempt_failed(state, task, &failure, retries.then(|| pause(task)))
            }
        },
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::TimedOut => {
            unreachable!("a {} task has no deadline", task.status.name())
        }
    }
}

/// The time over all attempts is up, wherever the task stands.
fn total_timeout(state: &State, task: &Task) -> Vec<Event> {
    let total = task.total_timeout.unwrap_or_default().as_millis();
    let failure = Failure::new(TOTAL_TIMEOUT, format!("it did not end within {total} ms of its creation"));
    match task.assignment {
        Some(_) => attempt_failed(state, task, &failure, None),
        None => gave_up(state, task, StepOutcome::TimedOut(failure)),
    }
}

/// What the end of a task means for those that depend on it.
pub(super) fn after(state: &State, id: TaskId, completed: bool) -> Vec<Event> {
    let dependants = state.indexes.dependants(&id).into_iter();
    let follow = |task| match completed {
        true => Event::DependencyCompleted { task, dependency: id },
        false => ended(task, dependency_failed(id, "did not complete")),
    };
    dependants.map(follow).collect()
}

/// A task of its own ends as a task, a step's task as its step.
fn ended(id: TaskId, outcome: StepOutcome) -> Event {
    match id.step() {
        Some((run, step)) => Event::StepEnded { run, step, outcome },
        None => Event::TaskEnded { task: id, outcome },
    }
}

/// The pause before the next attempt; with jitter a hash of task and attempt draws it between zero and its length.
fn pause(task: &Task) -> Duration {
    let Retry { delay, backoff_percent, delay_max, jitter, .. } = &task.retry;
    let mut pause = *delay;
    for _ in 0..task.failures.min(64) {
        pause = (pause.saturating_mul(*backoff_percent) / 100).min(*delay_max);
    }
    let pause = pause.min(*delay_max);
    if !jitter {
        return pause;
    }
    let id = match task.id {
        TaskId::Single(id) => id.as_u128(),
        TaskId::Step(run, step) => run.0.as_u128() ^ u128::from(step),
    };
    let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(scatter(id, task.attempts) % millis.saturating_add(1))
}

/// A number that every node draws alike.
pub(crate) fn scatter(id: u128, attempt: u32) -> u64 {
    mix((id as u64) ^ ((id >> 64) as u64) ^ u64::from(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}
