//! The layout of `state/`: which key every row has. Keys sort like what they stand for, ids by time.
//! Knows nothing of values.

use orc_domain::{
    CacheKey, ComponentId, DefinitionId, FanKey, MessageId, RunId, SavedPlace, ScheduleId, StateKey, TaskId,
    WorkflowName,
};
use uuid::Uuid;

/// Where `state/` stands.
pub const POSITION: [u8; 1] = [0x00];
/// The small facts.
pub const META: [u8; 1] = [0x01];
/// The version of the index.
pub const INDEXED: [u8; 1] = [0x02];
/// The nodes that were removed.
pub const GONE: [u8; 1] = [0x03];
/// Rows of events by the number of their first.
pub const EVENTS: u8 = b'e';
/// Rows of answers by the log index of their last.
pub const ANSWERS: u8 = b'a';

/// The prefixes of one table.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// Of live rows.
    pub live: u8,
    /// Of rows that have ended.
    pub archive: u8,
    /// Of the index over rows that have ended, where there is one.
    pub index: Option<Index>,
}

/// The prefixes of an index.
#[derive(Debug, Clone, Copy)]
pub struct Index {
    /// Of keys by group and status.
    pub groups: u8,
    /// Of keys by status and end.
    pub ends: u8,
    /// Of counts by group and status.
    pub counts: u8,
    /// Of keys by the time until which they are kept, where rows say so themselves.
    pub expiries: u8,
}

/// Runs.
pub const RUNS: Rows = Rows {
    live: b'r',
    archive: b'R',
    index: Some(Index { groups: b'f', ends: b'g', counts: b'h', expiries: b'j' }),
};
/// Tasks.
pub const TASKS: Rows = Rows {
    live: b't',
    archive: b'T',
    index: Some(Index { groups: b'F', ends: b'G', counts: b'H', expiries: b'J' }),
};
/// Components.
pub const COMPONENTS: Rows = Rows { live: b'c', archive: b'C', index: None };
/// State keys.
pub const KEYS: Rows = Rows { live: b'k', archive: b'K', index: None };
/// Versions of state keys.
pub const VERSIONS: Rows = Rows { live: b'v', archive: b'V', index: None };
/// Definitions.
pub const DEFINITIONS: Rows = Rows { live: b'd', archive: b'D', index: None };
/// The dead-letter list.
pub const DEAD: Rows = Rows { live: b'x', archive: b'X', index: None };

/// Items of each `foreach`.
pub const FANS: Rows = Rows { live: b'i', archive: b'I', index: None };

/// Workflows.
pub const WORKFLOWS: Rows = Rows { live: b'w', archive: b'W', index: None };
/// Versions of workflows.
pub const WORKFLOW_VERSIONS: Rows = Rows { live: b'n', archive: b'N', index: None };
/// Schedules.
pub const SCHEDULES: Rows = Rows { live: b's', archive: b'S', index: None };
/// Outputs kept for later runs.
pub const OUTPUTS: Rows = Rows { live: b'o', archive: b'O', index: None };

/// Named snapshots of the state keys.
pub const SNAPSHOTS: Rows = Rows { live: b'p', archive: b'P', index: None };
/// State keys as they were when a snapshot was made.
pub const SAVED: Rows = Rows { live: b'q', archive: b'Q', index: None };
/// Durable messages.
pub const MESSAGES: Rows = Rows { live: b'm', archive: b'M', index: None };
/// Durable messages that were given up.
pub const DEAD_MESSAGES: Rows = Rows { live: b'y', archive: b'Y', index: None };

/// Every table.
pub const TABLES: [Rows; 16] = [
    RUNS,
    TASKS,
    COMPONENTS,
    KEYS,
    VERSIONS,
    DEFINITIONS,
    DEAD,
    FANS,
    WORKFLOWS,
    WORKFLOW_VERSIONS,
    SCHEDULES,
    OUTPUTS,
    SNAPSHOTS,
    SAVED,
    MESSAGES,
    DEAD_MESSAGES,
];

/// The key of a row within its table.
pub trait RowKey: Ord + Clone + Send + Sync + 'static {
    /// Appends its form on the disk.
    fn write(&self, out: &mut Vec<u8>);
    /// The key of a form on the disk.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Any number that differs between keys that are in use together.
    fn spread(&self) -> usize;
}

/// The whole key of a row.
pub fn row_key<K: RowKey>(prefix: u8, key: &K) -> Vec<u8> {
    let mut out = vec![prefix];
    key.write(&mut out);
    out
}

/// The whole key of a row of events.
pub fn events_key(first_seq: u64) -> [u8; 9] {
    numbered(EVENTS, first_seq)
}

/// The number in the key of a row of events.
pub fn events_seq(key: &[u8]) -> Option<u64> {
    key.strip_prefix(&[EVENTS])?.try_into().ok().map(u64::from_be_bytes)
}

/// The whole key of a row of answers; `part` tells rows of one log index apart.
pub fn answers_key(last_rev: u64, part: u32) -> [u8; 13] {
    let mut out = [0; 13];
    out[..9].copy_from_slice(&numbered(ANSWERS, last_rev));
    out[9..].copy_from_slice(&part.to_be_bytes());
    out
}

fn numbered(prefix: u8, number: u64) -> [u8; 9] {
    let mut out = [prefix; 9];
    out[1..].copy_from_slice(&number.to_be_bytes());
    out
}

fn uuid_of(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(bytes).ok()
}

