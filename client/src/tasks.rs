//! Tasks without a run: to schedule, list, follow and cancel them; and results of attempts, for components that poll.
//! Knows nothing of sessions; [`crate::worker`] speaks those.

use std::future::IntoFuture;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::http::Call;
use crate::logs::{self, LogFollower};
use crate::run_wait::{BoxedCall, wait_until};
use crate::wire::{
    self, AttemptHeartbeat, AttemptPulse, CompleteAttempt, FailAttempt, LogEntry, LogPage, LogToken,
    LogsQuery, Millis, Page, Priority, Reason, Retry, ScheduleTask, ScheduleTasks, TaskChanged,
    TaskScheduled, TaskStatus, TaskView, TasksQuery, TasksScheduled, When, paths,
};
use crate::{Client, Error};

/// Calls about tasks: [`Client::tasks`].
#[derive(Clone, Debug)]
pub struct Tasks {
    pub(crate) client: Client,
}

impl Tasks {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Begins to schedule a task.
    ///
    /// ```no_run
    /// # async fn example(orc: orc_client::Client) -> Result<(), orc_client::Error> {
    /// use orc_client::Priority;
    ///
    /// let first = orc.tasks().schedule("Fetch").action("fetch").payload("https://example.test").send().await?;
    /// let then = orc.tasks().schedule("Parse").action("parse").priority(Priority::High).depends_on(first.id());
    /// let parsed: serde_json::Value = then.send().await?.wait().await?.output()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule(&self, name: impl Into<String>) -> Schedule {
        let task = ScheduleTask { name: name.into(), ..ScheduleTask::default() };
        Schedule { client: self.client.clone(), task, payload_error: None, key: None }
    }

    /// Schedules all tasks or none; members name each other by their `ref`. The handles are in the order given.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn schedule_batch(&self, tasks: Vec<ScheduleTask>) -> Result<Vec<TaskHandle>, Error> {
        let answer: TasksScheduled =
            self.client.call(Call::post(paths::TASKS, &ScheduleTasks::Batch(tasks))?).await?;
        Ok(answer.tasks.into_iter().map(|task| self.handle(task.task_id)).collect())
    }

    /// A task that exists, by its id.
    #[must_use]
    pub fn handle(&self, id: impl Into<String>) -> TaskHandle {
        TaskHandle { client: self.client.clone(), id: id.into() }
    }

    /// The task as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, id: &str) -> Result<TaskView, Error> {
        self.client.call(Call::get(paths::fill(paths::TASK, id))).await
    }

    /// A page of tasks.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &TasksQuery) -> Result<Page<TaskView>, Error> {
        self.client.call(Call::get(paths::TASKS).query(query)).await
    }

    /// Hands in the result of an attempt.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `STALE_ATTEMPT` when the token is no longer the newest.
    pub async fn complete<O: Serialize>(
        &self,
        id: &str,
        token: u64,
        output: &O,
    ) -> Result<TaskChanged, Error> {
        let output = wire::raw(output).map_err(|error| Error::no_json_form("the output", &error))?;
        let body = CompleteAttempt { token, output: Some(output) };
        self.client.call(Call::post(paths::fill(paths::TASK_COMPLETE, id), &body)?).await
    }

    /// Hands in the failure of an attempt.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `STALE_ATTEMPT` when the token is no longer the newest.
    pub async fn fail(&self, id: &str, failure: &FailAttempt) -> Result<TaskChanged, Error> {
        self.client.call(Call::post(paths::fill(paths::TASK_FAIL, id), failure)?).await
    }

    /// Says that an attempt is alive, and asks whether it should stop.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `STALE_ATTEMPT` when the token is no longer the newest.
    pub async fn heartbeat(&self, id: &str, heartbeat: &AttemptHeartbeat) -> Result<AttemptPulse, Error> {
        self.client.call(Call::post(paths::fill(paths::TASK_HEARTBEAT, id), heartbeat)?).await
    }

    /// Hands in lines that an attempt logged.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `STALE_ATTEMPT` when the token is no longer the newest.
    pub async fn log(&self, id: &str, token: u64, lines: &[LogEntry]) -> Result<(), Error> {
        let call = Call::post_lines(paths::fill(paths::TASK_LOGS, id), lines)?;
        self.client.call_unit(call.query(&LogToken { token })).await
    }
}

/// A task about to be scheduled.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Schedule {
    client: Client,
    task: ScheduleTask,
    payload_error: Option<serde_json::Error>,
    key: Option<String>,
}

