//! Turns what changed into one write of the state's database, and keeps the sum of row hashes by which replicas compare.
//! Knows nothing of threads. Events and answers do not count in the sum: nodes cut and trim them on their own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use orc_domain::{
    AnswerRecord, CacheKey, CachedOutput, Change, Component, ComponentId, DeadMessage, DeadTask, Definition,
    DefinitionId, FanChunk, FanKey, KeyRecord, MessageId, MessagePlace, Meta, QueuedMessage, Recorded, Run,
    RunId, SavedKey, SavedPlace, Schedule, ScheduleId, Snapshot, State, StateKey, Task, TaskId, Timestamp,
    VersionRecord, Workflow, WorkflowName, WorkflowVersion,
};
use rocksdb::WriteBatch;

use super::{
    apply::Standing,
    disk::StateDisk,
    hash::row_hash,
    index::{self, CountChanges, Indexed},
    keys::{self, RowKey, Rows},
    open::EventsKept,
};
use crate::{
    codec::{self, AnswerRow, EventRow, Gone, Position, Stored},
    error::ReadError,
};

/// Events or answers in one row.
const ROW_MAX: usize = 512;
/// Events or log indexes by which retention lags, so that it deletes seldom.
const TRIM_STEP: u64 = 16_384;
/// Time between two looks at how old the oldest events are.
const AGE_STEP: Duration = Duration::from_secs(60);

/// What changed since the last write, between two log records.
pub struct Changes {
    pub runs: Vec<Change<RunId, Run>>,
    pub tasks: Vec<Change<TaskId, Task>>,
    pub components: Vec<Change<ComponentId, Component>>,
    pub keys: Vec<Change<StateKey, KeyRecord>>,
    pub versions: Vec<Change<(StateKey, u64), VersionRecord>>,
    pub definitions: Vec<Change<DefinitionId, Definition>>,
    pub fans: Vec<Change<FanKey, FanChunk>>,
    pub dead: Vec<Change<TaskId, DeadTask>>,
    pub workflows: Vec<Change<WorkflowName, Workflow>>,
    pub workflow_versions: Vec<Change<(WorkflowName, u64), WorkflowVersion>>,
    pub schedules: Vec<Change<ScheduleId, Schedule>>,
    pub outputs: Vec<Change<CacheKey, CachedOutput>>,
    pub snapshots: Vec<Change<u64, Snapshot>>,
    pub saved: Vec<Change<SavedPlace, SavedKey>>,
    pub messages: Vec<Change<MessagePlace, QueuedMessage>>,
    pub dead_messages: Vec<Change<MessageId, DeadMessage>>,
    pub events: Vec<Arc<Recorded>>,
    pub answers: Vec<AnswerRecord>,
    pub meta: Meta,
    pub answers_rev_min: u64,
    pub standing: Standing,
}

impl Changes {
    /// Takes the changes out of a state that stands there.
    pub fn take(state: &mut State, standing: Standing) -> Changes {
        Changes {
            runs: state.runs.drain(),
            tasks: state.tasks.drain(),
            components: state.components.drain(),
            keys: state.keys.drain(),
            versions: state.versions.drain(),
            definitions: state.definitions.drain(),
            fans: state.fans.drain(),
            dead: state.dead.drain(),
            workflows: state.workflows.drain(),
            workflow_versions: state.workflow_versions.drain(),
            schedules: state.schedules.drain(),
            outputs: state.outputs.drain(),
            snapshots: state.snapshots.drain(),
            saved: state.saved.drain(),
            messages: state.messages.drain(),
            dead_messages: state.dead_messages.drain(),
            events: std::mem::take(&mut state.journal.events),
            answers: std::mem::take(&mut state.journal.answers),
            meta: state.meta.clone(),
            answers_rev_min: state.answers_rev_min(),
            standing,
        }
    }
}

