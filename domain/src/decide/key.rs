//! Decisions about state keys and their snapshots: set, delete, expire, cut, bring back.
//! Knows nothing of who watches.

use alloc::{collections::BTreeMap, format, vec, vec::Vec};

use super::{Decided, holds};
use crate::{
    event::Event,
    ids::{StateKey, Text, Timestamp},
    key::{ChangeOrigin, KeyChange, KeyRecord, KeyWrite, Transaction},
    rejection::{Limited, Rejection},
    request::Expect,
    snapshot::{NewSnapshot, RestoreSnapshot, Snapshot, SnapshotEvent, SnapshotId},
    state::State,
};

/// Checks a condition; gives the record if there is one.
fn compared<'a>(
    state: &'a State,
    key: &StateKey,
    expect: Expect,
) -> Result<Option<&'a KeyRecord>, Rejection> {
    let known = state.keys.get(key);
    let version = known.map_or(0, |record| record.version);
    let present = known.is_some_and(|record| record.value.is_some());
    if !holds(expect, present.then_some(version)) {
        return Err(Rejection::StateVersionConflict { key: key.clone(), version, present });
    }
    Ok(known)
}

pub(super) fn write(state: &State, write: &KeyWrite) -> Result<KeyChange, Rejection> {
    let known = compared(state, &write.key, write.expect)?;
    if write.value.is_none() && known.is_none_or(|record| record.value.is_none()) {
        return Err(Rejection::StateKeyAbsent { key: write.key.clone() });
    }
    let origin = write.restores.map_or(ChangeOrigin::Write, ChangeOrigin::Version);
    let expires_at = write.ttl.map(|ttl| state.meta.now + ttl);
    Ok(KeyChange { value: write.value.clone(), expires_at, ..change(state, &write.key, known, origin) })
}

/// The next version of a key, so far without a value.
fn change(state: &State, key: &StateKey, known: Option<&KeyRecord>, origin: ChangeOrigin) -> KeyChange {
    let version = known.map_or(0, |record| record.version) + 1;
    let kept = u64::from(state.config().versions_max);
    let version_min = known.map_or(1, |record| record.version_min).max((version + 1).saturating_sub(kept));
    let old = known.and_then(|record| record.value.clone());
    KeyChange { key: key.clone(), old, value: None, version, version_min, expires_at: None, origin }
}

pub(super) fn transact(state: &State, transaction: &Transaction) -> Decided {
    let operations = transaction.operations();
    if operations > Transaction::OPERATIONS_MAX || transaction.writes.is_empty() {
        let max = Transaction::OPERATIONS_MAX;
        let message =
            format!("a transaction has 1 to {max} conditions and writes, this one has {operations}");
        return Err(Rejection::Invalid(message));
    }
    for (key, expect) in &transaction.compare {
        compared(state, key, *expect)?;
    }
    let mut events = Vec::new();
    for (place, one) in transaction.writes.iter().enumerate() {
        if transaction.writes[..place].iter().any(|earlier| earlier.key == one.key) {
            return Err(Rejection::Invalid(format!("{} is written twice", one.key)));
        }
        events.push(Event::StateChanged(write(state, one)?));
    }
    Ok(events)
}

/// The time of a value is over.
pub(super) fn expire(state: &State, key: &StateKey) -> Vec<Event> {
    vec![Event::StateChanged(change(state, key, state.keys.get(key), ChangeOrigin::Expiry))]
}

