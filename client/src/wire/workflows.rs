//! Workflows kept by name, as requests and answers.
//! Knows nothing of what a definition says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Raw, Timestamp};

/// The answer to `POST /workflows` and `PUT /workflows/{name}`: 201 for a new version, 200 if it was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowApplied {
    /// The workflow's word.
    pub name: String,
    /// The version that says this.
    pub version: u64,
    /// The call made the version.
    pub created: bool,
    /// The hash of what it says.
    pub digest: String,
    /// What works but may not be meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `GET /workflows/{name}` and an item of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    /// The workflow's word.
    pub name: String,
    /// Its name as written.
    #[serde(default)]
    pub title: String,
    /// The latest version.
    pub version: u64,
    /// The hash of what that says.
    pub digest: String,
    /// It starts no new runs by name, schedule or hook.
    pub paused: bool,
    /// How many steps it has.
    #[serde(default)]
    pub steps: u32,
    /// When its first version was applied.
    pub created_at: Timestamp,
    /// When its latest version was applied.
    pub applied_at: Timestamp,
    /// The log index of its last change.
    #[serde(default)]
    pub rev: u64,
    /// The paths of its hooks; not in lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// What the latest version says; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Raw>,
}

/// `GET /workflows/{name}/versions/{version}` and an item of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowVersionView {
    /// Its number, from 1.
    pub version: u64,
    /// The hash of what it says.
    pub digest: String,
    /// When it was applied.
    pub created_at: Timestamp,
    /// The log index of its command.
    #[serde(default)]
    pub rev: u64,
    /// What it says; not in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Raw>,
}

/// `GET /workflows/{name}/versions/{version}/diff/{other}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDiff {
    /// The workflow's word.
    pub name: String,
    /// The version before.
    pub from: u64,
    /// The version after.
    pub to: u64,
    /// Both say the same.
    pub same: bool,
    /// The lines that differ, as a unified diff of YAML with sorted fields.
    pub diff: String,
}

/// `GET /workflows/{name}/graph`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowGraph {
    /// The workflow's word.
    pub name: String,
    /// Which version.
    pub version: u64,
    /// The steps in the order of the file.
    pub nodes: Vec<WorkflowStep>,
    /// The steps of `onFailure`, `onCancel` and `finally`, by that word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub handlers: BTreeMap<String, Vec<WorkflowStep>>,
}

/// A step of a [`WorkflowGraph`] and what is inside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowStep {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `task`, `condition`, `parallel`, `delay`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The ids of the steps that must have ended before.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What a `foreach` does with each item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<WorkflowStep>,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compensate: Vec<WorkflowStep>,
}
