//! Who belongs to the cluster: admission of joiners, promotion of learners that have caught up, removal.
//! One change at a time, on the leader. Knows nothing of how a wish reached it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use openraft::{
    ChangeMembers,
    error::{ChangeMembershipError, ClientWriteError, RaftError},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use crate::{
    replica::Leadership,
    store::StateReader,
    ticker,
    transport::{Peers, message::Joiner},
    types::{Member, Membership, Raft, RaftMetrics},
};

/// A learner that lacks fewer records than this becomes a voter.
const LAG_MAX: u64 = 1_000;
/// A learner that says nothing for so long is not promoted.
const SILENCE_MAX: Duration = Duration::from_secs(1);
const PROMOTE_EVERY: Duration = Duration::from_millis(200);
const CHANGE_PATIENCE: Duration = Duration::from_secs(10);

/// Whether these nodes are a majority of the voters; while they change, of the old and of the new ones.
pub fn is_quorum(membership: &Membership, nodes: &BTreeSet<u64>) -> bool {
    membership.get_joint_config().iter().all(|voters| voters.intersection(nodes).count() * 2 > voters.len())
}

/// Whether the latest membership that this node has is applied, and so for good.
fn is_applied(metrics: &RaftMetrics) -> bool {
    metrics.membership_config.log_id().is_some_and(|id| metrics.last_applied >= Some(id))
}

/// A wish to change the membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Admit a node as a learner, or learn its new addresses.
    Add(Joiner),
    /// Give a learner a vote.
    Promote(u64),
    /// Let a node go; the leader may go itself.
    Remove(u64),
}

/// Why the membership stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MembershipError {
    /// Ask another node.
    #[error("this node does not lead")]
    NotLeader,
    /// Node ids are never reused.
    #[error(
        "node-{node} was admitted with another data folder, or removed: node ids are never reused; \
         start with an id that was never used and an empty data folder"
    )]
    IdInUse {
        /// The id.
        node: u64,
    },
    /// There is no such node.
    #[error("node-{node} is not a member")]
    NotAMember {
        /// The id.
        node: u64,
    },
    /// A learner lacks too much.
    #[error("node-{node} has not caught up yet")]
    Behind {
        /// The id.
        node: u64,
    },
    /// Without it nobody could vote.
    #[error("node-{node} is the last voter")]
    LastVoter {
        /// The id.
        node: u64,
    },
    /// Another change is under way.
    #[error("another change of the membership is under way")]
    Busy,
    /// It may have happened, or may happen yet.
    #[error("the outcome is unknown: the change was not confirmed in time")]
    Unknown,
}

/// The membership as the leader changes it; a cheap handle.
#[derive(Clone)]
pub struct Members {
    raft: Raft,
    peers: Peers,
    reader: StateReader,
    turn: Arc<Mutex<()>>,
}

impl Members {
    /// Of this consensus.
    pub fn new(raft: Raft, peers: Peers, reader: StateReader) -> Members {
        Members { raft, peers, reader, turn: Arc::default() }
    }

    /// The node as the latest membership has it.
    pub fn get(&self, node: u64) -> Option<Member> {
        self.raft.server_metrics().borrow().membership_config.membership().get_node(&node).cloned()
    }

    /// All nodes but this one.
    pub fn others(&self, me: u64) -> BTreeMap<u64, Member> {
        let membership = self.raft.server_metrics().borrow().membership_config.clone();
        membership
            .nodes()
            .filter(|(node, _)| **node != me)
            .map(|(node, member)| (*node, member.clone()))
            .collect()
    }

    /// Those with a vote.
    pub fn voters(&self) -> Vec<u64> {
        self.raft.server_metrics().borrow().membership_config.voter_ids().collect()
    }

    /// Whether the membership that is applied here has a node, just so.
    pub fn has_applied(&self, node: u64, member: &Member) -> bool {
        let metrics = self.raft.metrics();
        let now = metrics.borrow();
        is_applied(&now) && now.membership_config.membership().get_node(&node) == Some(member)
    }

    /// Waits until this node has applied a membership without a node; whether that came in time.
    pub async fn lacks(&self, node: u64, within: Duration) -> bool {
        let mut metrics = self.raft.metrics();
        let gone = metrics
            .wait_for(|now| is_applied(now) && now.membership_config.membership().get_node(&node).is_none());
        matches!(timeout(within, gone).await, Ok(Ok(_)))
    }

    /// Changes the membership; only the leader can.
    pub async fn change(&self, change: Change) -> Result<(), MembershipError> {
        let _turn = timeout(CHANGE_PATIENCE, self.turn.lock()).await.map_err(|_| MembershipError::Busy)?;
        self.is_leader()?;
        match change {
            Change::Add(joiner) => self.add(joiner).await,
            Change::Promote(node) => self.promote(node).await,
            Change::Remove(node) => self.remove(node).await,
        }
    }

