//! State keys as requests and answers.
//! Knows nothing of how versions are kept or how long.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Millis, Raw, Timestamp};

/// `PUT /state/keys/{key}`; `If-Match: "n"` compares and sets, `If-None-Match: *` creates only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetState {
    /// Any JSON, `null` too.
    pub value: Raw,
    /// It goes away by itself after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Millis>,
}

/// `GET /state/keys/{key}`, the answer to `PUT`, and an item of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateEntry {
    /// The dotted name.
    pub key: String,
    /// The value.
    pub value: Raw,
    /// The number of writes so far.
    pub version: u64,
    /// The log index of the last write.
    #[serde(default)]
    pub rev: u64,
    /// When it goes away by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The answer to `DELETE /state/keys/{key}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDeleted {
    /// The dotted name.
    pub key: String,
    /// The version that the deletion made.
    pub version: u64,
    /// The log index of the deletion.
    #[serde(default)]
    pub rev: u64,
}

/// A version of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The value, maybe `null`; absent if this version is a deletion.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Raw>,
    /// The log index of the write.
    #[serde(default)]
    pub rev: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The version or snapshot that it was restored from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
}

/// `GET /state/keys/{key}/versions`: the kept ones, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateVersions {
    /// The versions.
    pub items: Vec<StateVersion>,
}

/// The `data` of a `state.changed` event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateChanged {
    /// The dotted name.
    pub key: String,
    /// The value before, maybe `null`; absent if there was none.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub old_value: Option<Raw>,
    /// The value now, maybe `null`; absent after a deletion.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub new_value: Option<Raw>,
    /// The version it has now.
    pub version: u64,
    /// When the value goes away by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// It went away by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

/// `POST /state/txn`: everything in one entry, or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateTransaction {
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compare: Vec<StateCondition>,
    /// What is written then, each key once.
    pub ops: Vec<StateOperation>,
}

/// What must hold of a key: that it is at a version, or whether it has a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateCondition {
    /// Which.
    pub key: String,
    /// At this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// It has a value, or it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// One write of a transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateOperation {
    /// What is done.
    pub op: StateOp,
    /// Which.
    pub key: String,
    /// Any JSON, `null` too; for `set`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Raw>,
    /// It goes away by itself after so long; for `set`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Millis>,
}

/// What a transaction does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateOp {
    /// Writes it.
    Set,
    /// Deletes it.
    Delete,
}

/// The answer to a transaction: the versions that it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateWritten {
    /// By key.
    pub versions: BTreeMap<String, u64>,
    /// The log index of all of them.
    #[serde(default)]
    pub rev: u64,
}

/// The versions of `GET /state/keys/{key}/diff`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionsDiffQuery {
    /// The older one.
    pub from: u64,
    /// The newer one.
    pub to: u64,
}

/// Two versions of a key, and how they differ line by line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateDiff {
    /// The key.
    pub key: String,
    /// The one.
    pub from: u64,
    /// The other.
    pub to: u64,
    /// They have the same value.
    pub same: bool,
    /// Unified, of the values written over several lines.
    pub diff: String,
}

/// A value that is there, for which `null` is one.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Raw>, D::Error> {
    Raw::deserialize(deserializer).map(Some)
}