/// Turns changes into writes.
pub struct Encoder {
    position: Position,
    gone: Gone,
    /// Of every live row on the disk, by its whole key.
    hashes: HashMap<Vec<u8>, u64>,
    /// Number of the first stored event.
    events_first: u64,
    answers_first: u64,
    /// When the age of the oldest events was last looked at.
    events_aged: Timestamp,
    /// What the write in the making changes of the index's counts.
    counts: CountChanges,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Encoder {
    /// For a database that stands at `position`, knows which nodes are gone, and has live rows of these hashes.
    pub fn new(
        (position, gone): (Position, Gone),
        hashes: HashMap<Vec<u8>, u64>,
        events_first: u64,
    ) -> Encoder {
        Encoder {
            position,
            gone,
            hashes,
            events_first,
            answers_first: 0,
            events_aged: Timestamp(0),
            counts: CountChanges::new(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Where the database stands once everything encoded is written.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The same, as whoever applies goes on from there.
    pub fn standing(&self) -> Standing {
        let (applied, membership) = (self.position.applied(), self.position.membership());
        Standing { applied, membership, gone: self.gone.clone() }
    }

    /// Everything the database has now came from a snapshot.
    pub fn mark_installed(&mut self) {
        self.position.installed = self.position.applied().map(|id| id.index);
    }

    /// Number of the first event that stays.
    pub fn events_first(&self) -> u64 {
        self.events_first
    }

    /// One write that brings the database up to date.
    pub fn encode(
        &mut self,
        disk: &StateDisk,
        changes: &Changes,
        events_kept: EventsKept,
    ) -> Result<WriteBatch, ReadError> {
        let mut batch = WriteBatch::default();
        self.table(disk, &mut batch, keys::RUNS, &changes.runs)?;
        self.table(disk, &mut batch, keys::TASKS, &changes.tasks)?;
        self.table(disk, &mut batch, keys::COMPONENTS, &changes.components)?;
        self.table(disk, &mut batch, keys::KEYS, &changes.keys)?;
        self.table(disk, &mut batch, keys::VERSIONS, &changes.versions)?;
        self.table(disk, &mut batch, keys::DEFINITIONS, &changes.definitions)?;
        index::write_counts(&disk.db, &mut batch, std::mem::take(&mut self.counts))?;
        self.table(disk, &mut batch, keys::FANS, &changes.fans)?;
        self.table(disk, &mut batch, keys::DEAD, &changes.dead)?;
        self.table(disk, &mut batch, keys::WORKFLOWS, &changes.workflows)?;
        self.table(disk, &mut batch, keys::WORKFLOW_VERSIONS, &changes.workflow_versions)?;
        self.table(disk, &mut batch, keys::SCHEDULES, &changes.schedules)?;
        self.table(disk, &mut batch, keys::OUTPUTS, &changes.outputs)?;
        self.table(disk, &mut batch, keys::SNAPSHOTS, &changes.snapshots)?;
        self.table(disk, &mut batch, keys::SAVED, &changes.saved)?;
        self.table(disk, &mut batch, keys::MESSAGES, &changes.messages)?;
        self.table(disk, &mut batch, keys::DEAD_MESSAGES, &changes.dead_messages)?;
        self.key.clear();
        self.key.extend_from_slice(&keys::META);
        self.put_live(&mut batch, &changes.meta);
        self.journal(&mut batch, changes);
        self.trim_events(disk, &mut batch, &changes.meta, events_kept)?;
        self.trim_answers(&mut batch, changes.answers_rev_min);
        let Standing { applied, membership, gone } = &changes.standing;
        self.position.advance(*applied, membership);
        codec::encode_into(&self.position, &mut self.value);
        batch.put(keys::POSITION, &self.value);
        if *gone != self.gone {
            codec::encode_into(gone, &mut self.value);
            batch.put(keys::GONE, &self.value);
            self.gone.clone_from(gone);
        }
        Ok(batch)
    }

    fn table<K: RowKey, V: Stored + Indexed>(
        &mut self,
        disk: &StateDisk,
        batch: &mut WriteBatch,
        rows: Rows,
        changes: &[Change<K, V>],
    ) -> Result<(), ReadError> {
        // A key that ended and was used again comes as both: what is live now has the last word.
        let is_put = |change: &&Change<K, V>| matches!(change, Change::Put(..));
        for change in changes.iter().filter(|change| !is_put(change)).chain(changes.iter().filter(is_put)) {
            match change {
                Change::Put(key, row) => {
                    self.set_key(rows.live, key);
                    self.put_live(batch, &**row);
                }
                Change::Delete(key) => self.delete_live(batch, rows, key),
                Change::Archive { key, row, was_stored: _ } => {
                    self.delete_live(batch, rows, key);
                    self.set_key(rows.archive, key);
                    codec::encode_into(&**row, &mut self.value);
                    // A definition that is used again at once reaches the archive only where a drain came between.
                    if rows.archive != keys::DEFINITIONS.archive {
                        self.forget_stored::<K, V>(disk, batch, (rows, key))?;
                        self.count(row_hash(&self.key, &self.value));
                    }
                    batch.put(&self.key, &self.value);
                    if let (Some(index), Some(entries)) = (rows.index, row.entries()) {
                        entries.put(batch, &mut self.counts, (index, key));
                    }
                }
                Change::Forget(key) => {
                    self.set_key(rows.archive, key);
                    self.forget_stored::<K, V>(disk, batch, (rows, key))?;
                    batch.delete(&self.key);
                }
            }
        }
        Ok(())
    }

    fn set_key<K: RowKey>(&mut self, prefix: u8, key: &K) {
        self.key.clear();
        self.key.push(prefix);
        key.write(&mut self.key);
    }

    fn put_live<V: Stored>(&mut self, batch: &mut WriteBatch, row: &V) {
        codec::encode_into(row, &mut self.value);
        let hash = row_hash(&self.key, &self.value);
        let before = match self.hashes.get_mut(&self.key) {
            Some(slot) => std::mem::replace(slot, hash),
            None => {
                self.hashes.insert(self.key.clone(), hash);
                0
            }
        };
        self.uncount(before);
        self.count(hash);
        batch.put(&self.key, &self.value);
    }

    /// Nothing where the disk has no such row.
    fn delete_live<K: RowKey>(&mut self, batch: &mut WriteBatch, rows: Rows, key: &K) {
        self.set_key(rows.live, key);
        if let Some(before) = self.hashes.remove(&self.key) {
            self.uncount(before);
            batch.delete(&self.key);
        }
    }

    /// Ended rows are not in memory: their old form is looked up.
    fn forget_stored<K: RowKey, V: Stored + Indexed>(
        &mut self,
        disk: &StateDisk,
        batch: &mut WriteBatch,
        (rows, key): (Rows, &K),
    ) -> Result<(), ReadError> {
        let Some(before) = disk.bytes(&self.key)? else { return Ok(()) };
        self.uncount(row_hash(&self.key, &before));
        if let Some(index) = rows.index
            && let Some(entries) = codec::decode::<V>(&before)?.entries()
        {
            entries.delete(batch, &mut self.counts, (index, key));
        }
        Ok(())
    }

    fn count(&mut self, hash: u64) {
        self.position.hash = self.position.hash.wrapping_add(hash);
    }

    fn uncount(&mut self, hash: u64) {
        self.position.hash = self.position.hash.wrapping_sub(hash);
    }

    fn journal(&mut self, batch: &mut WriteBatch, changes: &Changes) {
        for events in changes.events.chunks(ROW_MAX) {
            codec::encode_into(&EventRow(events.to_vec()), &mut self.value);
            batch.put(keys::events_key(events[0].seq), &self.value);
        }
        for (part, answers) in (0..).zip(changes.answers.chunks(ROW_MAX)) {
            let last_rev = answers[answers.len() - 1].rev;
            codec::encode_into(&AnswerRow(answers.to_vec()), &mut self.value);
            batch.put(keys::answers_key(last_rev, part), &self.value);
        }
    }

    /// Deletes whole rows, so a few more events than asked for may go.
    fn trim_events(
        &mut self,
        disk: &StateDisk,
        batch: &mut WriteBatch,
        meta: &Meta,
        EventsKept { count, age }: EventsKept,
    ) -> Result<(), ReadError> {
        let mut first = self.events_first;
        let wanted = (meta.seq + 1).saturating_sub(count);
        if wanted >= first + TRIM_STEP.min(count.max(1)) {
            // None: every stored event goes, those of this write stay.
            first = disk.events_first(wanted)?.unwrap_or(first);
        }
        let oldest = meta.now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        if meta.now.since(self.events_aged) >= AGE_STEP.min(age) {
            self.events_aged = meta.now;
            first = disk.events_younger(first, Timestamp(oldest))?;
        }
        if first > self.events_first {
            batch.delete_range(keys::events_key(self.events_first), keys::events_key(first));
            self.events_first = first;
        }
        Ok(())
    }

    fn trim_answers(&mut self, batch: &mut WriteBatch, rev_min: u64) {
        if rev_min >= self.answers_first + TRIM_STEP {
            batch.delete_range(keys::answers_key(self.answers_first, 0), keys::answers_key(rev_min, 0));
            self.answers_first = rev_min;
        }
    }
}
