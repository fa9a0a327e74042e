//! Batches: one action on every run that a filter finds, in the background.
//! Knows nothing of how they are carried out.

use serde::{Deserialize, Serialize};

use super::{RunFilter, Timestamp};

open_enum! {
    /// What a batch does to each run.
    BatchAction {
        /// As `POST /runs/{id}/cancel`.
        Cancel => "cancel",
        /// As `POST /runs/{id}/terminate`.
        Terminate => "terminate",
        /// As `POST /runs/{id}/pause`.
        Pause => "pause",
        /// As `POST /runs/{id}/resume`.
        Resume => "resume",
        /// As `POST /runs/{id}/retry`.
        Retry => "retry",
        /// As `DELETE /runs/{id}`.
        Delete => "delete",
    }
}

open_enum! {
    /// Where a batch stands.
    BatchStatus {
        /// At work.
        Running => "running",
        /// Every run was asked.
        Completed => "completed",
        /// Somebody cancelled it: what was done stays done.
        Cancelled => "cancelled",
    }
}

/// `POST /batches`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StartBatch {
    /// What is done.
    pub action: BatchAction,
    /// To which runs: at least one filter.
    pub filter: RunFilter,
    /// Only says how many runs match.
    #[serde(default)]
    pub dry_run: bool,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `POST /batches`: 202, or 200 to a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchStarted {
    /// The batch's id; none of a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How many runs the filter finds that the action makes sense for.
    pub matched: u64,
    /// There are more than one batch takes: start another one when this one has ended.
    #[serde(default)]
    pub more: bool,
}

/// `GET /batches/{id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// The batch's id.
    pub id: String,
    /// What it does.
    pub action: BatchAction,
    /// Where it stands.
    pub status: BatchStatus,
    /// Which runs it is about.
    pub filter: RunFilter,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many runs it is about.
    pub matched: u64,
    /// How many of them were changed.
    pub changed: u64,
    /// How many the rules refused: they had moved on by then.
    pub refused: u64,
    /// How many could not be asked.
    pub failed: u64,
    /// The last refusal or failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}
