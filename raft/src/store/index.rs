//! The index over rows that have ended: what it holds of a row, how its keys look, and how it is made anew.
//! Knows nothing of queries. Every entry is a function of a row, is written and goes with it.

use std::{collections::BTreeMap, hash::Hasher};

use orc_domain::{
    CachedOutput, Component, DeadMessage, DeadTask, Definition, Facet, FanChunk, KeyRecord, Listed,
    QueuedMessage, Run, RunId, SavedKey, Schedule, Snapshot, Task, TaskId, Timestamp, VersionRecord,
    Workflow, WorkflowVersion,
};
use rocksdb::{DB, WriteBatch};
use siphasher::sip::SipHasher13;

use super::{
    disk::StateDisk,
    keys::{self, Index, RowKey, Rows},
};
use crate::{codec::Stored, error::ReadError};

/// Raised when entries change: an index of another version is made anew.
const VERSION: u8 = 2;
/// Rows indexed in one write while an index is made.
const REBUILD_STEP: usize = 5_000;

/// Rows with one facet in common; 64 bits of its hash. Whoever searches looks at the row itself, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(u64);

impl Group {
    /// Every row.
    pub const ALL: Group = Group(0);

    /// Rows with a facet.
    pub fn of(facet: &Facet) -> Group {
        let (kind, name, value): (u8, &str, &str) = match facet {
            Facet::Workflow(name) => (1, name, ""),
            Facet::Action(name) => (2, name, ""),
            Facet::Label(name, value) => (3, name, value),
        };
        let mut hasher = SipHasher13::new();
        hasher.write_u8(kind);
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff); // no text has this byte
        hasher.write(value.as_bytes());
        Group(hasher.finish().max(1))
    }
}

/// What the index holds of a row that has ended.
#[derive(Debug)]
pub struct Entries {
    ended_at: Timestamp,
    kept_until: Option<Timestamp>,
    status: u8,
    /// None where lists do not show the row; otherwise all, the counted one, the others.
    groups: Vec<Group>,
}

/// A row that may have an index.
pub trait Indexed {
    /// What the index holds of it; none: it has no index.
    fn entries(&self) -> Option<Entries> {
        None
    }
}

impl Indexed for Component {}
impl Indexed for KeyRecord {}
impl Indexed for VersionRecord {}
impl Indexed for Definition {}
impl Indexed for FanChunk {}
impl Indexed for DeadTask {}
impl Indexed for CachedOutput {}
impl Indexed for Snapshot {}
impl Indexed for SavedKey {}
impl Indexed for QueuedMessage {}
impl Indexed for DeadMessage {}
impl Indexed for Workflow {}
impl Indexed for WorkflowVersion {}
impl Indexed for Schedule {}

impl Indexed for Run {
    fn entries(&self) -> Option<Entries> {
        entries_of(self)
    }
}

impl Indexed for Task {
    fn entries(&self) -> Option<Entries> {
        entries_of(self)
    }
}

fn entries_of<V: Listed>(row: &V) -> Option<Entries> {
    let mut groups = Vec::new();
    if row.is_listed() {
        groups.push(Group::ALL);
        groups.extend(row.facets().iter().map(Group::of));
    }
    let ended_at = row.ended_at()?;
    let kept_until = row.retention().map(|retention| ended_at + retention);
    Some(Entries { ended_at, kept_until, status: row.status_number(), groups })
}

/// Groups that rows are counted by: all, and the first facet.
const COUNTED: usize = 2;

/// How many ended rows there are, by key of the count: what one write changes of it.
pub type CountChanges = BTreeMap<Vec<u8>, i64>;

impl Entries {
    /// Adds a row to the index.
    pub fn put<K: RowKey>(
        &self,
        batch: &mut WriteBatch,
        counts: &mut CountChanges,
        (index, key): (Index, &K),
    ) {
        for group in &self.groups {
            batch.put(group_key(index, *group, self.status, key), []);
        }
        batch.put(self.end_key(index, key), self.end_value());
        if let Some(until) = self.kept_until {
            batch.put([expiry_prefix(index), end_place(until, key)].concat(), []);
        }
        self.count(counts, index, 1);
    }

    /// Takes a row out of the index.
    pub fn delete<K: RowKey>(
        &self,
        batch: &mut WriteBatch,
        counts: &mut CountChanges,
        (index, key): (Index, &K),
    ) {
        for group in &self.groups {
            batch.delete(group_key(index, *group, self.status, key));
        }
        batch.delete(self.end_key(index, key));
        if let Some(until) = self.kept_until {
            batch.delete([expiry_prefix(index), end_place(until, key)].concat());
        }
        self.count(counts, index, -1);
    }

    /// Every row that has ended counts, and those that lists show by their groups.
    fn count(&self, counts: &mut CountChanges, index: Index, change: i64) {
        *counts.entry(kept_key(index)).or_default() += change;
        for group in self.groups.iter().take(COUNTED) {
            *counts.entry(count_key(index, *group, self.status)).or_default() += change;
        }
    }

    fn end_key<K: RowKey>(&self, index: Index, key: &K) -> Vec<u8> {
        [end_prefix(index, self.status), end_place(self.ended_at, key)].concat()
    }

