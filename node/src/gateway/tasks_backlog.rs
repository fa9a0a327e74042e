//! What waits: the backlog of each action, its pauses, and the priority of a task that waits.
//! Knows nothing of assignment.

use std::sync::Arc;

use orc_client::wire::{ActionBacklog, ActionChanged, ChangeTask, Reason, TaskChanged};
use orc_domain::{ActionName, Answer, Command, Priority};

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    paging,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};

/// `GET /tasks/backlog`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.fresh(&call).await?;
    let (backlog, now) = (gateway.cluster.backlog().await?, gateway.cluster.now());
    let rows: Vec<_> = backlog.into_iter().collect();
    let show = |(action, counts): &(ActionName, orc_domain::ActionBacklog)| ActionBacklog {
        action: action.to_string(),
        queued: counts.queued,
        held: counts.held,
        running: counts.running,
        blocked: counts.blocked,
        retrying: counts.retrying,
        paused: counts.paused,
        oldest_at: counts.oldest.map(render::time),
        oldest_age_ms: render::duration_ms(counts.oldest, None, now),
        free_slots: counts.slots_free,
    };
    let mut page = paging::page(&rows, None::<String>, show);
    page.total = u64::try_from(page.items.len()).ok();
    Ok(Reply::json(&page))
}

/// `PATCH /tasks/{id}`
pub async fn change(gateway: Arc<Gateway>, call: Call) -> Answered {
    let task = call.task_id()?;
    let ChangeTask { priority } = call.json()?;
    let priority = Priority::from_level(priority.level().into()).unwrap_or_default();
    let accepted = gateway.command(&call, Command::SetTaskPriority { task, priority }).await?;
    let Answer::Tasks(tasks) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let Some((id, status)) = tasks.first() else { return Err(unexpected(&accepted.answer)) };
    let changed = TaskChanged { id: id.to_string(), status: render::task_status(*status) };
    Ok(Reply::json(&changed).rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /actions/{action}/pause`
pub async fn pause(gateway: Arc<Gateway>, call: Call) -> Answered {
    let action = action(&call)?;
    gateway.turn(&call, Command::PauseAction { action: action.clone() }, (action, true)).await
}

/// `POST /actions/{action}/resume`
pub async fn resume(gateway: Arc<Gateway>, call: Call) -> Answered {
    let action = action(&call)?;
    gateway.turn(&call, Command::ResumeAction { action: action.clone() }, (action, false)).await
}

fn action(call: &Call) -> Result<ActionName, Refusal> {
    let _: Reason = call.json_or_default()?;
    let action = call.param("action")?;
    if action.is_empty() || action.len() > 256 {
        return Err(Refusal::bad_request("an action has 1 to 256 bytes"));
    }
    Ok(ActionName::from(action))
}

impl Gateway {
    async fn turn(&self, call: &Call, command: Command, (action, paused): (ActionName, bool)) -> Answered {
        let accepted = self.command(call, command).await?;
        let changed = ActionChanged { action: action.to_string(), paused };
        Ok(Reply::json(&changed).rev(accepted.rev).replayed(accepted.replayed))
    }
}
