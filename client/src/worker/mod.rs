//! The worker runtime: handlers for actions, run over a component session (`docs/protocol.md`) with any node.
//! Results are kept and sent again until a node has accepted or refused them, through broken connections and lost nodes.
//! Knows nothing of what the actions do.

mod attempt;
mod durable;
mod handler;
mod held;
mod link;
mod logs;
mod messages;
mod running;
mod runtime;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

pub use handler::{StopHandle, TaskCtx, TaskError, TaskHandler};
pub use running::RunningWorker;

use crate::Client;
use crate::wire::Problem;
use crate::wire::session::{AttemptRef, Hello};
use handler::FnHandler;
use messages::MessageHandlers;
use runtime::Runtime;

const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// How long the cluster remembers a worker whose id nobody will use again.
const TTL: Duration = Duration::from_secs(3600);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a worker stopped before it was asked to, or without being done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A newer session with the same id took over.
    #[error("another worker with the same id took over")]
    Superseded,
    /// The node will not have this component as it is.
    #[error("the node refuses the session: {0}")]
    Refused(Box<Problem>),
    /// Not all attempts ended, or not all results were accepted, within the drain time.
    #[error("{held} attempts were not done when the drain time was over")]
    DrainTimeout {
        /// How many.
        held: usize,
    },
    /// The process cannot listen to signals.
    #[error("signals cannot be listened to")]
    Signal(#[source] std::io::Error),
}

/// Runs handlers for the tasks that the cluster assigns to it.
///
/// ```no_run
/// # async fn example(orc: orc_client::Client) -> Result<(), orc_client::WorkerError> {
/// use orc_client::{TaskCtx, TaskError, Worker};
/// use serde_json::{Value, json};
///
/// Worker::new(orc)
///     .slots(8)
///     .task_fn("prepare_data", |ctx: TaskCtx, input: Value| async move {
///         let rows = input["rows"].as_u64().ok_or_else(|| TaskError::permanent("NO_ROWS", "rows is missing"))?;
///         ctx.log(format!("preparing {rows} rows"));
///         tokio::select! {
///             () = ctx.cancelled() => Err(TaskError::cancelled("stopped early")),
///             () = tokio::time::sleep(std::time::Duration::from_millis(rows)) => Ok(json!({ "rows": rows })),
///         }
///     })
///     .run_until_signal()
///     .await
/// # }
/// ```
#[must_use = "a worker does nothing before it runs"]
pub struct Worker {
    client: Client,
    id: String,
    name: Option<String>,
    kind: String,
    version: String,
    labels: BTreeMap<String, String>,
    slots: u32,
    handlers: BTreeMap<String, Arc<dyn TaskHandler>>,
    messages: MessageHandlers,
    cancel_grace: Duration,
    drain_timeout: Duration,
    ttl: Option<Duration>,
}

impl Worker {
    /// A worker without handlers, with a new id and as many slots as the machine has processors.
    pub fn new(client: Client) -> Self {
        let slots = std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        Self {
            client,
            id: format!("worker-{}", Uuid::now_v7().simple()),
            name: None,
            kind: "worker".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: BTreeMap::new(),
            slots,
            handlers: BTreeMap::new(),
            messages: MessageHandlers::new(),
            cancel_grace: CANCEL_GRACE,
            drain_timeout: DRAIN_TIMEOUT,
            ttl: Some(TTL),
        }
    }

    /// The component's id: one session per id. A worker that restarts with its old id takes its own place.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self.ttl = None;
        self
    }

    /// Without a connection the cluster forgets it after so long: never, if it has an id of yours, else after an hour.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A name for people; by default the id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What kind of program it is; by default `worker`.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }

    /// The version of the program.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How many tasks it takes at a time.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// A label that tasks can ask for.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Labels that tasks can ask for.
    pub fn labels<N: Into<String>, V: Into<String>>(
        mut self,
        labels: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.labels.extend(labels.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// How long a cancelled attempt may take to end by itself before it is dropped (default 5 s).
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// How long attempts may take once the worker is to stop (default 30 s).
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Offers an action, done by a function of types of yours.
    pub fn task_fn<F, In, Out, Work>(self, action: impl Into<String>, function: F) -> Self
    where
        F: Fn(TaskCtx, In) -> Work + Send + Sync + 'static,
        In: DeserializeOwned + 'static,
        Out: Serialize,
        Work: Future<Output = Result<Out, TaskError>> + Send + 'static,
    {
        self.handler(action, Arc::new(FnHandler::new(function)))
    }

    /// Offers an action, done by a handler.
    pub fn handler(mut self, action: impl Into<String>, handler: Arc<dyn TaskHandler>) -> Self {
        self.handlers.insert(action.into(), handler);
        self
    }

    /// Answers messages of a type. `ping` is built in; a type without a handler is answered with `NO_HANDLER`.
    pub fn on_message<F, In, Out, Work>(mut self, kind: impl Into<String>, function: F) -> Self
    where
        F: Fn(In) -> Work + Send + Sync + 'static,
        In: DeserializeOwned,
        Out: Serialize,
        Work: Future<Output = Result<Out, TaskError>> + Send + 'static,
    {
        self.messages.add(kind.into(), function);
        self
    }

    /// Works until `shutdown` returns, then drains: no new tasks, and what is at work may end.
    ///
    /// # Errors
    /// [`WorkerError`]; lost nodes and broken connections are none, they are waited out.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), WorkerError> {
        Runtime::new(self).run(pin!(shutdown)).await
    }

    /// Works in the background of this program until [`RunningWorker::stop`].
    pub fn start(self) -> RunningWorker {
        RunningWorker::start(self)
    }

    /// Works until the process gets SIGINT or SIGTERM, then drains.
    ///
    /// # Errors
    /// [`WorkerError`]; lost nodes and broken connections are none, they are waited out.
    pub async fn run_until_signal(self) -> Result<(), WorkerError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(WorkerError::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(WorkerError::Signal)?;
        self.run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
    }

    fn hello(&self, held: Vec<AttemptRef>) -> Hello {
        Hello {
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            kind: self.kind.clone(),
            version: self.version.clone(),
            capabilities: self.handlers.keys().cloned().collect(),
            labels: self.labels.clone(),
            slots: self.slots,
            held,
            ttl: self.ttl.map(Into::into),
        }
    }
}
