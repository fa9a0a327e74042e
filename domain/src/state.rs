//! All that the cluster has agreed on, in tables that remember what changed.
//! Knows nothing of disks; indexes over the tables are rebuilt from them.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    answer::Answer,
    command::Idempotency,
    component::Component,
    config::ClusterConfig,
    definition::Definition,
    event::Recorded,
    ids::{ComponentId, DefinitionId, IdempotencyKey, RunId, StateKey, TaskId, Timestamp, Token},
    indexes::{Counts, Indexes},
    key::{KeyRecord, VersionRecord},
    names::{ScheduleId, WorkflowName},
    run::Run,
    schedule::Schedule,
    table::Table,
    task::Task,
    workflow::{Workflow, WorkflowVersion},
};

/// All that the cluster has agreed on.
#[derive(Debug, Default)]
pub struct State {
    /// The small facts.
    pub meta: Meta,
    /// Live runs; ended ones are in the archive.
    pub runs: Table<RunId, Run>,
    /// Live tasks; a step's task vanishes with its end, others go to the archive.
    pub tasks: Table<TaskId, Task>,
    /// Registered components.
    pub components: Table<ComponentId, Component>,
    /// State keys with their current values.
    pub keys: Table<StateKey, KeyRecord>,
    /// Kept versions of state keys; they live in the archive only.
    pub versions: Table<(StateKey, u64), VersionRecord>,
    /// Definitions of live runs and of the latest versions of workflows, and others while there is room.
    pub definitions: Table<DefinitionId, Definition>,
    /// Workflows kept by name.
    pub workflows: Table<WorkflowName, Workflow>,
    /// Versions of workflows; they live in the archive only.
    pub workflow_versions: Table<(WorkflowName, u64), WorkflowVersion>,
    /// Schedules.
    pub schedules: Table<ScheduleId, Schedule>,
    /// Events and answers since the last drain.
    pub journal: Journal,
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
}

/// Events and answers since the last drain, in order.
#[derive(Debug, Default)]
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

/// Answers by key, oldest first out.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    by_key: BTreeMap<IdempotencyKey, AnswerRecord>,
    by_age: VecDeque<IdempotencyKey>,
}

impl Answers {
    pub(crate) const KEPT_MAX: usize = 1_000_000;
    pub(crate) const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

    pub(crate) fn get(&self, key: &IdempotencyKey) -> Option<&AnswerRecord> {
        self.by_key.get(key)
    }

    pub(crate) fn insert(&mut self, record: AnswerRecord) {
        let key = record.idempotency.key;
        if self.by_key.insert(key, record).is_none() {
            self.by_age.push_back(key);
        }
    }

    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some(key) = self.by_age.front() {
            let oldest = &self.by_key[key];
            if self.by_age.len() <= Self::KEPT_MAX && oldest.at + Self::KEPT_FOR >= now {
                return;
            }
            self.by_key.remove(key);
            self.by_age.pop_front();
        }
    }

    fn oldest_rev(&self) -> Option<u64> {
        self.by_age.front().map(|key| self.by_key[key].rev)
    }
}

impl State {
    /// Restores an answer from the disk; call in log order. The disk forgets later than memory does: what had expired when
    /// this one was given is dropped, as it was then.
    pub fn restore_answer(&mut self, record: AnswerRecord) {
        self.answers.expire(record.at);
        self.answers.insert(record);
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

    /// Work that nothing can ever wake, as sentences: there must be none.
    pub fn stuck(&self) -> Vec<String> {
        crate::indexes::stuck(self)
    }

    /// How many rows, events and answers wait for the disk.
    pub fn waiting(&self) -> usize {
        self.runs.waiting()
            + self.tasks.waiting()
            + self.components.waiting()
            + self.keys.waiting()
            + self.versions.waiting()
            + self.definitions.waiting()
            + self.workflows.waiting()
            + self.workflow_versions.waiting()
            + self.schedules.waiting()
            + self.journal.events.len()
            + self.journal.answers.len()
    }
}