    /// What a search by end has to know before it reads the row: its counted group, where lists show it, and whether it
    /// says itself how long it is kept.
    fn end_value(&self) -> Vec<u8> {
        let mut value = self.groups.get(1).map_or_else(Vec::new, |group| group.0.to_be_bytes().to_vec());
        value.extend(self.kept_until.map(|_| OWN_TIME));
        value
    }
}

/// The last byte of the value at the end of a row that says itself how long it is kept.
const OWN_TIME: u8 = 1;

/// The counted group of a row, of the value at its end; none where lists do not show it.
pub fn counted_of(value: &[u8]) -> Option<Group> {
    value.first_chunk().copied().map(u64::from_be_bytes).map(Group)
}

/// Whether a row says itself how long it is kept, of the value at its end.
pub fn has_own_time(value: &[u8]) -> bool {
    value.len() % 8 == 1
}

/// The beginning of the keys of a group's rows with a status; the row's key follows.
pub fn group_prefix(index: Index, group: Group, status: u8) -> Vec<u8> {
    let mut out = vec![index.groups];
    out.extend_from_slice(&group.0.to_be_bytes());
    out.push(status);
    out
}

fn group_key<K: RowKey>(index: Index, group: Group, status: u8, key: &K) -> Vec<u8> {
    let mut out = group_prefix(index, group, status);
    key.write(&mut out);
    out
}

/// The beginning of the keys of the ends of rows with a status; the place follows.
pub fn end_prefix(index: Index, status: u8) -> Vec<u8> {
    vec![index.ends, status]
}

/// The beginning of the keys of the times until which rows are kept; the place follows.
pub fn expiry_prefix(index: Index) -> Vec<u8> {
    vec![index.expiries]
}

/// When a row ended and its key, in order.
pub fn end_place<K: RowKey>(ended_at: Timestamp, key: &K) -> Vec<u8> {
    let mut out = ended_at.0.to_be_bytes().to_vec();
    key.write(&mut out);
    out
}

/// When a row ended and its key, of a place.
pub fn end_of<K: RowKey>(place: &[u8]) -> Option<(Timestamp, K)> {
    let (at, key) = place.split_first_chunk::<8>()?;
    Some((Timestamp(u64::from_be_bytes(*at)), K::read(key)?))
}

fn count_key(index: Index, group: Group, status: u8) -> Vec<u8> {
    let mut out = vec![index.counts];
    out.extend_from_slice(&group.0.to_be_bytes());
    out.push(status);
    out
}

/// Of all rows that have ended, whether lists show them or not.
fn kept_key(index: Index) -> Vec<u8> {
    vec![index.counts]
}

/// Writes how the counts are after a write.
pub fn write_counts(db: &DB, batch: &mut WriteBatch, changes: CountChanges) -> Result<(), rocksdb::Error> {
    for (key, change) in changes.into_iter().filter(|(_, change)| *change != 0) {
        match stored_count(db, &key)?.saturating_add_signed(change) {
            0 => batch.delete(key),
            count => batch.put(key, count.to_be_bytes()),
        }
    }
    Ok(())
}

/// How many ended rows of a group have a status; of [`Group::ALL`] and of counted groups only.
pub fn count(db: &DB, index: Index, group: Group, status: u8) -> Result<u64, rocksdb::Error> {
    stored_count(db, &count_key(index, group, status))
}

/// How many rows have ended and are kept.
pub fn count_kept(db: &DB, index: Index) -> Result<u64, rocksdb::Error> {
    stored_count(db, &kept_key(index))
}

fn stored_count(db: &DB, key: &[u8]) -> Result<u64, rocksdb::Error> {
    let count = |value: &[u8]| value.try_into().map(u64::from_be_bytes).unwrap_or(0);
    Ok(db.get_pinned(key)?.map_or(0, |value| count(&value)))
}

/// Makes the index anew unless the database has one of this version; a new database gets an empty one.
pub fn ensure(disk: &StateDisk) -> Result<(), ReadError> {
    if disk.db.get_pinned(keys::INDEXED)?.is_some_and(|version| *version == [VERSION]) {
        return Ok(());
    }
    rebuild::<RunId, Run>(disk, keys::RUNS)?;
    rebuild::<TaskId, Task>(disk, keys::TASKS)?;
    disk.db.put(keys::INDEXED, [VERSION])?;
    Ok(())
}

fn rebuild<K: RowKey, V: Stored + Indexed>(disk: &StateDisk, rows: Rows) -> Result<(), ReadError> {
    let index = rows.index.expect("only tables with an index are indexed");
    let mut batch = WriteBatch::default();
    for prefix in [index.groups, index.ends, index.counts, index.expiries] {
        batch.delete_range([prefix], [prefix + 1]);
    }
    let mut counts = CountChanges::new();
    disk.each(rows.archive, |key, value| {
        let (key, row) = disk.row::<K, V>(key, value)?;
        if let Some(entries) = row.entries() {
            entries.put(&mut batch, &mut counts, (index, &key));
        }
        if batch.len() >= REBUILD_STEP {
            disk.db.write(std::mem::take(&mut batch))?;
        }
        Ok(())
    })?;
    disk.db.write(batch)?;
    let mut batch = WriteBatch::default();
    write_counts(&disk.db, &mut batch, counts)?;
    Ok(disk.db.write(batch)?)
}
