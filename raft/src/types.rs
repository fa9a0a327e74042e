//! The one place of openraft's generics: what a log entry, an answer, a member and a snapshot are to us.
//! Knows nothing of disks or sockets; the rest of the crate uses the names given here.

use std::{fmt, path::PathBuf};

use bytes::Bytes;
use orc_domain::Outcome;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What our log and state machine can do as openraft sees them, for benches, which may not name it.
#[doc(hidden)]
pub use openraft::{
    RaftLogReader,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};

openraft::declare_raft_types!(
    /// Our choice of openraft's types.
    pub TypeConfig:
        D = Batch,
        R = BatchOutcome,
        NodeId = u64,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotFolder,
);

/// The running consensus.
pub type Raft = openraft::Raft<TypeConfig>;
/// One record of the log.
pub type LogEntry = openraft::Entry<TypeConfig>;
/// What a record of the log carries.
pub type Payload = openraft::EntryPayload<TypeConfig>;
/// The place of a record: term, leader and index.
pub type LogId = openraft::LogId<u64>;
/// The term and leader under which a record was proposed.
pub type LeaderId = openraft::CommittedLeaderId<u64>;
/// A promise to a candidate or leader.
pub type Vote = openraft::Vote<u64>;
/// Voters and learners.
pub type Membership = openraft::Membership<u64, Member>;
/// Voters and learners with the record that made them so.
pub type StoredMembership = openraft::StoredMembership<u64, Member>;
/// The ends of the log.
pub type LogState = openraft::LogState<TypeConfig>;
/// A finished snapshot.
pub type Snapshot = openraft::Snapshot<TypeConfig>;
/// What a snapshot contains.
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;
/// What openraft says about itself.
pub type RaftMetrics = openraft::RaftMetrics<u64, Member>;
/// A storage failure as openraft hears it.
pub type StorageError = openraft::StorageError<u64>;
/// A failed call to [`Raft`].
pub type RaftError<E = openraft::error::Infallible> = openraft::error::RaftError<u64, E>;
/// A failed write.
pub type ClientWriteError = RaftError<openraft::error::ClientWriteError<u64, Member>>;
/// Append records, or just say who leads.
pub type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
/// A failed proof that this node still leads.
pub type CheckIsLeaderError = RaftError<openraft::error::CheckIsLeaderError<u64, Member>>;

/// Proposals of one log record, packed once by the leader and never re-encoded; see [`Batch::pack`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Batch(pub(crate) Bytes);

impl Batch {
    /// A batch as another node packed it; checked when it is unpacked.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Batch(bytes)
    }

    /// The packed form.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} bytes)", self.0.len())
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a batch of {} bytes", self.0.len())
    }
}

/// What became of each proposal of a [`Batch`], in its order; empty for records without proposals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchOutcome(pub Vec<Outcome>);

/// A node as the membership names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where other nodes reach it, `host:port`.
    pub peer_addr: String,
    /// Where clients reach it, a base URL.
    pub http_addr: String,
    /// The data folder it was admitted with: an emptied folder cannot come back under its id.
    pub incarnation: Uuid,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.peer_addr)
    }
}

/// A folder that holds a finished snapshot, or receives one: a RocksDB checkpoint and its manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotFolder {
    /// Where.
    pub path: PathBuf,
}
