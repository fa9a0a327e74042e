//! A state key: its current value, and the versions kept of it.
//! Knows nothing of who watches it.

use serde::{Deserialize, Serialize};

use crate::ids::{Json, StateKey, Timestamp};

/// The current value of a state key. A deleted key stays, without a value, so that versions never repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The name.
    pub key: StateKey,
    /// JSON; none when deleted.
    pub value: Option<Json>,
    /// Number of the last write.
    pub version: u64,
    /// The oldest version kept.
    pub version_min: u64,
    /// Log index of the last write.
    pub rev: u64,
    /// When it was written.
    pub at: Timestamp,
}

/// One kept version of a state key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Number of the write.
    pub version: u64,
    /// JSON; none when the write was a delete.
    pub value: Option<Json>,
    /// Log index of the write.
    pub rev: u64,
    /// When it was written.
    pub at: Timestamp,
}
