//! The state as the rest of the node reads it: rows, lists, events, and how far it is. Cheap to clone.
//! Knows nothing of HTTP or of other nodes; reads are local, so whoever needs the latest asks the leader first.

use std::{ops::Bound, sync::Arc};

use orc_domain::{
    ClusterConfig, Component, ComponentId, DeadMessage, DeadTask, Definition, DefinitionId, FanChunk, FanKey,
    KeyRecord, Listed, MessageId, QueuedMessage, Recorded, Run, RunId, Schedule, ScheduleId, Snapshot,
    SnapshotId, StateKey, Task, TaskId, VersionRecord, Workflow, WorkflowName, WorkflowVersion,
};

use super::{
    Core,
    disk::StateDisk,
    events::{self, EventPage, EventsError},
    keys::{self, RowKey, Rows},
    lists::{self, Page},
    overdue::{self, Kept, Reached},
    search::{self, Found, Query, Sources},
    snapshot::Snapshots,
    view::{Ledger, Shards, Span, View},
};
use crate::{codec::Stored, error::ReadError};

/// The state as the rest of the node reads it.
#[derive(Clone)]
pub struct StateReader {
    pub(super) core: Arc<Core>,
    pub(super) snapshots: Arc<Snapshots>,
}

/// What a search looks through, of the view.
type Searched<K, V> = fn(&View) -> (&Shards<K, V>, &Ledger<K>);

/// Rows in memory: these never wait.
impl StateReader {
    /// A live run, or one that has just ended.
    pub fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        self.view().runs.get(id)
    }

    /// A live task, or one that has just ended.
    pub fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.view().tasks.get(id)
    }

    /// A registered component.
    pub fn component(&self, id: &ComponentId) -> Option<Arc<Component>> {
        self.view().components.get(id)
    }

    /// Every registered component, by name.
    pub fn components(&self) -> Vec<Arc<Component>> {
        let all = self.view().components.first(Bound::Unbounded, usize::MAX);
        all.into_iter().map(|(_, row)| row).collect()
    }

    /// A definition in use.
    pub fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>> {
        self.view().definitions.get(id)
    }

    /// A state key; a deleted one is there without a value.
    pub fn key(&self, key: &StateKey) -> Option<Arc<KeyRecord>> {
        self.view().keys.get(key)
    }

    /// At most `limit` state keys that begin with `prefix` and pass the filter, in order, after `after`. Deleted ones are
    /// there without a value.
    pub fn keys(
        &self,
        prefix: &str,
        after: Option<&StateKey>,
        limit: usize,
        filter: impl Fn(&KeyRecord) -> bool,
    ) -> Vec<Arc<KeyRecord>> {
        lists::keys(&self.view().keys, prefix, after, limit, &filter)
    }

    /// A task's place on the dead-letter list.
    pub fn dead(&self, id: &TaskId) -> Option<Arc<DeadTask>> {
        self.view().dead.get(id)
    }

    /// At most `limit` rows of the dead-letter list that pass the filter, the newest task first, before `before`.
    pub fn list_dead(
        &self,
        before: Option<TaskId>,
        limit: usize,
        filter: impl Fn(&DeadTask) -> bool,
    ) -> Vec<Arc<DeadTask>> {
        lists::dead(&self.view().dead, before, limit, filter)
    }

    /// A workflow kept by name.
    pub fn workflow(&self, name: &WorkflowName) -> Option<Arc<Workflow>> {
        self.view().workflows.get(name)
    }

    /// At most `limit` workflows by name, after `after`.
    pub fn workflows(&self, after: Option<&WorkflowName>, limit: usize) -> Vec<Arc<Workflow>> {
        rows_after(&self.view().workflows, after, limit)
    }

    /// A schedule.
    pub fn schedule(&self, id: &ScheduleId) -> Option<Arc<Schedule>> {
        self.view().schedules.get(id)
    }

    /// At most `limit` schedules by name, after `after`.
    pub fn schedules(&self, after: Option<&ScheduleId>, limit: usize) -> Vec<Arc<Schedule>> {
        rows_after(&self.view().schedules, after, limit)
    }

    /// A named snapshot.
    pub fn snapshot(&self, id: SnapshotId) -> Option<Arc<Snapshot>> {
        self.snapshots().into_iter().find(|snapshot| snapshot.id == id)
    }

    /// Every named snapshot, the oldest first.
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let all = self.view().snapshots.first(Bound::Unbounded, usize::MAX);
        all.into_iter().map(|(_, row)| row).collect()
    }

    /// At most `limit` durable messages in the queue of a component, in order, from a number on.
    pub fn messages(&self, component: &ComponentId, from: u64, limit: usize) -> Vec<Arc<QueuedMessage>> {
        let lower = Bound::Included((component.clone(), from));
        let upper = Bound::Included((component.clone(), u64::MAX));
        let rows = self.view().messages.search(&(lower, upper), true, limit, &|_| true);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// A durable message that is in a queue.
    pub fn message(&self, id: MessageId) -> Option<Arc<QueuedMessage>> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let found = self.view().messages.search(&all, true, 1, &|message: &QueuedMessage| message.id == id);
        found.into_iter().next().map(|(_, row)| row)
    }

    /// A durable message that was given up.
    pub fn dead_message(&self, id: MessageId) -> Option<Arc<DeadMessage>> {
        self.view().dead_messages.get(&id)
    }

    /// At most `limit` durable messages that were given up and pass the filter, the newest first, before `before`.
    pub fn dead_messages(
        &self,
        before: Option<MessageId>,
        limit: usize,
        filter: impl Fn(&DeadMessage) -> bool,
    ) -> Vec<Arc<DeadMessage>> {
        let upper = before.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.view().dead_messages.search(&(Bound::Unbounded, upper), false, limit, &filter);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// The cluster's settings.
    pub fn config(&self) -> Arc<ClusterConfig> {
        self.core.published.config.read().clone()
    }

    fn view(&self) -> &View {
        &self.core.published.view
    }
}

