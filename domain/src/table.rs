//! A table that remembers which rows changed, for readers and for the disk.
//! Knows nothing of encodings; rows that end move to the archive and leave memory.

use alloc::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
    vec::Vec,
};
use core::ops::RangeBounds;

/// A row as readers share it; none where it is gone.
pub type Row<V> = Option<Arc<V>>;

/// What the disk has to do for one row since the last drain.
#[derive(Debug)]
pub enum Change<K, V> {
    /// Write it among the live rows.
    Put(K, Arc<V>),
    /// Delete it from the live rows.
    Delete(K),
    /// Write it to the archive and delete it from the live rows if it was there (`was_stored`).
    Archive {
        /// The key.
        key: K,
        /// The row as it ended.
        row: Arc<V>,
        /// The disk has it among the live rows.
        was_stored: bool,
    },
    /// Delete it from the archive.
    Forget(K),
}

#[derive(Debug, Clone)]
struct Slot<V> {
    row: Arc<V>,
    stored: bool,
    /// It is among the touched.
    touched: bool,
}

/// Live rows by key, in order, with what changed.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    rows: BTreeMap<K, Slot<V>>,
    /// Keys of rows that changed, each once; of some of them the row is gone.
    touched: Vec<K>,
    deleted: BTreeSet<K>,
    archived: BTreeMap<K, (Arc<V>, bool)>,
    forgotten: BTreeSet<K>,
    fresh: Vec<K>,
}

impl<K: Ord + Clone, V: Clone> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            rows: BTreeMap::new(),
            touched: Vec::new(),
            deleted: BTreeSet::new(),
            archived: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            fresh: Vec::new(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The live row of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|slot| &*slot.row)
    }

    /// The live row of a key, shared.
    pub fn share(&self, key: &K) -> Row<V> {
        self.rows.get(key).map(|slot| slot.row.clone())
    }

    /// The row of a key, live or ended since the last drain. When that was differs between nodes: for the entry being
    /// applied only, never to decide.
    pub fn latest(&self, key: &K) -> Option<&V> {
        self.get(key).or_else(|| self.archived.get(key).map(|(row, _)| &**row))
    }

    /// Whether the key has a live row.
    pub fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }

    /// Number of live rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no live rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Live rows in key order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, slot)| (key, &*slot.row))
    }

    /// Live rows of a range, in key order.
    pub fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range).map(|(key, slot)| (key, &*slot.row))
    }

    /// Writes a row.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let ended = self.archived.remove(&key).is_some_and(|(_, was_stored)| was_stored);
        let stored = self.deleted.remove(&key) || ended;
        let fresh = Slot { row: Arc::new(value), stored, touched: false };
        let slot = match self.rows.entry(key.clone()) {
            Entry::Occupied(known) => {
                let slot = known.into_mut();
                slot.row = fresh.row;
                slot
            }
            Entry::Vacant(place) => place.insert(fresh),
        };
        touch(slot, &key, &mut self.touched);
        self.fresh.push(key);
    }

    /// Changes a live row in place; nothing where there is none.
    pub(crate) fn update<T>(&mut self, key: &K, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let slot = self.rows.get_mut(key)?;
        let result = change(Arc::make_mut(&mut slot.row));
        touch(slot, key, &mut self.touched);
        if self.fresh.last() != Some(key) {
            self.fresh.push(key.clone());
        }
        Some(result)
    }

    /// Removes a live row for good.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(slot) = self.rows.remove(key) {
            self.fresh.push(key.clone());
            if slot.stored {
                self.deleted.insert(key.clone());
            }
        }
    }

    /// Moves a live row to the archive.
    pub(crate) fn archive(&mut self, key: &K) {
        if let Some(slot) = self.rows.remove(key) {
            self.fresh.push(key.clone());
            self.forgotten.remove(key);
            self.archived.insert(key.clone(), (slot.row, slot.stored));
        }
    }

    /// Writes a row straight to the archive.
    pub(crate) fn insert_archived(&mut self, key: K, value: V) {
        self.fresh.push(key.clone());
        self.forgotten.remove(&key);
        self.archived.insert(key, (Arc::new(value), false));
    }

    /// Deletes a row from the archive.
    pub(crate) fn forget_archived(&mut self, key: K) {
        if let Some((_, true)) = self.archived.remove(&key) {
            self.deleted.insert(key.clone());
        }
        self.fresh.push(key.clone());
        self.forgotten.insert(key);
    }

    /// Whether the row was deleted from the archive since the last drain.
    pub fn is_forgotten(&self, key: &K) -> bool {
        self.forgotten.contains(key)
    }

    /// Restores a row as the disk has it among the live rows.
    pub fn restore(&mut self, key: K, value: V) {
        self.rows.insert(key, Slot { row: Arc::new(value), stored: true, touched: false });
    }

    /// Hands over what changed since the last call: each key with its row as readers should see it now. A key may come
    /// more than once; a row that ended comes as it ended.
    pub fn take_fresh(&mut self) -> Vec<(K, Row<V>)> {
        let fresh = core::mem::take(&mut self.fresh);
        let row_of = |key: &K| {
            let live = self.rows.get(key).map(|slot| slot.row.clone());
            live.or_else(|| self.archived.get(key).map(|(row, _)| row.clone()))
        };
        fresh
            .into_iter()
            .map(|key| {
                let row = row_of(&key);
                (key, row)
            })
            .collect()
    }

    /// Hands over what the disk has to do since the last call, each key once per kind of place.
    pub fn drain(&mut self) -> Vec<Change<K, V>> {
        let mut changes = Vec::new();
        for key in core::mem::take(&mut self.touched) {
            // A row that is gone is among those below; one that came back was touched again.
            if let Some(slot) = self.rows.get_mut(&key).filter(|slot| slot.touched) {
                (slot.stored, slot.touched) = (true, false);
                changes.push(Change::Put(key, slot.row.clone()));
            }
        }
        changes.extend(core::mem::take(&mut self.deleted).into_iter().map(Change::Delete));
        for (key, (row, was_stored)) in core::mem::take(&mut self.archived) {
            changes.push(Change::Archive { key, row, was_stored });
        }
        changes.extend(core::mem::take(&mut self.forgotten).into_iter().map(Change::Forget));
        changes
    }

    /// How many rows wait for the disk.
    pub fn waiting(&self) -> usize {
        self.touched.len() + self.deleted.len() + self.archived.len() + self.forgotten.len()
    }
}

