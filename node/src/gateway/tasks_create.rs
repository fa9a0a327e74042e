//! `POST /tasks`: one task or a batch, with dependencies that may have ended long ago.
//! Knows nothing of assignment; a batch's own references are resolved by `tasks_batch`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use orc_client::wire::{
    Retry as WireRetry, ScheduleTask, ScheduleTasks, TaskScheduled, TasksScheduled, When, codes, paths,
};
use orc_domain::{
    Answer, ClusterConfig, Command, Dependency, Json, NewTask, Outcome, Priority, Rejection, Retry, TaskId,
    TaskStatus, Text, Timestamp,
};

use super::{
    Gateway,
    access::{Accepted, unexpected},
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
    tasks_batch::{Planned, plan},
};

/// The longest payload, result or inputs, in bytes.
pub const PAYLOAD_MAX: usize = 256 * 1024;
/// Tasks of one batch.
const BATCH_MAX: usize = 1_000;
/// What a task without an action asks for.
const ECHO: &str = "echo";

/// Creates tasks, all or none.
pub async fn create(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (asked, batch) = match call.json()? {
        ScheduleTasks::One(task) => (vec![*task], false),
        ScheduleTasks::Batch(tasks) => (tasks, true),
    };
    if asked.is_empty() || asked.len() > BATCH_MAX {
        return Err(Refusal::invalid("", format!("a batch has 1 to {BATCH_MAX} tasks")));
    }
    let planned = plan(&asked, batch)?;
    let (config, now) = (gateway.cluster.config(), gateway.cluster.now());
    let new = planned.iter().map(|planned| new_task(planned, &asked[planned.place], &config, (now, batch)));
    let tasks = new.collect::<Result<Vec<NewTask>, Refusal>>()?;
    let accepted = gateway.create_tasks(&call, tasks, &planned, batch).await?;
    let Answer::Tasks(answered) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let reply = match (batch, answered.first()) {
        (true, _) => Reply::json(&TasksScheduled { tasks: in_order(answered, &planned) })
            .status(warp::http::StatusCode::CREATED),
        (false, Some(only)) => {
            let shown = scheduled(only);
            let location = paths::fill(paths::TASK, &shown.task_id);
            Reply::json(&shown).created(&location)
        }
        (false, None) => return Err(unexpected(&accepted.answer)),
    };
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

fn scheduled((id, status): &(TaskId, TaskStatus)) -> TaskScheduled {
    TaskScheduled { task_id: id.to_string(), status: render::task_status(*status) }
}

/// The log has a batch in the order of its dependencies; the caller gets the order it asked in.
fn in_order(answered: &[(TaskId, TaskStatus)], planned: &[Planned]) -> Vec<TaskScheduled> {
    let mut tasks: Vec<(usize, TaskScheduled)> =
        planned.iter().zip(answered).map(|(planned, answer)| (planned.place, scheduled(answer))).collect();
    tasks.sort_by_key(|(place, _)| *place);
    tasks.into_iter().map(|(_, task)| task).collect()
}

fn new_task(
    planned: &Planned,
    asked: &ScheduleTask,
    config: &ClusterConfig,
    (now, batch): (Timestamp, bool),
) -> Result<NewTask, Refusal> {
    let at = |field: &str| planned.pointer(batch, field);
    let text = |field: &str, text: &str, most: usize| match text.len() {
        length if length >= 1 && length <= most => Ok(Text::from(text)),
        _ => Err(Refusal::invalid(at(field), format!("`{field}` has 1 to {most} bytes"))),
    };
    let payload = asked.payload.as_ref().map_or("null", |payload| payload.get());
    if payload.len() > PAYLOAD_MAX {
        let refusal =
            Refusal::new(codes::PAYLOAD_TOO_LARGE, format!("a payload has at most {PAYLOAD_MAX} bytes"));
        return Err(refusal.hint("keep large data elsewhere and send a reference to it"));
    }
    let time = |field: &str, millis: Option<orc_client::wire::Millis>| match millis.map(Duration::from) {
        Some(time) if time.is_zero() => {
            Err(Refusal::invalid(at(field), format!("`{field}` must be more than 0")))
        }
        time => Ok(time),
    };
    let level = asked.priority.map(|priority| u64::from(priority.level()));
    let labels =
        asked.labels.iter().map(|(name, value)| (Text::from(name.as_str()), Text::from(value.as_str())));
    let retry =
        asked.retry.as_ref().map(|retry| retry_of(retry, &config.task_retry, &at("retry"))).transpose()?;
    Ok(NewTask {
        id: planned.id,
        name: text("name", &asked.name, 256)?,
        action: text("action", asked.action.as_deref().unwrap_or(ECHO), 256)?,
        payload: Json::from(payload),
        priority: level.and_then(Priority::from_level).unwrap_or_default(),
        labels: labels.collect(),
        dependencies: planned
            .dependencies
            .iter()
            .map(|task| Dependency { task: *task, ended: None })
            .collect(),
        timeout: time("timeout", asked.timeout)?,
        queue_timeout: time("queueTimeout", asked.queue_timeout)?,
        retry,
        run_at: asked.run_at.map(|when| match when {
            When::At(at) => Timestamp(at.0),
            When::In(millis) => now + millis.into(),
        }),
        total_timeout: time("totalTimeout", asked.total_timeout)?,
        heartbeat_timeout: time("heartbeatTimeout", asked.heartbeat_timeout)?,
        requeued_from: None,
    })
}

fn retry_of(asked: &WireRetry, default: &Retry, pointer: &str) -> Result<Retry, Refusal> {
    let wrong = |field: &str, detail: &str| Err(Refusal::invalid(format!("{pointer}/{field}"), detail));
    let backoff_percent = match asked.backoff {
        None => default.backoff_percent,
        // The bounds make the conversion exact.
        Some(factor) if (1.0..=100.0).contains(&factor) => (factor * 100.0).round() as u32,
        Some(_) => return wrong("backoff", "`backoff` must be 1 to 100"),
    };
    if asked.limit.is_some_and(|limit| !(1..=1_000).contains(&limit)) {
        return wrong("limit", "`limit` must be 1 to 1000 attempts");
    }
    let codes = |asked: &[String], default: &[Text]| match asked {
        [] => default.to_vec(),
        codes => codes.iter().map(|code| Text::from(code.as_str())).collect(),
    };
    Ok(Retry {
        limit: asked.limit.unwrap_or(default.limit),
        delay: asked.delay.map_or(default.delay, Duration::from),
        backoff_percent,
        delay_max: asked.max_delay.map_or(default.delay_max, Duration::from),
        jitter: asked.jitter.unwrap_or(default.jitter),
        non_retryable: codes(&asked.non_retryable, &default.non_retryable),
        lost_max: asked.max_lost.unwrap_or(default.lost_max),
        on: codes(&asked.on, &default.on),
    })
}

impl Gateway {
    /// Proposes the tasks; a dependency that the state does not know may have ended, perhaps just now.
    async fn create_tasks(
        &self,
        call: &Call,
        tasks: Vec<NewTask>,
        planned: &[Planned],
        batch: bool,
    ) -> Result<Accepted, Refusal> {
        let idempotency = call.idempotency()?;
        let looked_up = self.with_ended(tasks).await?;
        let outcome = self.propose(idempotency, Command::CreateTasks { tasks: looked_up.clone() }).await?;
        let Err(Rejection::DependencyUnknown { .. }) = &outcome.result else {
            return self.accepted(call, outcome).await;
        };
        self.cluster.wait_applied(outcome.rev).await?;
        let again = self.with_ended(looked_up).await?;
        let outcome = self.propose(idempotency, Command::CreateTasks { tasks: again.clone() }).await?;
        match outcome {
            Outcome { result: Err(Rejection::DependencyUnknown { task }), .. } => {
                Err(unknown_dependency(task, planned, batch))
            }
            decided => self.accepted(call, decided).await,
        }
    }

    /// Says of each dependency that is not live how it ended, where the archive knows.
    pub(super) async fn with_ended(&self, mut tasks: Vec<NewTask>) -> Result<Vec<NewTask>, Refusal> {
        let own: BTreeSet<TaskId> = tasks.iter().map(|task| task.id).collect();
        let open = tasks.iter_mut().flat_map(|task| &mut task.dependencies);
        for dependency in
            open.filter(|dependency| dependency.ended.is_none() && !own.contains(&dependency.task))
        {
            let found = match self.cluster.task(&dependency.task) {
                Some(live) => Some(live.status),
                None => self.ended_status(dependency.task).await?,
            };
            dependency.ended = found.filter(|status| status.is_terminal());
        }
        Ok(tasks)
    }

    /// How an archived task ended; a step's task ended as its step did.
    async fn ended_status(&self, task: TaskId) -> Result<Option<TaskStatus>, Refusal> {
        let Some((run, step)) = task.step() else {
            return Ok(self.cluster.find_task(task).await?.map(|task| task.status));
        };
        let Some(run) = self.cluster.find_run(run).await? else { return Ok(None) };
        Ok(run.steps.get(usize::from(step)).and_then(|step| ended_as(step.status)))
    }
}

fn ended_as(step: orc_domain::StepStatus) -> Option<TaskStatus> {
    use orc_domain::StepStatus;
    match step {
        StepStatus::Completed => Some(TaskStatus::Completed),
        StepStatus::Failed => Some(TaskStatus::Failed),
        StepStatus::Skipped | StepStatus::Cancelled => Some(TaskStatus::Cancelled),
        StepStatus::TimedOut => Some(TaskStatus::TimedOut),
        StepStatus::Pending | StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting => None,
    }
}

fn unknown_dependency(task: TaskId, planned: &[Planned], batch: bool) -> Refusal {
    let pointer = planned.iter().find_map(|planned| {
        let place = planned.dependencies.iter().position(|dependency| *dependency == task)?;
        Some(planned.pointer(batch, &format!("dependencies/{place}")))
    });
    let detail = format!("it depends on {task}, which nobody knows");
    Refusal::invalid(pointer.unwrap_or_default(), detail).hint("GET /api/v1/tasks lists tasks")
}
