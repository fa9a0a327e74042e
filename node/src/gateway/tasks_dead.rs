//! The dead-letter list: reading it, new tasks in place of dead ones, and dropping.
//! Knows nothing of why tasks die; what a new task needs is in the archive.

use std::sync::Arc;

use orc_client::wire::{
    DeadQuery, Reason, SelectDead, TaskRequeued, TaskView, TasksDropped, TasksRequeued, paths,
};
use orc_domain::{ActionName, Answer, Command, DeadSelection, Dependency, NewTask, Rejection, Task, TaskId};
use uuid::Uuid;

use super::{
    Gateway,
    access::{Accepted, unexpected},
    call::Call,
    paging,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};

/// Tasks and bytes of payload that one call requeues.
const REQUEUE_MAX: usize = 500;
const REQUEUE_BYTES_MAX: usize = 1024 * 1024;
/// How often tasks are chosen again that somebody else took off the list meanwhile.
const CHOICES_MAX: usize = 5;

/// `GET /tasks/dead`: newest first.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: DeadQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let cursor = paging::cursor::<TaskId>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    let meant = |action: &str| query.action.as_ref().is_none_or(|wanted| wanted == action);
    let mut dead = gateway.cluster.list_dead(|dead| meant(&dead.action), cursor, limit + 1);
    let next = (dead.len() > limit).then(|| dead[limit - 1].task);
    dead.truncate(limit);
    let mut views: Vec<TaskView> = Vec::new();
    for dead in dead {
        let Some(task) = gateway.cluster.find_task(dead.task).await? else { continue };
        let mut view = render::task::view(&task, None, false);
        view.dead_at = Some(render::time(dead.at));
        views.push(view);
    }
    Ok(Reply::json(&paging::page(&views, next, Clone::clone)))
}

