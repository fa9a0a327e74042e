//! A disk made of maps: what drains leave, and the state that comes back from it.

use alloc::collections::BTreeMap;

use super::*;

/// What drains have left.
#[derive(Default)]
pub(super) struct Store {
    runs: BTreeMap<RunId, Arc<Run>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    components: BTreeMap<ComponentId, Arc<Component>>,
    keys: BTreeMap<StateKey, Arc<KeyRecord>>,
    definitions: BTreeMap<DefinitionId, Arc<Definition>>,
    fans: BTreeMap<FanKey, Arc<FanChunk>>,
    dead: BTreeMap<TaskId, Arc<DeadTask>>,
    workflows: BTreeMap<WorkflowName, Arc<Workflow>>,
    schedules: BTreeMap<ScheduleId, Arc<Schedule>>,
    outputs: BTreeMap<CacheKey, Arc<CachedOutput>>,
    snapshots: BTreeMap<u64, Arc<Snapshot>>,
    saved: BTreeMap<SavedPlace, Arc<SavedKey>>,
    messages: BTreeMap<MessagePlace, Arc<QueuedMessage>>,
    dead_messages: BTreeMap<MessageId, Arc<DeadMessage>>,
    answers: Vec<AnswerRecord>,
    meta: Meta,
}

fn write<K: Ord + Clone, V: Clone>(rows: &mut BTreeMap<K, Arc<V>>, table: &mut Table<K, V>) {
    for change in table.drain() {
        match change {
            Change::Put(key, row) => {
                rows.insert(key, row);
            }
            Change::Delete(key) => assert!(rows.remove(&key).is_some(), "only what is there is deleted"),
            Change::Archive { key, was_stored, .. } => assert_eq!(rows.remove(&key).is_some(), was_stored),
            Change::Forget(_) => {}
        }
    }
}

fn restore<K: Ord + Clone, V: Clone>(rows: &BTreeMap<K, Arc<V>>, table: &mut Table<K, V>) {
    for (key, row) in rows {
        table.restore(key.clone(), (**row).clone());
    }
}

impl Store {
    pub(super) fn drain(&mut self, state: &mut State) {
        write(&mut self.runs, &mut state.runs);
        write(&mut self.tasks, &mut state.tasks);
        write(&mut self.components, &mut state.components);
        write(&mut self.keys, &mut state.keys);
        write(&mut self.definitions, &mut state.definitions);
        write(&mut self.fans, &mut state.fans);
        write(&mut self.dead, &mut state.dead);
        state.versions.drain();
        write(&mut self.workflows, &mut state.workflows);
        state.workflow_versions.drain();
        write(&mut self.schedules, &mut state.schedules);
        write(&mut self.outputs, &mut state.outputs);
        write(&mut self.snapshots, &mut state.snapshots);
        write(&mut self.saved, &mut state.saved);
        write(&mut self.messages, &mut state.messages);
        write(&mut self.dead_messages, &mut state.dead_messages);
        self.answers.append(&mut state.journal.answers);
        state.journal.events.clear();
        self.meta = state.meta.clone();
    }

    pub(super) fn load(&self) -> State {
        let mut state = State { meta: self.meta.clone(), ..State::default() };
        restore(&self.runs, &mut state.runs);
        restore(&self.tasks, &mut state.tasks);
        restore(&self.components, &mut state.components);
        restore(&self.keys, &mut state.keys);
        restore(&self.definitions, &mut state.definitions);
        restore(&self.fans, &mut state.fans);
        restore(&self.dead, &mut state.dead);
        restore(&self.workflows, &mut state.workflows);
        restore(&self.schedules, &mut state.schedules);
        restore(&self.outputs, &mut state.outputs);
        restore(&self.snapshots, &mut state.snapshots);
        restore(&self.saved, &mut state.saved);
        restore(&self.messages, &mut state.messages);
        restore(&self.dead_messages, &mut state.dead_messages);
        for answer in &self.answers {
            state.restore_answer(answer.clone());
        }
        state.restore_indexes();
        state
    }
}
