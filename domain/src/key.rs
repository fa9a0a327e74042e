//! A state key: its current value, the versions kept of it, and how a write is asked for and told.
//! Knows nothing of who watches it, or of snapshots beyond what they keep.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Json, StateKey, Timestamp},
    request::Expect,
    snapshot::SnapshotId,
};

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
    /// When the value goes away by itself.
    pub expires_at: Option<Timestamp>,
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
    /// Why it was written.
    pub origin: ChangeOrigin,
}

/// Why a state key was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeOrigin {
    /// Somebody set or deleted it.
    Write,
    /// An earlier version was restored.
    Version(u64),
    /// A snapshot was restored.
    Snapshot(SnapshotId),
    /// Its time to live was over.
    Expiry,
}

/// A fact: a state key was written or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Which.
    pub key: StateKey,
    /// The value before.
    pub old: Option<Json>,
    /// The value now; none: deleted.
    pub value: Option<Json>,
    /// Number of the write.
    pub version: u64,
    /// The oldest version still kept.
    pub version_min: u64,
    /// When the value goes away by itself.
    pub expires_at: Option<Timestamp>,
    /// Why.
    pub origin: ChangeOrigin,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyWrite {
    /// Which.
    pub key: StateKey,
    /// JSON; none deletes it.
    pub value: Option<Json>,
    /// What must hold.
    pub expect: Expect,
    /// How long the value stays; for good where there is none.
    pub ttl: Option<Duration>,
    /// The earlier version that this is the value of.
    pub restores: Option<u64>,
}

/// Writes of several keys, all or none, if all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// What must hold of keys, written or not.
    pub compare: Vec<(StateKey, Expect)>,
    /// What is written; each key once.
    pub writes: Vec<KeyWrite>,
}

impl Transaction {
    /// Conditions and writes in one.
    pub const OPERATIONS_MAX: usize = 1_000;

    /// Conditions and writes together.
    pub fn operations(&self) -> usize {
        self.compare.len() + self.writes.len()
    }
}

impl From<KeyWrite> for Transaction {
    fn from(write: KeyWrite) -> Self {
        Transaction { compare: Vec::new(), writes: Vec::from([write]) }
    }
}
