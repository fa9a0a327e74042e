//! The replicated state and the other nodes, as the gateway of one node uses them.
//! Knows nothing of HTTP; the only file beside `seams` that calls the replica's readers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use orc_domain::{
    ActionBacklog, ActionName, ClusterConfig, Component, ComponentId, DeadTask, Definition, DefinitionId,
    FanChunk, FanKey, Following, Group, Idempotency, KeyRecord, NodeId, Recorded, Run, RunId, Schedule,
    ScheduleId, State, StateKey, StepIx, Task, TaskId, Timestamp, Unavailable, VersionRecord, Workflow,
    WorkflowName, WorkflowVersion,
};
use orc_raft::{
    error::ReadError,
    replica::{Leadership, Replica},
    store::{EventPage, Events, EventsError, Found, Query, StateReader},
    types::LogId,
};
use tokio::sync::{broadcast, watch};

use super::census::Counted;

/// How long a caller may wait until what it has seen elsewhere is applied here.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);
/// Versions of a key that are shown.
const VERSIONS_MAX: usize = 10_000;

/// The replicated state and the other nodes; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    replica: Replica,
    leadership: watch::Receiver<Leadership>,
    applied: watch::Receiver<Option<LogId>>,
    pub(super) counted: Arc<Counted>,
}

impl Cluster {
    /// Of a running node.
    pub fn new(replica: Replica) -> Cluster {
        let (leadership, applied) = (replica.leadership(), replica.reader().applied());
        Cluster { replica, leadership, applied, counted: Arc::default() }
    }

    /// The node itself.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.replica.node()
    }

    /// Who leads, as this node sees it.
    pub fn leadership(&self) -> Leadership {
        *self.leadership.borrow()
    }

    /// The last log index applied here.
    pub fn applied(&self) -> u64 {
        self.applied.borrow().map_or(0, |id| id.index)
    }

    /// A log index that nothing that was read here before is newer than. [`Cluster::applied`] comes after the rows.
    pub fn newest(&self) -> u64 {
        self.reader().newest()
    }

    /// The log index of the newest snapshot on this node.
    pub async fn snapshot_index(&self) -> Option<u64> {
        self.replica.node_status().await.snapshot
    }

    /// The clock that a leader stamps with.
    pub fn now(&self) -> Timestamp {
        self.replica.now()
    }

    /// After this, a local read sees everything that was acknowledged anywhere before the call.
    pub async fn read_barrier(&self) -> Result<(), Unavailable> {
        self.replica.read_barrier().await.map(|_| ())
    }

    /// Waits until `rev` is applied here.
    pub async fn wait_applied(&self, rev: u64) -> Result<(), Unavailable> {
        if self.applied() >= rev {
            return Ok(());
        }
        self.replica.wait_applied(rev, APPLIED_WITHIN).await
    }

    /// Whether a call with this idempotency key was answered before.
    pub async fn was_answered(&self, idempotency: Idempotency) -> Result<bool, ReadError> {
        self.reader().inspect(move |state| state.has_answered(&idempotency)).await
    }

    /// The nodes of the cluster as this one knows them, itself included.
    pub fn members(&self) -> Vec<NodeId> {
        self.replica.members()
    }

    /// Asks a node something that needs no agreement.
    pub async fn ask(&self, node: NodeId, request: Vec<u8>) -> Result<Vec<u8>, Unavailable> {
        self.replica.ask(node, request).await
    }

    pub(super) fn reader(&self) -> &StateReader {
        self.replica.reader()
    }

    /// The cluster's settings.
    pub fn config(&self) -> Arc<ClusterConfig> {
        self.reader().config()
    }
}

/// What waits, and what gave up.
impl Cluster {
    /// What waits and runs of each action.
    pub async fn backlog(&self) -> Result<BTreeMap<ActionName, ActionBacklog>, ReadError> {
        self.reader().inspect(State::backlog).await
    }

    /// A task's place on the dead-letter list.
    pub fn dead(&self, id: &TaskId) -> Option<Arc<DeadTask>> {
        self.reader().dead(id)
    }

    /// Rows of the dead-letter list, the newest task first.
    pub fn list_dead(
        &self,
        filter: impl Fn(&DeadTask) -> bool,
        before: Option<TaskId>,
        limit: usize,
    ) -> Vec<Arc<DeadTask>> {
        self.reader().list_dead(before, limit, filter)
    }

    /// The oldest tasks of the dead-letter list, of one action or of all, and how many there are.
    pub async fn oldest_dead(
        &self,
        action: Option<ActionName>,
        limit: usize,
    ) -> Result<(Vec<TaskId>, usize), ReadError> {
        let look = move |state: &State| {
            let meant = |dead: &DeadTask| action.as_ref().is_none_or(|action| dead.action == *action);
            let all = || state.dead.iter().filter(|(_, dead)| meant(dead)).map(|(task, _)| *task);
            (all().take(limit).collect(), all().count())
        };
        self.reader().inspect(look).await
    }
}

