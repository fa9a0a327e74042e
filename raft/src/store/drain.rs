//! The one thread that writes the state's database: it takes what changed from the apply thread and writes it in one
//! batch, on a beat or on demand. One batch is in flight at most; changes wait in memory meanwhile.
//! Knows nothing of rules; a failed write ends the node.

use std::{path::PathBuf, sync::Arc, time::Duration};

use orc_runtime::{Worker, fail_point};
use parking_lot::RwLock;
use rocksdb::checkpoint::Checkpoint;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    apply::{Job, Replacement},
    disk::{Loaded, StateDisk},
    encoder::{Changes, Encoder},
    guard::PanicGuard,
    hand_over,
    open::EventsKept,
    published::Published,
    rocks::settle,
};
use crate::{
    codec::Position,
    error::{Fatal, FatalHandler},
    types::LogId,
};

/// Orders that may wait.
const ORDERS_MAX: usize = 256;

/// Something for the thread to do.
pub enum Order {
    /// Write what changed.
    Drain(oneshot::Sender<Position>),
    /// Write what changed and make it durable.
    Sync(oneshot::Sender<Position>),
    /// Write what changed and copy the database into a new folder. A copy that fails is for whoever wants it to judge.
    Checkpoint(PathBuf, oneshot::Sender<Result<Position, rocksdb::Error>>),
    /// Go on with another database and state: a snapshot's.
    Replace(Box<(Arc<StateDisk>, Loaded)>, oneshot::Sender<()>),
}

/// The thread's own things.
pub struct Drain {
    /// The database; readers share the slot.
    pub disk: Arc<RwLock<Arc<StateDisk>>>,
    /// What it has.
    pub encoder: Encoder,
    /// The way to the state.
    pub jobs: mpsc::Sender<Job>,
    /// Where it says what is on the disk.
    pub published: Arc<Published>,
    /// Told of failures.
    pub fatal: FatalHandler,
    /// The longest time a change waits.
    pub interval: Duration,
    /// Events kept on the disk.
    pub events_kept: EventsKept,
}

/// The thread has to end: the apply thread has, or a write failed.
struct Stop;

impl Drain {
    /// Starts the thread; it ends when every sender is gone.
    pub fn start(self) -> std::io::Result<(mpsc::Sender<Order>, Worker)> {
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let thread = Worker::start("orc-drain", self.run(waiting))?;
        Ok((orders, thread))
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Order>) {
        let _guard = PanicGuard::new("drain", self.fatal.clone());
        loop {
            let result = match timeout(self.interval, waiting.recv()).await {
                Ok(Some(order)) => self.obey(order).await,
                Err(_) => self.drain().await,
                Ok(None) => return,
            };
            if let Err(Stop) = result {
                return;
            }
        }
    }

    /// Whoever gave an order may have stopped waiting, so a failed send is nothing.
    async fn obey(&mut self, order: Order) -> Result<(), Stop> {
        match order {
            Order::Drain(done) => {
                self.drain().await?;
                let _ = done.send(self.encoder.position().clone());
            }
            Order::Sync(done) => {
                self.drain().await?;
                let disk = self.disk.read().clone();
                self.written(disk.db.flush_wal(true))?;
                self.durable();
                let _ = done.send(self.encoder.position().clone());
            }
            Order::Checkpoint(folder, done) => {
                self.drain().await?;
                let disk = self.disk.read().clone();
                let made = settle(&disk.db)
                    .and_then(|()| Checkpoint::new(&disk.db))
                    .and_then(|checkpoint| checkpoint.create_checkpoint(folder));
                if made.is_ok() {
                    // A checkpoint flushes memory to synced tables first.
                    self.durable();
                }
                let _ = done.send(made.map(|()| self.encoder.position().clone()));
            }
            Order::Replace(other, done) => {
                let (disk, loaded) = *other;
                self.replace(disk, loaded).await?;
                let _ = done.send(());
            }
        }
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), Stop> {
        if *self.published.applied.borrow() == self.encoder.position().applied() {
            return Ok(());
        }
        let changes = self.take().await?;
        let disk = self.disk.read().clone();
        let batch = match self.encoder.encode(&disk, &changes, self.events_kept) {
            Ok(batch) => batch,
            Err(error) => {
                if let Some(fatal) = Fatal::of(error) {
                    (self.fatal)(&fatal);
                }
                return Err(Stop);
            }
        };
        let published = self.published.clone();
        // Whoever finds an event gone must be able to see that it is.
        published.raise_events_first(self.encoder.events_first());
        // Ended rows move from memory to the disk: whoever counts both waits until they have.
        let _moving = published.moving.write();
        fail_point("state.write");
        self.written(disk.db.write(batch))?;
        fail_point("state.written");
        self.settle(&changes);
        Ok(())
    }

