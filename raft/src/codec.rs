//! The stored form of everything: bincode inside our own envelope of kind, version, length and CRC32C.
//! The only file that names bincode; knows nothing of where the bytes go. A stored struct is frozen per version:
//! to change one, raise its version and decode the old form in [`Stored::decode_version`].

mod backup;
mod batch;
#[cfg(test)]
mod golden;
mod mirror;
#[cfg(test)]
mod noise;
#[cfg(any(test, feature = "fuzzing"))]
pub mod parsers;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use orc_domain::{
    CachedOutput, Component, DeadMessage, DeadTask, Definition, FanChunk, KeyRecord, Meta, Proposal,
    QueuedMessage, Run, SavedKey, Schedule, Snapshot, Task, VersionRecord, Workflow, WorkflowVersion,
};
use serde::{Serialize, de::DeserializeOwned};

pub use backup::{BackupEnd, BackupManifest, BackupPart};
pub use batch::{BATCH_BYTES_MAX, BATCH_COUNT_MAX, BatchError, Unpacked};
pub use mirror::{
    AnswerRow, EventRow, Gone, LogRecord, Manifest, ManifestFile, Owner, Place, Position, VoteRow,
};

/// What an envelope holds. The numbers are on disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// One record of the log.
    LogRecord = 1,
    /// The vote.
    Vote = 2,
    /// A log id: what is purged or known as committed.
    Place = 3,
    /// Where `state/` stands.
    Position = 4,
    /// The small facts of the state.
    Meta = 5,
    /// A run.
    Run = 6,
    /// A task.
    Task = 7,
    /// A component.
    Component = 8,
    /// A state key.
    Key = 9,
    /// A kept version of a state key.
    Version = 10,
    /// A definition.
    Definition = 11,
    /// Events in order.
    Events = 12,
    /// Answers in order.
    Answers = 13,
    /// What a snapshot folder holds.
    Manifest = 14,
    /// Whose log this is.
    Owner = 15,
    /// Items of a `foreach`.
    Fan = 16,
    /// A task of the dead-letter list.
    Dead = 17,
    /// A workflow.
    Workflow = 18,
    /// A version of a workflow.
    WorkflowVersion = 19,
    /// A schedule.
    Schedule = 20,
    /// An output kept for later runs.
    Output = 21,
    /// A named snapshot of the state keys.
    Snapshot = 22,
    /// A state key as it was when a snapshot was made.
    Saved = 23,
    /// A durable message.
    Message = 24,
    /// A durable message that was given up.
    DeadMessage = 25,
    /// What a backup begins with.
    Backup = 26,
    /// What a backup ends with.
    BackupEnd = 27,
    /// Nodes that were removed.
    Gone = 28,
}

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored {what:?} is damaged")]
pub struct Corrupt {
    /// What it should be.
    pub what: Kind,
    /// Why it is not.
    #[source]
    pub why: Why,
}

