//! A worker in the background of a program: to wait for its first session, and to stop it.
//! Knows nothing of what it does meanwhile.

use std::pin::pin;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::runtime::Runtime;
use super::{Worker, WorkerError};

/// A worker at work: [`Worker::start`]. Dropped, it drains by itself and nobody hears how that went.
#[derive(Debug)]
#[must_use = "a worker that nobody holds stops at once"]
pub struct RunningWorker {
    task: JoinHandle<Result<(), WorkerError>>,
    stop: oneshot::Sender<()>,
    connected: watch::Receiver<bool>,
}

impl RunningWorker {
    pub(super) fn start(worker: Worker) -> Self {
        let (stop, stopped) = oneshot::channel();
        let runtime = Runtime::new(worker);
        let connected = runtime.connected();
        let task = tokio::spawn(async move {
            // A dropped handle asks for the same as a sent word.
            runtime.run(pin!(async { stopped.await.unwrap_or(()) })).await
        });
        Self { task, stop, connected }
    }

    /// Waits until it has had its first session: messages reach it from then on.
    ///
    /// # Errors
    /// [`WorkerError`] when it ended before.
    pub async fn connected(mut self) -> Result<Self, WorkerError> {
        if self.connected.wait_for(|connected| *connected).await.is_ok() {
            return Ok(self);
        }
        Err(joined(self.task).await.expect_err("without a session it ends with an error only"))
    }

    /// Drains it: no new tasks, and what is at work may end.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn stop(self) -> Result<(), WorkerError> {
        // If it has ended already, it says why.
        self.stop.send(()).ok();
        joined(self.task).await
    }
}

async fn joined(task: JoinHandle<Result<(), WorkerError>>) -> Result<(), WorkerError> {
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Ok(()),
        },
    }
}
