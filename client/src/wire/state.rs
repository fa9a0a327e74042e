//! State keys as requests and answers.
//! Knows nothing of how versions are kept or how long.

use serde::{Deserialize, Serialize};

use super::{Raw, Timestamp};

/// `PUT /state/keys/{key}`; `If-Match: "n"` compares and sets, `If-None-Match: *` creates only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetState {
    /// Any JSON, `null` too.
    pub value: Raw,
}

/// `GET /state/keys/{key}`, the answer to `PUT`, and an item of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
pub struct StateVersion {
    /// Its number, from 1.
    pub version: u64,
    /// The value; absent if this version is a deletion.
    #[serde(default)]
    pub value: Option<Raw>,
    /// The log index of the write.
    #[serde(default)]
    pub rev: u64,
    /// When it was written.
    pub at: Timestamp,
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
    /// The value before; absent if there was none.
    #[serde(default)]
    pub old_value: Option<Raw>,
    /// The value now; absent after a deletion.
    #[serde(default)]
    pub new_value: Option<Raw>,
    /// The version it has now.
    pub version: u64,
}
