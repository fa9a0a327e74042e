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

/// Events after number `after`, oldest first.
pub(super) fn page(
    published: &Published,
    disk: &StateDisk,
    after: u64,
    limit: usize,
    filter: &dyn Fn(&Recorded) -> bool,
) -> Result<EventPage, EventsError> {
    let first_seq = published.events_first.load(Ordering::Acquire);
    if after + 1 < first_seq {
        return Err(EventsError::Compacted { first_seq });
    }
    let mut page = EventPage { events: Vec::new(), upto: after, more: true };
    while page.more && page.upto - after < SCAN_MAX {
        let copied = published.ring.read().copy(page.upto + 1);
        let found = match copied {
            Some(found) => found,
            None => stored(disk, page.upto + 1)?,
        };
        page.more = !found.is_empty();
        for event in found {
            if page.events.len() == limit {
                return Ok(page);
            }
            page.upto = event.seq;
            if filter(&event) {
                page.events.push(event);
            }
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
