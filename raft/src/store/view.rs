//! What readers see of the rows in memory: live ones, and ended ones until the disk has them.
//! Knows nothing of the disk; every lock is held for a few rows only, so `apply` never waits for a reader.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use orc_domain::{
    CacheKey, CachedOutput, Change, Component, ComponentId, DeadMessage, DeadTask, Definition, DefinitionId,
    FanChunk, FanKey, KeyRecord, Listed, MessageId, MessagePlace, QueuedMessage, Row, Run, RunId, Schedule,
    ScheduleId, Snapshot, State, StateKey, Table, Task, TaskId, VersionRecord, Workflow, WorkflowName,
    WorkflowVersion,
};
use parking_lot::RwLock;

use super::{
    keys::RowKey,
    tally::{Counted, Tally, counted},
};

const SHARDS: usize = 16;
/// Rows looked at under one lock.
const PIECE: usize = 512;

/// One table as readers see it.
#[derive(Debug)]
pub struct Shards<K, V> {
    shards: [RwLock<BTreeMap<K, Arc<V>>>; SHARDS],
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Shards { shards: std::array::from_fn(|_| RwLock::new(BTreeMap::new())) }
    }
}

/// Keys from `lower` on and before `upper`.
#[derive(Debug, Clone)]
pub struct Span<K> {
    /// The first key, if there is one.
    pub lower: Option<K>,
    /// The key after the last one, if there is one.
    pub upper: Option<K>,
}

/// Keys between two bounds.
pub type Range<K> = (Bound<K>, Bound<K>);

/// Whether no key can be in it; a map panics over most of those.
fn is_empty<K: Ord>((lower, upper): &Range<K>) -> bool {
    match (lower, upper) {
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Included(upper) | Bound::Excluded(upper),
        ) => lower >= upper,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

impl<K: RowKey> Span<K> {
    fn bounds(&self) -> (Bound<&K>, Bound<&K>) {
        let lower = self.lower.as_ref().map_or(Bound::Unbounded, Bound::Included);
        (lower, self.upper.as_ref().map_or(Bound::Unbounded, Bound::Excluded))
    }

    fn is_empty(&self) -> bool {
        matches!((&self.lower, &self.upper), (Some(lower), Some(upper)) if lower >= upper)
    }
}

impl<K: RowKey, V: Clone> Shards<K, V> {
    /// A row.
    pub fn get(&self, key: &K) -> Row<V> {
        self.shard(key).read().get(key).cloned()
    }

    /// The first `count` rows from a bound on, in the order of their keys.
    pub fn first(&self, from: Bound<&K>, count: usize) -> Vec<(K, Arc<V>)> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            rows.extend(shard.read().range((from, Bound::Unbounded)).take(count).map(shared));
        }
        rows.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        rows.truncate(count);
        rows
    }

    /// The last `count` rows of a span, the last one first.
    pub fn last(&self, span: &Span<K>, count: usize) -> Vec<(K, Arc<V>)> {
        let mut rows = Vec::new();
        if span.is_empty() {
            return rows;
        }
        for shard in &self.shards {
            rows.extend(shard.read().range(span.bounds()).rev().take(count).map(shared));
        }
        rows.sort_unstable_by(|one, other| other.0.cmp(&one.0));
        rows.truncate(count);
        rows
    }

    /// The first `count` rows of a range that are wanted, in order; the last ones, the last one first, unless `forward`.
    pub fn search(
        &self,
        range: &Range<K>,
        forward: bool,
        count: usize,
        wanted: &dyn Fn(&V) -> bool,
    ) -> Vec<(K, Arc<V>)> {
        let mut rows = Vec::new();
        for shard in &self.shards {
            let mut found = 0;
            let mut rest = Some(range.clone());
            while let Some(range) = rest.take().filter(|range| found < count && !is_empty(range)) {
                let shard = shard.read();
                let mut looked = 0;
                let mut look = |(key, row): (&K, &Arc<V>)| {
                    looked += 1;
                    if wanted(row) {
                        found += 1;
                        rows.push((key.clone(), row.clone()));
                    }
                    (looked == PIECE || found == count).then(|| Bound::Excluded(key.clone()))
                };
                let mut piece = shard.range(range.clone());
                rest = match forward {
                    true => piece.find_map(&mut look).map(|last| (last, range.1)),
                    false => piece.rev().find_map(&mut look).map(|last| (range.0, last)),
                };
            }
        }
        match forward {
            true => rows.sort_unstable_by(|one, other| one.0.cmp(&other.0)),
            false => rows.sort_unstable_by(|one, other| other.0.cmp(&one.0)),
        }
        rows.truncate(count);
        rows
    }

    /// Shows rows as they are now.
    pub(super) fn set(&self, fresh: Vec<(K, Row<V>)>) {
        for (key, row) in fresh {
            self.put(key, row);
        }
    }

    /// Shows a row as it is now; gives the one before.
    fn put(&self, key: K, row: Row<V>) -> Row<V> {
        let mut shard = self.shard(&key).write();
        match row {
            Some(row) => shard.insert(key, row),
            None => shard.remove(&key),
        }
    }

    /// The disk has these changes: ended rows leave, unless the key has a newer row.
    pub(super) fn settle(&self, changes: &[Change<K, V>], left: impl Fn(&V)) {
        for change in changes {
            if let Change::Archive { key, row, was_stored: _ } = change {
                let mut shard = self.shard(key).write();
                if shard.get(key).is_some_and(|seen| Arc::ptr_eq(seen, row)) {
                    shard.remove(key);
                    left(row);
                }
            }
        }
    }

    fn replace(&self, table: &Table<K, V>) {
        let mut shards: [BTreeMap<K, Arc<V>>; SHARDS] = std::array::from_fn(|_| BTreeMap::new());
        for (key, _) in table.iter() {
            let row = table.share(key).expect("the key was just seen");
            shards[key.spread() % SHARDS].insert(key.clone(), row);
        }
        for (shard, rows) in self.shards.iter().zip(shards) {
            *shard.write() = rows;
        }
    }

    fn shard(&self, key: &K) -> &RwLock<BTreeMap<K, Arc<V>>> {
        &self.shards[key.spread() % SHARDS]
    }
}

