//! All that the cluster has agreed on, in tables that remember what changed.
//! Knows nothing of disks; indexes over the tables are rebuilt from them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    sync::Arc,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use crate::{
    answer::Answer,
    answers::Answers,
    backlog::ActionBacklog,
    cache::{CacheKey, CachedOutput},
    child::{FanChunk, FanKey},
    command::Idempotency,
    component::Component,
    config::ClusterConfig,
    definition::Definition,
    following::{AwaitedEvent, Followed, Following},
    ids::{ActionName, ComponentId, DefinitionId, RunId, StateKey, StepIx, TaskId, Text, Timestamp, Token},
    indexes::{Counts, Indexes},
    key::{KeyRecord, VersionRecord},
    message::{DeadMessage, MessageId, MessagePlace, QueuedMessage},
    names::{ScheduleId, WorkflowName},
    recorded::Recorded,
    run::Run,
    schedule::Schedule,
    snapshot::{SavedKey, SavedPlace, Snapshot, SnapshotId},
    step::Work,
    table::Table,
    task::{DeadTask, Task},
    workflow::{Workflow, WorkflowVersion},
};

/// All that the cluster has agreed on.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The small facts.
    pub meta: Meta,
    /// Live runs; ended ones are in the archive.
    pub runs: Table<RunId, Run>,
    /// Live tasks; a step's task vanishes with its end, others go to the archive.
    pub tasks: Table<TaskId, Task>,
    /// Registered components.
    pub components: Table<ComponentId, Component>,
    /// Named snapshots of the state keys, by their number.
    pub snapshots: Table<u64, Snapshot>,
    /// Keys as they were when a snapshot was made, where they have changed since.
    pub saved: Table<SavedPlace, SavedKey>,
    /// Durable messages in the queues of their components.
    pub messages: Table<MessagePlace, QueuedMessage>,
    /// Durable messages that were given up.
    pub dead_messages: Table<MessageId, DeadMessage>,
    /// State keys with their current values.
    pub keys: Table<StateKey, KeyRecord>,
    /// Kept versions of state keys; they live in the archive only.
    pub versions: Table<(StateKey, u64), VersionRecord>,
    /// Definitions of live runs and of the latest versions of workflows, and others while there is room.
    pub definitions: Table<DefinitionId, Definition>,
    /// Items of each `foreach` at work; those of ended ones are in the archive.
    pub fans: Table<FanKey, FanChunk>,
    /// Workflows kept by name.
    pub workflows: Table<WorkflowName, Workflow>,
    /// Versions of workflows; they live in the archive only.
    pub workflow_versions: Table<(WorkflowName, u64), WorkflowVersion>,
    /// Schedules.
    pub schedules: Table<ScheduleId, Schedule>,
    /// Outputs kept for later runs.
    pub outputs: Table<CacheKey, CachedOutput>,
    /// Events and answers since the last drain.
    pub journal: Journal,
    /// The dead-letter list: tasks of their own that gave up.
    pub dead: Table<TaskId, DeadTask>,
    pub(crate) answers: Answers,
    pub(crate) indexes: Indexes,
}

/// The small facts, one row on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// What commands mean; raised by a command once every node can.
    pub version: u32,
    /// The latest time any entry brought.
    pub now: Timestamp,
    /// Log index of the last entry.
    pub rev: u64,
    /// Number of the last event.
    pub seq: u64,
    /// The last token handed out.
    pub token: Token,
    /// Cluster-wide settings.
    pub config: Arc<ClusterConfig>,
    /// Actions of which no tasks are assigned.
    pub paused_actions: Arc<BTreeSet<ActionName>>,
    /// Work that nothing can wake, as it was reported.
    pub stuck: Arc<BTreeSet<Text>>,
    /// Tasks that left the dead-letter list because it was full.
    pub dead_overflowed: u64,
    /// How far the leader has followed the events.
    pub followed: Followed,
    /// Number of the last durable message.
    pub messages_sent: u64,
    /// Number of the last named snapshot.
    pub snapshots_made: u64,
}

/// Events and answers since the last drain, in order.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// What happened.
    pub events: Vec<Arc<Recorded>>,
    /// What callers with an idempotency key heard.
    pub answers: Vec<AnswerRecord>,
}

/// An answer kept under its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// Key and request.
    pub idempotency: Idempotency,
    /// Log index of the entry.
    pub rev: u64,
    /// When.
    pub at: Timestamp,
    /// What the caller heard.
    pub answer: Answer,
}

