//! What a caller hears: an answer, a rejection, or that nobody could say.
//! Knows nothing of HTTP statuses.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ComponentId, RunId, SessionId, TaskId},
    message::MessageId,
    rejection::Rejection,
    run::RunStatus,
    snapshot::SnapshotId,
    task::TaskStatus,
};

/// What an accepted command yields. Kept with its idempotency key: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing to say.
    Done,
    /// A run stands here now.
    Run {
        /// Which.
        id: RunId,
        /// Where it stands.
        status: RunStatus,
    },
    /// Tasks stand here now, in the order asked.
    Tasks(Vec<(TaskId, TaskStatus)>),
    /// A state key was written.
    Key {
        /// The version written.
        version: u64,
    },
    /// A component is connected.
    Session {
        /// Which.
        component: ComponentId,
        /// Its session.
        session: SessionId,
    },
    /// So many were affected.
    Count(u32),
    /// A workflow or schedule stands at a version.
    Version {
        /// Its number.
        version: u64,
        /// This command made it.
        made: bool,
    },
    /// State keys were written, to these versions, in the order asked.
    Keys(Vec<u64>),
    /// Durable messages are in their queues, in the order asked.
    Messages(Vec<(MessageId, ComponentId)>),
    /// A snapshot was made.
    Snapshot(SnapshotId),
}

/// What became of a proposal that was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Log index of the entry; of the first one where the answer is replayed.
    pub rev: u64,
    /// The same key was answered before; nothing happened now.
    pub replayed: bool,
    /// The answer, or why not.
    pub result: Result<Answer, Rejection>,
}

/// Nobody could say: try again with the same idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Unavailable {
    /// Certainly not executed.
    #[error("the cluster has no leader right now")]
    NoLeader,
    /// Certainly not executed.
    #[error("too much work is waiting")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// May have been executed, or may be executed yet.
    #[error("the outcome is unknown: the answer did not arrive in time")]
    Unknown,
    /// Certainly not executed.
    #[error("this node is shutting down")]
    ShuttingDown,
}

impl Unavailable {
    /// Whether the call certainly had no effect.
    pub fn is_certainly_not_executed(&self) -> bool {
        !matches!(self, Unavailable::Unknown)
    }
}
