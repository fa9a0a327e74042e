//! A workflow kept by name: its latest version, and whether it starts runs.
//! Knows neither what its definitions say nor who starts runs of it.

use serde::{Deserialize, Serialize};

use crate::{
    following::SkippedStarts,
    ids::{DefinitionId, Json, Text, Timestamp},
    names::{ScheduleId, WorkflowName},
};

/// A workflow as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Identity.
    pub name: WorkflowName,
    /// Number of the latest version; the versions from 1 on are kept.
    pub version: u64,
    /// The latest version's definition; it stays in memory.
    pub definition: DefinitionId,
    /// It starts no new runs by name, schedule or hook.
    pub paused: bool,
    /// When its first version was applied.
    pub created_at: Timestamp,
    /// When its latest version was applied.
    pub applied_at: Timestamp,
    /// Log index of the last change.
    pub rev: u64,
}

impl Workflow {
    /// Workflows that a cluster keeps.
    pub const KEPT_MAX: u32 = 10_000;
    /// Versions of one workflow.
    pub const VERSIONS_MAX: u32 = 1_000;
}

/// One version of a workflow; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowVersion {
    /// Its number, from 1.
    pub version: u64,
    /// What it says.
    pub definition: DefinitionId,
    /// When it was applied.
    pub created_at: Timestamp,
    /// Log index of its command.
    pub rev: u64,
}

/// A version of a workflow, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRef {
    /// Which workflow.
    pub name: WorkflowName,
    /// Which version.
    pub version: u64,
}

/// Where a run comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who started it.
    pub by: StartedBy,
    /// The stored workflow it is a run of; none if the definition came with the call.
    pub workflow: Option<WorkflowRef>,
    /// What set it off, a JSON object: the name `trigger` in its expressions.
    pub trigger: Option<Json>,
}

/// Who started a run. Stored: variants are only ever added at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartedBy {
    /// A call.
    #[default]
    Api,
    /// A call of the command line.
    Cli,
    /// A schedule, when an instant of it was due or by hand.
    Schedule(ScheduleId),
    /// A hook of a workflow, by its name.
    Webhook(Text),
    /// A step of another run.
    Run,
    /// An event, by the name of the trigger.
    Event(Text),
    /// The end of a run of another workflow, by the name of the trigger.
    Ended(Text),
}

impl StartedBy {
    /// The word users see.
    pub fn name(&self) -> &'static str {
        match self {
            StartedBy::Api => "api",
            StartedBy::Cli => "cli",
            StartedBy::Schedule(_) => "cron",
            StartedBy::Webhook(_) => "webhook",
            StartedBy::Run => "workflow",
            StartedBy::Event(_) => "event",
            StartedBy::Ended(_) => "after",
        }
    }
}

/// A change of a workflow kept by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkflowEvent {
    /// A workflow is kept, or a new version of it.
    Applied {
        /// Which.
        name: WorkflowName,
        /// Number of the version.
        version: u64,
        /// What it says.
        definition: DefinitionId,
    },
    /// A workflow is forgotten.
    Deleted {
        /// Which.
        name: WorkflowName,
    },
    /// A workflow starts no runs.
    Paused {
        /// Which.
        name: WorkflowName,
    },
    /// A workflow starts runs again.
    Resumed {
        /// Which.
        name: WorkflowName,
    },
    /// Events that its triggers wait for started no runs.
    StartsSkipped(SkippedStarts),
}
