//! Named snapshots and what differs between them in their public form.
//! Knows nothing of who reads them.

use orc_client::wire::{KeyAt, KeyDifference, SnapshotView};
use orc_domain::{KeyRecord, Snapshot};
use orc_raft::store;

use super::{raw, time};

/// A snapshot.
pub fn view(snapshot: &Snapshot) -> SnapshotView {
    SnapshotView {
        id: snapshot.id.to_string(),
        name: snapshot.name.as_ref().map(ToString::to_string),
        metadata: raw(&snapshot.metadata),
        automatic: snapshot.automatic,
        keys: snapshot.keys,
        rev: snapshot.rev,
        created_at: time(snapshot.at),
    }
}

/// A key that differs.
pub fn difference(found: &store::KeyDifference) -> KeyDifference {
    let at = |row: &Option<KeyRecord>| {
        let row = row.as_ref()?;
        Some(KeyAt { version: row.version, value: raw(row.value.as_ref()?) })
    };
    let change = match (&found.before, &found.after) {
        (None, _) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "changed",
    };
    let (before, after) = (at(&found.before), at(&found.after));
    KeyDifference { key: found.key.to_string(), change: change.to_owned(), before, after }
}
