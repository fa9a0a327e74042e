//! The state on this node: applied by one thread, written by another, read by anybody, copied as snapshots.
//! Knows nothing of elections or of other nodes. [`open`] is the only way in.

mod apply;
mod both;
mod copy;
mod cut;
mod disk;
mod drain;
mod encoder;
mod events;
mod feeds;
pub(crate) mod files;
mod folders;
pub(crate) mod guard;
mod hash;
mod index;
mod keys;
mod lists;
mod machine;
mod open;
mod overdue;
mod presumed;
mod published;
mod reader;
pub(crate) mod rocks;
mod search;
mod snapshot;
mod tally;
mod view;
mod walk;

use std::sync::Arc;

use orc_runtime::Worker;
use parking_lot::RwLock;
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
};

use crate::error::{FatalHandler, ReadError};

pub(crate) use self::{
    copy::{AdoptError, StateCopy, adopt},
    folders::Folders,
};
pub use self::{
    cut::{KeyDifference, Keys},
    drain::Drainer,
    events::{EventPage, EventsError},
    index::Group,
    lists::Page,
    machine::{SnapshotBuilder, StateMachine},
    open::{EventsKept, OpenOptions, Opened, open},
    overdue::{Kept, Reached},
    published::{Effects, Events},
    reader::StateReader,
    search::{Found, Order, Place, Query},
    snapshot::{MANIFEST, snapshot_damage, verify_snapshot},
};

/// The folder of the only Raft group there is now.
pub const GROUP: &str = "group-0";

/// What every handle shares. Dropping the last one ends the threads; what was not drained is applied again from the log.
struct Core {
    published: Arc<published::Published>,
    disk: Arc<RwLock<Arc<disk::StateDisk>>>,
    jobs: Option<mpsc::Sender<apply::Job>>,
    orders: Option<mpsc::Sender<drain::Order>>,
    /// Copies that may be there at once.
    copies: Arc<Semaphore>,
    threads: Vec<Worker>,
    /// Hears of reads that show damage.
    fatal: FatalHandler,
}

impl Core {
    fn jobs(&self) -> &mpsc::Sender<apply::Job> {
        self.jobs.as_ref().expect("taken only when dropped")
    }

    fn orders(&self) -> &mpsc::Sender<drain::Order> {
        self.orders.as_ref().expect("taken only when dropped")
    }
}

/// Gives a thread something to do. Where its queue is full, a task of its own waits for room: room goes to whoever is next, and a
/// caller whose client takes no answers would not use it. Each is of a call under way, and those are bounded.
fn hand_over<T: Send + 'static>(
    core: &Arc<Core>,
    queue: fn(&Core) -> &mpsc::Sender<T>,
    item: T,
) -> Result<(), ReadError> {
    match queue(core).try_send(item) {
        Ok(()) => Ok(()),
        Err(TrySendError::Closed(_)) => Err(ReadError::Stopped),
        Err(TrySendError::Full(item)) => {
            let core = core.clone();
            tokio::spawn(async move {
                // Whoever waits for the answer hears of an end.
                let _ = queue(&core).send(item).await;
            });
            Ok(())
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        drop(self.orders.take());
        drop(self.jobs.take());
        // The last handle may go on one of the threads.
        self.threads.drain(..).for_each(Worker::join);
    }
}
