//! The log as openraft sees it: records, vote, committed and purged.
//! Knows nothing of what records mean; asks `state/` only how far it is durable before it forgets records.

mod company;
mod disk;
mod tail;
mod torn;
mod writer;

use std::{fmt::Debug, ops::RangeBounds, path::Path, sync::Arc, time::Duration};

use openraft::{
    AnyError, OptionalSend, RaftLogReader, StorageIOError,
    storage::{LogFlushed, RaftLogStorage},
};
use orc_domain::{Bug, planted};
use orc_runtime::simulation;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use self::{
    company::Company,
    disk::{Found, LogDisk},
    tail::{Cached, Tail},
    writer::{Handle, Job, Writer},
};
use crate::{
    error::{Fatal, FatalHandler, ReadError, StartError},
    store::{Drainer, files::start_error},
    types::{LogEntry, LogId, LogState, Membership, Payload, StorageError, TypeConfig, Vote},
};

/// About what one read of replication yields: it has to fit a frame between nodes.
const READ_BYTES_MAX: usize = 1 << 20;
/// How long an append that continues a snapshot waits for its installation.
const INSTALL_MAX: Duration = Duration::from_secs(60);

/// The log's database, opened and checked.
pub struct OpenedLog {
    disk: LogDisk,
    found: Found,
}

impl OpenedLog {
    /// Opens the log of a data folder of this incarnation, with `may_create` a new one; refuses missing or damaged records.
    pub fn open(path: &Path, incarnation: Uuid, may_create: bool) -> Result<OpenedLog, StartError> {
        let disk = LogDisk::open(path, incarnation, may_create)?;
        let found = disk.scan()?;
        Ok(OpenedLog { disk, found })
    }

    /// Refuses a log that has lost records that `state/` or this node itself has seen. Up to `installed` a snapshot
    /// replaces records.
    pub fn check(&self, applied: Option<u64>, installed: Option<u64>) -> Result<(), StartError> {
        let reached = self.found.reached();
        let short = |reached_before, what| StartError::LogShort {
            last: reached.unwrap_or(0),
            reached: reached_before,
            what,
        };
        if let Some(applied) =
            applied.filter(|applied| reached < Some(*applied) && installed < Some(*applied))
        {
            return Err(short(applied, "applied"));
        }
        if let Some(committed) = self.found.committed.filter(|committed| reached < Some(committed.index)) {
            return Err(short(committed.index, "committed"));
        }
        let needed = applied.map_or(0, |applied| applied + 1);
        let first = self.found.first.or(self.found.purged.map(|purged| purged.index + 1));
        match first.filter(|first| *first > needed) {
            Some(found) => Err(StartError::LogGap { expected: needed, found }),
            None => Ok(()),
        }
    }

    /// Starts the writer for this node.
    pub fn start(
        self,
        node: u64,
        cache_bytes: usize,
        drainer: Drainer,
        fatal: FatalHandler,
    ) -> Result<LogStore, StartError> {
        let OpenedLog { disk, found } = self;
        let disk = Arc::new(disk);
        let tail = Arc::new(RwLock::new(Tail::new(&found, cache_bytes)));
        let committed = Arc::new(Mutex::new(found.committed));
        let synced = watch::Sender::new(found.reached());
        let writer = Writer {
            disk: disk.clone(),
            tail: tail.clone(),
            committed: committed.clone(),
            synced: synced.clone(),
            fatal: fatal.clone(),
            last: found.last.or(found.purged),
        };
        simulation::vote_found(node, found.vote.map(|vote| (vote.leader_id.term, vote.leader_id.node_id)));
        let writer = writer.start().map_err(start_error("the log's thread"))?;
        let vote = Mutex::new(found.vote.map(|vote| as_found(node, vote)));
        let company = Company::new(node);
        let shared = Shared { disk, tail, committed, vote, company, synced, writer, drainer, fatal };
        Ok(LogStore { shared: Arc::new(shared) })
    }
}