pub(super) fn create_snapshot(state: &State, new: &NewSnapshot) -> Decided {
    if state.snapshot(new.id).is_some() {
        return Err(Rejection::Invalid(format!("snapshot {} exists already", new.id)));
    }
    let same_name = |snapshot: &&Snapshot| new.name.is_some() && snapshot.name == new.name;
    if let Some(taken) = state.snapshots.iter().map(|(_, snapshot)| snapshot).find(same_name) {
        let name = taken.name.clone().unwrap_or_else(|| Text::from(""));
        return Err(Rejection::SnapshotNameTaken { name, snapshot: taken.id });
    }
    let mut events = Vec::new();
    if new.automatic {
        let own: Vec<&Snapshot> =
            state.snapshots.iter().map(|(_, one)| one).filter(|one| one.automatic).collect();
        let over = (own.len() + 1).saturating_sub(state.config().snapshots_kept as usize);
        events.extend(own.into_iter().take(over).map(|snapshot| deleted(snapshot, true)));
    }
    let limit = state.config().snapshots_max;
    if state.snapshots.len() - events.len() >= limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Snapshots, limit });
    }
    let snapshot = Snapshot {
        id: new.id,
        number: state.meta.snapshots_made + 1,
        name: new.name.clone(),
        metadata: new.metadata.clone(),
        automatic: new.automatic,
        rev: state.meta.rev,
        at: state.meta.now,
        keys: state.indexes.keys_present() as u64,
    };
    events.push(Event::Snapshot(SnapshotEvent::Created(snapshot)));
    Ok(events)
}

fn deleted(snapshot: &Snapshot, overflow: bool) -> Event {
    Event::Snapshot(SnapshotEvent::Deleted { snapshot: snapshot.id, number: snapshot.number, overflow })
}

pub(super) fn delete_snapshot(state: &State, id: SnapshotId) -> Decided {
    Ok(vec![deleted(known(state, id)?, false)])
}

fn known(state: &State, id: SnapshotId) -> Result<&Snapshot, Rejection> {
    state.snapshot(id).ok_or(Rejection::SnapshotUnknown { snapshot: id })
}

pub(super) fn restore_snapshot(state: &State, restore: &RestoreSnapshot) -> Decided {
    let snapshot = known(state, restore.snapshot)?;
    let wanted =
        |key: &StateKey| restore.prefix.as_ref().is_none_or(|prefix| key.as_str().starts_with(&**prefix));
    let changed = changed_since(state, snapshot.number).into_iter().filter(|(key, _)| wanted(key));
    let changes: Vec<Event> = changed.filter_map(|(key, then)| back(state, restore, key, then)).collect();
    let restored = SnapshotEvent::Restored { restore: restore.clone(), keys: changes.len() as u64 };
    Ok([vec![Event::Snapshot(restored)], changes].concat())
}

/// The keys that were written since a snapshot, with their records as they were: the later the snapshot that keeps a record,
/// the less it says about this one.
fn changed_since(state: &State, number: u64) -> BTreeMap<&StateKey, Option<&KeyRecord>> {
    let mut changed = BTreeMap::new();
    for (_, saved) in state.saved.range((number, Text::from(""))..).rev() {
        changed.insert(&saved.key, saved.record.as_ref());
    }
    changed
}

/// Brings one key back; nothing where it has the same value now.
fn back(state: &State, restore: &RestoreSnapshot, key: &StateKey, then: Option<&KeyRecord>) -> Option<Event> {
    let lives = |at: Option<Timestamp>| at.is_none_or(|at| at > state.meta.now);
    let then = then.filter(|record| lives(record.expires_at));
    let value = then.and_then(|record| record.value.clone());
    let known = state.keys.get(key)?;
    let expires_at = then.and_then(|record| record.expires_at);
    if known.value == value && known.expires_at == expires_at || value.is_none() && restore.keep_new {
        return None;
    }
    let origin = ChangeOrigin::Snapshot(restore.snapshot);
    Some(Event::StateChanged(KeyChange { value, expires_at, ..change(state, key, Some(known), origin) }))
}

/// One write without a condition on anything else.
pub(super) fn set(state: &State, one: KeyWrite) -> Decided {
    Ok(vec![Event::StateChanged(write(state, &one)?)])
}

impl KeyWrite {
    /// A plain write.
    pub fn new(key: StateKey, value: Option<crate::ids::Json>, expect: Expect) -> KeyWrite {
        KeyWrite { key, value, expect, ttl: None, restores: None }
    }
}
