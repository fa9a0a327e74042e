//! What a handler is, what it is given and how it fails.
//! Knows nothing of sessions: a handler can be run and tested without one.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

use super::logs::Logs;
use crate::wire::session::{AttemptRef, Logged, TaskOrder};
use crate::wire::{self, ErrorBody, LogStream, Raw, codes};

/// Does the work of one action. Most are made from functions by [`super::Worker::task_fn`].
pub trait TaskHandler: Send + Sync + 'static {
    /// Works on one attempt. The future is dropped when the attempt no longer counts; it must clean up after itself then.
    fn run(&self, ctx: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>>;
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskError {
    /// A stable word in capitals, which a task's `nonRetryable` can name.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
    /// When to try again, instead of after the task's own pause.
    pub retry_after: Option<Duration>,
}

impl TaskError {
    /// A failure that another attempt may not meet.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: true, retry_after: None }
    }

    /// A failure that every attempt would meet.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { retryable: false, ..Self::new(code, message) }
    }

    /// The same failure, to be tried again after `pause`.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// What a handler that noticed [`TaskCtx::cancelled`] fails with.
    pub fn cancelled(reason: impl Into<String>) -> Self {
        Self::permanent(codes::CANCELLED, reason)
    }

    pub(super) fn into_body(self) -> ErrorBody {
        ErrorBody { code: self.code, message: self.message, retryable: Some(self.retryable) }
    }
}

/// Why an attempt should stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The node asked for it.
    Cancelled(String),
    /// Its time is over.
    Deadline,
}

/// Tells an attempt to stop.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<Option<StopReason>>>);

impl StopHandle {
    /// Lets [`TaskCtx::cancelled`] return; the first reason stays.
    pub fn cancel(&self, reason: impl Into<String>) {
        self.stop(StopReason::Cancelled(reason.into()));
    }

    pub(super) fn stop(&self, reason: StopReason) {
        self.0.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(reason);
            }
            first
        });
    }

    /// Returns once the attempt was told to stop.
    pub(super) async fn stopped(&self) -> StopReason {
        stopped(self.0.subscribe()).await
    }
}

async fn stopped(mut receiver: watch::Receiver<Option<StopReason>>) -> StopReason {
    let reason = match receiver.wait_for(Option::is_some).await {
        Ok(reason) => reason.clone(),
        Err(_closed) => None,
    };
    reason.unwrap_or_else(|| StopReason::Cancelled("the worker is gone".to_owned()))
}

/// What a handler knows about its attempt.
#[derive(Clone, Debug)]
pub struct TaskCtx {
    order: Arc<TaskOrder>,
    stop: watch::Receiver<Option<StopReason>>,
    logs: Logs,
    /// Where signs of life go; none without a session.
    beats: Option<mpsc::Sender<AttemptRef>>,
}

impl TaskCtx {
    /// A context without a session, and the handle that stops it: to run a handler by itself.
    #[must_use]
    pub fn detached(order: TaskOrder) -> (Self, StopHandle) {
        Self::attached(order, Logs::default(), None)
    }

    /// A context whose lines go to `logs` and whose signs of life go to `beats`.
    pub(super) fn attached(
        order: TaskOrder,
        logs: Logs,
        beats: Option<mpsc::Sender<AttemptRef>>,
    ) -> (Self, StopHandle) {
        let (sender, stop) = watch::channel(None);
        (Self { order: Arc::new(order), stop, logs, beats }, StopHandle(Arc::new(sender)))
    }

    /// Says that the attempt lives: due within the task's `heartbeatTimeout`, if it has one. Cheap; to be called whenever the
    /// work got on.
    pub fn heartbeat(&self) {
        let Some(beats) = &self.beats else { return };
        // Where as many wait already, this one would come no later with the next.
        beats.try_send(AttemptRef { task_id: self.order.task_id.clone(), token: self.order.token }).ok();
    }

