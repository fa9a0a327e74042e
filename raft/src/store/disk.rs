//! The state's database: how a folder is opened, loaded and read.
//! Knows nothing of threads; calls block, so async code calls them from a blocking thread.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use orc_domain::{Meta, State, Table, Task, Timestamp};
use rocksdb::{DB, DBPinnableSlice, Direction, IteratorMode, ReadOptions};

use super::{
    encoder::Encoder,
    hash::row_hash,
    index,
    keys::{self, RowKey, Rows},
    rocks::{open_error, settle, state_options},
    view::Span,
};
use crate::{
    codec::{self, AnswerRow, Corrupt, EventRow, Gone, Position, Stored},
    error::{ReadError, StartError},
};

/// Rows of events that one look at their age reads.
const EVENT_ROWS_MAX: usize = 256;

/// The state's database.
pub struct StateDisk {
    /// The database itself.
    pub db: DB,
    /// Its folder.
    pub path: PathBuf,
}

/// A state as its folder has it.
pub struct Loaded {
    /// The rows.
    pub state: State,
    /// Writes what changes.
    pub encoder: Encoder,
}

impl StateDisk {
    /// Opens or creates the database.
    pub fn open(path: &Path) -> Result<StateDisk, rocksdb::Error> {
        let db = DB::open(&state_options(), path)?;
        // What was recovered is durable before anybody relies on it.
        db.flush()?;
        settle(&db)?;
        Ok(StateDisk { db, path: path.to_owned() })
    }

    /// Names the folder in an error of a start.
    pub fn start_error(path: &Path) -> impl Fn(ReadError) -> StartError + use<> {
        let path = path.to_owned();
        move |error| {
            let path = path.clone();
            match error {
                ReadError::Disk(source) => {
                    open_error(source, &path, |path, source| StartError::State { path, source })
                }
                ReadError::Corrupt(source) => StartError::StateRow { path, source },
                ReadError::Stopped => StartError::Pointer { path },
            }
        }
    }

    /// Reads every live row.
    pub fn load(&self) -> Result<Loaded, ReadError> {
        index::ensure(self)?;
        let mut state = State::default();
        let mut hashes = HashMap::new();
        let position = self.stored::<Position>(&keys::POSITION)?.unwrap_or_default();
        let gone = self.stored::<Gone>(&keys::GONE)?.unwrap_or_default();
        if let Some(bytes) = self.db.get_pinned(keys::META)? {
            state.meta = codec::decode::<Meta>(&bytes)?;
            hashes.insert(keys::META.to_vec(), row_hash(&keys::META, &bytes));
        }
        self.restore(&mut state.runs, keys::RUNS, &mut hashes)?;
        self.restore(&mut state.tasks, keys::TASKS, &mut hashes)?;
        self.restore(&mut state.components, keys::COMPONENTS, &mut hashes)?;
        self.restore(&mut state.keys, keys::KEYS, &mut hashes)?;
        self.restore(&mut state.definitions, keys::DEFINITIONS, &mut hashes)?;
        self.restore(&mut state.fans, keys::FANS, &mut hashes)?;
        self.restore(&mut state.dead, keys::DEAD, &mut hashes)?;
        self.restore(&mut state.workflows, keys::WORKFLOWS, &mut hashes)?;
        self.restore(&mut state.schedules, keys::SCHEDULES, &mut hashes)?;
        self.restore(&mut state.outputs, keys::OUTPUTS, &mut hashes)?;
        self.restore(&mut state.snapshots, keys::SNAPSHOTS, &mut hashes)?;
        self.restore(&mut state.saved, keys::SAVED, &mut hashes)?;
        self.restore(&mut state.messages, keys::MESSAGES, &mut hashes)?;
        self.restore(&mut state.dead_messages, keys::DEAD_MESSAGES, &mut hashes)?;
        self.each(keys::ANSWERS, |_, value| {
            let AnswerRow(records) = codec::decode(value)?;
            records.into_iter().for_each(|record| state.restore_answer(record));
            Ok(())
        })?;
        state.restore_indexes();
        let events_first = self.events_first(0)?.unwrap_or(state.meta.seq + 1);
        Ok(Loaded { state, encoder: Encoder::new((position, gone), hashes, events_first) })
    }

    /// The mistake of [`Bug::SnapshotMissesLeases`](orc_domain::Bug::SnapshotMissesLeases).
    pub fn forget_attempts(&self) -> Result<(), ReadError> {
        self.each(keys::TASKS.live, |key, value| {
            let task = codec::decode::<Task>(value)?;
            Ok(self.db.put(key, codec::encode(&Task { assignment: None, ..task }))?)
        })
    }