fn shared<K: Clone, V>((key, row): (&K, &Arc<V>)) -> (K, Arc<V>) {
    (key.clone(), row.clone())
}

/// What lists have to know beside the rows in memory.
#[derive(Debug)]
pub struct Ledger<K> {
    /// How many rows in memory there are.
    pub tally: Tally,
    /// Ended rows that are deleted and still on the disk.
    gone: RwLock<BTreeSet<K>>,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Ledger { tally: Tally::default(), gone: RwLock::default() }
    }
}

impl<K: RowKey> Ledger<K> {
    /// Whether a row on the disk is deleted.
    pub fn is_gone(&self, key: &K) -> bool {
        self.gone.read().contains(key)
    }

    fn refresh<V: Listed + Clone>(&self, shards: &Shards<K, V>, table: &mut Table<K, V>) {
        for (key, row) in table.take_fresh() {
            if row.is_none() && table.is_forgotten(&key) {
                self.gone.write().insert(key.clone());
            } else if self.is_gone(&key) {
                self.gone.write().remove(&key);
            }
            let before = shards.put(key, row.clone());
            // What a row is counted by never changes.
            let same = matches!((&before, &row), (Some(before), Some(row)) if before.status_number() == row.status_number());
            if !same {
                let count = |row: Row<V>| -> Counted { row.and_then(|row| counted(&*row)) };
                self.tally.moved(count(before), count(row));
            }
        }
    }

    pub(super) fn settle<V: Listed + Clone>(&self, shards: &Shards<K, V>, changes: &[Change<K, V>]) {
        shards.settle(changes, |row| self.tally.moved(counted(row), None));
        for change in changes {
            if let Change::Forget(key) = change {
                self.gone.write().remove(key);
            }
        }
    }

    fn replace<V: Listed + Clone>(&self, table: &Table<K, V>) {
        self.tally.replace(table.iter().map(|(_, row)| counted(row)));
        self.gone.write().clear();
    }
}

