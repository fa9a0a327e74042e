//! The ends of the log, and its last records in memory: replication and apply read these, not the disk.
//! Knows nothing of the disk; records leave only once they are synced.

use std::{collections::VecDeque, ops::Range};

use super::disk::Found;
use crate::types::{LogEntry, LogId, LogState, Payload};

/// The ends of the log and its last records.
#[derive(Debug)]
pub struct Tail {
    /// Consecutive, up to `last`.
    entries: VecDeque<LogEntry>,
    bytes: usize,
    bytes_max: usize,
    /// Nothing before it is anywhere.
    first: u64,
    last: Option<LogId>,
    /// Hidden up to here.
    purged: Option<LogId>,
    /// Gone from the disk up to here.
    deleted: Option<LogId>,
    synced: Option<u64>,
}

/// What the tail has of a range: records from `from` on; those before are on the disk.
#[derive(Debug)]
pub struct Cached {
    /// The part of the range that is on the disk.
    pub on_disk: Range<u64>,
    /// What follows it.
    pub entries: Vec<LogEntry>,
}

impl Tail {
    /// The tail of a log as found on the disk.
    pub fn new(found: &Found, bytes_max: usize) -> Tail {
        let Found { first, last, purged, .. } = *found;
        let synced = last.map(|id| id.index);
        Tail {
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max,
            first: first.unwrap_or(0),
            last,
            purged,
            deleted: purged,
            synced,
        }
    }

    /// The ends as openraft wants them.
    pub fn state(&self) -> LogState {
        let last = self.last.max_by_index(self.purged);
        LogState { last_purged_log_id: self.purged, last_log_id: last }
    }

    /// The last record that is there, purged or not.
    pub fn last(&self) -> Option<LogId> {
        self.last
    }

    /// Readers see nothing up to here.
    pub fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// Whether a record of this index follows the last one on the disk, or what the disk knows to be gone, or is the first of
    /// all. What is hidden from a log without records is not known to the disk.
    pub fn is_next(&self, index: u64) -> bool {
        match self.last.or(self.deleted) {
            Some(id) => id.index + 1 == index,
            None => self.purged.is_none(),
        }
    }

    /// Adds records.
    pub fn append(&mut self, entries: &[LogEntry]) {
        if self.last.is_none() {
            self.first = entries.first().map_or(0, |entry| entry.log_id.index);
        }
        for entry in entries {
            self.bytes += size(entry);
            self.last = Some(entry.log_id);
            self.entries.push_back(entry.clone());
        }
    }

    /// Forgets a record and all after it; `last` is the one before.
    pub fn truncate(&mut self, since: u64, last: Option<LogId>) {
        while let Some(entry) = self.entries.pop_back_if(|entry| entry.log_id.index >= since) {
            self.bytes -= size(&entry);
        }
        self.synced = self.synced.filter(|synced| *synced < since).or(last.map(|id| id.index));
        self.last = last;
    }

    /// Hides a record and all before it.
    pub fn hide(&mut self, upto: LogId) {
        self.purged = self.purged.max_by_index(Some(upto));
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.log_id.index <= upto.index) {
            self.bytes -= size(&entry);
        }
    }

    /// The disk has deleted a record and all before it.
    pub fn purge(&mut self, upto: LogId) {
        self.hide(upto);
        self.deleted = self.deleted.max_by_index(Some(upto));
        self.last = self.last.filter(|last| last.index > upto.index);
    }

    /// Records up to here are on the disk: old ones may leave.
    pub fn synced(&mut self, index: u64) {
        self.synced = self.synced.max(Some(index));
        let synced = self.synced;
        while self.bytes > self.bytes_max
            && let Some(entry) = self.entries.pop_front_if(|entry| Some(entry.log_id.index) <= synced)
        {
            self.bytes -= size(&entry);
        }
    }

    /// The log id of a cached record.
    pub fn id_at(&self, index: u64) -> Option<LogId> {
        let first = self.entries.front()?.log_id.index;
        let place = usize::try_from(index.checked_sub(first)?).ok()?;
        self.entries.get(place).map(|entry| entry.log_id)
    }

    /// What is cached of a range, up to about `bytes_max`.
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Cached {
        let end = range.end.min(self.last.map_or(0, |last| last.index + 1));
        let start = range.start.max(self.purged.map_or(0, |purged| purged.index + 1)).max(self.first);
        let first = self.entries.front().map_or(end, |entry| entry.log_id.index);
        let mut entries = Vec::new();
        let mut bytes = 0;
        let skipped = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        for entry in self.entries.iter().skip(skipped) {
            if entry.log_id.index >= end || bytes >= bytes_max {
                break;
            }
            bytes += size(entry);
            entries.push(entry.clone());
        }
        Cached { on_disk: start..first.clamp(start, end.max(start)), entries }
    }
}

