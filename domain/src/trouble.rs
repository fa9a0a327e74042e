//! Errors as facts that anybody can listen to: what went wrong, whether trying again helped, and whether the cluster is well.
//! Knows nothing of what is done about them.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ComponentId, Json, NodeId, RunId, TaskId, Text},
    run::Failure,
};

/// What an error belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    /// The run.
    pub run: Option<RunId>,
    /// The task.
    pub task: Option<TaskId>,
    /// The component.
    pub component: Option<ComponentId>,
}

/// An error, its recovery, or a health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TroubleEvent {
    /// Something failed for good.
    Raised {
        /// `WORKFLOW_FAILED`, `TASK_FAILED` or `COMPONENT_TIMEOUT`.
        code: Text,
        /// A sentence.
        message: Text,
        /// Whose error it is.
        concerned: Concerned,
        /// How often it happened since it was last told.
        count: u32,
    },
    /// A later attempt succeeded.
    Recovered {
        /// Of which task.
        task: TaskId,
        /// What an earlier attempt failed with.
        failure: Failure,
        /// Attempts it took.
        attempts: u32,
    },
    /// Trying again did not help.
    RecoveryFailed {
        /// Of which task.
        task: TaskId,
        /// What the first of the failures still known was.
        original: Failure,
        /// What the last attempt failed with.
        failure: Failure,
        /// Attempts that were made.
        attempts: u32,
    },
    /// The cluster was looked at.
    HealthChecked(HealthReport),
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The node that looked.
    pub node: NodeId,
    /// What is not well; none: all is.
    pub unhealthy: Vec<Text>,
    /// What was measured, JSON.
    pub measured: Json,
}
