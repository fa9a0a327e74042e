//! The results of attempts over plain HTTP: complete, fail, heartbeat.
//! Knows nothing of sessions; the token says which attempt is meant.

use std::sync::Arc;

use orc_client::wire::{
    AttemptHeartbeat, AttemptPulse, CompleteAttempt, FailAttempt, TaskChanged, TaskStatus, codes,
};
use orc_domain::{Command, Failure, HeldAttempt, Rejection, Task, TaskId, Text, Token};

use super::{
    Gateway,
    access::Accepted,
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
    tasks_create::PAYLOAD_MAX,
};

/// `POST /tasks/{id}/complete`
pub async fn complete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let task = call.task_id()?;
    let body: CompleteAttempt = call.json()?;
    let output = body.output.as_ref().map_or("null", |output| output.get());
    if output.len() > PAYLOAD_MAX {
        let refusal =
            Refusal::new(codes::PAYLOAD_TOO_LARGE, format!("a result has at most {PAYLOAD_MAX} bytes"));
        return Err(
            refusal.hint("keep large data elsewhere and answer with a reference to it, or fail the attempt")
        );
    }
    let output = gateway.secrets.redact_json(output);
    let command = Command::CompleteTask { task, token: Token(body.token), output };
    let accepted = gateway.command(&call, command).await?;
    gateway.changed(task, accepted, TaskStatus::Completed).await
}

/// `POST /tasks/{id}/fail`
pub async fn fail(gateway: Arc<Gateway>, call: Call) -> Answered {
    let task = call.task_id()?;
    let body: FailAttempt = call.json()?;
    let command = Command::FailTask {
        task,
        token: Token(body.token),
        retryable: body.error.retryable.unwrap_or(true),
        failure: failure(&body.error.code, &gateway.secrets.redact(&body.error.message)),
        retry_after: body.retry_after.map(Into::into),
    };
    let accepted = gateway.command(&call, command).await?;
    gateway.changed(task, accepted, TaskStatus::Failed).await
}

/// A failure as a component tells it, cut to what the state keeps.
pub fn failure(code: &str, message: &str) -> Failure {
    let cut = |text: &str, most: usize| Text::from(&text[..text.floor_char_boundary(most)]);
    let code = if code.is_empty() { codes::TASK_FAILED } else { code };
    Failure { code: cut(code, 128), message: cut(message, 16 * 1024) }
}

/// `POST /tasks/{id}/heartbeat`: never in the log; says whether the attempt should stop.
pub async fn heartbeat(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.task_id()?;
    let body: AttemptHeartbeat = call.json()?;
    let token = Token(body.token);
    gateway.fresh(&call).await?;
    let stale = || Refusal::from(Rejection::StaleAttempt { task: id, token });
    let task = gateway.cluster.task(&id).filter(|task| task.is_current(token)).ok_or_else(stale)?;
    if let Some(assignment) = &task.assignment
        && let Ok(hands) = gateway.hands()
    {
        let attempt = HeldAttempt { task: id, token };
        hands.coordinator.attempt_heartbeat(&assignment.component, attempt).await;
    }
    Ok(Reply::json(&pulse(&task)))
}

fn pulse(task: &Task) -> AttemptPulse {
    let deadline = task.assignment.as_ref().map(|assignment| render::time(assignment.deadline));
    AttemptPulse { cancel_requested: task.cancel.is_some(), deadline }
}

impl Gateway {
    /// Where the task stands after its result; a task that is gone ended the way it was told.
    async fn changed(&self, id: TaskId, accepted: Accepted, told: TaskStatus) -> Answered {
        self.cluster.wait_applied(accepted.rev).await?;
        let status = match self.cluster.find_task(id).await? {
            Some(task) => render::task_status(task.status),
            None => told,
        };
        let changed = TaskChanged { id: id.to_string(), status };
        Ok(Reply::json(&changed).rev(accepted.rev).replayed(accepted.replayed))
    }
}
