//! What the state tells as it goes: effects, events, where it stands; and work on the apply thread.
//! Knows nothing of rows.

use std::{path::PathBuf, sync::atomic::Ordering, time::Duration};

use orc_domain::{State, Timestamp};
use tokio::sync::{broadcast, oneshot, watch};

use super::{
    Core,
    apply::{Job, Standing},
    drain::{Drainer, Order},
    hand_over,
    published::{Effects, Events},
    reader::StateReader,
};
use crate::{clock::Reckoning, codec::Position, error::ReadError, ticker::Ticks, types::LogId};

/// News, and how far the state is.
impl StateReader {
    /// Effects from now on, one message per record; whoever lags, or gets an empty one, reads the state.
    pub fn effects(&self) -> broadcast::Receiver<Effects> {
        self.core.published.effects.subscribe()
    }

    /// Events from now on, one message per record; whoever lags asks [`StateReader::events_since`].
    pub fn events(&self) -> broadcast::Receiver<Events> {
        self.core.published.events.subscribe()
    }

    /// The cluster's time: the latest that a record brought.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.core.published.now.load(Ordering::Acquire))
    }

    /// The time that has passed here.
    pub(crate) fn ticks(&self) -> Ticks {
        self.core.published.ticker.look()
    }

    /// The clock goes on by this at once: a leap, if it is long.
    #[cfg(test)]
    pub(crate) fn leap(&self, by: Duration) {
        self.core.published.ticker.look_at(std::time::Instant::now() + by);
    }

    /// The cluster's time when so much was counted, since 1970, as this node reckons it.
    pub(crate) fn reckoned(&self, at: Duration) -> Duration {
        self.core.published.reckoned.lock().at(at)
    }

    /// A leader says what time it is.
    pub(crate) fn hear_time(&self, time: Timestamp) {
        self.core.published.reckoned.lock().hear(Reckoning::new(time, self.ticks().counted));
    }

    /// Number of the last event.
    pub fn last_seq(&self) -> u64 {
        self.core.published.ring.read().next() - 1
    }

    /// Number of the first event that can be read.
    pub fn first_seq(&self) -> u64 {
        self.core.published.events_first.load(Ordering::Acquire)
    }

    /// The last record applied.
    pub fn applied(&self) -> watch::Receiver<Option<LogId>> {
        self.core.published.applied.subscribe()
    }

    /// The index of the newest record of which anything can have been read before this call.
    pub fn newest(&self) -> u64 {
        self.core.published.newest.load(Ordering::Acquire)
    }

    /// Up to here the state survives a power cut without the log.
    pub fn durable_applied(&self) -> Option<LogId> {
        *self.core.published.durable.borrow()
    }

    /// When time alone changes the state next.
    pub fn next_due(&self) -> watch::Receiver<Option<Timestamp>> {
        self.core.published.next_due.subscribe()
    }

    /// Rows, events and answers that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.core.published.waiting.load(Ordering::Relaxed)
    }

    /// Looks at the whole state between two records; keep it short, `apply` waits.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (answer, answered) = oneshot::channel();
        let look = Box::new(move |state: &State| {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(look(state));
        });
        hand_over(&self.core, Core::jobs, Job::Inspect(look))?;
        answered.await.map_err(|_| ReadError::Stopped)
    }

    /// Where the state stands; none once the node is stopping.
    pub(crate) async fn standing(&self) -> Option<Standing> {
        let (answer, answered) = oneshot::channel();
        hand_over(&self.core, Core::jobs, Job::Stand(answer)).ok()?;
        answered.await.ok()
    }

    /// Writes what changed; everything applied before the call is then in the database.
    pub async fn drain(&self) -> Result<Position, ReadError> {
        self.drainer().order(Order::Drain).await.ok_or(ReadError::Stopped)
    }

    /// Writes what changed and syncs it; a node calls it before it ends, so that the next start is quick.
    pub async fn sync(&self) -> Result<Position, ReadError> {
        self.drainer().order(Order::Sync).await.ok_or(ReadError::Stopped)
    }

    /// Log index and hash of all rows that replicas have in common: equal on all nodes at equal index.
    pub async fn state_hash(&self) -> Result<(u64, u64), ReadError> {
        let position = self.drain().await?;
        Ok((position.index(), position.hash))
    }

    /// The folder of the newest finished snapshot.
    pub fn snapshot_folder(&self) -> Option<PathBuf> {
        self.snapshots.current().map(|snapshot| snapshot.snapshot.path)
    }

    /// The way to the thread that writes the state.
    pub(crate) fn drainer(&self) -> Drainer {
        Drainer::new(self.core.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, apply::JOBS_MAX, open};
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn whoever_asks_and_does_not_go_on_takes_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let reader = open(folder.path(), OpenOptions::new(1)).unwrap().reader;
        let (go_on, gate) = std::sync::mpsc::sync_channel::<()>(1);
        let mut first = Box::pin(reader.inspect(move |_| gate.recv().is_ok()));
        assert!(timeout(Duration::from_millis(20), &mut first).await.is_err(), "it waits at the gate");
        let mut idle: Vec<_> = (0..3 * JOBS_MAX).map(|_| Box::pin(reader.inspect(|_| ()))).collect();
        for waits in &mut idle {
            assert!(timeout(Duration::ZERO, waits).await.is_err(), "it waits from now on");
        }
        go_on.send(()).unwrap();
        assert!(first.await.unwrap());
        let later = timeout(Duration::from_secs(10), reader.inspect(|_| 7)).await;
        assert_eq!(later.expect("nobody is in its way").unwrap(), 7);
        for waits in idle {
            waits.await.unwrap();
        }
    }
}