fn touch<K: Clone, V>(slot: &mut Slot<V>, key: &K, touched: &mut Vec<K>) {
    if !slot.touched {
        slot.touched = true;
        touched.push(key.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    fn drained(table: &mut Table<u8, u8>) -> String {
        format!("{:?}", table.drain())
    }

    #[test]
    fn a_row_touched_often_is_written_once() {
        let mut table = Table::default();
        table.insert(1, 1);
        table.update(&1, |value| *value = 2);
        table.update(&1, |value| *value = 3);
        assert_eq!(drained(&mut table), "[Put(1, 3)]");
        assert_eq!(drained(&mut table), "[]");
    }

    #[test]
    fn a_row_that_never_reached_the_disk_leaves_no_trace() {
        let mut table = Table::default();
        table.insert(1, 1);
        table.remove(&1);
        assert_eq!(drained(&mut table), "[]");
        table.insert(2, 2);
        drained(&mut table);
        table.remove(&2);
        assert_eq!(drained(&mut table), "[Delete(2)]");
    }

    #[test]
    fn an_ended_row_moves_to_the_archive() {
        let mut table = Table::default();
        table.insert(1, 1);
        drained(&mut table);
        table.archive(&1);
        table.insert(2, 2);
        table.archive(&2);
        assert_eq!(table.take_fresh().last(), Some(&(2, Some(Arc::new(2)))));
        assert_eq!(
            drained(&mut table),
            "[Archive { key: 1, row: 1, was_stored: true }, Archive { key: 2, row: 2, was_stored: false }]"
        );
        table.forget_archived(1);
        assert!(table.is_forgotten(&1));
        assert_eq!(drained(&mut table), "[Forget(1)]");
    }

    #[test]
    fn a_row_that_ended_and_was_deleted_at_once_leaves_no_trace() {
        let mut table = Table::default();
        table.insert(1, 1);
        drained(&mut table);
        table.archive(&1);
        table.forget_archived(1);
        assert_eq!(drained(&mut table), "[Delete(1), Forget(1)]");
    }

    #[test]
    fn a_row_that_ended_and_came_back_is_live() {
        let mut table = Table::default();
        table.insert(1, 1);
        drained(&mut table);
        table.archive(&1);
        table.insert(1, 2);
        assert_eq!(drained(&mut table), "[Put(1, 2)]");
        table.archive(&1);
        assert_eq!(drained(&mut table), "[Archive { key: 1, row: 2, was_stored: true }]");
    }

    #[test]
    fn a_key_deleted_and_written_again_is_put() {
        let mut table = Table::default();
        table.insert(1, 1);
        drained(&mut table);
        table.remove(&1);
        table.insert(1, 5);
        assert_eq!(drained(&mut table), "[Put(1, 5)]");
        table.remove(&1);
        assert_eq!(drained(&mut table), "[Delete(1)]");
    }
}
