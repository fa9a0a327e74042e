//! Outputs of steps that later runs take over, by what the steps were asked for.
//! Knows nothing of how a key comes about; the oldest outputs leave when there are too many.

use serde::{Deserialize, Serialize};

use crate::ids::{Json, RunId, StepIx, Timestamp};

/// The hash of a step of a workflow, what it does, and the value of its `cache.key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CacheKey(pub [u8; 16]);

/// An output that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedOutput {
    /// JSON.
    pub output: Json,
    /// The run that yielded it.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// Log index of its entry.
    pub rev: u64,
}

impl CachedOutput {
    /// Outputs kept.
    pub const KEPT_MAX: usize = 10_000;
    /// Bytes of all of them together.
    pub const BYTES_MAX: usize = 64 * 1024 * 1024;

    /// About how many bytes of memory it holds.
    pub(crate) fn bytes(&self) -> usize {
        128 + self.output.as_str().len()
    }
}

/// What happened to a step that has a `cache`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheEvent {
    /// No output is kept for it: its own will be.
    Missed {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Under this key.
        key: CacheKey,
    },
    /// It takes over an output.
    Hit {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The run that yielded it.
        from: RunId,
    },
    /// Its output is kept.
    Kept {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Under this key.
        key: CacheKey,
    },
}

impl CacheEvent {
    /// The step it is about.
    pub fn step(&self) -> (RunId, StepIx) {
        match self {
            CacheEvent::Missed { run, step, .. }
            | CacheEvent::Hit { run, step, .. }
            | CacheEvent::Kept { run, step, .. } => (*run, *step),
        }
    }
}
