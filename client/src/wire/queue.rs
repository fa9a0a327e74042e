//! What waits, what gave up and why: backlogs, the dead-letter list, explanations.
//! Knows nothing of how tasks are assigned.

use serde::{Deserialize, Serialize};

use super::{AttemptView, ErrorBody, Priority, TaskStatus, Timestamp, WaitingFor};

/// `PATCH /tasks/{id}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeTask {
    /// How urgent it is from now on.
    pub priority: Priority,
}

/// What waits and runs of one action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionBacklog {
    /// The action.
    pub action: String,
    /// Tasks that wait for a component.
    pub queued: u32,
    /// Those of them whose run is paused.
    pub held: u32,
    /// Attempts that run.
    pub running: u32,
    /// Tasks that wait for others, or for their time.
    pub blocked: u32,
    /// Tasks between two attempts.
    pub retrying: u32,
    /// Whether its tasks are not assigned.
    pub paused: bool,
    /// Since when the longest waiting task waits; those of paused runs are left out.
    #[serde(default)]
    pub oldest_at: Option<Timestamp>,
    /// How long that is.
    #[serde(default)]
    pub oldest_age_ms: Option<u64>,
    /// Free slots of components that offer it.
    pub free_slots: u32,
}

/// The answer to `POST /actions/{action}/pause|resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionChanged {
    /// The action.
    pub action: String,
    /// Whether its tasks are not assigned.
    pub paused: bool,
}

/// `POST /tasks/dead/requeue` and `POST /tasks/dead/drop`: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectDead {
    /// These tasks; each must be on the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Those of an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// All.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// A task in place of one of the dead-letter list; the answer to `POST /tasks/{id}/retry` (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRequeued {
    /// The new task's id.
    pub task_id: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// The task whose place it took.
    #[serde(default)]
    pub requeued_from: Option<String>,
}

/// The answer to `POST /tasks/dead/requeue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksRequeued {
    /// The new tasks, those of the oldest first.
    pub tasks: Vec<TaskRequeued>,
    /// How many that were meant are still on the list: one call takes a limited number.
    pub remaining: u64,
}

/// The answer to `POST /tasks/dead/drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksDropped {
    /// How many left the list.
    pub dropped: u64,
}

/// `GET /tasks/{id}/explain` and `GET /runs/{id}/explain`: why it waits, or how it came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The id of the task, the run or the step.
    pub id: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// Where it stands.
    pub status: String,
    /// The explanation in one sentence.
    pub summary: String,
    /// Why it does not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingFor>,
    /// Why it failed, or why its last attempt did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// What would let it go on, each in a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unblock: Vec<String>,
    /// Its latest attempts that have ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<AttemptView>,
    /// The tasks or steps that this is because of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Explanation>,
}
