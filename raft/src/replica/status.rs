//! Gathers how this node and the others are.
//! Knows nothing of how the answers are shown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use openraft::ServerState;
use orc_domain::NodeId;
use tokio::task::JoinSet;

use super::{Replica, core::Core};
use crate::{
    status::{ClusterStatus, NodeStatus, Progress, Role},
    transport::message::{Request, Response},
    types::{LogId, Member},
};

const STATUS_PATIENCE: Duration = Duration::from_millis(500);
/// Consensus answers between two of its steps; one that takes longer does not go on.
const PROGRESS_PATIENCE: Duration = Duration::from_secs(1);

/// How this node is.
pub(super) async fn own(core: &Core) -> NodeStatus {
    let metrics = core.raft.metrics().borrow().clone();
    let committed = core.raft.with_raft_state(|state| state.committed);
    let committed =
        tokio::time::timeout(STATUS_PATIENCE / 2, committed).await.ok().and_then(Result::ok).flatten();
    let state_hash =
        tokio::time::timeout(STATUS_PATIENCE / 2, core.reader.state_hash()).await.ok().and_then(Result::ok);
    let applied = core.reader.applied().borrow().map(|id| id.index);
    let me = core.node.0;
    let role = match metrics.state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Down,
    };
    NodeStatus {
        id: me,
        role,
        voter: metrics.membership_config.voter_ids().any(|voter| voter == me),
        term: metrics.current_term,
        leader: metrics.current_leader,
        last_log: metrics.last_log_index,
        committed: committed.map(|id| id.index),
        applied,
        state_hash,
        snapshot: metrics.snapshot.map(|id| id.index),
        matched: metrics
            .replication
            .into_iter()
            .flatten()
            .map(|(node, id)| (node, id.map(|id| id.index)))
            .collect(),
        purged: metrics.purged.map(|id| id.index),
        held_back: core.gate.is_closed(),
        uptime: core.started.elapsed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        peer_addr: core.me.peer_addr.clone(),
        http_addr: core.me.http_addr.clone(),
    }
}

impl Replica {
    /// How far this node is: asks nobody else and writes nothing.
    pub async fn progress(&self) -> Progress {
        let core = &self.inner.core;
        let committed = core.raft.with_raft_state(|state| state.committed.map_or(0, |id| id.index));
        let committed = tokio::time::timeout(PROGRESS_PATIENCE, committed).await.ok().and_then(Result::ok);
        let applied = core.reader.applied().borrow().map_or(0, |id| id.index);
        let metrics = core.raft.metrics().borrow().clone();
        let last_log = metrics.last_log_index.unwrap_or(0);
        let behind = |(node, acknowledged): (u64, Option<LogId>)| {
            (NodeId(node), last_log.saturating_sub(acknowledged.map_or(0, |id| id.index)))
        };
        let others = metrics.replication.into_iter().flatten().filter(|(node, _)| *node != core.node.0);
        // A node that does not lead any more has no followers.
        let peers_behind = match core.leadership.borrow().is_leader {
            true => others.map(behind).collect(),
            false => BTreeMap::new(),
        };
        Progress { committed, applied, peers_behind }
    }
}

/// How every member is; those that do not answer in time are down.
pub(super) async fn cluster(core: &Arc<Core>) -> ClusterStatus {
    let membership = core.raft.server_metrics().borrow().membership_config.clone();
    let mut asked = JoinSet::new();
    for (node, member) in membership.nodes() {
        let (core, node, member) = (core.clone(), *node, member.clone());
        let voter = membership.voter_ids().any(|voter| voter == node);
        asked.spawn(async move {
            if node == core.node.0 {
                return own(&core).await;
            }
            match core.peers.call(node, &Request::Status, STATUS_PATIENCE).await {
                Ok(Response::Status(status)) => *status,
                Ok(_) | Err(_) => down(node, voter, member),
            }
        });
    }
    let mut nodes = asked.join_all().await;
    nodes.sort_by_key(|status| status.id);
    let leader = core.leadership.borrow().leader.map(|leader| leader.0);
    let cluster = core.peers.local().cluster.expect("a running node has a cluster");
    ClusterStatus { cluster, seen_by: core.node.0, leader, nodes }
}

fn down(node: u64, voter: bool, member: Member) -> NodeStatus {
    NodeStatus {
        id: node,
        role: Role::Down,
        voter,
        term: 0,
        leader: None,
        last_log: None,
        committed: None,
        applied: None,
        state_hash: None,
        snapshot: None,
        matched: BTreeMap::new(),
        purged: None,
        held_back: false,
        uptime: Duration::ZERO,
        version: String::new(),
        peer_addr: member.peer_addr,
        http_addr: member.http_addr,
    }
}
