//! What a run has around it: its steps and items, its children, and the runs that repeat it.
//! Knows nothing of what is taken over from an earlier run.

use crate::http::Call;
use crate::wire::{
    ChildView, ItemView, ItemsQuery, Page, PageQuery, RerunRun, RetryRun, RunGraph, RunStarted, StepView,
    paths,
};
use crate::{Error, RunHandle};

impl RunHandle {
    /// Starts a new run that goes on from the steps that failed; this one must have ended without completing.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn retry(&self, asked: &RetryRun) -> Result<RunStarted, Error> {
        self.client.call(Call::post(paths::fill(paths::RUN_RETRY, &self.id), asked)?).await
    }

    /// Starts a new run that repeats this one, which must have ended, from its start or from a step.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn rerun(&self, asked: &RerunRun) -> Result<RunStarted, Error> {
        self.client.call(Call::post(paths::fill(paths::RUN_RERUN, &self.id), asked)?).await
    }

    /// A step of the run.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn step(&self, step: &str) -> Result<StepView, Error> {
        self.client.call(Call::get(self.of_step(paths::RUN_STEP, step))).await
    }

    /// A page of the items of a `foreach` step, in order.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn items(&self, step: &str, query: &ItemsQuery) -> Result<Page<ItemView>, Error> {
        self.client.call(Call::get(self.of_step(paths::RUN_ITEMS, step)).query(query)).await
    }

    /// A page of the runs that it has started, newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn children(&self, query: &PageQuery) -> Result<Page<ChildView>, Error> {
        self.client.call(Call::get(paths::fill(paths::RUN_CHILDREN, &self.id)).query(query)).await
    }

    /// Its steps as nodes and edges.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn graph(&self) -> Result<RunGraph, Error> {
        self.client.call(Call::get(paths::fill(paths::RUN_GRAPH, &self.id))).await
    }

    fn of_step(&self, template: &str, step: &str) -> String {
        paths::fill(&paths::fill(template, &self.id), step)
    }
}
