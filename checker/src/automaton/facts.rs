//! What events say, as far as the rules ask: one shape for all of them, each field where an event has it.
//! Knows nothing of rules.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The data of an event.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Facts {
    pub(crate) run_id: Option<String>,
    pub(crate) parent_run_id: Option<String>,
    /// The child is a handler, or a handler ended.
    pub(crate) handler: Option<String>,
    pub(crate) workflow: Option<String>,
    /// The place of a step within its run.
    pub(crate) step: Option<u64>,
    pub(crate) step_id: Option<String>,
    /// Why a step was skipped.
    pub(crate) why: Option<String>,
    pub(crate) task_id: Option<String>,
    pub(crate) dependencies: Vec<String>,
    pub(crate) dependency: Option<String>,
    pub(crate) component_id: Option<String>,
    pub(crate) slots: Option<u64>,
    pub(crate) token: Option<u64>,
    pub(crate) lost: bool,
    pub(crate) attempts: Option<u64>,
    pub(crate) error: Option<Error>,
    pub(crate) deadline: Option<String>,
    pub(crate) retry_at: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) schedule: Option<String>,
    pub(crate) instant: Option<String>,
    pub(crate) manual: bool,
    pub(crate) work: Option<String>,
    pub(crate) config: Option<Box<RawValue>>,
}

/// Why something failed.
#[derive(Deserialize)]
pub(crate) struct Error {
    pub(crate) code: String,
}

/// The settings of a cluster, as far as they limit.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Settings {
    pub(crate) max_concurrent_tasks: Option<u64>,
    pub(crate) max_concurrent_workflows: Option<u64>,
}

/// Whether the rules know events of this name; users' own have other first words.
pub(crate) fn concerns(kind: &str) -> bool {
    let family = kind.split('.').next().unwrap_or(kind);
    matches!(family, "workflow" | "step" | "task" | "component" | "schedule" | "error" | "deadlock")
        || kind == "cluster.configured"
}

impl Facts {
    /// The settings of the cluster from now on.
    pub(crate) fn settings(&self, kind: &str) -> Option<Settings> {
        let config = self.config.as_ref().filter(|_| kind == "cluster.configured")?;
        serde_json::from_str(config.get()).ok()
    }

    /// The run and the step's place in it.
    pub(crate) fn step(&self) -> Option<(&str, u64)> {
        Some((self.run_id.as_deref()?, self.step?))
    }

    /// The task that an event is about; a step's task is named after its run and its place.
    pub(crate) fn task(&self) -> Option<String> {
        if let Some(task) = &self.task_id {
            return Some(task.clone());
        }
        let (run, step) = self.step()?;
        let run = run.strip_prefix("run_").unwrap_or(run);
        Some(format!("task_{run}-{step}"))
    }
}

/// How something ended, by the last word of an event's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    Skipped,
    Other,
}

/// The end of a run, step or task that an event of this name tells.
pub(crate) fn ending(kind: &str) -> Option<Ending> {
    let (family, word) = kind.split_once('.')?;
    match (family, word) {
        ("workflow", "completed" | "childCompleted") | ("step" | "task", "completed") => {
            Some(Ending::Completed)
        }
        ("step", "skipped") => Some(Ending::Skipped),
        ("workflow", "childFailed" | "childCancelled" | "childTimedOut") => Some(Ending::Other),
        ("workflow" | "step" | "task", "failed" | "cancelled" | "timedOut") => Some(Ending::Other),
        _ => None,
    }
}