/// The last bytes of an id are random.
fn uuid_spread(id: &Uuid) -> usize {
    usize::from(id.as_bytes()[15])
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn text_spread(text: &str) -> usize {
    text.bytes().fold(0, |sum, byte| (sum ^ usize::from(byte)).wrapping_mul(0x0100_0193))
}

impl RowKey for RunId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        uuid_of(bytes).map(RunId)
    }

    fn spread(&self) -> usize {
        uuid_spread(&self.0)
    }
}

impl RowKey for TaskId {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            TaskId::Single(id) => out.extend_from_slice(id.as_bytes()),
            TaskId::Step(run, step) => {
                run.write(out);
                out.extend_from_slice(&step.to_be_bytes());
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (id, step) = bytes.split_at_checked(16)?;
        let id = uuid_of(id)?;
        match step {
            [] => Some(TaskId::Single(id)),
            [high, low] => Some(TaskId::Step(RunId(id), u16::from_be_bytes([*high, *low]))),
            [_] | [_, _, _, ..] => None,
        }
    }

    fn spread(&self) -> usize {
        match self {
            TaskId::Single(id) => uuid_spread(id),
            TaskId::Step(run, step) => run.spread() + usize::from(*step),
        }
    }
}

macro_rules! text_keys {
    ($($type:ty),+) => {
        $(impl RowKey for $type {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_str().as_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                text_of(bytes)?.parse().ok()
            }

            fn spread(&self) -> usize {
                text_spread(self.as_str())
            }
        })+
    };
}

text_keys!(ComponentId, StateKey, WorkflowName, ScheduleId);

/// A zero byte, which no state key or name has, ends the key: versions of one thing stand together.
macro_rules! version_keys {
    ($($type:ty),+) => {
        $(impl RowKey for ($type, u64) {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
                out.push(0);
                out.extend_from_slice(&self.1.to_be_bytes());
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                let (rest, version) = bytes.split_last_chunk::<8>()?;
                let key = rest.strip_suffix(&[0])?;
                Some((<$type>::read(key)?, u64::from_be_bytes(*version)))
            }

            fn spread(&self) -> usize {
                self.0.spread()
            }
        })+
    };
}

version_keys!(StateKey, WorkflowName, ComponentId);

impl RowKey for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u64::from_be_bytes)
    }

    fn spread(&self) -> usize {
        usize::from(self.to_be_bytes()[7])
    }
}

impl RowKey for SavedPlace {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        out.extend_from_slice(self.1.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (number, key) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*number), text_of(key)?.into()))
    }

    fn spread(&self) -> usize {
        text_spread(&self.1)
    }
}

impl RowKey for MessageId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        uuid_of(bytes).map(MessageId)
    }

    fn spread(&self) -> usize {
        uuid_spread(&self.0)
    }
}

impl RowKey for CacheKey {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(CacheKey)
    }

    fn spread(&self) -> usize {
        usize::from(self.0[15])
    }
}

impl RowKey for DefinitionId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(DefinitionId)
    }

    fn spread(&self) -> usize {
        usize::from(self.0[15])
    }
}

impl RowKey for FanKey {
    fn write(&self, out: &mut Vec<u8>) {
        let (run, step, number) = self;
        run.write(out);
        out.extend_from_slice(&step.to_be_bytes());
        out.extend_from_slice(&number.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (run, rest) = bytes.split_at_checked(16)?;
        let [a, b, c, d] = rest else { return None };
        Some((RunId::read(run)?, u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
    }

    fn spread(&self) -> usize {
        self.0.spread() + usize::from(self.1) + usize::from(self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<K: RowKey + std::fmt::Debug>(ascending: &[K]) {
        let stored: Vec<Vec<u8>> = ascending.iter().map(|key| row_key(b'x', key)).collect();
        assert!(stored.is_sorted(), "{ascending:?}");
        for (key, stored) in ascending.iter().zip(&stored) {
            assert_eq!(K::read(&stored[1..]).as_ref(), Some(key));
        }
    }

    fn key(text: &str) -> StateKey {
        text.parse().unwrap()
    }

    #[test]
    fn keys_sort_like_what_they_stand_for() {
        let id = |number| Uuid::from_u128(number);
        check(&[RunId(id(1)), RunId(id(2)), RunId(id(u128::MAX))]);
        check(&[
            TaskId::Single(id(1)),
            TaskId::Step(RunId(id(1)), 0),
            TaskId::Step(RunId(id(1)), 256),
            TaskId::Single(id(2)),
        ]);
        check(&[
            (key("a"), 1),
            (key("a"), 255),
            (key("a"), 256),
            (key("a-b"), 1),
            (key("a.b"), 1),
            (key("b"), 0),
        ]);
        check(&[key("a"), key("a.b"), key("b")]);
        let saved: [SavedPlace; 4] = [(1, "z".into()), (2, "".into()), (2, "a".into()), (256, "a".into())];
        check(&saved);
        check(&[(RunId(id(1)), 1, 255), (RunId(id(1)), 1, 256), (RunId(id(1)), 2, 0), (RunId(id(2)), 0, 0)]);
        assert_eq!(events_seq(&events_key(7)), Some(7));
        assert!(answers_key(7, 1) < answers_key(8, 0));
    }

    #[test]
    fn foreign_bytes_are_no_keys() {
        assert_eq!(TaskId::read(&[0; 17]), None);
        assert_eq!(<(StateKey, u64)>::read(&[1; 9]), None);
        assert_eq!(StateKey::read(b"\xff"), None);
    }
}
