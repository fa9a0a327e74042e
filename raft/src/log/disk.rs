//! The log's database: records by index in one family; vote, committed and purged in the other.
//! Knows nothing of caching or threads; every record read is checked for its checksum, index and term.

use std::{ops::Range, path::Path};

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions,
};
use uuid::Uuid;

use super::torn;
use crate::{
    codec::{self, Corrupt, Kind, LogRecord, Owner, Place, Stored, VoteRow, Why},
    error::{ReadError, StartError},
    store::rocks::{log_options, open_error, settle},
    types::{LogEntry, LogId, Vote},
};

const FACTS: &str = "facts";
const OWNER: &[u8] = b"owner";
const VOTE: &[u8] = b"vote";
const COMMITTED: &[u8] = b"committed";
const PURGED: &[u8] = b"purged";
/// Above every index.
const END: [u8; 9] = [0xff; 9];

/// The log's database.
pub struct LogDisk {
    db: DB,
}

/// What is on the disk at the start.
#[derive(Debug, Default)]
pub struct Found {
    /// The vote.
    pub vote: Option<Vote>,
    /// Known as committed; may lag.
    pub committed: Option<LogId>,
    /// Deleted up to here.
    pub purged: Option<LogId>,
    /// Index of the first record.
    pub first: Option<u64>,
    /// The last record.
    pub last: Option<LogId>,
}

impl Found {
    /// The last index the log ever reached, purged or not.
    pub fn reached(&self) -> Option<u64> {
        self.last.or(self.purged).map(|id| id.index)
    }
}

/// Writes that reach the disk together.
pub struct Writes<'a> {
    disk: &'a LogDisk,
    batch: WriteBatch,
    buffer: Vec<u8>,
}

/// Refuses a log that would be cut at a record whose length is damaged.
fn check_lengths(path: &Path) -> Result<(), StartError> {
    let failed = |source| StartError::File { path: path.to_owned(), source };
    let files = std::fs::read_dir(path).map_err(failed)?;
    for file in files {
        let file = file.map_err(failed)?.path();
        if file.extension().is_some_and(|extension| extension == "log")
            && let Some(at) = torn::damaged_length(&file).map_err(failed)?
        {
            return Err(StartError::LogLength { path: file, at });
        }
    }
    Ok(())
}

impl LogDisk {
    /// Opens the database of a data folder of this incarnation; with `may_create` a new one is fine.
    pub fn open(path: &Path, incarnation: Uuid, may_create: bool) -> Result<LogDisk, StartError> {
        check_lengths(path)?;
        let families = ["default", FACTS].map(|name| ColumnFamilyDescriptor::new(name, log_options()));
        let db = DB::open_cf_descriptors(&log_options(), path, families)
            .and_then(|db| settle(&db).map(|()| db))
            .map_err(|source| open_error(source, path, |path, source| StartError::Log { path, source }))?;
        let disk = LogDisk { db };
        match disk.fact::<Owner>(OWNER)? {
            Some(Owner(owner)) if owner == incarnation => Ok(disk),
            None if may_create => {
                let mut writes = disk.writes();
                writes.fact(OWNER, &Owner(incarnation));
                writes.sync().map_err(|source| disk.damaged(source))?;
                Ok(disk)
            }
            Some(_) | None => Err(StartError::LogMissing { path: path.to_owned() }),
        }
    }

    /// A new log in the data folder of this incarnation that goes on after a record with a first one of its own, under a later
    /// vote than that record's.
    pub fn begin_after(
        path: &Path,
        incarnation: Uuid,
        after: LogId,
        first: &LogEntry,
    ) -> Result<(), StartError> {
        let disk = LogDisk::open(path, incarnation, true)?;
        let mut writes = disk.writes();
        writes.purge(after);
        writes.append(first);
        let leader = &first.log_id.leader_id;
        writes.vote(&Vote::new(leader.term, leader.node_id));
        writes.sync().map_err(|source| disk.damaged(source))
    }

    fn damaged(&self, source: rocksdb::Error) -> StartError {
        open_error(source, self.db.path(), |path, source| StartError::Log { path, source })
    }

    fn damaged_at(&self, at: &[u8], source: Corrupt) -> StartError {
        let at = <[u8; 8]>::try_from(at).map_or_else(
            |_| format!("its {}", String::from_utf8_lossy(at)),
            |index| format!("record {}", u64::from_be_bytes(index)),
        );
        StartError::LogRecord { path: self.db.path().to_owned(), at, source }
    }

