//! The one thread that writes the log: what waits is written together and synced once, then everybody is told.
//! Knows nothing of openraft's rules; after a failed write it tells nobody, ever.

use std::sync::Arc;

use openraft::storage::LogFlushed;
use orc_domain::{Bug, planted};
use orc_runtime::{Worker, fail_point, simulation};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    disk::{LogDisk, Writes},
    tail::Tail,
};
use crate::{
    error::{Fatal, FatalHandler},
    store::guard::PanicGuard,
    types::{LogEntry, LogId, TypeConfig, Vote},
};

/// Jobs that may wait; openraft awaits each, so few do.
const JOBS_MAX: usize = 64;
/// Jobs written together.
const GROUP_MAX: usize = 32;

/// One thing to write.
pub enum Job {
    /// Records that follow the last one.
    Append {
        /// The records.
        entries: Vec<LogEntry>,
        /// Delete a record and all before it in the same write.
        purge: Option<LogId>,
        /// Told when they are synced, if somebody waits for that.
        done: Option<LogFlushed<TypeConfig>>,
    },
    /// A vote.
    Vote(Vote, oneshot::Sender<()>),
    /// Delete a record and all after it; the last one then.
    Truncate(u64, Option<LogId>, oneshot::Sender<()>),
    /// Delete a record and all before it.
    Purge(LogId, oneshot::Sender<()>),
}

/// What the thread works on.
pub struct Writer {
    /// The database.
    pub disk: Arc<LogDisk>,
    /// Told what is synced.
    pub tail: Arc<RwLock<Tail>>,
    /// Rides with the next write.
    pub committed: Arc<Mutex<Option<LogId>>>,
    /// Told the number of the last record that is on the disk with all before it.
    pub synced: watch::Sender<Option<u64>>,
    /// Told of a failed write.
    pub fatal: FatalHandler,
    /// The last record written, or what is purged.
    pub last: Option<LogId>,
}

/// A running writer; dropping it writes what waits and ends the thread.
pub struct Handle {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<Worker>,
}

impl Handle {
    /// The door to the thread.
    pub fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

impl Writer {
    /// Starts the thread.
    pub fn start(self) -> std::io::Result<Handle> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let thread = Worker::start("orc-log", self.run(waiting))?;
        Ok(Handle { jobs: Some(jobs), thread: Some(thread) })
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let _guard = PanicGuard::new("log writer", self.fatal.clone());
        let mut committed_written = None;
        while let Some(first) = waiting.recv().await {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(job) = waiting.try_recv()
            {
                group.push(job);
            }
            let disk = self.disk.clone();
            let mut writes = disk.writes();
            for job in &group {
                self.add(job, &mut writes);
            }
            let committed = self.committed_to_write().filter(|id| Some(*id) != committed_written);
            if let Some(id) = committed {
                writes.committed(id);
                committed_written = committed;
            }
            let is_vote = |job: &Job| matches!(job, Job::Vote(..));
            let forgets = planted(Bug::NoFsync) || (planted(Bug::VoteUnsynced) && group.iter().all(is_vote));
            if planted(Bug::AckBeforeCommit) {
                group.drain(..).for_each(|job| self.finish(job));
            }
            simulation::disk_write().await;
            fail_point("log.write");
            if let Err(error) = writes.write(!forgets) {
                (self.fatal)(&Fatal::Log(error));
                return;
            }
            fail_point("log.written");
            for job in group {
                self.finish(job);
            }
        }
    }

    fn add(&mut self, job: &Job, writes: &mut Writes<'_>) {
        match job {
            Job::Append { entries, purge, done: _ } => {
                if let Some(upto) = purge {
                    writes.purge(*upto);
                }
                for entry in entries {
                    writes.append(entry);
                    self.last = Some(entry.log_id);
                }
            }
            Job::Vote(vote, _) => writes.vote(vote),
            Job::Truncate(since, last, _) => {
                writes.truncate(*since);
                self.last = *last;
            }
            Job::Purge(upto, _) => {
                writes.purge(*upto);
                self.last = self.last.filter(|last| last.index > upto.index).or(Some(*upto));
            }
        }
    }

    /// Never beyond the records on the disk: the next start would take those for lost.
    fn committed_to_write(&self) -> Option<LogId> {
        let committed = *self.committed.lock();
        committed.filter(|id| self.last.is_some_and(|last| id.index <= last.index))
    }

    fn finish(&self, job: Job) {
        match job {
            Job::Append { entries, purge: _, done } => {
                if let Some(last) = entries.last() {
                    self.tail.write().synced(last.log_id.index);
                    self.synced.send_replace(Some(last.log_id.index));
                }
                if let Some(done) = done {
                    done.log_io_completed(Ok(()));
                }
            }
            Job::Vote(_, done) | Job::Truncate(_, _, done) | Job::Purge(_, done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}
