//! The latest events in memory, and how a reader gets older ones from the disk.
//! Knows nothing of what they mean.

use std::{collections::VecDeque, sync::Arc, sync::atomic::Ordering};

use orc_domain::Recorded;
use rocksdb::{Direction, IteratorMode, ReadOptions};

use super::{disk::StateDisk, keys, published::Published};
use crate::{
    codec::{self, EventRow},
    error::ReadError,
};

/// Bytes of events kept in memory, about.
const RING_BYTES_MAX: usize = 16 << 20;
/// Events copied under one lock.
const COPY_MAX: usize = 1_024;
/// Events looked at for one page.
const SCAN_MAX: u64 = 100_000;

/// The latest events; older ones leave once the disk has them.
#[derive(Debug)]
pub struct Ring {
    events: VecDeque<Arc<Recorded>>,
    /// Their bytes, about.
    bytes: usize,
    /// Number of the next event.
    next: u64,
    /// The disk has all before this one.
    stored: u64,
}

impl Ring {
    /// A ring whose first event will be `next`; the disk has those before.
    pub fn new(next: u64) -> Ring {
        Ring { events: VecDeque::new(), bytes: 0, next, stored: next }
    }

    /// Number of the next event.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Number of the first event in memory.
    fn first(&self) -> u64 {
        self.next - self.events.len() as u64
    }

    pub(super) fn push(&mut self, news: &[Arc<Recorded>]) {
        for event in news {
            debug_assert_eq!(event.seq, self.next, "events are numbered without gaps");
            self.bytes += event.weight();
            self.events.push_back(event.clone());
            self.next = event.seq + 1;
        }
        self.trim();
    }

    /// The disk has all before `next`.
    pub(super) fn stored(&mut self, next: u64) {
        self.stored = self.stored.max(next);
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > RING_BYTES_MAX && self.first() < self.stored {
            self.bytes -= self.events.pop_front().map_or(0, |event| event.weight());
        }
    }

    /// Events from `seq` on, if they are all in memory.
    fn copy(&self, seq: u64) -> Option<Vec<Arc<Recorded>>> {
        let skip = usize::try_from(seq.checked_sub(self.first())?).ok()?;
        Some(self.events.iter().skip(skip).take(COPY_MAX).cloned().collect())
    }
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// Those that were asked for.
    pub events: Vec<Arc<Recorded>>,
    /// Every event up to this number was looked at: go on after it.
    pub upto: u64,
    /// There may be more.
    pub more: bool,
}

/// Why there is no page of events.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// They are too old.
    #[error("events before {first_seq} are gone")]
    Compacted {
        /// The first event that can be read.
        first_seq: u64,
    },
    /// The disk.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Events after number `after`, oldest first: at most so many, and of so many bytes, but one at least.
pub(super) fn page(
    published: &Published,
    disk: &StateDisk,
    after: u64,
    (limit, bytes_max): (usize, usize),
    filter: &dyn Fn(&Recorded) -> bool,
) -> Result<EventPage, EventsError> {
    let first_seq = || published.events_first.load(Ordering::Acquire);
    let compacted = || Err(EventsError::Compacted { first_seq: first_seq() });
    if after + 1 < first_seq() {
        return compacted();
    }
    let mut page = EventPage { events: Vec::new(), upto: after, more: true };
    let mut bytes = 0;
    while page.more && page.upto - after < SCAN_MAX {
        let copied = published.ring.read().copy(page.upto + 1);
        let found = match copied {
            Some(found) => found,
            None => stored(disk, page.upto + 1)?,
        };
        // They may have gone since the look at the beginning: then this is not the end.
        if found.is_empty() && page.upto + 1 < first_seq() {
            return if page.upto > after { Ok(page) } else { compacted() };
        }
        page.more = !found.is_empty();
        for event in found {
            if page.events.len() == limit {
                return Ok(page);
            }
            if filter(&event) {
                bytes += event.weight();
                if bytes > bytes_max && !page.events.is_empty() {
                    return Ok(page);
                }
                page.events.push(event.clone());
            }
            page.upto = event.seq;
        }
    }
    Ok(page)
}

/// The rest of the row that has event `seq`.
fn stored(disk: &StateDisk, seq: u64) -> Result<Vec<Arc<Recorded>>, ReadError> {
    let start = keys::events_key(seq);
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(keys::events_key(0));
    let mut rows = disk.db.iterator_opt(IteratorMode::From(&start, Direction::Reverse), options);
    let Some((_, value)) = rows.next().transpose()? else { return Ok(Vec::new()) };
    let EventRow(mut events) = codec::decode(&value)?;
    events.retain(|event| event.seq >= seq);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use openraft::storage::RaftStateMachine;
    use orc_domain::{Command, Expect, Json, Proposal, Timestamp};

    use super::super::{OpenOptions, Opened, open};
    use super::*;
    use crate::types::{Batch, LeaderId, LogEntry, LogId, Payload};

    /// A record that sets so many keys, each an event.
    fn record(index: u64, keys: u64) -> LogEntry {
        let set = |number: u64| {
            let (key, value) = (format!("k.{number}").parse().unwrap(), Some(Json::from(index.to_string())));
            codec::encode_proposal(&Proposal::from(Command::SetState { key, value, expect: Expect::Any }))
        };
        let batch = Batch::pack(Timestamp(index), &(0..keys).map(set).collect::<Vec<_>>()).unwrap();
        LogEntry { log_id: LogId::new(LeaderId::new(1, 1), index), payload: Payload::Normal(batch) }
    }

    #[tokio::test]
    async fn a_page_of_large_events_is_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let Opened { mut machine, reader, log: _log, .. } = open(folder.path(), OpenOptions::new(1)).unwrap();
        machine.apply([record(1, 10)]).await.unwrap();
        let weight = reader.events_since(0, 1, |_| true).await.unwrap().events[0].weight();
        let (mut after, mut lengths) = (0, Vec::new());
        loop {
            let page = reader.events_within(after, (100, 4 * weight), |_| true).await.unwrap();
            lengths.push(page.events.len());
            after = page.upto;
            if !page.more {
                break;
            }
        }
        assert_eq!((lengths, after), (vec![4, 4, 2], 10), "none is left out");
        let one = reader.events_within(0, (100, 1), |event| event.seq > 5).await.unwrap();
        assert_eq!((one.events.len(), one.upto, one.more), (1, 6, true), "one is always there");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn whoever_finds_an_event_gone_can_see_that_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new(1);
        (options.drain_interval, options.events_kept.count) = (Duration::from_secs(3_600), 10);
        let Opened { mut machine, reader, log: _log, .. } = open(folder.path(), options).unwrap();
        for index in 1..=15 {
            machine.apply([record(index, 1)]).await.unwrap();
            reader.drain().await.unwrap();
        }
        machine.apply([record(16, 6)]).await.unwrap();
        let (core, first) = (reader.core.clone(), reader.first_seq());
        let draining = {
            // Nothing is written while this is held.
            let _moving = core.published.moving.read();
            let draining = tokio::spawn({
                let reader = reader.clone();
                async move { reader.drain().await.is_ok() }
            });
            let patience = Instant::now() + Duration::from_secs(30);
            while reader.first_seq() == first && Instant::now() < patience {
                std::thread::yield_now();
            }
            assert!(reader.first_seq() > first, "told too late");
            assert_eq!(core.disk.read().events_first(0).unwrap(), Some(first), "it is still there");
            draining
        };
        assert!(draining.await.unwrap());
        assert_eq!(core.disk.read().events_first(0).unwrap(), Some(reader.first_seq()));
    }
}
