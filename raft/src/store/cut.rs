//! All state keys at one log index, as they are or as they were when a named snapshot was made: read from one view of the
//! database, so that nobody who writes is held up.
//! Knows nothing of who asks.

use std::{collections::BTreeMap, sync::Arc};

use orc_domain::{KeyRecord, SavedKey, SavedPlace, StateKey};
use rocksdb::{IteratorMode, ReadOptions, Snapshot};

use super::{
    StateReader,
    disk::StateDisk,
    keys::{self, row_key},
};
use crate::{codec, error::ReadError};

/// A key that differs between two cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDifference {
    /// Which.
    pub key: StateKey,
    /// How it was; none where it had no value.
    pub before: Option<KeyRecord>,
    /// How it is; none where it has no value.
    pub after: Option<KeyRecord>,
}

/// Which keys are wanted, in order.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Those that begin with this.
    pub prefix: String,
    /// Those after this one.
    pub after: Option<StateKey>,
}

impl Keys {
    fn has(&self, key: &StateKey) -> bool {
        key.as_str().starts_with(&self.prefix) && self.after.as_ref().is_none_or(|after| after < key)
    }
}

/// One view of the database.
struct View<'d> {
    disk: &'d StateDisk,
    rows: Snapshot<'d>,
}

/// Records as they were, of keys that were written since.
type Saved = BTreeMap<StateKey, Option<KeyRecord>>;

impl View<'_> {
    fn of(disk: &StateDisk) -> View<'_> {
        View { disk, rows: disk.db.snapshot() }
    }

    /// What changed since the snapshot of a number: of what several snapshots keep of one key the first counts.
    fn saved(&self, number: u64) -> Result<Saved, ReadError> {
        let mut saved = Saved::new();
        let mut options = ReadOptions::default();
        let first = row_key(keys::SAVED.live, &(number, "".into()) as &SavedPlace);
        options.set_iterate_range(first..vec![keys::SAVED.live + 1]);
        for item in self.rows.iterator_opt(IteratorMode::Start, options) {
            let row = codec::decode::<SavedKey>(&item?.1)?;
            saved.entry(row.key).or_insert(row.record);
        }
        Ok(saved)
    }

    fn now(&self, key: &StateKey) -> Result<Option<KeyRecord>, ReadError> {
        let found = self.rows.get_pinned(row_key(keys::KEYS.live, key))?;
        Ok(found.map(|bytes| codec::decode(&bytes)).transpose()?)
    }

    /// Calls for each wanted key that had a value, in order, until it says no.
    fn each(
        &self,
        number: Option<u64>,
        wanted: &Keys,
        mut with: impl FnMut(KeyRecord) -> bool,
    ) -> Result<(), ReadError> {
        let mut saved = number.map(|number| self.saved(number)).transpose()?.unwrap_or_default();
        let from = wanted.after.as_ref().map_or(wanted.prefix.as_str(), |after| after.as_str());
        let mut options = ReadOptions::default();
        let first = [&[keys::KEYS.live], from.max(wanted.prefix.as_str()).as_bytes()].concat();
        options.set_iterate_range(first..vec![keys::KEYS.live + 1]);
        for item in self.rows.iterator_opt(IteratorMode::Start, options) {
            let (key, value) = item?;
            let (key, row) = self.disk.row::<StateKey, KeyRecord>(&key, &value)?;
            if !key.as_str().starts_with(&wanted.prefix) {
                break;
            }
            let row = saved.remove(&key).unwrap_or(Some(row));
            let Some(row) = row.filter(|row| row.value.is_some() && wanted.has(&key)) else { continue };
            if !with(row) {
                break;
            }
        }
        Ok(())
    }

    /// The wanted keys that differ, in order.
    fn differences(
        &self,
        (from, to): (u64, Option<u64>),
        wanted: &Keys,
        limit: usize,
    ) -> Result<Vec<KeyDifference>, ReadError> {
        let before = self.saved(from)?;
        let after = to.map(|to| self.saved(to)).transpose()?.unwrap_or_default();
        let mut names: Vec<&StateKey> =
            before.keys().chain(after.keys()).filter(|key| wanted.has(key)).collect();
        names.sort_unstable();
        names.dedup();
        let mut found = Vec::new();
        for key in names {
            let at = |saved: &Saved| -> Result<Option<KeyRecord>, ReadError> {
                let row = saved.get(key).cloned().map_or_else(|| self.now(key), Ok)?;
                Ok(row.filter(|row| row.value.is_some()))
            };
            let (before, after) = (at(&before)?, at(&after)?);
            let value = |row: &Option<KeyRecord>| row.as_ref().map(|row| (row.value.clone(), row.expires_at));
            if value(&before) != value(&after) {
                found.push(KeyDifference { key: key.clone(), before, after });
            }
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }
}

/// Cuts: each call sees everything applied before it.
impl StateReader {
    /// At most `limit` keys that have a value, now or when the snapshot of a number was made.
    pub async fn keys_at(
        &self,
        number: Option<u64>,
        wanted: Keys,
        limit: usize,
    ) -> Result<Vec<Arc<KeyRecord>>, ReadError> {
        self.drain().await?;
        let read = move |disk: &StateDisk| {
            let mut found = Vec::new();
            View::of(disk).each(number, &wanted, |row| {
                found.push(Arc::new(row));
                found.len() < limit
            })?;
            Ok(found)
        };
        self.blocking(move |_, disk| read(disk)).await
    }

    /// At most `limit` keys that differ between a snapshot and a later one, or now.
    pub async fn key_differences(
        &self,
        numbers: (u64, Option<u64>),
        wanted: Keys,
        limit: usize,
    ) -> Result<Vec<KeyDifference>, ReadError> {
        self.drain().await?;
        self.blocking(move |_, disk| View::of(disk).differences(numbers, &wanted, limit)).await
    }

    /// Gives every key that has a value, now or when a snapshot was made, in order, to `with`, until it says no; none at the
    /// end. It may block: it is called on a thread of its own.
    pub async fn each_key(
        &self,
        number: Option<u64>,
        wanted: Keys,
        mut with: impl FnMut(Option<KeyRecord>) -> bool + Send + 'static,
    ) -> Result<(), ReadError> {
        self.drain().await?;
        let mut read = move |disk: &StateDisk| {
            let mut goes_on = true;
            View::of(disk).each(number, &wanted, |row| {
                goes_on = with(Some(row));
                goes_on
            })?;
            if goes_on {
                with(None);
            }
            Ok(())
        };
        self.at_leisure(move |_, disk| read(disk)).await
    }
}
