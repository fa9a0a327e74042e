//! `GET /cluster` and `POST /cluster/snapshot`: how the nodes are.
//! Knows nothing of membership changes.

use std::{sync::Arc, time::Duration};

use orc_client::wire::{ClusterNode, ClusterStatus, NodeRole, SnapshotMade, codes};
use orc_domain::NodeId;
use orc_raft::status::{NodeStatus, Role};
use tokio::time::{Instant, sleep};

use super::{
    Gateway,
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
};

const SNAPSHOT_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `GET /cluster`: as this node sees it, leader or not.
pub async fn status(gateway: Arc<Gateway>, _: Call) -> Answered {
    Ok(Reply::json(&gateway.cluster_status().await))
}

/// `POST /cluster/snapshot`: answers when the snapshot is there.
pub async fn snapshot(gateway: Arc<Gateway>, _: Call) -> Answered {
    let replica = gateway.cluster.replica();
    let wanted = gateway.cluster.applied();
    let until = Instant::now() + SNAPSHOT_WITHIN;
    replica.trigger_snapshot().await;
    while Instant::now() < until {
        match gateway.cluster.snapshot_index().await {
            Some(snapshot) if snapshot >= wanted => return Ok(Reply::json(&SnapshotMade { snapshot })),
            Some(_) | None => sleep(LOOK_EVERY).await,
        }
    }
    let refusal = Refusal::new(codes::OUTCOME_UNKNOWN, "the snapshot is not finished yet").maybe_executed();
    Err(refusal
        .hint("GET /api/v1/cluster shows the newest snapshot of each node")
        .retry_after(Duration::from_secs(5)))
}

/// A node's name, such as `node-3`, or its number.
pub fn node_id(text: &str) -> Result<NodeId, Refusal> {
    let number = text.strip_prefix("node-").unwrap_or(text).parse();
    number.map(NodeId).map_err(|_| Refusal::bad_request(format!("`{text}` is not a node such as node-3")))
}

impl Gateway {
    /// The cluster in its public form.
    pub async fn cluster_status(&self) -> ClusterStatus {
        let seen = self.cluster.replica().status().await;
        let leader = seen.nodes.iter().find(|node| Some(node.id) == seen.leader);
        let leader_log = leader.and_then(|node| node.last_log);
        ClusterStatus {
            cluster_id: seen.cluster.to_string(),
            leader: seen.leader.map(|leader| NodeId(leader).to_string()),
            term: self.cluster.leadership().term,
            seen_by: NodeId(seen.seen_by).to_string(),
            nodes: seen.nodes.iter().map(|node| show_node(node, leader_log)).collect(),
        }
    }
}

/// A node in its public form; one that is down has only its name and addresses.
pub fn show_node(node: &NodeStatus, leader_log: Option<u64>) -> ClusterNode {
    let up = node.role != Role::Down;
    // The hash belongs to the index it was taken at, so that is the index shown.
    let applied = node.state_hash.map(|(index, _)| index).or(node.applied);
    ClusterNode {
        id: NodeId(node.id).to_string(),
        role: role(node.role),
        applied,
        committed: node.committed,
        last_log: node.last_log,
        state_hash: node.state_hash.map(|(_, hash)| format!("{hash:016x}")),
        snapshot: node.snapshot,
        peer_addr: node.peer_addr.clone(),
        http_addr: node.http_addr.clone(),
        uptime_ms: up.then(|| u64::try_from(node.uptime.as_millis()).unwrap_or(u64::MAX)),
        version: up.then(|| node.version.clone()),
        lag: leader_log.zip(applied).map(|(log, applied)| log.saturating_sub(applied)),
    }
}

fn role(role: Role) -> NodeRole {
    match role {
        Role::Leader => NodeRole::Leader,
        Role::Follower => NodeRole::Follower,
        Role::Candidate => NodeRole::Candidate,
        Role::Learner => NodeRole::Learner,
        Role::Down => NodeRole::Down,
    }
}
