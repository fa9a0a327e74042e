//! State keys and their versions in their public form.
//! Knows nothing of who reads them.

use orc_client::wire::{StateEntry, StateVersion};
use orc_domain::{ChangeOrigin, KeyRecord, VersionRecord};

use super::{raw, time};

/// A key that has a value.
pub fn entry(record: &KeyRecord) -> Option<StateEntry> {
    let value = raw(record.value.as_ref()?);
    let (key, expires_at) = (record.key.to_string(), record.expires_at.map(time));
    Some(StateEntry { key, value, version: record.version, rev: record.rev, expires_at })
}

/// One kept version.
pub fn version(record: &VersionRecord) -> StateVersion {
    let value = record.value.as_ref().map(raw);
    let restored_from = match record.origin {
        ChangeOrigin::Write | ChangeOrigin::Expiry => None,
        ChangeOrigin::Version(version) => Some(version.to_string()),
        ChangeOrigin::Snapshot(snapshot) => Some(snapshot.to_string()),
    };
    StateVersion { version: record.version, value, rev: record.rev, at: time(record.at), restored_from }
}