    /// Does some work that cannot say how it gets on, and gives signs of life for it in time.
    pub async fn alive_while<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(limit) = self.order.heartbeat_timeout else { return work.await };
        let beats = async {
            loop {
                self.heartbeat();
                tokio::time::sleep(Duration::from_millis((limit / 3).max(1))).await;
            }
        };
        tokio::select! {
            done = work => done,
            () = beats => unreachable!("signs of life do not end"),
        }
    }

    /// The task's id.
    #[must_use]
    pub fn task_id(&self) -> &str {
        &self.order.task_id
    }

    /// The attempt's fencing token: whatever the handler writes elsewhere can carry it.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.order.token
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.order.attempt
    }

    /// How many attempts there may be.
    #[must_use]
    pub fn attempts_max(&self) -> u32 {
        self.order.attempts_max
    }

    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.order.action
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.order.name
    }

    /// The run it belongs to.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.order.run_id.as_deref()
    }

    /// The step it belongs to.
    #[must_use]
    pub fn step_id(&self) -> Option<&str> {
        self.order.step_id.as_deref()
    }

    /// How much time is left until the deadline, if there is one.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.order.deadline.map(time_until)
    }

    /// Logs a line, as if it was written to the standard output. It never waits: lines are sent in batches, and what a slow
    /// connection leaves no room for is dropped, with a line that says how many.
    pub fn log(&self, line: impl AsRef<str>) {
        self.log_to(&LogStream::Stdout, line);
    }

    /// Logs a line of a stream. Longer ones than [`wire::LOG_LINE_BYTES_MAX`] are cut.
    pub fn log_to(&self, stream: &LogStream, line: impl AsRef<str>) {
        self.logs.add(&self.order, stream, line.as_ref());
    }

    /// The lines that were logged and not sent yet; without a session, all of the last ones.
    #[must_use]
    pub fn logged(&self) -> Vec<Logged> {
        self.logs.waiting(self.order.token)
    }

    /// Returns once the attempt should stop: it was cancelled, or its deadline has passed. What has not ended after the
    /// worker's grace time is dropped.
    pub async fn cancelled(&self) {
        stopped(self.stop.clone()).await;
    }

    /// Whether the attempt should stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.borrow().is_some()
    }
}

/// The time until `ms` milliseconds since 1970, by this machine's clock.
pub(super) fn time_until(ms: u64) -> Duration {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
    at.duration_since(SystemTime::now()).unwrap_or_default()
}

/// A function as a handler: JSON in and out by serde.
pub(super) struct FnHandler<F, In> {
    function: F,
    input: PhantomData<fn(In)>,
}

impl<F, In> FnHandler<F, In> {
    pub(super) fn new(function: F) -> Self {
        Self { function, input: PhantomData }
    }
}

impl<F, In, Out, Work> TaskHandler for FnHandler<F, In>
where
    F: Fn(TaskCtx, In) -> Work + Send + Sync + 'static,
    In: DeserializeOwned + 'static,
    Out: Serialize,
    Work: Future<Output = Result<Out, TaskError>> + Send + 'static,
{
    fn run(&self, ctx: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        match decode(&payload) {
            Ok(input) => (self.function)(ctx, input).map(|output| encode(&output?)).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }
}

/// Reads a payload as a handler's type.
pub(super) fn decode<In: DeserializeOwned>(payload: &Raw) -> Result<In, TaskError> {
    serde_json::from_str(payload.get()).map_err(|error| {
        TaskError::permanent(
            codes::INVALID_PAYLOAD,
            format!("the payload is not what the handler takes: {error}"),
        )
    })
}

/// Writes a handler's result.
pub(super) fn encode<Out: Serialize>(output: &Out) -> Result<Raw, TaskError> {
    wire::raw(output).map_err(|error| {
        TaskError::permanent(codes::INVALID_OUTPUT, format!("the output has no JSON form: {error}"))
    })
}
