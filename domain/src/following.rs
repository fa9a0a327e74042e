//! Events that lead to something by the leader's hand: runs that they start, steps that wait for them.
//! Knows nothing of which events those are; the hands follow the events and say what came of them.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{RunId, StepIx, Text},
    names::WorkflowName,
};

/// How far events were followed: each up to here has started what it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Followed {
    /// Number of the last event; the next one is of a later log record.
    pub seq: u64,
    /// Log index of that event.
    pub rev: u64,
}

/// What a step waits for that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventWait {
    /// The event's type, or a pattern.
    pub kind: Text,
    /// Number of the event that says so: only later ones count.
    pub since: u64,
}

/// A step that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedEvent {
    /// Which run.
    pub run: RunId,
    /// Which step.
    pub step: StepIx,
    /// For what.
    pub wait: EventWait,
}

/// Where the hands are with the events, and what they have to look out for beside the triggers of workflows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Following {
    /// How far the events were followed.
    pub followed: Followed,
    /// The last event there is.
    pub last: Followed,
    /// The steps that wait for an event.
    pub awaited: Vec<AwaitedEvent>,
}

/// Events that started no runs although a trigger has them do so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedStarts {
    /// Whose trigger.
    pub workflow: WorkflowName,
    /// Which trigger.
    pub trigger: Text,
    /// Number of the last of these events.
    pub seq: u64,
    /// How many.
    pub count: u32,
    /// Why.
    pub cause: NoStart,
    /// The same as a sentence.
    pub detail: Text,
}

impl SkippedStarts {
    /// Reports that one command may hold.
    pub const MAX: usize = 100;
}

/// Why an event did not start a run. Stored: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoStart {
    /// The workflow is paused.
    WorkflowPaused,
    /// The cluster has as many live runs as it may have.
    RunLimit,
    /// The concurrency group is full and refuses more.
    GroupBusy,
    /// The filter does not fit the event.
    FilterFailed,
    /// The run would come of too many others, each started by the one before.
    ChainTooLong,
    /// A run of the workflow led to the event.
    Circle,
    /// The run would not be legal.
    Refused,
}

impl NoStart {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            NoStart::WorkflowPaused => "workflowPaused",
            NoStart::RunLimit => "runLimit",
            NoStart::GroupBusy => "groupBusy",
            NoStart::FilterFailed => "filterFailed",
            NoStart::ChainTooLong => "chainTooLong",
            NoStart::Circle => "circle",
            NoStart::Refused => "refused",
        }
    }
}
