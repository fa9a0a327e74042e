//! State keys and their snapshots written, with what the snapshots keep.
//! Knows nothing of why.

use alloc::vec::Vec;

use crate::{
    ids::Text,
    key::{KeyChange, KeyRecord, VersionRecord},
    snapshot::{SavedKey, SavedPlace, SnapshotEvent},
    state::State,
};

pub(super) fn changed(state: &mut State, change: &KeyChange) {
    // The value before is for readers of the event; the row is the truth.
    let KeyChange { key, old: _, value, version, version_min, expires_at, origin } = change;
    let (rev, at) = (state.meta.rev, state.meta.now);
    let oldest = state.keys.get(key).map_or(*version_min, |record| record.version_min);
    for dropped in oldest..*version_min {
        state.versions.forget_archived((key.clone(), dropped));
    }
    let kept = VersionRecord { version: *version, value: value.clone(), rev, at, origin: *origin };
    state.versions.insert_archived((key.clone(), *version), kept);
    let (key, value) = (key.clone(), value.clone());
    put(
        state,
        KeyRecord {
            key,
            value,
            version: *version,
            version_min: *version_min,
            rev,
            at,
            expires_at: *expires_at,
        },
    );
}

fn put(state: &mut State, record: KeyRecord) {
    let before = state.keys.get(&record.key);
    if let Some((newest, _)) = state.snapshots.iter().next_back() {
        let place = (*newest, Text::from(record.key.as_str()));
        if !state.saved.contains(&place) {
            let saved = SavedKey { key: record.key.clone(), record: before.cloned() };
            state.saved.insert(place, saved);
        }
    }
    if let Some(before) = before {
        state.indexes.remove_key(before);
    }
    state.indexes.add_key(&record);
    state.keys.insert(record.key.clone(), record);
}

pub(super) fn snapshot_changed(state: &mut State, event: &SnapshotEvent) {
    match event {
        SnapshotEvent::Created(snapshot) => {
            state.meta.snapshots_made = snapshot.number;
            state.snapshots.insert(snapshot.number, snapshot.clone());
        }
        SnapshotEvent::Deleted { number, .. } => hand_down(state, *number),
        SnapshotEvent::Restored { .. } => {} // how the keys changed follows
    }
}

/// A snapshot goes: what it keeps is the snapshot's before it, unless that one keeps an older record.
fn hand_down(state: &mut State, number: u64) {
    state.snapshots.remove(&number);
    let heir = state.snapshots.range(..number).next_back().map(|(number, _)| *number);
    let of_it = (number, Text::from(""))..(number + 1, Text::from(""));
    let places: Vec<SavedPlace> = state.saved.range(of_it).map(|(place, _)| place.clone()).collect();
    for place in places {
        let inherited = heir.map(|heir| (heir, place.1.clone()));
        if let Some(inherited) = inherited.filter(|inherited| !state.saved.contains(inherited)) {
            let saved = state.saved.get(&place).cloned().expect("its place was just seen");
            state.saved.insert(inherited, saved);
        }
        state.saved.remove(&place);
    }
}
