//! Workflows kept by name: to apply, read, compare, pause and delete them.
//! Knows nothing of what a definition says.

use reqwest::Method;
use serde::Serialize;

use crate::http::Call;
use crate::wire::{
    GraphQuery, Page, WorkflowApplied, WorkflowDiff, WorkflowGraph, WorkflowVersionView, WorkflowView,
    WorkflowsQuery, headers, paths,
};
use crate::{Client, Error};

/// Calls about workflows: [`Client::workflows`].
#[derive(Clone, Debug)]
pub struct Workflows {
    client: Client,
}

impl Workflows {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Keeps a workflow by its name, or a new version of it; `version` is the one it must stand at, 0 if there must be none.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn apply<D: Serialize>(
        &self,
        definition: &D,
        version: Option<u64>,
    ) -> Result<WorkflowApplied, Error> {
        let call = Call::post(paths::WORKFLOWS, definition)?;
        self.client
            .call(match version {
                None => call,
                Some(0) => call.header(headers::IF_NONE_MATCH, "*"),
                Some(version) => call.header(headers::IF_MATCH, headers::entity_tag(version)),
            })
            .await
    }

    /// The workflow as it is, with what its latest version says.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, name: &str) -> Result<WorkflowView, Error> {
        self.client.call(Call::get(paths::fill(paths::WORKFLOW, name))).await
    }

    /// A page of workflows, by name.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &WorkflowsQuery) -> Result<Page<WorkflowView>, Error> {
        self.client.call(Call::get(paths::WORKFLOWS).query(query)).await
    }

    /// A page of a workflow's versions, newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn versions(
        &self,
        name: &str,
        query: &WorkflowsQuery,
    ) -> Result<Page<WorkflowVersionView>, Error> {
        self.client.call(Call::get(paths::fill(paths::WORKFLOW_VERSIONS, name)).query(query)).await
    }

    /// One version with what it says.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn version(&self, name: &str, version: u64) -> Result<WorkflowVersionView, Error> {
        let path = paths::fill(paths::WORKFLOW_VERSION, name);
        self.client.call(Call::get(paths::fill(&path, &version.to_string()))).await
    }

    /// What a version says, as JSON; the latest if none is said.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn definition(&self, name: &str, version: Option<u64>) -> Result<String, Error> {
        let definition = match version {
            Some(version) => self.version(name, version).await?.definition,
            None => self.get(name).await?.definition,
        };
        Ok(definition.map_or_else(|| "null".to_owned(), |raw| raw.get().to_owned()))
    }

    /// What one version changes against another.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn diff(&self, name: &str, from: u64, to: u64) -> Result<WorkflowDiff, Error> {
        let path = paths::fill(&paths::fill(paths::WORKFLOW_DIFF, name), &from.to_string());
        self.client.call(Call::get(paths::fill(&path, &to.to_string()))).await
    }

    /// The graph of its steps; of its latest version if none is said.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn graph(&self, name: &str, version: Option<u64>) -> Result<WorkflowGraph, Error> {
        let query = GraphQuery { format: None, version };
        self.client.call(Call::get(paths::fill(paths::WORKFLOW_GRAPH, name)).query(&query)).await
    }

    /// Lets it start no new runs by name, schedule or hook.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn pause(&self, name: &str) -> Result<WorkflowView, Error> {
        self.client.call(Call::mutation(Method::POST, paths::fill(paths::WORKFLOW_PAUSE, name))).await
    }

    /// Lets it start runs again.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn resume(&self, name: &str) -> Result<WorkflowView, Error> {
        self.client.call(Call::mutation(Method::POST, paths::fill(paths::WORKFLOW_RESUME, name))).await
    }

    /// Forgets it with its versions and schedules; its runs go on.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::DELETE, paths::fill(paths::WORKFLOW, name))).await
    }
}
