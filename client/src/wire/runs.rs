//! Runs and their steps as requests and answers.
//! Knows neither what a definition says nor which change of status is legal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    AttemptView, ErrorBody, HandlerView, ItemCounts, OriginView, ParentView, Priority, Raw, Timestamp,
    WaitingFor,
};

open_enum! {
    /// Where a run stands.
    RunStatus {
        /// A limit is reached.
        Queued => "queued",
        /// At work.
        Running => "running",
        /// Somebody paused it.
        Paused => "paused",
        /// Nothing runs: a timer, a signal or an approval is awaited.
        Waiting => "waiting",
        /// Its running attempts wind down.
        Cancelling => "cancelling",
        /// Terminal: done.
        Completed => "completed",
        /// Terminal: a step failed.
        Failed => "failed",
        /// Terminal: somebody cancelled it.
        Cancelled => "cancelled",
        /// Terminal: it took too long.
        TimedOut => "timed_out",
    }
}

impl RunStatus {
    /// Whether nothing changes any more.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

open_enum! {
    /// Where a step stands.
    StepStatus {
        /// Its needs are not met.
        Pending => "pending",
        /// It may start.
        Ready => "ready",
        /// An expression of it is being evaluated.
        Evaluating => "evaluating",
        /// At work.
        Running => "running",
        /// A timer, a signal or an approval is awaited.
        Waiting => "waiting",
        /// Between attempts.
        Retrying => "retrying",
        /// Terminal: done.
        Completed => "completed",
        /// Terminal: failed.
        Failed => "failed",
        /// Terminal: it was never its turn.
        Skipped => "skipped",
        /// Terminal: cancelled.
        Cancelled => "cancelled",
        /// Terminal: it took too long.
        TimedOut => "timed_out",
    }
}

impl StepStatus {
    /// Whether nothing changes any more.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled | Self::TimedOut)
    }
}

/// `POST /runs`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StartRun {
    /// The workflow itself: name, steps, limits; or `workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Raw>,
    /// A workflow that is kept by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// A version of it other than the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The run's inputs, an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Raw>,
    /// Labels to find it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Who starts it: `api` (the default) or `cli`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// A word of your own: while a run of the workflow with this word lives, it is the answer and nothing is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<String>,
    /// The name of its concurrency group, instead of what the workflow's `concurrency.group` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
}

/// The answer to `POST /runs`, `POST /runs/{id}/retry|rerun`: 201, or 200 where a run with the word lived already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunStarted {
    /// The run's id.
    pub run_id: String,
    /// The same id, by the seed's name.
    pub workflow_id: String,
    /// Where it stands.
    pub status: RunStatus,
    /// A run with the same `dedupe` word lived already: it is this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deduplicated: bool,
    /// The earlier run it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginView>,
}

impl RunStarted {
    /// A run that was started now, and repeats no other.
    pub fn of(id: String, status: RunStatus) -> RunStarted {
        RunStarted { run_id: id.clone(), workflow_id: id, status, deduplicated: false, origin: None }
    }
}

/// `POST /runs/{id}/cancel|pause|resume` and `POST /tasks/{id}/cancel`; an empty body is one without a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The answer to `POST /runs/{id}/cancel|pause|resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunChanged {
    /// The run's id.
    pub id: String,
    /// Where it stands now.
    pub status: RunStatus,
}

/// `GET /runs/{id}`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended beyond its status, such as `gated`.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// Its inputs.
    #[serde(default)]
    pub inputs: Option<Raw>,
    /// Its outputs, once completed.
    #[serde(default)]
    pub outputs: Option<Raw>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<ErrorBody>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Labels to find it by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it left the queue.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// From start to end, or until now.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Why it does not go on.
    #[serde(default)]
    pub waiting_for: Option<WaitingFor>,
    /// The log index of its last change.
    #[serde(default)]
    pub rev: u64,
    /// The word and version of the workflow it is a run of, such as `train@3`; none if the definition came with the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_version: Option<String>,
    /// Who started it: `api`, `cli`, `cron`, `webhook`, ...
    #[serde(default)]
    pub started_by: String,
    /// What set it off, as its expressions see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Raw>,
    /// Its steps, in the definition's order.
    #[serde(default)]
    pub steps: Vec<StepView>,
    /// Whose child it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentView>,
    /// The earlier run it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginView>,
    /// Handlers it has started, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<HandlerView>,
    /// How many signals no step has taken yet.
    #[serde(default)]
    pub signals: usize,
    /// Its concurrency group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The word that keeps a second run from being started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<String>,
}

/// A step of a [`RunView`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its id within the run.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `task`, `condition`, `parallel`, `delay`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Its output, once completed.
    #[serde(default)]
    pub output: Option<Raw>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<ErrorBody>,
    /// How many attempts were begun.
    #[serde(default)]
    pub attempts: u32,
    /// The component that works on it, or did last.
    #[serde(default)]
    pub component: Option<String>,
    /// When its first attempt began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// From start to end, or until now.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// Why it does not go on.
    #[serde(default)]
    pub waiting_for: Option<WaitingFor>,
    /// What its condition decided.
    #[serde(default)]
    pub decision: Option<bool>,
    /// What the component said last about how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Raw>,
    /// How far a `foreach` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
    /// The run that does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_run_id: Option<String>,
    /// The run whose output it took over, by its `cache`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<String>,
    /// The name of the signal it awaits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The type of the event it awaits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The id of the approval it awaits: `POST /approvals/{id}/approve`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
    /// What those who decide are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Raw>,
    /// Its latest attempts that have ended, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<AttemptView>,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended beyond its status.
    #[serde(default)]
    pub conclusion: Option<String>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Labels to find it by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many steps it has.
    #[serde(default)]
    pub steps_total: u32,
    /// How many of them are terminal.
    #[serde(default)]
    pub steps_done: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it left the queue.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// From start to end, or until now.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// The log index of its last change.
    #[serde(default)]
    pub rev: u64,
    /// The word and version of the workflow it is a run of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_version: Option<String>,
    /// Who started it: `api`, `cli`, `cron`, `webhook`, ...
    #[serde(default)]
    pub started_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_carried_byte_by_byte_and_unknown_fields_are_refused() {
        let body = r#"{"definition":{"name" : "a",  "n":1.0},"priority":"HIGH"}"#;
        let start: StartRun = serde_json::from_str(body).expect("reads");
        assert_eq!(start.definition.as_ref().expect("it is there").get(), r#"{"name" : "a",  "n":1.0}"#);
        assert_eq!(start.priority, Some(Priority::High));
        let written = serde_json::to_string(&start).expect("writes");
        assert_eq!(written, r#"{"definition":{"name" : "a",  "n":1.0},"priority":3}"#);
        assert!(serde_json::from_str::<StartRun>(r#"{"definition":{},"input":{}}"#).is_err());
    }

    #[test]
    fn an_unknown_status_is_kept() {
        let status: RunStatus = serde_json::from_str("\"hibernating\"").expect("reads");
        assert_eq!(status, RunStatus::Unknown("hibernating".into()));
        assert!(!status.is_terminal());
        assert_eq!(serde_json::to_string(&RunStatus::TimedOut).ok().as_deref(), Some("\"timed_out\""));
    }
}