    async fn add(&self, Joiner { node, member }: Joiner) -> Result<(), MembershipError> {
        match self.get(node) {
            Some(known) if known.incarnation != member.incarnation => Err(MembershipError::IdInUse { node }),
            Some(known) if known == member => Ok(()),
            Some(_) => {
                tracing::info!(node, %member, "member has moved");
                self.apply(ChangeMembers::SetNodes(BTreeMap::from([(node, member)])), true).await
            }
            None if self.is_gone(node).await? => Err(MembershipError::IdInUse { node }),
            None => {
                tracing::info!(node, %member, "member admitted");
                self.apply(ChangeMembers::AddNodes(BTreeMap::from([(node, member)])), true).await
            }
        }
    }

    /// Whether a node was removed; only whoever has applied the latest membership can tell.
    async fn is_gone(&self, node: u64) -> Result<bool, MembershipError> {
        let latest = *self.raft.server_metrics().borrow().membership_config.log_id();
        let standing = self.reader.standing().await.ok_or(MembershipError::Unknown)?;
        if *standing.membership.log_id() < latest {
            return Err(MembershipError::Busy);
        }
        Ok(standing.gone.0.contains(&node))
    }

    async fn promote(&self, node: u64) -> Result<(), MembershipError> {
        let metrics = self.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        if membership.get_node(&node).is_none() {
            return Err(MembershipError::NotAMember { node });
        }
        if membership.voter_ids().any(|voter| voter == node) {
            return Ok(());
        }
        if !self.has_caught_up(&metrics, node) {
            return Err(MembershipError::Behind { node });
        }
        tracing::info!(node, "learner becomes voter");
        self.apply(ChangeMembers::AddVoterIds(BTreeSet::from([node])), true).await
    }

    async fn remove(&self, node: u64) -> Result<(), MembershipError> {
        let membership = self.raft.server_metrics().borrow().membership_config.clone();
        if membership.membership().get_node(&node).is_none() {
            return Err(MembershipError::NotAMember { node });
        }
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if voters == BTreeSet::from([node]) {
            return Err(MembershipError::LastVoter { node });
        }
        tracing::info!(node, "member removed");
        if voters.contains(&node) {
            self.apply(ChangeMembers::RemoveVoters(BTreeSet::from([node])), false).await
        } else {
            self.apply(ChangeMembers::RemoveNodes(BTreeSet::from([node])), false).await
        }
    }

    fn is_leader(&self) -> Result<(), MembershipError> {
        if self.raft.server_metrics().borrow().state.is_leader() {
            Ok(())
        } else {
            Err(MembershipError::NotLeader)
        }
    }

    async fn apply(&self, change: ChangeMembers<u64, Member>, retain: bool) -> Result<(), MembershipError> {
        let changed = timeout(CHANGE_PATIENCE, self.raft.change_membership(change, retain)).await;
        match changed.map_err(|_| MembershipError::Unknown)? {
            Ok(_) => Ok(()),
            // It led a moment ago: the change may have been appended before.
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(MembershipError::Unknown),
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error))) => Err(match error {
                ChangeMembershipError::InProgress(_) => MembershipError::Busy,
                ChangeMembershipError::EmptyMembership(_) => MembershipError::LastVoter { node: 0 },
                ChangeMembershipError::LearnerNotFound(error) => {
                    MembershipError::NotAMember { node: error.node_id }
                }
            }),
            Err(RaftError::Fatal(_)) => Err(MembershipError::Unknown),
        }
    }

    /// On the leader, for ever: ends a change that an earlier leader left half done, and promotes learners.
    pub async fn tend(self, leadership: watch::Receiver<Leadership>) {
        let mut tick = ticker::every(PROMOTE_EVERY);
        loop {
            tick.tick().await;
            if !leadership.borrow().is_leader {
                continue;
            }
            let Ok(turn) = self.turn.try_lock() else { continue };
            let metrics = self.raft.metrics().borrow().clone();
            let configs = metrics.membership_config.membership().get_joint_config();
            let done = match configs.as_slice() {
                [_, goal, ..] => self.apply(ChangeMembers::ReplaceAllVoters(goal.clone()), false).await,
                _ => match self.ready_learner(&metrics) {
                    Some(node) => self.promote(node).await,
                    None => Ok(()),
                },
            };
            drop(turn);
            if let Err(error) = done {
                tracing::debug!(%error, "the membership could not be tended; again soon");
            }
        }
    }

    fn ready_learner(&self, metrics: &RaftMetrics) -> Option<u64> {
        let membership = metrics.membership_config.membership();
        membership.learner_ids().find(|node| self.has_caught_up(metrics, *node))
    }

    /// Near enough, and alive: the vote of a dead node could cost the majority.
    fn has_caught_up(&self, metrics: &RaftMetrics, node: u64) -> bool {
        lag(metrics, node).is_some_and(|lag| lag < LAG_MAX)
            && self.peers.silent_for(node).is_some_and(|silent| silent < SILENCE_MAX)
    }
}

/// Records that a node lacks, if it has acknowledged any.
fn lag(metrics: &RaftMetrics, node: u64) -> Option<u64> {
    let matched = metrics.replication.as_ref()?.get(&node)?.as_ref()?;
    Some(metrics.last_log_index?.saturating_sub(matched.index))
}