    async fn take(&self) -> Result<Changes, Stop> {
        let (answer, changes) = oneshot::channel();
        self.jobs.send(Job::Take(answer)).await.map_err(|_| Stop)?;
        changes.await.map_err(|_| Stop)
    }

    fn written(&self, result: Result<(), rocksdb::Error>) -> Result<(), Stop> {
        result.map_err(|error| {
            (self.fatal)(&Fatal::State(error));
            Stop
        })
    }

    fn durable(&self) {
        self.published.durable.send_replace(self.encoder.position().applied());
    }

    fn settle(&self, changes: &Changes) {
        let view = &self.published.view;
        view.run_ledger.settle(&view.runs, &changes.runs);
        view.task_ledger.settle(&view.tasks, &changes.tasks);
        view.components.settle(&changes.components, |_| ());
        view.keys.settle(&changes.keys, |_| ());
        view.versions.settle(&changes.versions, |_| ());
        view.definitions.settle(&changes.definitions, |_| ());
        view.fans.settle(&changes.fans, |_| ());
        view.dead.settle(&changes.dead, |_| ());
        view.workflows.settle(&changes.workflows, |_| ());
        view.workflow_versions.settle(&changes.workflow_versions, |_| ());
        view.schedules.settle(&changes.schedules, |_| ());
        view.outputs.settle(&changes.outputs, |_| ());
        self.published.ring.write().stored(changes.meta.seq + 1);
    }

    async fn replace(&mut self, disk: Arc<StateDisk>, loaded: Loaded) -> Result<(), Stop> {
        let Loaded { state, encoder } = loaded;
        let standing = encoder.standing();
        let replacement = Replacement { state, standing, events_first: encoder.events_first() };
        self.published.announce(replacement.standing.applied, replacement.events_first);
        // Rows of the old view are in the new database, too, once they have ended; those of the new view are not in the old
        // one, so whoever reads both there reads again.
        *self.disk.write() = disk;
        self.encoder = encoder;
        let (done, replaced) = oneshot::channel();
        self.jobs.send(Job::Replace(Box::new(replacement), done)).await.map_err(|_| Stop)?;
        replaced.await.map_err(|_| Stop)
    }
}

/// The way to the thread; clones share it.
#[derive(Clone)]
pub struct Drainer {
    pub(super) core: Arc<super::Core>,
}

impl Drainer {
    pub(super) fn new(core: Arc<super::Core>) -> Drainer {
        Drainer { core }
    }

    /// Has the thread obey; none once the node is stopping.
    pub(super) async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (done, answer) = oneshot::channel();
        hand_over(&self.core, super::Core::orders, order(done)).ok()?;
        answer.await.ok()
    }

    /// Waits at most this long until the record of an index is applied, makes the state durable up to there, and says
    /// where it stands; none if it is not applied.
    pub async fn durable(&self, index: u64, wait: Duration) -> Option<LogId> {
        let reached = |id: &Option<LogId>| id.is_some_and(|id| id.index >= index);
        let published = &self.core.published;
        let mut applied = published.applied.subscribe();
        if !reached(&applied.borrow()) {
            tokio::time::timeout(wait, applied.wait_for(reached)).await.ok()?.ok()?;
        }
        let durable = *published.durable.borrow();
        if reached(&durable) {
            return durable;
        }
        self.order(Order::Sync).await?.applied()
    }
}
