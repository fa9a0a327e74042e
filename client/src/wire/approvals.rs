//! Approvals: steps that wait until somebody decides, over all runs.
//! Knows nothing of who may decide.

use serde::{Deserialize, Serialize};

use super::{Raw, RunStatus, Timestamp};

/// An item of `GET /approvals`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalView {
    /// `appr_` and the run's 26 characters, then the step's place.
    pub id: String,
    /// The run that waits.
    pub run_id: String,
    /// Its workflow's name.
    pub workflow: String,
    /// The id of the step that waits.
    pub step: String,
    /// The step's name.
    pub step_name: String,
    /// What those who decide are shown: `prompt`, and `form` as a JSON schema.
    pub request: Raw,
    /// Who may decide; empty: anybody.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// Since when it waits.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// `POST /approvals/{id}/approve|reject`; an empty body decides without more words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Who decides; else the header `Orc-User` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What the form asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
}

/// The answer to `POST /approvals/{id}/approve|reject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// The approval's id.
    pub id: String,
    /// Yes or no.
    pub approved: bool,
    /// Who said so.
    pub by: String,
    /// The run that waited.
    pub run_id: String,
    /// Where it stands now.
    pub status: RunStatus,
}
