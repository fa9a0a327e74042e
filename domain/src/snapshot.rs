//! Named snapshots of the state keys. Making one writes its row and nothing else: from then on whoever changes a key for
//! the first time keeps the record as it was before.
//! Knows nothing of how they are shown; Raft's own snapshots are another thing.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{Json, StateKey, Text, Timestamp},
    key::KeyRecord,
};

/// A snapshot; written `snap_` and 26 characters of base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotId(pub Uuid);

/// A consistent cut of all state keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Minted by the gateway.
    pub id: SnapshotId,
    /// Its place among the snapshots: the later one has the higher number.
    pub number: u64,
    /// The user's word for it, if there is one; no two have the same.
    pub name: Option<Text>,
    /// JSON object.
    pub metadata: Json,
    /// It was made on the interval and makes room for later ones.
    pub automatic: bool,
    /// Log index of its entry.
    pub rev: u64,
    /// When.
    pub at: Timestamp,
    /// Keys that had a value.
    pub keys: u64,
}

/// Where a key's record as it was is kept: the newest snapshot that has it, and the key's name.
pub type SavedPlace = (u64, Text);

/// A key as it was when a snapshot was made, kept since it was changed for the first time after that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedKey {
    /// The key.
    pub key: StateKey,
    /// Its record; none where the key had never been written.
    pub record: Option<KeyRecord>,
}

/// A snapshot to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSnapshot {
    /// Minted by the gateway.
    pub id: SnapshotId,
    /// The user's word for it.
    pub name: Option<Text>,
    /// JSON object.
    pub metadata: Json,
    /// It is made on the interval: the oldest of these leave where there are too many.
    pub automatic: bool,
}

/// What to take back from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreSnapshot {
    /// Which.
    pub snapshot: SnapshotId,
    /// Keys that begin with this; all without.
    pub prefix: Option<Text>,
    /// Keys that had no value then keep the one they have.
    pub keep_new: bool,
}

/// What happened to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotEvent {
    /// It was made.
    Created(Snapshot),
    /// The keys are as they were; how each of them changed follows.
    Restored {
        /// What was asked.
        restore: RestoreSnapshot,
        /// Keys that change.
        keys: u64,
    },
    /// It is gone.
    Deleted {
        /// Which.
        snapshot: SnapshotId,
        /// Its number.
        number: u64,
        /// There were too many; otherwise somebody asked.
        overflow: bool,
    },
}