impl Schedule {
    /// What a component must offer; without one the task is an `echo`.
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.task.action = Some(action.into());
        self
    }

    /// What the handler gets.
    pub fn payload<P: Serialize>(mut self, payload: P) -> Self {
        match wire::raw(&payload) {
            Ok(raw) => self.task.payload = Some(raw),
            Err(error) => self.payload_error = Some(error),
        }
        self
    }

    /// How urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.task.priority = Some(priority);
        self
    }

    /// Starts only after another task completed.
    pub fn depends_on(mut self, id: impl Into<String>) -> Self {
        self.task.dependencies.push(id.into());
        self
    }

    /// How long an attempt may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.task.timeout = Some(Millis::from(timeout));
        self
    }

    /// How long it may wait for a component.
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.task.queue_timeout = Some(Millis::from(timeout));
        self
    }

    /// It does not start before.
    pub fn run_at(mut self, when: When) -> Self {
        self.task.run_at = Some(when);
        self
    }

    /// How long it may take from its creation to its end, over all attempts.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.task.total_timeout = Some(Millis::from(timeout));
        self
    }

    /// How long an attempt may go without a sign of life ([`TaskCtx::heartbeat`](crate::TaskCtx::heartbeat)).
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.task.heartbeat_timeout = Some(Millis::from(timeout));
        self
    }

    /// When and how often to try again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.task.retry = Some(retry);
        self
    }

    /// A label that the component must have.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.task.labels.insert(name.into(), value.into());
        self
    }

    /// A key of your own: the same key and task are scheduled only once, whoever asks how often.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Schedules the task.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn send(self) -> Result<TaskHandle, Error> {
        if let Some(error) = self.payload_error {
            return Err(Error::no_json_form("the payload", &error));
        }
        let call = Call::post(paths::TASKS, &ScheduleTasks::One(Box::new(self.task)))?.key(self.key);
        let scheduled: TaskScheduled = self.client.call(call).await?;
        Ok(TaskHandle { client: self.client, id: scheduled.task_id })
    }
}

/// A task that exists.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    client: Client,
    id: String,
}

impl TaskHandle {
    /// The task's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The task as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self) -> Result<TaskView, Error> {
        self.client.tasks().get(&self.id).await
    }

    /// A page of what it logged, on all nodes.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn logs(&self, query: &LogsQuery) -> Result<LogPage, Error> {
        logs::page(&self.client, paths::TASK_LOGS, &self.id, query).await
    }

    /// Follows what it logs, to its end.
    #[must_use]
    pub fn follow_logs(&self, query: &LogsQuery) -> LogFollower {
        logs::follow(self.client.clone(), paths::TASK_LOGS_STREAM, &self.id, query)
    }

    /// Waits until the task is terminal: `task.wait().timeout(limit).await?`.
    pub fn wait(&self) -> TaskWait {
        TaskWait { client: self.client.clone(), id: self.id.clone(), timeout: None }
    }

    /// Cancels the task.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn cancel(&self, reason: Option<&str>) -> Result<TaskStatus, Error> {
        let body = Reason { reason: reason.map(str::to_owned) };
        let changed: TaskChanged =
            self.client.call(Call::post(paths::fill(paths::TASK_CANCEL, &self.id), &body)?).await?;
        Ok(changed.status)
    }
}

/// A wait for a task's end.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before it is awaited"]
pub struct TaskWait {
    client: Client,
    id: String,
    timeout: Option<Duration>,
}

impl TaskWait {
    /// Gives up with [`Error::DeadlineExceeded`] after so long; without it, it waits as long as nodes answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for TaskWait {
    type Output = Result<TaskResult, Error>;
    type IntoFuture = BoxedCall<TaskResult>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let path = paths::fill(paths::TASK_WAIT, &self.id);
            let ended = |view: &TaskView| view.status.is_terminal();
            wait_until(&self.client, &path, (Instant::now(), self.timeout), ended)
                .await
                .map(|view| TaskResult { view })
        })
    }
}

/// A task that ended.
#[derive(Clone, Debug)]
pub struct TaskResult {
    view: TaskView,
}

impl TaskResult {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> &TaskStatus {
        &self.view.status
    }

    /// Everything about it.
    #[must_use]
    pub fn view(&self) -> &TaskView {
        &self.view
    }

    /// Reads its output as a type of yours; none is `null`.
    ///
    /// # Errors
    /// [`Error::NotCompleted`] unless it completed, [`Error::Decode`] when the output has another shape.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let view = &self.view;
        if view.status != TaskStatus::Completed {
            let (id, status, error) = (view.id.clone(), view.status.to_string(), view.error.clone());
            return Err(Error::NotCompleted { id, status, error });
        }
        serde_json::from_str(view.output.as_deref().map_or("null", |raw| raw.get())).map_err(Error::Decode)
    }
}