    fn fact<T: Stored>(&self, name: &[u8]) -> Result<Option<T>, StartError> {
        let bytes = self.db.get_cf(self.facts(), name).map_err(|source| self.damaged(source))?;
        bytes.map(|bytes| codec::decode(&bytes)).transpose().map_err(|source| self.damaged_at(name, source))
    }

    /// Reads everything once: the facts, and that the records follow each other.
    pub fn scan(&self) -> Result<Found, StartError> {
        let mut found = Found {
            vote: self.fact::<VoteRow>(VOTE)?.map(Vote::from),
            committed: self.fact::<Place>(COMMITTED)?.map(LogId::from),
            purged: self.fact::<Place>(PURGED)?.map(LogId::from),
            first: None,
            last: None,
        };
        for item in self.db.iterator(IteratorMode::Start) {
            let (key, value) = item.map_err(|source| self.damaged(source))?;
            let record = checked(&key, &value, found.last).map_err(|source| self.damaged_at(&key, source))?;
            let id = LogId::from(record.place);
            let before = found.last.or(found.purged);
            if let Some(expected) = before.map(|id| id.index + 1).filter(|expected| *expected != id.index) {
                return Err(StartError::LogGap { expected, found: id.index });
            }
            found.first.get_or_insert(id.index);
            found.last = Some(id);
        }
        Ok(found)
    }

    /// Records of consecutive indexes from the start of `range`: all that are there, or, once they have `bytes_max`, some.
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogEntry>, ReadError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.end.to_be_bytes());
        options.fill_cache(false);
        let start = range.start.to_be_bytes();
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut bytes = 0;
        for item in self.db.iterator_opt(IteratorMode::From(&start, Direction::Forward), options) {
            let (key, value) = item?;
            let last = entries.last().map(|entry| entry.log_id);
            let record = checked(&key, &value, last)?;
            if record.place.index != last.map_or(range.start, |id| id.index + 1) {
                break;
            }
            bytes += value.len();
            entries.push(record.into());
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(entries)
    }

    /// The log id of one record.
    pub fn id_at(&self, index: u64) -> Result<Option<LogId>, ReadError> {
        Ok(self.read(index..index + 1, usize::MAX)?.first().map(|entry| entry.log_id))
    }

    /// Starts a group of writes.
    pub fn writes(&self) -> Writes<'_> {
        Writes { disk: self, batch: WriteBatch::default(), buffer: Vec::new() }
    }

    fn facts(&self) -> &ColumnFamily {
        self.db.cf_handle(FACTS).expect("opened with it")
    }
}

impl Writes<'_> {
    /// Adds a record.
    pub fn append(&mut self, entry: &LogEntry) {
        codec::encode_into(&LogRecord::from(entry), &mut self.buffer);
        self.batch.put(entry.log_id.index.to_be_bytes(), &self.buffer);
    }

    /// Deletes a record and all after it.
    pub fn truncate(&mut self, since: u64) {
        self.batch.delete_range(&since.to_be_bytes()[..], &END[..]);
    }

    /// Deletes a record and all before it.
    pub fn purge(&mut self, upto: LogId) {
        self.batch.delete_range([0; 8], (upto.index + 1).to_be_bytes());
        self.fact(PURGED, &Place::from(upto));
    }

    /// Replaces the vote.
    pub fn vote(&mut self, vote: &Vote) {
        self.fact(VOTE, &VoteRow::from(vote));
    }

    /// Replaces what is known as committed.
    pub fn committed(&mut self, id: LogId) {
        self.fact(COMMITTED, &Place::from(id));
    }

    fn fact<T: Stored>(&mut self, name: &[u8], value: &T) {
        codec::encode_into(value, &mut self.buffer);
        self.batch.put_cf(self.disk.facts(), name, &self.buffer);
    }

    /// Writes all of it, or, after a crash, none; returns when it is synced.
    pub fn sync(self) -> Result<(), rocksdb::Error> {
        self.write(true)
    }

    /// The same; not synced, it may be gone after a power cut.
    pub fn write(self, sync: bool) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.disk.db.write_opt(self.batch, &options)
    }
}

fn checked(key: &[u8], value: &[u8], before: Option<LogId>) -> Result<LogRecord, Corrupt> {
    let record: LogRecord = codec::decode(value)?;
    let in_place = key == record.place.index.to_be_bytes();
    if in_place && before.is_none_or(|before| before.leader_id.term <= record.place.term) {
        return Ok(record);
    }
    let expected = <[u8; 8]>::try_from(key).map_or(0, u64::from_be_bytes);
    Err(Corrupt { what: Kind::LogRecord, why: Why::Misplaced { expected, found: record.place.index } })
}
