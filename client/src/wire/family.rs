//! What ties runs together, as bodies: parents and children, items of a `foreach`, handlers, repeated runs, the graph.
//! Knows nothing of when a child starts.

use serde::{Deserialize, Serialize};

use super::{ErrorBody, Raw, RunSummary, StepStatus};

/// Whose child a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentView {
    /// The parent.
    pub run_id: String,
    /// Which part of the parent it is.
    #[serde(flatten)]
    pub role: RoleView,
}

/// What a child is to its parent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleView {
    /// The id of the parent's step that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Which item of the step it is for, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Which handler it is: `onFailure`, `onCancel`, `finally`, `compensate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
}

/// The earlier run that a run repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginView {
    /// The earlier run.
    pub run_id: String,
    /// `retry`, `rerun` or, where a step started it without waiting, `detached`.
    pub how: String,
}

/// A handler that a run has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandlerView {
    /// `onFailure`, `onCancel`, `finally` or `compensate`.
    pub kind: String,
    /// The step that it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The run that does it.
    pub run_id: String,
}

/// How far a `foreach` step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCounts {
    /// Items in all.
    pub total: u32,
    /// At work.
    pub running: u32,
    /// Ended, well or badly.
    pub ended: u32,
    /// Ended badly.
    pub failed: u32,
}

/// An item of `GET /runs/{id}/steps/{step}/items`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    /// Its place, from 0.
    pub index: u32,
    /// Where it stands.
    pub status: StepStatus,
    /// What it is known by, where the step says `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its value.
    pub value: Raw,
    /// What it yielded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Raw>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// The run that works on it; none where it has not begun, or was taken over from an earlier run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// An item of `GET /runs/{id}/children`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildView {
    /// The child itself.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Which part of the parent it is.
    #[serde(flatten)]
    pub role: RoleView,
}

/// `POST /runs/{id}/retry`; an empty body is one with the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryRun {
    /// Takes over what completed (the default); `false` starts everything anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_only: Option<bool>,
}

/// `POST /runs/{id}/rerun`; an empty body repeats the whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RerunRun {
    /// The step to begin with, or one item of it: `evaluate[7]`. What came before is taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_step: Option<String>,
    /// Inputs that replace those of the same names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Raw>,
    /// What the component gets for `fromStep`, a task, instead of its `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_input: Option<Raw>,
}

/// `GET /runs/{id}/graph`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunGraph {
    /// The steps.
    pub nodes: Vec<GraphNode>,
    /// What needs what.
    pub edges: Vec<GraphEdge>,
}

/// A step of a [`RunGraph`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphNode {
    /// The step's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `task`, `condition`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
}

/// `to` needs `from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphEdge {
    /// A step's id.
    pub from: String,
    /// A step's id.
    pub to: String,
}