/// What is wrong with stored bytes.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// Shorter than an envelope.
    #[error("only {0} bytes")]
    Short(usize),
    /// An envelope of something else.
    #[error("it is of kind {0}")]
    Kind(u8),
    /// Written by a newer program, or damaged.
    #[error("version {0} is not known here")]
    Version(u8),
    /// The length does not fit.
    #[error("{found} bytes instead of {expected}")]
    Length {
        /// As the envelope says.
        expected: usize,
        /// As found.
        found: usize,
    },
    /// The checksum does not fit.
    #[error("checksum {found:08x} instead of {expected:08x}")]
    Checksum {
        /// As the envelope says.
        expected: u32,
        /// As found.
        found: u32,
    },
    /// The body cannot be decoded.
    #[error("the body cannot be decoded")]
    Body(#[source] bincode::error::DecodeError),
    /// A record of another place than where it was found.
    #[error("it is of index {found} instead of {expected}, or its term falls")]
    Misplaced {
        /// Where it was found.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// Bytes after the body, or too few before them.
    #[error("the parts do not add up")]
    Parts,
}

/// Something with a stored form.
pub trait Stored: Serialize + DeserializeOwned {
    /// Its number.
    const KIND: Kind;
    /// The version written now.
    const VERSION: u8 = 1;

    /// Decodes a body of any version ever written.
    fn decode_version(version: u8, body: &[u8]) -> Result<Self, Why> {
        if version == Self::VERSION { decode_body(body) } else { Err(Why::Version(version)) }
    }
}

macro_rules! stored {
    ($($type:ty => $kind:ident),* $(,)?) => { $(impl Stored for $type { const KIND: Kind = Kind::$kind; })* };
}

stored! {
    LogRecord => LogRecord, VoteRow => Vote, Place => Place, Position => Position, Meta => Meta, Run => Run, Task => Task,
    Component => Component, KeyRecord => Key, VersionRecord => Version, Definition => Definition, EventRow => Events,
    AnswerRow => Answers, Manifest => Manifest, Owner => Owner, FanChunk => Fan, DeadTask => Dead,
    Workflow => Workflow, WorkflowVersion => WorkflowVersion, Schedule => Schedule,
    CachedOutput => Output, Snapshot => Snapshot, SavedKey => Saved, QueuedMessage => Message,
    DeadMessage => DeadMessage,
    BackupManifest => Backup, BackupEnd => BackupEnd, Gone => Gone,
}

/// More than anything that is stored or sent. Room is made for as many bytes as a text says it has, before they are there:
/// without a limit, nine bytes of a peer could end a node.
const DECODED_MAX: usize = 1 << 30;
const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODED_MAX>> =
    bincode::config::standard().with_limit::<DECODED_MAX>();
/// The length of an envelope without what is in it.
pub(crate) const HEADER: usize = 10;
const CHECKED: usize = 6;

struct Appender<'a>(&'a mut Vec<u8>);

impl bincode::enc::write::Writer for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// The stored form of a value.
pub fn encode<T: Stored>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    encode_into(value, &mut out);
    out
}

/// Replaces `out` by the stored form of a value.
pub fn encode_into<T: Stored>(value: &T, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; HEADER]);
    encode_body(value, out);
    let length = u32::try_from(out.len() - HEADER).expect("limits keep stored values below 4 GiB");
    out[0] = T::KIND as u8;
    out[1] = T::VERSION;
    out[2..CHECKED].copy_from_slice(&length.to_be_bytes());
    let checksum = checksum(out);
    out[CHECKED..HEADER].copy_from_slice(&checksum.to_be_bytes());
}

/// How many bytes follow the beginning of an envelope.
pub(crate) fn length_after(header: &[u8; HEADER]) -> u32 {
    u32::from_be_bytes([header[2], header[3], header[4], header[5]])
}

/// The value of a stored form.
pub fn decode<T: Stored>(bytes: &[u8]) -> Result<T, Corrupt> {
    open::<T>(bytes).map_err(|why| Corrupt { what: T::KIND, why })
}

fn open<T: Stored>(bytes: &[u8]) -> Result<T, Why> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Why::Short(bytes.len()));
    };
    let [kind, version, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    let expected = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if expected != body.len() {
        return Err(Why::Length { expected, found: body.len() });
    }
    let (expected, found) = (u32::from_be_bytes([c0, c1, c2, c3]), checksum(bytes));
    if expected != found {
        return Err(Why::Checksum { expected, found });
    }
    if kind != T::KIND as u8 {
        return Err(Why::Kind(kind));
    }
    T::decode_version(version, body)
}

/// Of everything but itself.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..CHECKED]), &bytes[HEADER..])
}

fn encode_body<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    bincode::serde::encode_into_writer(value, Appender(out), CONFIG)
        .expect("what we store has no form that cannot be written");
}

fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Why> {
    let (value, read) = bincode::serde::decode_from_slice(body, CONFIG).map_err(Why::Body)?;
    if read == body.len() { Ok(value) } else { Err(Why::Parts) }
}

/// The bare form of a message between nodes, without an envelope.
pub fn encode_message<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    encode_body(value, &mut out);
    out
}

/// The message of a bare form.
pub fn decode_message<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Why> {
    decode_body(bytes)
}

/// The form of a proposal inside a [`Batch`](crate::types::Batch).
pub fn encode_proposal(proposal: &Proposal) -> bytes::Bytes {
    encode_message(proposal).into()
}
