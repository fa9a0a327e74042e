//! The logs that this node keeps: takes lines without waiting, and reads them back while more are written.
//! Knows nothing of other nodes.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Answer, Batch, LogLimits, Request,
    index::Index,
    keep::{Keeper, Order},
    merge::{Source, merge},
    read,
};

/// Batches, and bytes of text, that may wait to be written.
const QUEUE_MAX: usize = 4096;
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a line costs beyond its text.
const LINE_COST: usize = 64;
/// How long a reader waits for what was taken before to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// More lines are taken than can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("logs come faster than this node can write them")]
pub struct Overloaded;

/// The logs of this node.
pub struct LogStore {
    folder: PathBuf,
    index: Arc<Mutex<Index>>,
    orders: SyncSender<Order>,
    queued: Arc<AtomicUsize>,
    grown: watch::Receiver<()>,
}

impl LogStore {
    /// Opens a folder, which is created where it is missing, and starts the thread that writes.
    ///
    /// # Errors
    /// When the folder cannot be read or the thread cannot be started.
    pub fn open(folder: PathBuf, limits: LogLimits) -> io::Result<Arc<LogStore>> {
        let index = Arc::new(Mutex::new(Index::open(&folder)?));
        let queued = Arc::new(AtomicUsize::new(0));
        let (orders, given) = sync_channel(QUEUE_MAX);
        let (grown, told) = watch::channel(());
        let keeper = Keeper {
            folder: folder.clone(),
            limits,
            index: index.clone(),
            queued: queued.clone(),
            grown,
            failing: false,
        };
        std::thread::Builder::new().name("logs".to_owned()).spawn(move || keeper.run(&given))?;
        Ok(Arc::new(LogStore { folder, index, orders, queued, grown: told }))
    }

    /// Takes lines; they are written soon.
    ///
    /// # Errors
    /// [`Overloaded`]: none was taken.
    pub fn append(&self, batch: Batch) -> Result<(), Overloaded> {
        let bytes = batch.records.iter().map(|record| record.text.len() + LINE_COST).sum::<usize>();
        if self.queued.fetch_add(bytes, Ordering::AcqRel) + bytes > QUEUE_BYTES_MAX {
            self.queued.fetch_sub(bytes, Ordering::AcqRel);
            return Err(Overloaded);
        }
        self.orders.try_send(Order::Append(batch, bytes)).map_err(|_| {
            self.queued.fetch_sub(bytes, Ordering::AcqRel);
            Overloaded
        })
    }

    /// Waits until what was taken before is written, but not for long.
    pub async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        if self.orders.try_send(Order::Tell(tell)).is_ok() {
            // A disk that hangs must not hang the readers.
            let _ = timeout(WRITTEN_WITHIN, told).await;
        }
    }

    /// Reads what was taken before the call; waits for more if there is nothing yet and the request says so.
    pub async fn read(self: &Arc<Self>, request: Request) -> Answer {
        let deadline = Instant::now() + request.wait;
        let mut grown = self.grown.clone();
        grown.mark_unchanged();
        self.flush().await;
        while !self.has_more(&request) {
            match timeout_at(deadline, grown.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => break,
            }
        }
        let store = self.clone();
        let read = orc_runtime::reading(move || store.read_now(&request)).await;
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "logs of tasks cannot be read");
                Answer::Failed
            }
        }
    }

    fn has_more(&self, request: &Request) -> bool {
        let index = self.index.lock();
        request.after.iter().any(|(owner, after)| index.end(*owner) != *after)
    }

    fn read_now(&self, request: &Request) -> io::Result<Answer> {
        let (mut sources, mut upto) = (Vec::new(), Vec::new());
        for (owner, after) in &request.after {
            let files = self.index.lock().files(*owner);
            let lines = read::read(&self.folder, *owner, &files, *after, &request.wanted)?;
            upto.push((*owner, lines.upto));
            sources.push(Source { lines: lines.found, more: lines.more });
        }
        let limit = if request.wanted.tail { usize::MAX } else { request.wanted.limit };
        let (lines, more) = merge(sources, limit, |found| found.record.at);
        Ok(Answer::Lines { lines, upto, more })
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
