//! Tasks and the results of their attempts as requests and answers.
//! Knows neither how tasks are assigned nor when one is retried.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ErrorBody, Millis, Priority, Raw, Timestamp, WaitingFor, When};

open_enum! {
    /// Where a task stands.
    TaskStatus {
        /// A dependency is not completed, or its time has not come.
        Blocked => "blocked",
        /// It waits for a component.
        Queued => "queued",
        /// A component works on it.
        Running => "running",
        /// Between attempts.
        Retrying => "retrying",
        /// Terminal: done.
        Completed => "completed",
        /// Terminal: failed.
        Failed => "failed",
        /// Terminal: somebody cancelled it.
        Cancelled => "cancelled",
        /// Terminal: it took too long.
        TimedOut => "timed_out",
    }
}

impl TaskStatus {
    /// Whether nothing changes any more.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }
}

/// A task to schedule.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScheduleTask {
    /// A name for people.
    pub name: String,
    /// What a component must offer; without one the task is an `echo`. The seed calls it `type`.
    #[serde(default, alias = "type", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What the handler gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// Ids of tasks that must complete first; in a batch also the `ref` of another member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// How long an attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
    /// How long it may wait for a component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Millis>,
    /// When and how often to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Labels that a component must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// In a batch: the name by which other members depend on this one.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// It does not start before: a time, or how long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<When>,
    /// How long it may take from its creation to its end, over all attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_timeout: Option<Millis>,
    /// How long an attempt may go without a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Millis>,
}

/// When and how often to try again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// How many attempts in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The pause before the second attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Millis>,
    /// The factor by which the pause grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<f64>,
    /// The longest pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Millis>,
    /// Whether pauses are spread at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<bool>,
    /// Codes that are final.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable: Vec<String>,
    /// How many attempts may be lost with their component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lost: Option<u32>,
    /// Codes that are tried again; without any, all are but those of `nonRetryable`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
}

/// `POST /tasks`: one task or a list of them.
#[derive(Clone, Debug)]
pub enum ScheduleTasks {
    /// An object: one task.
    One(Box<ScheduleTask>),
    /// A list: all or none.
    Batch(Vec<ScheduleTask>),
}

impl Serialize for ScheduleTasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(task) => task.serialize(serializer),
            Self::Batch(tasks) => tasks.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ScheduleTasks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrBatch)
    }
}

/// Serde's untagged enums buffer what they read, which raw JSON does not survive; this decides by the first byte.
struct OneOrBatch;

impl<'de> Visitor<'de> for OneOrBatch {
    type Value = ScheduleTasks;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a task or a list of tasks")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ScheduleTasks, A::Error> {
        ScheduleTask::deserialize(MapAccessDeserializer::new(map))
            .map(|task| ScheduleTasks::One(Box::new(task)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ScheduleTasks, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(ScheduleTasks::Batch)
    }
}

/// The answer to `POST /tasks` with an object (201).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskScheduled {
    /// The task's id.
    pub task_id: String,
    /// Where it stands.
    pub status: TaskStatus,
}

/// The answer to `POST /tasks` with a list (201): in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TasksScheduled {
    /// The tasks.
    pub tasks: Vec<TaskScheduled>,
}

/// The answer to `POST /tasks/{id}/cancel|complete|fail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskChanged {
    /// The task's id.
    pub id: String,
    /// Where it stands now.
    pub status: TaskStatus,
}

/// `GET /tasks/{id}`; in a list without `payload` and `output`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// The task's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What a component must offer.
    pub action: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// What the handler gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Raw>,
    /// What the handler gave, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Raw>,
    /// Why it failed, or why its last attempt did.
    #[serde(default)]
    pub error: Option<ErrorBody>,
    /// How many attempts were begun.
    #[serde(default)]
    pub attempts: u32,
    /// How many of them were lost with their component.
    #[serde(default)]
    pub lost: u32,
    /// The component that works on it, or did last.
    #[serde(default)]
    pub component: Option<String>,
    /// The fencing token of the running attempt.
    #[serde(default)]
    pub token: Option<u64>,
    /// Why it does not go on.
    #[serde(default)]
    pub waiting_for: Option<WaitingFor>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its first attempt began.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it became terminal.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// Ids of tasks that must complete first.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// The run it belongs to.
    #[serde(default)]
    pub run_id: Option<String>,
    /// The step it belongs to.
    #[serde(default)]
    pub step_id: Option<String>,
    /// Labels that a component must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// It does not start before.
    #[serde(default)]
    pub run_at: Option<Timestamp>,
    /// Its latest attempts that have ended, oldest first; not in lists.
    #[serde(default)]
    pub history: Vec<AttemptView>,
    /// The task of the dead-letter list that it took the place of.
    #[serde(default)]
    pub requeued_from: Option<String>,
    /// Since when it is on the dead-letter list.
    #[serde(default)]
    pub dead_at: Option<Timestamp>,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// The component that worked on it.
    pub component: String,
    /// Its fencing token.
    pub token: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it failed; absent if it completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    /// Whether its component went away.
    #[serde(default)]
    pub lost: bool,
}

/// `POST /tasks/{id}/complete`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CompleteAttempt {
    /// The attempt's fencing token.
    pub token: u64,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Raw>,
}

/// `POST /tasks/{id}/fail`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FailAttempt {
    /// The attempt's fencing token.
    pub token: u64,
    /// Why.
    pub error: ErrorBody,
    /// When the component wants it tried again, instead of the task's own pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Millis>,
}

/// `POST /tasks/{id}/heartbeat`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AttemptHeartbeat {
    /// The attempt's fencing token.
    pub token: u64,
    /// How far it is; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Raw>,
}

/// The answer to `POST /tasks/{id}/heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptPulse {
    /// Whether the attempt should stop.
    pub cancel_requested: bool,
    /// Until when it may take.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_or_a_batch_is_told_apart_and_payloads_stay_raw() {
        let one = r#"{"name":"a","type":"x","payload":{"n" : 1.50}}"#;
        let Ok(ScheduleTasks::One(task)) = serde_json::from_str(one) else { panic!("an object is one task") };
        assert_eq!(task.action.as_deref(), Some("x"));
        assert_eq!(task.payload.as_deref().map(serde_json::value::RawValue::get), Some(r#"{"n" : 1.50}"#));

        let batch = r#"[{"name":"a","ref":"first"},{"name":"b","payload":[ 1 ],"dependencies":["first"]}]"#;
        let Ok(ScheduleTasks::Batch(tasks)) = serde_json::from_str(batch) else {
            panic!("a list is a batch")
        };
        assert_eq!(serde_json::to_string(&ScheduleTasks::Batch(tasks)).expect("writes"), batch);

        let wrong =
            serde_json::from_str::<ScheduleTasks>(r#"{"name":"a","typ":"x"}"#).expect_err("unknown field");
        assert!(wrong.to_string().contains("unknown field `typ`"), "{wrong}");
    }
}
