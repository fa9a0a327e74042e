//! Our own forms of what openraft hands us, and the rows that no domain type stands for.
//! Frozen with their version: openraft may change its structs, these stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use orc_domain::{AnswerRecord, Recorded};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{
    Batch, LeaderId, LogEntry, LogId, Member, Membership, Payload, SnapshotMeta, StoredMembership, Vote,
};

/// A log id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The leader's term.
    pub term: u64,
    /// The leader.
    pub leader: u64,
    /// The index.
    pub index: u64,
}

impl From<LogId> for Place {
    fn from(id: LogId) -> Self {
        Place { term: id.leader_id.term, leader: id.leader_id.node_id, index: id.index }
    }
}

impl From<Place> for LogId {
    fn from(place: Place) -> Self {
        LogId::new(LeaderId::new(place.term, place.leader), place.index)
    }
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRow {
    term: u64,
    node: u64,
    committed: bool,
}

impl From<&Vote> for VoteRow {
    fn from(vote: &Vote) -> Self {
        VoteRow { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<VoteRow> for Vote {
    fn from(row: VoteRow) -> Self {
        let mut vote = Vote::new(row.term, row.node);
        vote.committed = row.committed;
        vote
    }
}

/// The incarnation of the data folder a log was created in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner(pub Uuid);

/// The ids of nodes that were members and are none any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone(pub BTreeSet<u64>);

/// Voters and learners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Members {
    configs: Vec<BTreeSet<u64>>,
    nodes: BTreeMap<u64, Member>,
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        Members {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, node)| (*id, node.clone())).collect(),
        }
    }
}

impl From<Members> for Membership {
    fn from(members: Members) -> Self {
        Membership::new(members.configs, members.nodes)
    }
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Where it belongs.
    pub place: Place,
    payload: RecordPayload,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum RecordPayload {
    Blank,
    Batch(Bytes),
    Members(Members),
}

impl From<&LogEntry> for LogRecord {
    fn from(entry: &LogEntry) -> Self {
        let payload = match &entry.payload {
            Payload::Blank => RecordPayload::Blank,
            Payload::Normal(batch) => RecordPayload::Batch(batch.as_bytes().clone()),
            Payload::Membership(membership) => RecordPayload::Members(membership.into()),
        };
        LogRecord { place: entry.log_id.into(), payload }
    }
}

impl From<LogRecord> for LogEntry {
    fn from(record: LogRecord) -> Self {
        let payload = match record.payload {
            RecordPayload::Blank => Payload::Blank,
            RecordPayload::Batch(bytes) => Payload::Normal(Batch::from_bytes(bytes)),
            RecordPayload::Members(members) => Payload::Membership(members.into()),
        };
        LogEntry { log_id: record.place.into(), payload }
    }
}

/// Where `state/` stands: written with every change of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    applied: Option<Place>,
    membership_at: Option<Place>,
    members: Members,
    /// Sum of the hashes of all rows that replicas have in common.
    pub hash: u64,
    /// Log index of the snapshot this folder began as: the log may end below it.
    pub installed: Option<u64>,
}

impl Position {
    /// Everything up to here is in the rows.
    pub fn applied(&self) -> Option<LogId> {
        self.applied.map(LogId::from)
    }

    /// The index of [`Position::applied`], zero before the first record.
    pub fn index(&self) -> u64 {
        self.applied.map_or(0, |place| place.index)
    }

    /// The last membership among the applied records.
    pub fn membership(&self) -> StoredMembership {
        StoredMembership::new(self.membership_at.map(LogId::from), self.members.clone().into())
    }

    /// The same rows as the beginning of another cluster, which has one member.
    pub fn found_with(&mut self, node: u64, member: Member) {
        self.membership_at = self.applied;
        self.members = Members { configs: vec![[node].into()], nodes: [(node, member)].into() };
        self.installed = self.applied.map(|place| place.index);
    }

    /// Moves on.
    pub fn advance(&mut self, applied: Option<LogId>, membership: &StoredMembership) {
        self.applied = applied.map(Place::from);
        let at = membership.log_id().map(Place::from);
        if at != self.membership_at || self.members.configs.is_empty() {
            self.membership_at = at;
            self.members = membership.membership().into();
        }
    }
}

/// Events in order; the row's key is the first one's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventRow(pub Vec<Arc<Recorded>>);

/// Answers in order; the row's key is the last one's log index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnswerRow(pub Vec<AnswerRecord>);

/// What a snapshot folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Names the snapshot.
    pub id: String,
    applied: Option<Place>,
    membership_at: Option<Place>,
    members: Members,
    /// Every other file of the folder.
    pub files: Vec<ManifestFile>,
}

/// One file of a snapshot folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name, without folders.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// CRC32C of its content.
    pub checksum: u32,
}

impl Manifest {
    /// A manifest of a checkpoint that stands at `position`.
    pub fn new(id: String, position: &Position, files: Vec<ManifestFile>) -> Self {
        let Position { applied, membership_at, members, hash: _, installed: _ } = position.clone();
        Manifest { id, applied, membership_at, members, files }
    }

    /// What openraft has to know of it.
    pub fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied.map(LogId::from),
            last_membership: StoredMembership::new(
                self.membership_at.map(LogId::from),
                self.members.clone().into(),
            ),
            snapshot_id: self.id.clone(),
        }
    }
}