/// Every table as readers see it.
#[derive(Debug, Default)]
pub struct View {
    /// Runs.
    pub runs: Shards<RunId, Run>,
    /// Tasks.
    pub tasks: Shards<TaskId, Task>,
    /// Components.
    pub components: Shards<ComponentId, Component>,
    /// State keys, deleted ones too.
    pub keys: Shards<StateKey, KeyRecord>,
    /// Versions that the disk does not have yet.
    pub versions: Shards<(StateKey, u64), VersionRecord>,
    /// Definitions in use.
    pub definitions: Shards<DefinitionId, Definition>,
    /// What lists of runs have to know.
    pub run_ledger: Ledger<RunId>,
    /// What lists of tasks have to know.
    pub task_ledger: Ledger<TaskId>,
    /// Items of each `foreach`.
    pub fans: Shards<FanKey, FanChunk>,
    /// The dead-letter list.
    pub dead: Shards<TaskId, DeadTask>,
    /// Workflows.
    pub workflows: Shards<WorkflowName, Workflow>,
    /// Versions of workflows that the disk does not have yet.
    pub workflow_versions: Shards<(WorkflowName, u64), WorkflowVersion>,
    /// Schedules.
    pub schedules: Shards<ScheduleId, Schedule>,
    /// Outputs kept for later runs.
    pub outputs: Shards<CacheKey, CachedOutput>,
    /// Named snapshots of the state keys.
    pub snapshots: Shards<u64, Snapshot>,
    /// Durable messages.
    pub messages: Shards<MessagePlace, QueuedMessage>,
    /// Durable messages that were given up.
    pub dead_messages: Shards<MessageId, DeadMessage>,
}

impl View {
    /// Shows what changed since the last call.
    pub(super) fn refresh(&self, state: &mut State) {
        self.run_ledger.refresh(&self.runs, &mut state.runs);
        self.task_ledger.refresh(&self.tasks, &mut state.tasks);
        self.components.set(state.components.take_fresh());
        self.keys.set(state.keys.take_fresh());
        self.versions.set(state.versions.take_fresh());
        self.definitions.set(state.definitions.take_fresh());
        self.fans.set(state.fans.take_fresh());
        self.dead.set(state.dead.take_fresh());
        self.workflows.set(state.workflows.take_fresh());
        self.workflow_versions.set(state.workflow_versions.take_fresh());
        self.schedules.set(state.schedules.take_fresh());
        self.outputs.set(state.outputs.take_fresh());
        self.snapshots.set(state.snapshots.take_fresh());
        state.saved.take_fresh(); // read on the disk, where it is one with the keys
        self.messages.set(state.messages.take_fresh());
        self.dead_messages.set(state.dead_messages.take_fresh());
    }

    /// Shows another state altogether.
    pub(super) fn replace(&self, state: &State) {
        self.runs.replace(&state.runs);
        self.tasks.replace(&state.tasks);
        self.components.replace(&state.components);
        self.keys.replace(&state.keys);
        self.versions.replace(&state.versions);
        self.definitions.replace(&state.definitions);
        self.run_ledger.replace(&state.runs);
        self.task_ledger.replace(&state.tasks);
        self.fans.replace(&state.fans);
        self.dead.replace(&state.dead);
        self.workflows.replace(&state.workflows);
        self.workflow_versions.replace(&state.workflow_versions);
        self.schedules.replace(&state.schedules);
        self.outputs.replace(&state.outputs);
        self.snapshots.replace(&state.snapshots);
        self.messages.replace(&state.messages);
        self.dead_messages.replace(&state.dead_messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> RunId {
        RunId(Uuid::from_u128(number))
    }

    fn shards(ids: impl Iterator<Item = u128>) -> Shards<RunId, u128> {
        let shards = Shards::default();
        shards.set(ids.map(|number| (id(number), Some(Arc::new(number)))).collect());
        shards
    }

    fn numbers(rows: Vec<(RunId, Arc<u128>)>) -> Vec<u128> {
        rows.into_iter().map(|(_, row)| *row).collect()
    }

    #[test]
    fn pages_follow_the_keys_over_all_shards() {
        let shards = shards(0..100);
        let all = Span { lower: None, upper: None };
        assert_eq!(numbers(shards.first(Bound::Excluded(&id(4)), 3)), [5, 6, 7]);
        assert_eq!(numbers(shards.last(&all, 3)), [99, 98, 97]);
        let some = Span { lower: Some(id(10)), upper: Some(id(12)) };
        assert_eq!(numbers(shards.last(&some, 9)), [11, 10]);
        let none = Span { lower: Some(id(12)), upper: Some(id(12)) };
        assert!(shards.last(&none, 9).is_empty());
    }

    #[test]
    fn an_ended_row_stays_until_the_disk_has_it() {
        let shards = shards(0..1);
        let row = shards.get(&id(0)).unwrap();
        let other = Change::Archive { key: id(0), row: Arc::new(0), was_stored: true };
        shards.settle(&[other], |_| ());
        assert!(shards.get(&id(0)).is_some(), "a newer row of the same key");
        shards.settle(&[Change::Archive { key: id(0), row, was_stored: true }], |_| ());
        assert!(shards.get(&id(0)).is_none());
    }
}
