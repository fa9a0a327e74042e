//! Runs: to start, list, follow and steer them.
//! Knows nothing of what a definition says.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;

use crate::http::Call;
use crate::logs::{self, LogFollower};
use crate::run_wait::{RunWait, WaitOf};
use crate::wire::{
    self, Explanation, LogPage, LogsQuery, Page, Priority, Raw, Reason, RunChanged, RunStarted, RunStatus,
    RunSummary, RunView, RunsQuery, StartRun, paths,
};
use crate::{Client, Error};

/// What is to run.
#[derive(Debug)]
pub struct Workflow {
    what: What,
}

#[derive(Debug)]
enum What {
    Definition(Result<Raw, serde_json::Error>),
    Named(String, Option<u64>),
}

impl Workflow {
    /// A definition: an object with the workflow's name and steps.
    #[must_use]
    pub fn definition<D: Serialize>(definition: D) -> Self {
        Self { what: What::Definition(wire::raw(&definition)) }
    }

    /// The latest version of a workflow that is kept by name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { what: What::Named(name.into(), None) }
    }

    /// A certain version of a workflow that is kept by name.
    #[must_use]
    pub fn version(name: impl Into<String>, version: u64) -> Self {
        Self { what: What::Named(name.into(), Some(version)) }
    }
}

/// Calls about runs: [`Client::runs`].
#[derive(Clone, Debug)]
pub struct Runs {
    client: Client,
}

impl Runs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Begins to start a run.
    pub fn start(&self, workflow: Workflow) -> Start {
        Start {
            client: self.client.clone(),
            workflow,
            inputs: BTreeMap::new(),
            labels: BTreeMap::new(),
            priority: None,
            key: None,
            started_by: None,
            dedupe: None,
            concurrency_key: None,
        }
    }

    /// A run that exists, by its id.
    #[must_use]
    pub fn handle(&self, id: impl Into<String>) -> RunHandle {
        RunHandle { client: self.client.clone(), id: id.into() }
    }

    /// The run as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, id: &str) -> Result<RunView, Error> {
        self.client.call(Call::get(paths::fill(paths::RUN, id))).await
    }

    /// Why the run waits, or how it came to its end.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn explain(&self, id: &str) -> Result<Explanation, Error> {
        self.client.call(Call::get(paths::fill(paths::RUN_EXPLAIN, id))).await
    }

    /// A page of runs.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &RunsQuery) -> Result<Page<RunSummary>, Error> {
        self.client.call(Call::get(paths::RUNS).query(query)).await
    }
}

/// A run about to start.
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Start {
    client: Client,
    workflow: Workflow,
    inputs: BTreeMap<String, Result<Raw, serde_json::Error>>,
    labels: BTreeMap<String, String>,
    priority: Option<Priority>,
    key: Option<String>,
    started_by: Option<String>,
    dedupe: Option<String>,
    concurrency_key: Option<String>,
}

impl Start {
    /// Gives the run an input.
    pub fn input<V: Serialize>(mut self, name: impl Into<String>, value: V) -> Self {
        self.inputs.insert(name.into(), wire::raw(&value));
        self
    }

    /// Gives the run a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// How urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Says who starts it: `api` (the default) or `cli`.
    pub fn started_by(mut self, who: impl Into<String>) -> Self {
        self.started_by = Some(who.into());
        self
    }

    /// A key of your own: the same key and run start only once, whoever asks how often.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A word of your own: while a run of the workflow with this word lives, it is the answer and nothing is started.
    pub fn dedupe(mut self, word: impl Into<String>) -> Self {
        self.dedupe = Some(word.into());
        self
    }

    /// The name of the run's concurrency group, instead of what the workflow says.
    pub fn concurrency_key(mut self, name: impl Into<String>) -> Self {
        self.concurrency_key = Some(name.into());
        self
    }

