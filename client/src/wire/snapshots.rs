//! Named snapshots of the state keys as requests and answers.
//! Knows nothing of how they are kept.

use serde::{Deserialize, Serialize};

use super::{Raw, Timestamp};

/// `POST /state/snapshots`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// A word that stands for it; no two have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A JSON object, such as `{"description": "…"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Raw>,
    /// The same as `metadata.description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotView {
    /// Its id.
    pub id: String,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was said about it.
    pub metadata: Raw,
    /// The cluster made it by itself.
    #[serde(default)]
    pub automatic: bool,
    /// Keys that had a value.
    pub keys: u64,
    /// The log index whose state it is.
    pub rev: u64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// `POST /state/snapshots/{id}/restore`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestoreSnapshot {
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Keys that had no value then keep the one they have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_new: bool,
    /// Only say what would change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a restore changed, or would.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotRestored {
    /// The snapshot.
    pub snapshot_id: String,
    /// Nothing was changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Keys that change.
    pub keys: u64,
    /// The log index of the restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// Of a dry run: the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<KeyDifference>,
}

/// A key that differs between two snapshots, or between one and now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyDifference {
    /// Which.
    pub key: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// How it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<KeyAt>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<KeyAt>,
}

/// A key's value at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyAt {
    /// Number of the write.
    pub version: u64,
    /// Its value.
    pub value: Raw,
}

/// Which keys of a snapshot, and compared with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotQuery {
    /// The later snapshot of a comparison; now where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Which keys `GET /state/export` writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// As they were when this snapshot was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}
