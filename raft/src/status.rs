//! How each node of the cluster is, as one node sees it right now.
//! Knows nothing of how the answers are shown.

use std::{collections::BTreeMap, time::Duration};

use orc_domain::NodeId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a node is in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It leads.
    Leader,
    /// It votes and follows.
    Follower,
    /// It runs for leader.
    Candidate,
    /// It follows without a vote.
    Learner,
    /// It did not answer.
    Down,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: u64,
    /// What it is.
    pub role: Role,
    /// Whether it has a vote.
    pub voter: bool,
    /// Its term.
    pub term: u64,
    /// Whom it follows.
    pub leader: Option<u64>,
    /// Index of its last log record.
    pub last_log: Option<u64>,
    /// The index it knows as committed.
    pub committed: Option<u64>,
    /// The index its state stands at.
    pub applied: Option<u64>,
    /// Hash of its state, and the index it was taken at: equal at equal index on every node.
    pub state_hash: Option<(u64, u64)>,
    /// Index of its last snapshot.
    pub snapshot: Option<u64>,
    /// On the leader: the last index that each other member has acknowledged.
    pub matched: BTreeMap<u64, Option<u64>>,
    /// The last index that its log has forgotten.
    pub purged: Option<u64>,
    /// Whether its quorum gate holds it back.
    pub held_back: bool,
    /// How long it has been running.
    pub uptime: Duration,
    /// The version of its program.
    pub version: String,
    /// Where other nodes reach it.
    pub peer_addr: String,
    /// Where clients reach it.
    pub http_addr: String,
}

/// How far a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The index it knows as committed; none: consensus does not answer.
    pub committed: Option<u64>,
    /// The index its state stands at.
    pub applied: u64,
    /// On the leader: records that each other member has not acknowledged.
    pub peers_behind: BTreeMap<NodeId, u64>,
}

/// How the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// Its id.
    pub cluster: Uuid,
    /// The node that asked the others.
    pub seen_by: u64,
    /// The leader, as that node knows it.
    pub leader: Option<u64>,
    /// Every member, by id.
    pub nodes: Vec<NodeStatus>,
}
