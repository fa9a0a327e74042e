//! The state machine as openraft sees it: decodes records, hands them to the apply thread, builds and installs snapshots.
//! Knows nothing of what records mean.

use std::sync::{Arc, atomic::Ordering};

use openraft::{AnyError, OptionalSend, RaftSnapshotBuilder, StorageIOError, storage::RaftStateMachine};
use tokio::sync::oneshot;

use super::{
    Core,
    apply::{Content, Job, Record},
    drain::{Drainer, Order},
    files::remove_folder,
    snapshot::Snapshots,
};
use crate::{
    codec::Corrupt,
    error::{Fatal, FatalHandler, SnapshotError},
    types::{
        BatchOutcome, LogEntry, LogId, Payload, Snapshot, SnapshotFolder, SnapshotMeta, StorageError,
        StoredMembership, TypeConfig,
    },
};

/// Beyond this many rows, events and answers that wait for the disk, records wait too.
const WAITING_MAX: usize = 500_000;

/// The state machine as openraft sees it.
pub struct StateMachine {
    pub(super) core: Arc<Core>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) fatal: FatalHandler,
}

/// Builds a snapshot of what is applied when it begins.
pub struct SnapshotBuilder {
    core: Arc<Core>,
    snapshots: Arc<Snapshots>,
    fatal: FatalHandler,
}

impl StateMachine {
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StorageError> {
        let (answer, answered) = oneshot::channel();
        self.core.jobs().send(job(answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }

    async fn install(&self, meta: &SnapshotMeta, folder: SnapshotFolder) -> Result<(), SnapshotError> {
        let applied = *self.core.published.applied.borrow();
        let (snapshots, meta) = (self.snapshots.clone(), meta.clone());
        let installed = blocking(move || snapshots.install(&meta, &folder.path, applied)).await?;
        let old = self.core.disk.read().path.clone();
        let drainer = Drainer::new(self.core.clone());
        let installed = Box::new(installed);
        drainer.order(|done| Order::Replace(installed, done)).await.ok_or(SnapshotError::Stopped)?;
        orc_runtime::fail_point("install.replaced");
        // Readers may still have it open, so a leftover is no failure: the next start deletes it.
        blocking(move || {
            let _ = remove_folder(&old);
            Ok(())
        })
        .await
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let standing = self.ask(Job::Stand).await?;
        Ok((standing.applied, standing.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<BatchOutcome>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records: Result<Vec<Record>, _> = entries.into_iter().map(record).collect();
        let records = records.map_err(|(id, error)| {
            let answer = StorageIOError::apply(id, AnyError::new(&error));
            (self.fatal)(&Fatal::Corrupt(error));
            answer
        })?;
        if self.core.published.waiting.load(Ordering::Relaxed) > WAITING_MAX {
            let drainer = Drainer::new(self.core.clone());
            drainer.order(Order::Drain).await.ok_or_else(stopped)?;
        }
        self.ask(|answer| Job::Apply(records, answer)).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            core: self.core.clone(),
            snapshots: self.snapshots.clone(),
            fatal: self.fatal.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFolder>, StorageError> {
        let snapshots = self.snapshots.clone();
        let folder = blocking(move || snapshots.receive()).await;
        folder.map(Box::new).map_err(|error| failed(&self.fatal, error))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFolder>,
    ) -> Result<(), StorageError> {
        self.install(meta, *snapshot).await.map_err(|error| failed(&self.fatal, error))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.snapshots.current())
    }
}

impl SnapshotBuilder {
    pub(super) async fn build(&self) -> Result<Snapshot, SnapshotError> {
        let (snapshots, folder) = (self.snapshots.clone(), self.snapshots.unfinished());
        let drainer = Drainer::new(self.core.clone());
        let checkpoint = drainer.order(|done| Order::Checkpoint(folder.clone(), done)).await;
        let position = checkpoint.ok_or(SnapshotError::Stopped)?.map_err(SnapshotError::Database)?;
        blocking(move || snapshots.finish(&folder, &position)).await
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        self.build().await.map_err(|error| failed(&self.fatal, error))
    }
}

/// A command that this program does not know stops the node: others may know it.
pub(super) fn record(entry: LogEntry) -> Result<Record, (LogId, Corrupt)> {
    let LogEntry { log_id: id, payload } = entry;
    let content = match payload {
        Payload::Blank => Content::Blank,
        Payload::Membership(membership) => Content::Membership(membership),
        Payload::Normal(batch) => Content::Batch(batch.unpack().map_err(|error| (id, error))?),
    };
    Ok(Record { id, content })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    orc_runtime::blocking(work).await.map_err(|_| SnapshotError::Stopped)?
}

fn failed(fatal: &FatalHandler, error: SnapshotError) -> StorageError {
    let answer = StorageIOError::write_snapshot(None, AnyError::new(&error)).into();
    fatal(&Fatal::Snapshot(error));
    answer
}

/// Openraft stops when it hears this; why was told to the fatal handler.
fn stopped() -> StorageError {
    StorageIOError::write_state_machine(AnyError::error("the state machine has stopped")).into()
}
