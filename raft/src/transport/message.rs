//! What nodes say to each other. Every message belongs to one class of connection.
//! Knows nothing of sockets; a changed message raises the protocol version in `hello.rs`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use orc_domain::{NodeId, Outcome, Timestamp, Unavailable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Class,
    snapshot::{Chunk, Offer},
};
use crate::{
    codec,
    election::Canvass,
    membership::{Change, MembershipError},
    replica::TransferError,
    status::NodeStatus,
    types::{Member, TypeConfig, Vote},
};

/// What a node asks of another.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Append log records, or just say who leads.
    Append(AppendEntriesRequest<TypeConfig>),
    /// Vote for the sender.
    Vote(VoteRequest<u64>),
    /// Say whether you would vote for the sender.
    Canvass(Canvass),
    /// Run for leader now: the leader is about to leave.
    Elect,
    /// Propose these to the log; see [`join_proposals`].
    Propose(Bytes),
    /// Tell the log index that a linearizable read must wait for.
    ReadIndex,
    /// Whatever the layers above agreed on.
    Ask(Bytes),
    /// Tell how you are.
    Status,
    /// Tell which cluster this is, and whether it knows the node.
    Cluster {
        /// The node that asks.
        node: u64,
    },
    /// Admit the sender, or learn its new addresses.
    Join(Joiner),
    /// Change the membership.
    Change(Change),
    /// A snapshot follows.
    SnapshotBegin(Box<Offer>),
    /// A part of it.
    SnapshotChunk(Chunk),
    /// It is complete: install it.
    SnapshotEnd {
        /// Which.
        transfer: Uuid,
    },
    /// Let another voter lead.
    Transfer {
        /// Which; none: the one whose log is longest.
        to: Option<u64>,
    },
    /// A node is about to be asked to run for leader: do not stand by yourself for a moment.
    GiveWay,
    /// Tell what time it is, if that is more than a guess.
    Time,
}

/// A node that wants to be a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joiner {
    /// Its id.
    pub node: u64,
    /// Where it is and which data folder it has.
    pub member: Member,
}

impl Request {
    /// The connection it belongs on.
    pub fn class(&self) -> Class {
        match self {
            Request::Append(_) | Request::Vote(_) | Request::Canvass(_) => Class::Raft,
            Request::Cluster { .. } => Class::Join,
            Request::SnapshotBegin(_) | Request::SnapshotChunk(_) | Request::SnapshotEnd { .. } => {
                Class::Snapshot
            }
            Request::Elect
            | Request::Propose(_)
            | Request::ReadIndex
            | Request::Ask(_)
            | Request::Status
            | Request::Join(_)
            | Request::Change(_)
            | Request::Transfer { .. }
            | Request::GiveWay
            | Request::Time => Class::Forward,
        }
    }
}

/// What a node answers. Which variant belongs to which request is clear from the names.
#[derive(Debug, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Append`].
    Append(AppendEntriesResponse<u64>),
    /// To [`Request::Vote`].
    Vote(VoteResponse<u64>),
    /// To [`Request::Canvass`].
    Canvass(bool),
    /// Done, nothing to say.
    Done,
    /// To [`Request::Propose`], in order.
    Propose(Result<Vec<Outcome>, Unavailable>),
    /// To [`Request::ReadIndex`].
    ReadIndex(Result<u64, Unavailable>),
    /// To [`Request::Ask`].
    Ask(Bytes),
    /// To [`Request::Status`].
    Status(Box<NodeStatus>),
    /// To [`Request::Cluster`].
    Cluster {
        /// Its id.
        cluster: Uuid,
        /// Whether the asking node's id is in use.
        known: bool,
    },
    /// To [`Request::Join`] and [`Request::Change`].
    Changed(Result<(), MembershipError>),
    /// To the snapshot requests: the receiver's vote, higher than the sender's if that leads no more.
    Snapshot(Vote),
    /// This node cannot do that now; the text is for the log.
    Unable(String),
    /// To [`Request::Transfer`]: who leads now.
    Transferred(Result<NodeId, TransferError>),
    /// To [`Request::Time`].
    Time(Timestamp),
    /// To [`Request::Time`], of a node that does not know it: a guess.
    Guess(Timestamp),
}

/// The wire form.
pub fn encode<T: Serialize>(message: &T) -> Bytes {
    codec::encode_message(message).into()
}

/// The message of a wire form.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    codec::decode_message(bytes).ok()
}

/// Encoded proposals in one piece, each after its length.
pub fn join_proposals(proposals: &[Bytes]) -> Bytes {
    let mut joined = BytesMut::with_capacity(proposals.iter().map(|proposal| 4 + proposal.len()).sum());
    for proposal in proposals {
        joined.put_u32_le(u32::try_from(proposal.len()).expect("a proposal fits into a frame"));
        joined.put_slice(proposal);
    }
    joined.freeze()
}

/// The pieces again, without copying.
pub fn split_proposals(mut joined: Bytes) -> Option<Vec<Bytes>> {
    let mut proposals = Vec::new();
    while joined.has_remaining() {
        let length = joined.try_get_u32_le().ok()? as usize;
        if length > joined.len() {
            return None;
        }
        proposals.push(joined.split_to(length));
    }
    Some(proposals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_survive_joining() {
        let proposals = vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        let joined = join_proposals(&proposals);
        assert_eq!(split_proposals(joined.clone()), Some(proposals));
        assert_eq!(split_proposals(joined.slice(..joined.len() - 1)), None);
        assert_eq!(split_proposals(Bytes::from_static(b"xy")), None);
    }
}