/// `POST /tasks/{id}/retry`
pub async fn retry(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.task_id()?;
    let _: Reason = call.json_or_default()?;
    let accepted = gateway.requeue(&call, &DeadSelection::Tasks(vec![id])).await?;
    let requeued = gateway.requeued(&accepted).await?;
    let Some(task) = requeued.first() else { return Err(unexpected(&accepted.answer)) };
    let location = paths::fill(paths::TASK, &task.task_id);
    Ok(Reply::json(task).created(&location).rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /tasks/dead/requeue`
pub async fn requeue(gateway: Arc<Gateway>, call: Call) -> Answered {
    let which = selection(call.json()?)?;
    let accepted = gateway.requeue(&call, &which).await?;
    let tasks = gateway.requeued(&accepted).await?;
    let remaining = match which {
        DeadSelection::Tasks(_) => 0,
        DeadSelection::Action(action) => gateway.cluster.oldest_dead(Some(action), 0).await?.1,
        DeadSelection::All => gateway.cluster.oldest_dead(None, 0).await?.1,
    };
    let remaining = u64::try_from(remaining).unwrap_or(u64::MAX);
    let reply = Reply::json(&TasksRequeued { tasks, remaining });
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /tasks/dead/drop`
pub async fn drop_dead(gateway: Arc<Gateway>, call: Call) -> Answered {
    let which = selection(call.json()?)?;
    let accepted = gateway.command(&call, Command::DropDeadTasks { which }).await?;
    let Answer::Count(dropped) = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let reply = Reply::json(&TasksDropped { dropped: dropped.into() });
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

fn selection(body: SelectDead) -> Result<DeadSelection, Refusal> {
    match body {
        SelectDead { ids: Some(ids), action: None, all: false } => {
            if ids.is_empty() || ids.len() > REQUEUE_MAX {
                return Err(Refusal::invalid("/ids", format!("`ids` names 1 to {REQUEUE_MAX} tasks")));
            }
            let id = |(place, id): (usize, &String)| {
                id.parse().map_err(|error: orc_domain::BadId| {
                    Refusal::invalid(format!("/ids/{place}"), error.to_string())
                })
            };
            Ok(DeadSelection::Tasks(ids.iter().enumerate().map(id).collect::<Result<_, Refusal>>()?))
        }
        SelectDead { ids: None, action: Some(action), all: false } => {
            Ok(DeadSelection::Action(ActionName::from(action)))
        }
        SelectDead { ids: None, action: None, all: true } => Ok(DeadSelection::All),
        SelectDead { .. } => {
            let refusal = Refusal::invalid("", "say which tasks: exactly one of `ids`, `action` and `all`");
            Err(refusal.hint("{\"ids\": [\"task_…\"]}, {\"action\": \"train_model\"} or {\"all\": true}"))
        }
    }
}

/// A new task that asks for the same as a dead one, at once.
fn again(dead: &Task) -> NewTask {
    let depends = |task: &TaskId| Dependency { task: *task, ended: None };
    NewTask {
        id: TaskId::Single(Uuid::now_v7()),
        name: dead.name.clone(),
        action: dead.action.clone(),
        payload: dead.payload.clone(),
        priority: dead.priority,
        labels: dead.labels.clone(),
        dependencies: dead.dependencies.iter().map(depends).collect(),
        timeout: Some(dead.timeout),
        queue_timeout: dead.queue_timeout,
        retry: Some(dead.retry.clone()),
        run_at: None,
        total_timeout: dead.total_timeout,
        heartbeat_timeout: dead.heartbeat_timeout,
        requeued_from: Some(dead.id),
    }
}

impl Gateway {
    /// Proposes new tasks in place of dead ones. A repeated call proposes, too: it gets the first one's answer.
    async fn requeue(&self, call: &Call, which: &DeadSelection) -> Result<Accepted, Refusal> {
        let idempotency = call.idempotency()?;
        self.fresh(call).await?;
        let mut choices = 0;
        loop {
            let tasks = self.with_ended(self.chosen(which).await?).await?;
            let outcome = self.propose(idempotency, Command::CreateTasks { tasks }).await?;
            choices += 1;
            let named = matches!(which, DeadSelection::Tasks(_));
            if named
                || choices >= CHOICES_MAX
                || !matches!(outcome.result, Err(Rejection::TaskNotDead { .. }))
            {
                return self.accepted(call, outcome).await;
            }
            self.cluster.wait_applied(outcome.rev).await?;
        }
    }

    /// The new tasks for as many dead ones as fit, the oldest first.
    async fn chosen(&self, which: &DeadSelection) -> Result<Vec<NewTask>, Refusal> {
        let (dead, all) = match which {
            DeadSelection::Tasks(tasks) => (tasks.clone(), true),
            DeadSelection::Action(action) => {
                (self.cluster.oldest_dead(Some(action.clone()), REQUEUE_MAX).await?.0, false)
            }
            DeadSelection::All => (self.cluster.oldest_dead(None, REQUEUE_MAX).await?.0, false),
        };
        let (mut tasks, mut bytes) = (Vec::new(), 0);
        for id in dead {
            let task = self.task(id).await?;
            bytes += task.payload.as_str().len();
            if bytes > REQUEUE_BYTES_MAX && !tasks.is_empty() {
                if all {
                    let detail = format!("their payloads have more than {REQUEUE_BYTES_MAX} bytes");
                    return Err(Refusal::invalid("/ids", detail).hint("requeue fewer at once"));
                }
                break;
            }
            tasks.push(again(&task));
        }
        Ok(tasks)
    }

    /// The new tasks with those whose place they took.
    async fn requeued(&self, accepted: &Accepted) -> Result<Vec<TaskRequeued>, Refusal> {
        let Answer::Tasks(tasks) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
        self.cluster.wait_applied(accepted.rev).await?;
        let mut requeued = Vec::new();
        for (id, status) in tasks {
            let dead = self.cluster.find_task(*id).await?.and_then(|task| task.requeued_from);
            requeued.push(TaskRequeued {
                task_id: id.to_string(),
                status: render::task_status(*status),
                requeued_from: dead.map(|dead| dead.to_string()),
            });
        }
        Ok(requeued)
    }
}