trait MaxByIndex {
    fn max_by_index(self, other: Self) -> Self;
}

impl MaxByIndex for Option<LogId> {
    fn max_by_index(self, other: Self) -> Self {
        let index = |id: &Option<LogId>| id.map(|id| id.index);
        if index(&self) > index(&other) { self } else { other }
    }
}

/// About what a record takes in memory.
fn size(entry: &LogEntry) -> usize {
    let payload = match &entry.payload {
        Payload::Blank => 0,
        Payload::Normal(batch) => batch.as_bytes().len(),
        Payload::Membership(membership) => 256 * membership.nodes().count(),
    };
    128 + payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaderId;

    fn id(index: u64) -> LogId {
        LogId::new(LeaderId::new(1, 0), index)
    }

    fn blank(index: u64) -> LogEntry {
        LogEntry { log_id: id(index), payload: Payload::Blank }
    }

    fn tail(indexes: Range<u64>, bytes_max: usize) -> Tail {
        let mut tail = Tail::new(&Found::default(), bytes_max);
        tail.append(&indexes.map(blank).collect::<Vec<_>>());
        tail
    }

    fn seen(tail: &Tail, range: Range<u64>) -> (Range<u64>, Vec<u64>) {
        let Cached { on_disk, entries } = tail.read(range, usize::MAX);
        (on_disk, entries.iter().map(|entry| entry.log_id.index).collect())
    }

    #[test]
    fn records_leave_only_once_synced() {
        let mut tail = tail(0..10, 3 * 128);
        assert_eq!(seen(&tail, 0..100), (0..0, (0..10).collect()));
        tail.synced(4);
        assert_eq!(seen(&tail, 0..100), (0..5, (5..10).collect()));
        tail.synced(9);
        assert_eq!(seen(&tail, 0..100), (0..7, (7..10).collect()));
        assert_eq!(seen(&tail, 2..4), (2..4, vec![]));
        assert_eq!(seen(&tail, 8..9), (8..8, vec![8]));
    }

    #[test]
    fn purged_records_are_hidden_at_once() {
        let mut tail = tail(0..10, 1 << 20);
        tail.hide(id(3));
        assert_eq!(seen(&tail, 0..6), (4..4, vec![4, 5]));
        assert_eq!(tail.state().last_log_id, Some(id(9)));
        tail.purge(id(20));
        assert_eq!(seen(&tail, 0..100).1, Vec::<u64>::new());
        assert_eq!(tail.state(), LogState { last_purged_log_id: Some(id(20)), last_log_id: Some(id(20)) });
        assert!(tail.is_next(21) && !tail.is_next(22));
    }

    #[test]
    fn what_is_hidden_is_not_gone_from_the_disk() {
        let mut tail = tail(0..10, 1 << 20);
        tail.purge(id(20));
        tail.hide(id(30));
        assert!(!tail.is_next(31), "the disk would have a hole");
        tail.purge(id(30));
        assert!(tail.is_next(31));
        let mut empty = Tail::new(&Found::default(), 1 << 20);
        assert!(empty.is_next(0));
        empty.hide(id(30));
        assert!(!empty.is_next(31), "the disk would not know what came before");
    }

    #[test]
    fn truncated_records_are_gone() {
        let mut tail = tail(0..10, 1 << 20);
        tail.truncate(5, Some(id(4)));
        assert_eq!(seen(&tail, 0..100), (0..0, (0..5).collect()));
        assert!(tail.is_next(5));
        tail.truncate(0, None);
        assert_eq!(tail.state(), LogState::default());
    }

    #[test]
    fn a_read_ends_where_its_bytes_do() {
        let tail = tail(0..10, 1 << 20);
        assert_eq!(tail.read(0..10, 1).entries.len(), 1);
        assert_eq!(tail.read(2..10, 300).entries.len(), 3);
    }
}