/// Makes a new log that goes on after a record, where a restored state stands, with a first one of its own.
pub(crate) fn begin_after(
    path: &Path,
    incarnation: Uuid,
    after: LogId,
    first: &LogEntry,
) -> Result<(), StartError> {
    LogDisk::begin_after(path, incarnation, after, first)
}

/// A leader may have sent records that a crash took from its own disk: it must not go on in its term and send others of the
/// same numbers. It has a vote then, and no leadership.
fn as_found(node: u64, vote: Vote) -> Vote {
    let led = vote.committed && vote.leader_id.node_id == node;
    if led { Vote { committed: false, ..vote } } else { vote }
}

/// The log as openraft sees it; clones share it.
#[derive(Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Handle,
    disk: Arc<LogDisk>,
    tail: Arc<RwLock<Tail>>,
    committed: Arc<Mutex<Option<LogId>>>,
    vote: Mutex<Option<Vote>>,
    company: Company,
    /// The last record of which all are on the disk.
    synced: watch::Sender<Option<u64>>,
    drainer: Drainer,
    fatal: FatalHandler,
}

impl LogStore {
    /// The place of the last record, synced or not.
    pub fn last(&self) -> Option<LogId> {
        self.shared.tail.read().last()
    }

    /// Waits until a record and all before it are on this node's disk; never returns if a new leader takes them out.
    pub async fn synced(&self, index: u64) {
        let mut synced = self.shared.synced.subscribe();
        if synced.wait_for(|synced| *synced >= Some(index)).await.is_err() {
            // The store is going down: nobody must take that for a yes.
            std::future::pending().await
        }
    }

    /// Learns who votes, as of the record at `index`.
    pub fn see_membership(&self, index: Option<u64>, membership: &Membership) {
        self.shared.company.see(index, membership);
    }

    /// Whether this node appends as the leader of others, none of whose answers counts before its own disk has the record.
    fn leads_others(&self) -> bool {
        let vote = *self.shared.vote.lock();
        let leads =
            vote.is_some_and(|vote| vote.committed && vote.leader_id.node_id == self.shared.company.node);
        leads && !self.shared.company.is_alone()
    }

    async fn write(&self, job: impl FnOnce(oneshot::Sender<()>) -> Job) -> Result<(), StorageError> {
        let (done, synced) = oneshot::channel();
        self.send(job(done)).await?;
        synced.await.map_err(|_| broken())
    }

    async fn send(&self, job: Job) -> Result<(), StorageError> {
        self.shared.writer.jobs().send(job).await.map_err(|_| broken())
    }

    /// Records of consecutive indexes, as many as there are up to about `bytes_max`.
    async fn read(
        &self,
        range: std::ops::Range<u64>,
        bytes_max: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let Cached { on_disk, entries } = self.shared.tail.read().read(range, bytes_max);
        if on_disk.is_empty() {
            return Ok(entries);
        }
        let end = on_disk.end;
        let disk = self.shared.disk.clone();
        let mut found = self.blocking(move || disk.read(on_disk, bytes_max)).await?;
        if found.last().is_some_and(|entry| entry.log_id.index + 1 == end) {
            found.extend(entries);
        }
        Ok(found)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let result = orc_runtime::blocking(read).await.map_err(|_| broken())?;
        result.map_err(|error| {
            let answer = StorageIOError::read_logs(AnyError::new(&error)).into();
            if let Some(fatal) = Fatal::of(error) {
                (self.shared.fatal)(&fatal);
            }
            answer
        })
    }

    /// Records that do not follow the last one continue a snapshot: what came before it may go once it is durable.
    async fn purge_before(&self, first: u64) -> Result<Option<LogId>, StorageError> {
        let (last, purged) = {
            let tail = self.shared.tail.read();
            (tail.last(), tail.purged())
        };
        if let Some(base) = first.checked_sub(1) {
            let installing = purged.is_some_and(|purged| purged.index == base);
            let wait = if installing { INSTALL_MAX } else { Duration::ZERO };
            let applied = self.shared.drainer.durable(base, wait).await;
            if let Some(base) = purged.into_iter().chain(applied).find(|id| id.index == base) {
                return Ok(Some(base));
            }
        }
        (self.shared.fatal)(&Fatal::Hole { last: last.map_or(0, |id| id.index), found: first });
        Err(broken())
    }