/// Findings that one report may hold.
const STUCK_MAX: usize = 1_000;

impl State {
    /// Restores an answer from the disk; call in log order. The disk forgets later than memory does: what had expired when
    /// this one was given is dropped, as it was then.
    pub fn restore_answer(&mut self, record: AnswerRecord) {
        self.answers.expire(record.at);
        self.answers.insert(record);
    }

    /// Whether the same call was answered before, and its answer is kept.
    pub fn has_answered(&self, idempotency: &Idempotency) -> bool {
        self.answers.get(&idempotency.key).is_some_and(|known| known.idempotency == *idempotency)
    }

    /// Builds the indexes after every row was restored.
    pub fn restore_indexes(&mut self) {
        self.indexes = Indexes::of(self);
    }

    /// Answers of log indexes below this one have expired and may be deleted from the disk.
    pub fn answers_rev_min(&self) -> u64 {
        self.answers.oldest_rev().unwrap_or(self.meta.rev)
    }

    /// Cluster-wide settings.
    pub fn config(&self) -> &Arc<ClusterConfig> {
        &self.meta.config
    }

    /// The earliest time at which time alone changes something.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.indexes.next_due()
    }

    /// How much there is of what.
    pub fn counts(&self) -> Counts {
        self.indexes.counts(self)
    }

    /// The running attempts of each component.
    pub fn running(&self) -> &BTreeMap<ComponentId, BTreeSet<TaskId>> {
        self.indexes.running()
    }

    /// A named snapshot.
    pub fn snapshot(&self, id: SnapshotId) -> Option<&Snapshot> {
        self.snapshots.iter().map(|(_, snapshot)| snapshot).find(|snapshot| snapshot.id == id)
    }

    /// At most so many steps that await an approval, from a place on, in the order of their runs.
    pub fn approvals(&self, from: (RunId, StepIx), count: usize) -> Vec<(RunId, StepIx)> {
        self.indexes.approvals(from).take(count).collect()
    }

    /// Where the leader is with the events, and which steps wait for one.
    pub fn following(&self) -> Following {
        let awaited = |(run, step): (RunId, StepIx)| {
            let work = self.runs.get(&run)?.steps.get(usize::from(step))?.work.as_deref()?;
            let Work::Event(wait) = work else { return None };
            Some(AwaitedEvent { run, step, wait: wait.clone() })
        };
        let awaited = self.indexes.event_waits().filter_map(awaited).collect();
        let last = Followed { seq: self.meta.seq, rev: self.meta.rev };
        Following { followed: self.meta.followed, last, awaited }
    }

    /// The runs of a concurrency group of a workflow: those that have started, and those that wait, the first one first.
    pub fn group(&self, workflow: &Text, name: &Text) -> (Vec<RunId>, Vec<RunId>) {
        self.indexes.group(workflow, name)
    }

    /// What waits and runs of each action that has live tasks, slots or a pause, by its name.
    pub fn backlog(&self) -> BTreeMap<ActionName, ActionBacklog> {
        self.indexes.backlog(&self.meta.paused_actions)
    }

    /// Work that nothing can ever wake, as sentences: there must be none.
    pub fn stuck(&self) -> Vec<String> {
        crate::indexes::stuck(self)
    }

    /// What [`Command::ReportStuck`](crate::Command::ReportStuck) should say now; none where that is known.
    pub fn stuck_news(&self) -> Option<BTreeSet<Text>> {
        let found: BTreeSet<Text> = self.stuck().into_iter().take(STUCK_MAX).map(Text::from).collect();
        (found != *self.meta.stuck).then_some(found)
    }

    /// How many rows, events and answers wait for the disk.
    pub fn waiting(&self) -> usize {
        self.runs.waiting()
            + self.tasks.waiting()
            + self.components.waiting()
            + self.keys.waiting()
            + self.versions.waiting()
            + self.definitions.waiting()
            + self.fans.waiting()
            + self.dead.waiting()
            + self.workflows.waiting()
            + self.workflow_versions.waiting()
            + self.schedules.waiting()
            + self.outputs.waiting()
            + self.snapshots.waiting()
            + self.saved.waiting()
            + self.messages.waiting()
            + self.dead_messages.waiting()
            + self.journal.events.len()
            + self.journal.answers.len()
    }
}
