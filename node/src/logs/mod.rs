//! What tasks log: kept in bounded files on the node that a component is connected to, outside the replicated state, and
//! read from all nodes together. Knows nothing of HTTP or of components; lines that are kept once are never changed.

mod gather;
mod index;
mod keep;
mod merge;
mod peer;
mod read;
mod store;

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use orc_client::wire::LogStream;
use orc_domain::{BadId, RunId, StepIx, TaskId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use gather::{Gathered, Places, ask, gather, merge_nodes};
pub use peer::{Answer, Request};
pub use read::{Found, Wanted};
pub use store::LogStore;

/// How much is kept on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of a run's or a task's log; its oldest lines go first.
    pub owner_bytes: u64,
    /// Bytes of all logs; those that were written to the longest ago go first.
    pub total_bytes: u64,
    /// How long a log is kept after its last line.
    pub age_max: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        let age_max = Duration::from_secs(7 * 24 * 3600);
        LogLimits { owner_bytes: 10 << 20, total_bytes: 1 << 30, age_max }
    }
}

/// Whose lines are kept together: those of a run with its children of the same definition, or those of a task without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Owner {
    /// All steps of a run.
    Run(RunId),
    /// A task of its own.
    Task(Uuid),
}

impl Owner {
    /// The task of one of its lines.
    pub fn task(self, step: Option<StepIx>) -> Option<TaskId> {
        match self {
            Owner::Run(run) => step.map(|step| TaskId::Step(run, step)),
            Owner::Task(task) => Some(TaskId::Single(task)),
        }
    }
}

impl From<TaskId> for Owner {
    fn from(task: TaskId) -> Self {
        match task {
            TaskId::Single(task) => Owner::Task(task),
            TaskId::Step(run, _) => Owner::Run(run),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Run(run) => run.fmt(formatter),
            Owner::Task(task) => TaskId::Single(*task).fmt(formatter),
        }
    }
}

impl FromStr for Owner {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        text.parse().map(Owner::Run).or_else(|_| text.parse::<TaskId>().map(Owner::from))
    }
}

/// A line as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Of which step of the run, or below which step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepIx>,
    /// Of which task, where that belongs to a child of the run: an item of a `foreach`, a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Of which attempt; 0 for a line about the log itself.
    pub attempt: u32,
    /// Where it was written.
    pub stream: LogStream,
    /// The line.
    pub text: String,
}

/// Lines of one task, on their way to the files.
#[derive(Debug)]
pub struct Batch {
    /// Whose they are.
    pub owner: Owner,
    /// The lines, in their order.
    pub records: Vec<Record>,
}

/// Where the logs are in a node's data folder.
pub fn folder(data_dir: &std::path::Path) -> PathBuf {
    data_dir.join("logs")
}