    async fn id_before(&self, index: u64) -> Result<Option<LogId>, StorageError> {
        let Some(before) = index.checked_sub(1) else { return Ok(None) };
        if let Some(id) = self.shared.tail.read().id_at(before) {
            return Ok(Some(id));
        }
        let disk = self.shared.disk.clone();
        self.blocking(move || disk.id_at(before)).await
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, StorageError> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match range.start_bound() {
            Included(start) => *start,
            Excluded(before) => before + 1,
            Unbounded => 0,
        };
        let end = match range.end_bound() {
            Included(last) => last.saturating_add(1),
            Excluded(end) => *end,
            Unbounded => u64::MAX,
        };
        self.read(start..end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<LogEntry>, StorageError> {
        self.read(start..end, READ_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState, StorageError> {
        Ok(self.shared.tail.read().state())
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.write(|done| Job::Vote(*vote, done)).await?;
        *self.shared.vote.lock() = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(*self.shared.vote.lock())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        *self.shared.committed.lock() = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(*self.shared.committed.lock())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let purged = self.shared.tail.read().purged();
        let is_new = |entry: &LogEntry| purged.is_none_or(|purged| entry.log_id.index > purged.index);
        let entries: Vec<LogEntry> = entries.into_iter().filter(is_new).collect();
        let Some(first) = entries.first().map(|entry| entry.log_id.index) else {
            callback.log_io_completed(Ok(()));
            return Ok(());
        };
        let follows = self.shared.tail.read().is_next(first);
        let purge = if follows { None } else { self.purge_before(first).await? };
        for entry in &entries {
            if let Payload::Membership(membership) = &entry.payload {
                self.see_membership(Some(entry.log_id.index), membership);
            }
        }
        {
            let mut tail = self.shared.tail.write();
            if let Some(upto) = purge {
                tail.purge(upto);
            }
            tail.append(&entries);
        }
        if (planted(Bug::PublishUncommitted) || planted(Bug::DispatchBeforeCommit)) && self.leads_others() {
            self.shared.drainer.presume(entries.clone()).await;
        }
        // The others write while this node does (`docs/decisions/007`).
        let (now, done) = if self.leads_others() { (Some(callback), None) } else { (None, Some(callback)) };
        self.send(Job::Append { entries, purge, done }).await?;
        if let Some(callback) = now {
            callback.log_io_completed(Ok(()));
        }
        Ok(())
    }

    /// What waits for the disk is written first, so that it is not taken for what replaces it.
    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let last = self.id_before(log_id.index).await?;
        self.write(|done| Job::Truncate(log_id.index, last, done)).await?;
        self.shared.tail.write().truncate(log_id.index, last);
        self.shared.synced.send_replace(log_id.index.checked_sub(1));
        Ok(())
    }

    /// Hides the records at once; they leave the disk when `state/` is durable up to there, which after a snapshot was
    /// built it is. While a snapshot is being installed it is not: then the append that follows, or the next purge, does.
    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.shared.tail.write().hide(log_id);
        self.shared.synced.send_modify(|synced| *synced = (*synced).max(Some(log_id.index)));
        if self.shared.drainer.durable(log_id.index, Duration::ZERO).await.is_none() {
            return Ok(());
        }
        self.shared.tail.write().purge(log_id);
        self.write(|done| Job::Purge(log_id, done)).await
    }
}

/// Openraft stops when it hears this; why was told to the fatal handler.
fn broken() -> StorageError {
    StorageIOError::write_logs(AnyError::error("the log has stopped")).into()
}