    fn restore<K: RowKey, V: Stored + Clone>(
        &self,
        table: &mut Table<K, V>,
        rows: Rows,
        hashes: &mut HashMap<Vec<u8>, u64>,
    ) -> Result<(), ReadError> {
        self.each(rows.live, |key, value| {
            let row = codec::decode::<V>(value)?;
            hashes.insert(key.to_vec(), row_hash(key, value));
            table.restore(key_of(key, V::KIND)?, row);
            Ok(())
        })
    }

    /// The hash of the state, made anew of its rows.
    pub fn hash_rows(&self) -> Result<u64, ReadError> {
        let mut sum = 0u64;
        let mut count = |key: &[u8], value: &[u8]| {
            sum = sum.wrapping_add(row_hash(key, value));
            Ok(())
        };
        self.each(keys::META[0], &mut count)?;
        for rows in keys::TABLES {
            self.each(rows.live, &mut count)?;
            // Nodes archive definitions or not as their drains fall.
            if rows.archive != keys::DEFINITIONS.archive {
                self.each(rows.archive, &mut count)?;
            }
        }
        Ok(sum)
    }

    /// Calls for each row with a prefix, in order.
    pub fn each(
        &self,
        prefix: u8,
        mut with: impl FnMut(&[u8], &[u8]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(vec![prefix]..vec![prefix + 1]);
        options.fill_cache(false);
        for item in self.db.iterator_opt(IteratorMode::Start, options) {
            let (key, value) = item?;
            with(&key, &value)?;
        }
        Ok(())
    }

    /// The number of the first stored event at or after one, by rows.
    pub fn events_first(&self, seq: u64) -> Result<Option<u64>, ReadError> {
        let start = keys::events_key(seq);
        let mut found = self.db.iterator(IteratorMode::From(&start, Direction::Forward));
        Ok(found.next().transpose()?.and_then(|(key, _)| keys::events_seq(&key)))
    }

    /// Number of the first event of the first row, from one on, that has an event of this time or later; as far as one look
    /// goes.
    pub fn events_younger(&self, first: u64, oldest: Timestamp) -> Result<u64, ReadError> {
        let start = keys::events_key(first);
        let mut options = ReadOptions::default();
        options.set_iterate_range(start.to_vec()..vec![keys::EVENTS + 1]);
        let mut reached = first;
        for item in self.db.iterator_opt(IteratorMode::Start, options).take(EVENT_ROWS_MAX) {
            let EventRow(events) = codec::decode(&item?.1)?;
            let Some(last) = events.last().filter(|last| last.at < oldest) else { break };
            reached = last.seq + 1;
        }
        Ok(reached)
    }

    /// A row that has ended.
    pub fn archived<K: RowKey, V: Stored>(&self, rows: Rows, key: &K) -> Result<Option<V>, ReadError> {
        self.stored(&keys::row_key(rows.archive, key))
    }

    /// A row of the database with its key.
    pub fn row<K: RowKey, V: Stored>(&self, key: &[u8], value: &[u8]) -> Result<(K, V), ReadError> {
        Ok((key_of(key, V::KIND)?, codec::decode(value)?))
    }

    /// The stored form of a row.
    pub fn bytes(&self, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, rocksdb::Error> {
        self.db.get_pinned(key)
    }

    /// At most `count` ended rows of a span, the last one first.
    pub fn archived_last<K: RowKey, V: Stored>(
        &self,
        rows: Rows,
        span: &Span<K>,
        count: usize,
    ) -> Result<Vec<(K, V)>, ReadError> {
        let prefix = rows.archive;
        let lower = span.lower.as_ref().map_or_else(|| vec![prefix], |key| keys::row_key(prefix, key));
        let upper = span.upper.as_ref().map_or_else(|| vec![prefix + 1], |key| keys::row_key(prefix, key));
        let mut found = Vec::new();
        if lower >= upper {
            return Ok(found);
        }
        let mut options = ReadOptions::default();
        options.set_iterate_range(lower..upper);
        for item in self.db.iterator_opt(IteratorMode::End, options).take(count) {
            let (key, value) = item?;
            found.push(self.row(&key, &value)?);
        }
        Ok(found)
    }

    fn stored<T: Stored>(&self, key: &[u8]) -> Result<Option<T>, ReadError> {
        Ok(self.db.get_pinned(key)?.map(|bytes| codec::decode(&bytes)).transpose()?)
    }
}

fn key_of<K: RowKey>(key: &[u8], what: codec::Kind) -> Result<K, Corrupt> {
    K::read(&key[1..]).ok_or(Corrupt { what, why: codec::Why::Parts })
}
