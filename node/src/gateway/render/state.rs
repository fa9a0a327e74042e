//! State keys and their versions in their public form.
//! Knows nothing of who reads them.

use orc_client::wire::{StateEntry, StateVersion};
use orc_domain::{KeyRecord, VersionRecord};

use super::{raw, time};

/// A key that has a value.
pub fn entry(record: &KeyRecord) -> Option<StateEntry> {
    let value = raw(record.value.as_ref()?);
    Some(StateEntry { key: record.key.to_string(), value, version: record.version, rev: record.rev })
}

/// One kept version.
pub fn version(record: &VersionRecord) -> StateVersion {
    let value = record.value.as_ref().map(raw);
    StateVersion { version: record.version, value, rev: record.rev, at: time(record.at) }
}
