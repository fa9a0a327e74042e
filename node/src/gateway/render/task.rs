//! A task and its attempts in their public form.
//! Knows nothing of how rows are found.

use orc_client::wire::{AttemptView, Millis, TaskView, session::TaskOrder};
use orc_domain::{Attempt, Task, Token};

use super::{error, labels, one_line, priority, raw, task_status, time, waiting::Surroundings};

/// A task; in a list without payload and output.
pub fn view(task: &Task, surroundings: Option<&Surroundings>, whole: bool) -> TaskView {
    let step = task.id.step();
    TaskView {
        id: task.id.to_string(),
        name: task.name.to_string(),
        action: task.action.to_string(),
        status: task_status(task.status),
        priority: priority(task.priority),
        payload: whole.then(|| raw(&task.payload)),
        output: task.output.as_ref().filter(|_| whole).map(raw),
        error: task.error.as_ref().map(error),
        attempts: task.attempts,
        lost: task.lost,
        component: task.assignment.as_ref().map(|assignment| assignment.component.to_string()),
        token: task.assignment.as_ref().map(|assignment| assignment.token.0),
        waiting_for: surroundings.and_then(|around| around.of_task(task)),
        created_at: time(task.created_at),
        started_at: task.started_at.map(time),
        ended_at: task.ended_at.map(time),
        dependencies: task.dependencies.iter().map(ToString::to_string).collect(),
        run_id: step.map(|(run, _)| run.to_string()),
        step_id: None,
        labels: labels(&task.labels),
        run_at: task.run_at.map(time),
        history: if whole { history(&task.history) } else { Vec::new() },
        requeued_from: task.requeued_from.map(|task| task.to_string()),
        dead_at: None,
    }
}

/// Attempts that have ended.
pub fn history(attempts: &[Attempt]) -> Vec<AttemptView> {
    let view = |attempt: &Attempt| AttemptView {
        component: attempt.component.to_string(),
        token: attempt.token.0,
        started_at: time(attempt.started_at),
        ended_at: time(attempt.ended_at),
        error: attempt.failure.as_ref().map(error),
        lost: attempt.lost,
    };
    attempts.iter().map(view).collect()
}

/// An attempt as the component hears of it; none if that attempt is not the running one any more.
pub fn order(task: &Task, token: Token, step_id: Option<String>) -> Option<TaskOrder> {
    let assignment = task.assignment.as_ref().filter(|assignment| assignment.token == token)?;
    Some(TaskOrder {
        task_id: task.id.to_string(),
        token: token.0,
        attempt: task.attempts,
        attempts_max: task.retry.limit.saturating_add(task.lost),
        action: task.action.to_string(),
        name: task.name.to_string(),
        payload: one_line(&task.payload),
        deadline: Some(assignment.deadline.0),
        heartbeat_timeout: task.heartbeat_timeout.map(|limit| Millis::from(limit).0),
        run_id: task.id.step().map(|(run, _)| run.to_string()),
        step_id,
    })
}
