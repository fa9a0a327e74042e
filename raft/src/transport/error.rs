//! Why a request to another node brought no answer.
//! Knows nothing of what was asked.

use serde::{Deserialize, Serialize};

/// Why a node does not talk to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It speaks another version of the protocol.
    #[error("it speaks version {0} of the peer protocol")]
    Protocol(u16),
    /// It belongs to another cluster.
    #[error("it belongs to another cluster")]
    ForeignCluster,
    /// It has not joined a cluster yet.
    #[error("it has not joined a cluster yet")]
    NotJoined,
    /// It serves other groups.
    #[error("it does not serve this group")]
    UnknownGroup,
    /// It is another node than the one addressed.
    #[error("it is node {0}")]
    WrongNode(u64),
    /// This id was admitted with another data folder: node ids are never reused.
    #[error("this node id belongs to another data folder: node ids are never reused")]
    WrongIncarnation,
}

/// Why a request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent.
    #[error("node {node} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        node: u64,
        /// Why, for the log.
        reason: String,
    },
    /// Nothing was sent: the node does not talk to us.
    #[error("node {node} refuses to talk: {refusal}")]
    Refused {
        /// Which.
        node: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing was sent: too many requests wait already.
    #[error("too many requests wait for node {node}")]
    Busy {
        /// Which.
        node: u64,
    },
    /// Nothing was sent: the request is longer than a frame.
    #[error("a request of {bytes} bytes is too long")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The request may have arrived; the connection broke or time ran out.
    #[error("node {node} did not answer")]
    Lost {
        /// Which.
        node: u64,
    },
    /// The answer makes no sense.
    #[error("node {node} gave an answer that cannot be read")]
    Garbled {
        /// Which.
        node: u64,
    },
}

impl CallError {
    /// Whether the other node certainly never saw the request.
    pub fn is_certainly_not_sent(&self) -> bool {
        match self {
            CallError::Unreachable { .. }
            | CallError::Refused { .. }
            | CallError::Busy { .. }
            | CallError::TooLong { .. } => true,
            CallError::Lost { .. } | CallError::Garbled { .. } => false,
        }
    }
}
