//! `/cluster/nodes` and `/cluster/transfer-leadership`: who belongs to the cluster, who leads, and changes of that.
//! Knows nothing of how a change is agreed on.

use std::{sync::Arc, time::Duration};

use orc_client::wire::{
    AddNode, ClusterNode, LeadershipTransferred, Membership, Page, TransferLeadership, codes,
};
use orc_domain::NodeId;
use orc_raft::{membership::MembershipError, replica::TransferError};

use super::{
    Gateway,
    call::Call,
    cluster::{node_id, show_node},
    problem::Refusal,
    reply::{Answered, Reply},
};

/// `GET /cluster/nodes`
pub async fn list(gateway: Arc<Gateway>, _: Call) -> Answered {
    let items = gateway.cluster_status().await.nodes;
    let total = u64::try_from(items.len()).ok();
    Ok(Reply::json(&Page::<ClusterNode> { items, next_cursor: None, total, total_is_exact: None }))
}

/// `GET /cluster/nodes/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = node_id(&call.param("id")?)?;
    let seen = gateway.cluster.replica().status().await;
    let leader_log =
        seen.nodes.iter().find(|node| Some(node.id) == seen.leader).and_then(|node| node.last_log);
    let node = seen.nodes.iter().find(|node| node.id == id.0);
    let node = node.ok_or_else(|| Refusal::from(MembershipError::NotAMember { node: id.0 }))?;
    Ok(Reply::json(&show_node(node, leader_log)))
}

/// `POST /cluster/nodes`: a node brings the identity of its data folder, so it can only ask to be admitted itself.
pub async fn add(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: AddNode = call.json()?;
    let id = node_id(&body.id)?;
    let membership = gateway.membership().await;
    if membership.voters.iter().chain(&membership.learners).any(|node| *node == id.to_string()) {
        return Ok(Reply::json(&membership));
    }
    let peer = gateway.cluster.replica().peer_address();
    let detail = format!("{id} has not joined: a node asks to be admitted when it starts");
    let command = format!("start it with `orc server --node-id {} --data-dir DIR --join {peer}`", id.0);
    Err(Refusal::new(codes::INVALID_TRANSITION, detail).hint(command))
}

/// `POST /cluster/nodes/{id}/promote`
pub async fn promote(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = node_id(&call.param("id")?)?;
    gateway.cluster.replica().promote(id).await?;
    Ok(Reply::json(&gateway.membership().await))
}

/// `DELETE /cluster/nodes/{id}`
pub async fn remove(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = node_id(&call.param("id")?)?;
    gateway.cluster.replica().remove(id).await?;
    Ok(Reply::json(&gateway.membership().await))
}

/// `POST /cluster/transfer-leadership`: answers when the other leads.
pub async fn transfer(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: TransferLeadership =
        if call.body.is_empty() { TransferLeadership::default() } else { call.json()? };
    let to = body.to.as_deref().map(node_id).transpose()?;
    let leader = gateway.cluster.replica().transfer_leadership(to).await?;
    Ok(Reply::json(&LeadershipTransferred { leader: leader.to_string() }))
}

impl Gateway {
    async fn membership(&self) -> Membership {
        let nodes = self.cluster.replica().status().await.nodes;
        let named = |voters: bool| {
            nodes.iter().filter(|node| node.voter == voters).map(|node| NodeId(node.id).to_string()).collect()
        };
        Membership { voters: named(true), learners: named(false) }
    }
}

impl From<MembershipError> for Refusal {
    fn from(error: MembershipError) -> Self {
        let detail = error.to_string();
        match error {
            MembershipError::NotLeader => {
                Refusal::new(codes::NO_LEADER, "the cluster has no leader right now")
                    .retry_after(Duration::from_secs(1))
            }
            MembershipError::NotAMember { .. } => {
                Refusal::not_found(detail).hint("GET /api/v1/cluster/nodes lists the members")
            }
            MembershipError::IdInUse { .. } | MembershipError::LastVoter { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
            }
            MembershipError::Behind { .. } | MembershipError::Busy => {
                Refusal::new(codes::INVALID_TRANSITION, detail).retry_after(Duration::from_secs(1))
            }
            MembershipError::Unknown => Refusal::new(codes::OUTCOME_UNKNOWN, detail)
                .maybe_executed()
                .retry_after(Duration::from_secs(1)),
        }
    }
}

impl From<TransferError> for Refusal {
    fn from(error: TransferError) -> Self {
        let detail = error.to_string();
        match error {
            TransferError::NotLeader => MembershipError::NotLeader.into(),
            TransferError::NotAMember { node } => MembershipError::NotAMember { node }.into(),
            TransferError::NotAVoter { node } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("make it a voter first: POST /api/v1/cluster/nodes/node-{node}/promote")),
            TransferError::LeadsAlready { .. } => Refusal::new(codes::INVALID_TRANSITION, detail),
            TransferError::NobodyElse => {
                Refusal::new(codes::INVALID_TRANSITION, detail).hint("add nodes: orc server --join HOST:PORT")
            }
            TransferError::Silent { .. } | TransferError::Behind { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
                    .hint("GET /api/v1/cluster shows how far each node is")
            }
            TransferError::NotElected { .. } | TransferError::OtherElected { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
                    .maybe_executed()
                    .hint("GET /api/v1/cluster says who leads")
            }
            TransferError::Unknown => MembershipError::Unknown.into(),
        }
    }
}