    /// Starts the run.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn send(self) -> Result<RunHandle, Error> {
        Ok(self.send_told().await?.0)
    }

    /// As [`Self::send`], with what the cluster said of it: whether a run with the same `dedupe` word lived already.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn send_told(self) -> Result<(RunHandle, RunStarted), Error> {
        let client = self.client.clone();
        let started: RunStarted = client.call(self.call()?).await?;
        Ok((RunHandle { client, id: started.run_id.clone() }, started))
    }

    /// Starts the run and waits until it is terminal, in one call if that takes less than 20 s:
    /// `orc.runs().start(workflow).wait().timeout(limit).await?`.
    pub fn wait(self) -> RunWait {
        RunWait { client: self.client.clone(), of: WaitOf::Start(Box::new(self)), timeout: None }
    }

    pub(crate) fn call(self) -> Result<Call, Error> {
        let (definition, workflow, version) = match self.workflow.what {
            What::Definition(definition) => {
                let definition = definition.map_err(|error| Error::no_json_form("the definition", &error))?;
                (Some(definition), None, None)
            }
            What::Named(name, version) => (None, Some(name), version),
        };
        let mut inputs = BTreeMap::new();
        for (name, value) in self.inputs {
            let value = value.map_err(|error| Error::no_json_form(&format!("input {name}"), &error))?;
            inputs.insert(name, value);
        }
        let inputs = match inputs.is_empty() {
            true => None,
            false => Some(wire::raw(&inputs).map_err(|error| Error::no_json_form("the inputs", &error))?),
        };
        let body = StartRun {
            definition,
            workflow,
            version,
            inputs,
            labels: self.labels,
            priority: self.priority,
            started_by: self.started_by,
            dedupe: self.dedupe,
            concurrency_key: self.concurrency_key,
        };
        Ok(Call::post(paths::RUNS, &body)?.key(self.key))
    }
}

/// A run that exists.
#[derive(Clone, Debug)]
pub struct RunHandle {
    pub(crate) client: Client,
    pub(crate) id: String,
}

impl RunHandle {
    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The run as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self) -> Result<RunView, Error> {
        self.client.runs().get(&self.id).await
    }

    /// A page of what its tasks logged, on all nodes.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn logs(&self, query: &LogsQuery) -> Result<LogPage, Error> {
        logs::page(&self.client, paths::RUN_LOGS, &self.id, query).await
    }

    /// Follows what its tasks log, to the run's end.
    #[must_use]
    pub fn follow_logs(&self, query: &LogsQuery) -> LogFollower {
        logs::follow(self.client.clone(), paths::RUN_LOGS_STREAM, &self.id, query)
    }

    /// Waits until the run is terminal: `run.wait().timeout(limit).await?`.
    pub fn wait(&self) -> RunWait {
        RunWait { client: self.client.clone(), of: WaitOf::Run(self.id.clone()), timeout: None }
    }

    /// Cancels the run.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn cancel(&self, reason: Option<&str>) -> Result<RunStatus, Error> {
        self.steer(paths::RUN_CANCEL, reason).await
    }

    /// Pauses the run: it keeps its place and lets running attempts finish.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn pause(&self, reason: Option<&str>) -> Result<RunStatus, Error> {
        self.steer(paths::RUN_PAUSE, reason).await
    }

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn resume(&self, reason: Option<&str>) -> Result<RunStatus, Error> {
        self.steer(paths::RUN_RESUME, reason).await
    }

    /// Deletes the run for good; it has to have ended.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn delete(&self) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::DELETE, paths::fill(paths::RUN, &self.id))).await
    }

    /// Ends the run and its children at once, without grace or handlers.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn terminate(&self, reason: Option<&str>) -> Result<RunStatus, Error> {
        self.steer(paths::RUN_TERMINATE, reason).await
    }

    /// Gives the run a signal; it is kept until a step awaits it.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn signal<D: Serialize>(&self, name: &str, data: &D) -> Result<RunStatus, Error> {
        let path = paths::fill(&paths::fill(paths::RUN_SIGNAL, &self.id), name);
        let changed: RunChanged = self.client.call(Call::post(path, data)?).await?;
        Ok(changed.status)
    }

    async fn steer(&self, template: &str, reason: Option<&str>) -> Result<RunStatus, Error> {
        let body = Reason { reason: reason.map(str::to_owned) };
        let changed: RunChanged =
            self.client.call(Call::post(paths::fill(template, &self.id), &body)?).await?;
        Ok(changed.status)
    }
}