/// Rows.
impl Cluster {
    /// A live run, or one that has just ended.
    pub fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        self.reader().run(id)
    }

    /// A live task, or one that has just ended.
    pub fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.reader().task(id)
    }

    /// A definition in use.
    pub fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>> {
        self.reader().definition(id)
    }

    /// A registered component.
    pub fn component(&self, id: &ComponentId) -> Option<Arc<Component>> {
        self.reader().component(id)
    }

    /// Every registered component, by name.
    pub fn components(&self) -> Vec<Arc<Component>> {
        self.reader().components()
    }

    /// A state key; a deleted one is there without a value.
    pub fn key(&self, key: &StateKey) -> Option<Arc<KeyRecord>> {
        self.reader().key(key)
    }

    /// State keys in order, after `after`.
    pub fn keys(
        &self,
        prefix: &str,
        after: Option<&StateKey>,
        limit: usize,
        filter: impl Fn(&KeyRecord) -> bool,
    ) -> Vec<Arc<KeyRecord>> {
        self.reader().keys(prefix, after, limit, filter)
    }

    /// A workflow kept by name.
    pub fn workflow(&self, name: &WorkflowName) -> Option<Arc<Workflow>> {
        self.reader().workflow(name)
    }

    /// Workflows by name, after `after`.
    pub fn workflows(&self, after: Option<&WorkflowName>, limit: usize) -> Vec<Arc<Workflow>> {
        self.reader().workflows(after, limit)
    }

    /// A version of a workflow.
    pub async fn find_workflow_version(
        &self,
        name: WorkflowName,
        version: u64,
    ) -> Result<Option<Arc<WorkflowVersion>>, ReadError> {
        self.reader().find_workflow_version(name, version).await
    }

    /// Versions of a workflow before `before`, the newest first.
    pub async fn workflow_versions(
        &self,
        name: WorkflowName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Arc<WorkflowVersion>>, ReadError> {
        Ok(self.reader().list_workflow_versions(name, before, limit).await?.rows)
    }

    /// A schedule.
    pub fn schedule(&self, id: &ScheduleId) -> Option<Arc<Schedule>> {
        self.reader().schedule(id)
    }

    /// Schedules by name, after `after`.
    pub fn schedules(&self, after: Option<&ScheduleId>, limit: usize) -> Vec<Arc<Schedule>> {
        self.reader().schedules(after, limit)
    }

    /// A run, live or ended.
    pub async fn find_run(&self, id: RunId) -> Result<Option<Arc<Run>>, ReadError> {
        self.reader().find_run(id).await
    }

    /// A task, live or ended.
    pub async fn find_task(&self, id: TaskId) -> Result<Option<Arc<Task>>, ReadError> {
        self.reader().find_task(id).await
    }

    /// A definition, in use or not.
    pub async fn find_definition(&self, id: DefinitionId) -> Result<Option<Arc<Definition>>, ReadError> {
        self.reader().find_definition(id).await
    }

    /// A row of items of a `foreach`, under way or ended.
    pub async fn find_fan(&self, key: FanKey) -> Result<Option<Arc<FanChunk>>, ReadError> {
        self.reader().find_fan(key).await
    }

    /// Steps that await an approval, from a place on, in the order of their runs.
    pub async fn approvals(
        &self,
        from: (RunId, StepIx),
        count: usize,
    ) -> Result<Vec<(RunId, StepIx)>, ReadError> {
        self.reader().inspect(move |state| state.approvals(from, count)).await
    }

    /// The runs that hold the places of a run's concurrency group.
    pub async fn holders(&self, run: &Run, group: &Group) -> Result<Vec<RunId>, ReadError> {
        let (workflow, name) = (run.workflow.clone(), group.name.clone());
        self.reader().inspect(move |state| state.group(&workflow, &name).0).await
    }

    /// Kept versions of a state key, the newest first.
    pub async fn versions(&self, key: StateKey) -> Result<Vec<Arc<VersionRecord>>, ReadError> {
        Ok(self.reader().list_versions(key, None, VERSIONS_MAX).await?.rows)
    }

    /// A kept version of a state key.
    pub async fn version(
        &self,
        key: StateKey,
        version: u64,
    ) -> Result<Option<Arc<VersionRecord>>, ReadError> {
        self.reader().find_version(key, version).await
    }

    /// A page of runs, and how many there are in all where that is known.
    pub async fn list_runs(
        &self,
        query: Query<RunId, Run>,
    ) -> Result<(Found<RunId, Run>, Option<u64>), ReadError> {
        self.reader().list_runs(query).await
    }

    /// A page of tasks, and how many there are in all where that is known.
    pub async fn list_tasks(
        &self,
        query: Query<TaskId, Task>,
    ) -> Result<(Found<TaskId, Task>, Option<u64>), ReadError> {
        self.reader().list_tasks(query).await
    }
}

/// What has happened.
impl Cluster {
    /// Events from now on, one message per log record.
    pub fn events(&self) -> broadcast::Receiver<Events> {
        self.reader().events()
    }

    /// Events after number `after` that pass the filter.
    pub async fn events_since(
        &self,
        after: u64,
        limit: usize,
        filter: impl Fn(&Recorded) -> bool + Send + 'static,
    ) -> Result<EventPage, EventsError> {
        self.reader().events_since(after, limit, filter).await
    }

    /// The same, and at most about so many bytes of them, though one at least.
    pub async fn events_within(
        &self,
        after: u64,
        most: (usize, usize),
        filter: impl Fn(&Recorded) -> bool + Send + 'static,
    ) -> Result<EventPage, EventsError> {
        self.reader().events_within(after, most, filter).await
    }

    /// Where the leader is with the events, and which steps wait for one.
    pub async fn following(&self) -> Result<Following, ReadError> {
        self.reader().inspect(State::following).await
    }

    /// Number of the last event.
    pub fn last_seq(&self) -> u64 {
        self.reader().last_seq()
    }

    /// Number of the first event that is still kept.
    pub fn first_seq(&self) -> u64 {
        self.reader().first_seq()
    }
}
