//! What a node's readers hold of the state: every row, shared, as `raft` shows it after each log record.
//! While a row is held the first change of it in a record copies it; without holders `apply` would look cheaper than it is.

use std::{collections::BTreeMap, sync::Arc};

use orc_domain::{
    Change, Component, ComponentId, Definition, DefinitionId, KeyRecord, Run, RunId, State, StateKey, Table,
    Task, TaskId, VersionRecord,
};

/// Rows that wait for the disk before they are handed over: about what 100 ms of load leave.
const WAITING_MAX: usize = 8_192;

struct Held<K, V>(BTreeMap<K, Arc<V>>);

impl<K, V> Default for Held<K, V> {
    fn default() -> Self {
        Held(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Clone> Held<K, V> {
    fn show(&mut self, table: &mut Table<K, V>) {
        for (key, row) in table.take_fresh() {
            match row {
                Some(row) => self.0.insert(key, row),
                None => self.0.remove(&key),
            };
        }
    }

    /// The disk has the changes: ended rows leave.
    fn drain(&mut self, table: &mut Table<K, V>) {
        for change in table.drain() {
            if let Change::Archive { key, row, .. } = change
                && self.0.get(&key).is_some_and(|held| Arc::ptr_eq(held, &row))
            {
                self.0.remove(&key);
            }
        }
    }
}

/// Every table as readers hold it.
#[derive(Default)]
pub struct Readers {
    runs: Held<RunId, Run>,
    tasks: Held<TaskId, Task>,
    components: Held<ComponentId, Component>,
    keys: Held<StateKey, KeyRecord>,
    versions: Held<(StateKey, u64), VersionRecord>,
    definitions: Held<DefinitionId, Definition>,
}

impl Readers {
    /// Shows what a record changed and, from time to time, drains it.
    pub fn show(&mut self, state: &mut State) {
        self.runs.show(&mut state.runs);
        self.tasks.show(&mut state.tasks);
        self.components.show(&mut state.components);
        self.keys.show(&mut state.keys);
        self.versions.show(&mut state.versions);
        self.definitions.show(&mut state.definitions);
        if state.waiting() > WAITING_MAX {
            self.drain(state);
        }
    }

    fn drain(&mut self, state: &mut State) {
        self.runs.drain(&mut state.runs);
        self.tasks.drain(&mut state.tasks);
        self.components.drain(&mut state.components);
        self.keys.drain(&mut state.keys);
        self.versions.drain(&mut state.versions);
        self.definitions.drain(&mut state.definitions);
        state.journal.events.clear();
        state.journal.answers.clear();
    }
}
