//! Waiting for the end of a run, and what it came to.
//! Knows nothing of how runs are started or steered.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::http::Call;
use crate::runs::Start;
use crate::wire::{RunStatus, RunView, StartQuery, StepView, WaitQuery, paths};
use crate::{Client, Error, backoff};

/// How long a node is asked to wait at a time.
const POLL: Duration = Duration::from_secs(20);

pub(crate) type BoxedCall<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A wait for a run's end.
#[derive(Debug)]
#[must_use = "nothing is asked before it is awaited"]
pub struct RunWait {
    pub(crate) client: Client,
    pub(crate) of: WaitOf,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug)]
pub(crate) enum WaitOf {
    /// A run that exists.
    Run(String),
    /// One that is to be started first.
    Start(Box<Start>),
}

impl RunWait {
    /// Gives up with [`Error::DeadlineExceeded`] after so long; without it, it waits as long as nodes answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl IntoFuture for RunWait {
    type Output = Result<RunResult, Error>;
    type IntoFuture = BoxedCall<RunResult>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let begun = Instant::now();
            let id = match self.of {
                WaitOf::Run(id) => id,
                WaitOf::Start(start) => {
                    let wait = self.timeout.map_or(POLL, |timeout| timeout.min(POLL));
                    let query = StartQuery { wait: Some(millis(wait)) };
                    let view: RunView = self.client.call(start.call()?.query(&query).patience(wait)).await?;
                    if view.status.is_terminal() {
                        return Ok(RunResult { view });
                    }
                    view.id
                }
            };
            let path = paths::fill(paths::RUN_WAIT, &id);
            let ended = |view: &RunView| view.status.is_terminal();
            wait_until(&self.client, &path, (begun, self.timeout), ended).await.map(|view| RunResult { view })
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Asks `path` again and again until `ended`, at most for `timeout` from when it was begun.
pub(crate) async fn wait_until<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    (begun, timeout): (Instant, Option<Duration>),
    ended: impl Fn(&T) -> bool,
) -> Result<T, Error> {
    let mut attempts = 0;
    loop {
        let remaining = timeout.map_or(POLL, |timeout| timeout.saturating_sub(begun.elapsed()).min(POLL));
        let query = WaitQuery { timeout: Some(millis(remaining)) };
        let asked = Instant::now();
        let view: T = client.call(Call::get(path).query(&query).patience(remaining)).await?;
        attempts += 1;
        match timeout {
            _ if ended(&view) => return Ok(view),
            Some(timeout) if begun.elapsed() >= timeout => {
                return Err(Error::DeadlineExceeded { timeout, attempts, executed: None, last: None });
            }
            // A node that answers too early, for instance because it stops, is not asked in a tight loop.
            _ if asked.elapsed() < remaining => tokio::time::sleep(backoff::pause(0)).await,
            _ => {}
        }
    }
}

/// A run that ended.
#[derive(Clone, Debug)]
pub struct RunResult {
    view: RunView,
}

impl RunResult {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> &RunStatus {
        &self.view.status
    }

    /// Its steps, in the definition's order.
    #[must_use]
    pub fn steps(&self) -> &[StepView] {
        &self.view.steps
    }

    /// Everything about it.
    #[must_use]
    pub fn view(&self) -> &RunView {
        &self.view
    }

    /// Reads its outputs as a type of yours; none are `null`.
    ///
    /// # Errors
    /// [`Error::NotCompleted`] unless it completed, [`Error::Decode`] when the outputs have another shape.
    pub fn output<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let view = &self.view;
        if view.status != RunStatus::Completed {
            let (id, status, error) = (view.id.clone(), view.status.to_string(), view.error.clone());
            return Err(Error::NotCompleted { id, status, error });
        }
        serde_json::from_str(view.outputs.as_deref().map_or("null", |raw| raw.get())).map_err(Error::Decode)
    }
}