/// Rows that may be on the disk only: read on a blocking thread.
impl StateReader {
    /// A run, live or ended.
    pub async fn find_run(&self, id: RunId) -> Result<Option<Arc<Run>>, ReadError> {
        if self.run(&id).is_none() && self.view().run_ledger.is_gone(&id) {
            return Ok(None);
        }
        self.find(|view| &view.runs, keys::RUNS, id).await
    }

    /// A task, live or ended.
    pub async fn find_task(&self, id: TaskId) -> Result<Option<Arc<Task>>, ReadError> {
        if self.task(&id).is_none() && self.view().task_ledger.is_gone(&id) {
            return Ok(None);
        }
        self.find(|view| &view.tasks, keys::TASKS, id).await
    }

    /// A definition, in use or not.
    pub async fn find_definition(&self, id: DefinitionId) -> Result<Option<Arc<Definition>>, ReadError> {
        self.find(|view| &view.definitions, keys::DEFINITIONS, id).await
    }

    /// A version of a workflow.
    pub async fn find_workflow_version(
        &self,
        name: WorkflowName,
        version: u64,
    ) -> Result<Option<Arc<WorkflowVersion>>, ReadError> {
        match self.workflow(&name) {
            Some(workflow) if (1..=workflow.version).contains(&version) => {
                self.find(|view| &view.workflow_versions, keys::WORKFLOW_VERSIONS, (name, version)).await
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Versions of a workflow, the newest first: those before `before`.
    pub async fn list_workflow_versions(
        &self,
        name: WorkflowName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<(WorkflowName, u64), WorkflowVersion>, ReadError> {
        let span = Span { lower: Some((name.clone(), 0)), upper: Some((name, before.unwrap_or(u64::MAX))) };
        let all = |_: &WorkflowVersion| true;
        self.list(|view| &view.workflow_versions, keys::WORKFLOW_VERSIONS, span, (limit, all)).await
    }

    /// A row of items of a `foreach`, under way or ended.
    pub async fn find_fan(&self, key: FanKey) -> Result<Option<Arc<FanChunk>>, ReadError> {
        self.find(|view| &view.fans, keys::FANS, key).await
    }

    /// A kept version of a state key.
    pub async fn find_version(
        &self,
        key: StateKey,
        version: u64,
    ) -> Result<Option<Arc<VersionRecord>>, ReadError> {
        match self.key(&key) {
            Some(record) if record.version_min <= version => {
                self.find(|view| &view.versions, keys::VERSIONS, (key, version)).await
            }
            Some(_) | None => Ok(None),
        }
    }

    /// A page of runs, live and ended; and how many there are in all, where that is known.
    pub async fn list_runs(
        &self,
        query: Query<RunId, Run>,
    ) -> Result<(Found<RunId, Run>, Option<u64>), ReadError> {
        self.search((|view| (&view.runs, &view.run_ledger), keys::RUNS), query).await
    }

    /// A page of tasks, live and ended; and how many there are in all, where that is known.
    pub async fn list_tasks(
        &self,
        query: Query<TaskId, Task>,
    ) -> Result<(Found<TaskId, Task>, Option<u64>), ReadError> {
        self.search((|view| (&view.tasks, &view.task_ledger), keys::TASKS), query).await
    }

    /// Runs on the disk that have been kept long enough, the first to end first, from where an earlier search has come to.
    /// Whoever deletes them calls [`StateReader::drain`] before it asks again.
    pub async fn overdue_runs(
        &self,
        kept: Kept,
        reached: Reached<RunId>,
        limit: usize,
    ) -> Result<(Vec<RunId>, Reached<RunId>), ReadError> {
        self.overdue::<RunId, Run>(keys::RUNS, kept, reached, limit).await
    }

    /// The same of tasks.
    pub async fn overdue_tasks(
        &self,
        kept: Kept,
        reached: Reached<TaskId>,
        limit: usize,
    ) -> Result<(Vec<TaskId>, Reached<TaskId>), ReadError> {
        self.overdue::<TaskId, Task>(keys::TASKS, kept, reached, limit).await
    }

    async fn overdue<K: RowKey, V: Stored + Listed>(
        &self,
        rows: Rows,
        kept: Kept,
        mut reached: Reached<K>,
        limit: usize,
    ) -> Result<(Vec<K>, Reached<K>), ReadError> {
        let overdue = move |_: &Core, disk: &StateDisk| {
            let found = overdue::overdue::<K, V>((disk, rows), kept, &mut reached, limit)?;
            Ok((found, reached))
        };
        self.blocking(overdue).await
    }

    /// Kept versions of a state key, the newest first: those before `before`.
    pub async fn list_versions(
        &self,
        key: StateKey,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<(StateKey, u64), VersionRecord>, ReadError> {
        let Some(record) = self.key(&key) else { return Ok(Page { rows: Vec::new(), next: None }) };
        let span = Span {
            lower: Some((key.clone(), record.version_min)),
            upper: Some((key, before.unwrap_or(u64::MAX))),
        };
        self.list(|view| &view.versions, keys::VERSIONS, span, (limit, |_: &VersionRecord| true)).await
    }

    /// Events after number `after`, oldest first: at most `limit` that pass the filter.
    pub async fn events_since(
        &self,
        after: u64,
        limit: usize,
        filter: impl Fn(&Recorded) -> bool + Send + 'static,
    ) -> Result<EventPage, EventsError> {
        self.events_within(after, (limit, usize::MAX), filter).await
    }

    /// The same, and at most about so many bytes of them, though one at least.
    pub async fn events_within(
        &self,
        after: u64,
        most: (usize, usize),
        filter: impl Fn(&Recorded) -> bool + Send + 'static,
    ) -> Result<EventPage, EventsError> {
        let read = move |core: &Core, disk: &StateDisk| match events::page(
            &core.published,
            disk,
            after,
            most,
            &filter,
        ) {
            Err(EventsError::Read(error)) => Err(error),
            answer => Ok(answer),
        };
        self.both(read).await?
    }

    async fn find<K: RowKey, V: Stored + Clone + Send + Sync + 'static>(
        &self,
        shards: fn(&View) -> &Shards<K, V>,
        rows: Rows,
        key: K,
    ) -> Result<Option<Arc<V>>, ReadError> {
        if let Some(row) = shards(self.view()).get(&key) {
            return Ok(Some(row));
        }
        let found = self.blocking(move |_, disk| disk.archived::<K, V>(rows, &key)).await?;
        Ok(found.map(Arc::new))
    }

    async fn list<K: RowKey, V: Stored + Clone + Send + Sync + 'static>(
        &self,
        shards: fn(&View) -> &Shards<K, V>,
        rows: Rows,
        span: Span<K>,
        (limit, filter): (usize, impl Fn(&V) -> bool + Send + 'static),
    ) -> Result<Page<K, V>, ReadError> {
        let read = move |core: &Core, disk: &StateDisk| {
            lists::page((shards(&core.published.view), disk, rows), span.clone(), limit, &filter)
        };
        self.both(read).await
    }

    async fn search<K: RowKey, V: Stored + Listed + Clone + Send + Sync + 'static>(
        &self,
        (of, rows): (Searched<K, V>, Rows),
        query: Query<K, V>,
    ) -> Result<(Found<K, V>, Option<u64>), ReadError> {
        let read = move |core: &Core, disk: &StateDisk| {
            let (shards, ledger) = of(&core.published.view);
            let sources = Sources { shards, ledger, disk, rows };
            let found = search::search(&sources, &query)?;
            let _still = core.published.moving.read();
            Ok((found, search::count(&sources, &query)?))
        };
        self.both(read).await
    }
}

fn rows_after<K: RowKey, V: Clone>(rows: &Shards<K, V>, after: Option<&K>, limit: usize) -> Vec<Arc<V>> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    rows.first(from, limit).into_iter().map(|(_, row)| row).collect()
}
