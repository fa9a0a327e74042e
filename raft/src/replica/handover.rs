//! How a leader gives leadership away: to a named node or to the best one, and before its node leaves in order.
//! Knows nothing of why.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use orc_domain::NodeId;
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{Inner, core::Core};
use crate::{transport::message::Request, types::Membership};

const HAND_OVER_PATIENCE: Duration = Duration::from_secs(4);
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(2);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const ELECT_PATIENCE: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A node that lacks more records than this would keep the cluster waiting.
const LAG_MAX: u64 = 1_000;
/// A node that says nothing for so long is not elected.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// With so many voters the vote of the leader itself makes a majority, whatever the others think of its lease.
const VOTERS_FEW: usize = 3;

/// Why leadership stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TransferError {
    /// Ask another node.
    #[error("this node does not lead")]
    NotLeader,
    /// There is no such node.
    #[error("node-{node} is not a member")]
    NotAMember {
        /// The id.
        node: u64,
    },
    /// Only voters can lead.
    #[error("node-{node} is a learner: it has no vote and cannot lead")]
    NotAVoter {
        /// The id.
        node: u64,
    },
    /// There is nothing to do.
    #[error("node-{node} leads already")]
    LeadsAlready {
        /// The id.
        node: u64,
    },
    /// The leader is the only voter.
    #[error("there is no other voter that could lead")]
    NobodyElse,
    /// It does not answer.
    #[error("node-{node} does not answer the leader")]
    Silent {
        /// The id.
        node: u64,
    },
    /// It lacks records that are committed or may be.
    #[error("node-{node} has not caught up with the leader")]
    Behind {
        /// The id.
        node: u64,
    },
    /// Nobody was elected in time.
    #[error("node-{node} was not elected in time")]
    NotElected {
        /// The id.
        node: u64,
    },
    /// Another node was quicker.
    #[error("node-{leader} was elected instead of node-{node}")]
    OtherElected {
        /// Who was to lead.
        node: u64,
        /// Who does.
        leader: u64,
    },
    /// It may have happened, or may happen yet.
    #[error("the outcome is unknown: the transfer was not confirmed in time")]
    Unknown,
}

pub(super) async fn shutdown(inner: &Arc<Inner>) {
    let core = &inner.core;
    if core.stopping.swap(true, Ordering::Relaxed) {
        return;
    }
    tracing::info!(node = %core.node, "node stops");
    match transfer(core, None).await {
        Ok(_) | Err(TransferError::NotLeader | TransferError::NobodyElse) => {}
        Err(error) => tracing::warn!(%error, "leadership was not handed over"),
    }
    settle(core).await;
    // Other nodes may still forward and read here until the new leader is known everywhere; from now on they hear nothing.
    drop(inner.alive.lock().take());
    if timeout(STOP_PATIENCE, core.raft.shutdown()).await.is_err() {
        tracing::warn!("consensus did not end in time");
    }
    match timeout(STOP_PATIENCE, core.reader.sync()).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => tracing::warn!("the state was not written in time; the log has it"),
    }
}

/// What is in flight is answered.
async fn settle(core: &Core) {
    let until = Instant::now() + DRAIN_PATIENCE;
    while Instant::now() < until && !core.batcher.is_idle() {
        sleep(LOOK_EVERY).await;
    }
}

/// On the leader: lets another voter lead, the one that is named or the one whose log is longest, and waits until it does.
/// Nothing is proposed or read meanwhile; callers wait for the next leader.
pub(super) async fn transfer(core: &Core, to: Option<u64>) -> Result<NodeId, TransferError> {
    let _turn = core.handing_over.lock().await;
    if !core.raft.server_metrics().borrow().state.is_leader() {
        return Err(TransferError::NotLeader);
    }
    let heir = heir(core, to)?;
    let voters: Vec<u64> = core.members.voters();
    if voters.len() <= VOTERS_FEW {
        // So long after its election a leader votes for nobody, either.
        sleep(core.elections.lease_left().await).await;
    }
    core.yielding.store(true, Ordering::Relaxed);
    let yielding = Yielding(core);
    settle(core).await;
    caught_up(core, heir).await?;
    // An append or heartbeat renews the lease, and whoever has it votes for nobody else.
    core.raft.runtime_config().heartbeat(false);
    if voters.len() > VOTERS_FEW {
        outlast(core, &voters).await;
    }
    let elected = elect(core, heir).await;
    drop(yielding);
    match elected {
        Some(leader) if leader == heir || to.is_none() => Ok(NodeId(leader)),
        Some(leader) => Err(TransferError::OtherElected { node: heir, leader }),
        None => Err(TransferError::NotElected { node: heir }),
    }
}

/// While it lives this node takes nothing new as a leader; however a transfer ends, it may lead again.
struct Yielding<'a>(&'a Core);

impl Drop for Yielding<'_> {
    fn drop(&mut self) {
        self.0.raft.runtime_config().heartbeat(true);
        self.0.yielding.store(false, Ordering::Relaxed);
    }
}

/// Who shall lead.
fn heir(core: &Core, to: Option<u64>) -> Result<u64, TransferError> {
    let metrics = core.raft.metrics().borrow().clone();
    let last_log = metrics.last_log_index.unwrap_or(0);
    let matched = metrics.replication.unwrap_or_default();
    let standing = |node: u64| {
        let heard = core.peers.silent_for(node).is_some_and(|silence| silence < SILENCE_MAX);
        let matched = matched.get(&node).copied().flatten().map_or(0, |id| id.index);
        (node, heard.then(|| last_log.saturating_sub(matched)))
    };
    let membership = metrics.membership_config.membership();
    let lags = membership.voter_ids().map(standing).collect();
    choose(core.node.0, to, membership, &lags)
}

/// Of the voters, with the records that each lacks, if it is heard at all.
fn choose(
    me: u64,
    to: Option<u64>,
    membership: &Membership,
    lags: &BTreeMap<u64, Option<u64>>,
) -> Result<u64, TransferError> {
    let lag = |node: u64| lags.get(&node).copied().flatten();
    let node = match to {
        Some(node) if node == me => return Err(TransferError::LeadsAlready { node }),
        Some(node) if membership.get_node(&node).is_none() => {
            return Err(TransferError::NotAMember { node });
        }
        Some(node) if !lags.contains_key(&node) => return Err(TransferError::NotAVoter { node }),
        Some(node) => node,
        None => {
            let others = lags.keys().copied().filter(|node| *node != me);
            // No lag is the longest.
            let best = others.min_by_key(|node| lag(*node).unwrap_or(u64::MAX));
            best.ok_or(TransferError::NobodyElse)?
        }
    };
    match lag(node) {
        None => Err(TransferError::Silent { node }),
        Some(lag) if lag > LAG_MAX => Err(TransferError::Behind { node }),
        Some(_) => Ok(node),
    }
}

/// Waits until the heir has all that this node has: it would not be elected without.
async fn caught_up(core: &Core, heir: u64) -> Result<(), TransferError> {
    let mut metrics = core.raft.metrics();
    let has_all = |metrics: &crate::types::RaftMetrics| {
        let matched = metrics.replication.as_ref().and_then(|all| *all.get(&heir)?);
        matched.map(|id| id.index) >= metrics.last_log_index
    };
    match timeout(CATCH_UP_PATIENCE, metrics.wait_for(has_all)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(TransferError::Behind { node: heir }),
    }
}

/// Stays silent until the others would vote for another; none of them stands before the heir is asked to, nor does the heir,
/// which would stand twice.
async fn outlast(core: &Core, voters: &[u64]) {
    let ahead = core.timings.heartbeat;
    sleep(core.timings.election_min.saturating_sub(ahead)).await;
    let mut told = JoinSet::new();
    for node in voters.iter().copied().filter(|node| *node != core.node.0) {
        let peers = core.peers.clone();
        // Who is down does not stand.
        told.spawn(async move { drop(peers.call(node, &Request::GiveWay, ahead).await) });
    }
    told.join_all().await;
    sleep(ahead).await;
}

/// Asks the heir to stand until somebody else leads; who does.
async fn elect(core: &Core, heir: u64) -> Option<u64> {
    let until = Instant::now() + HAND_OVER_PATIENCE;
    while Instant::now() < until {
        if core.raft.server_metrics().borrow().state.is_leader() {
            tracing::info!(heir, "leadership is handed over");
            // Whoever does not hear this will not stand, and without heartbeats somebody else soon would.
            match core.peers.call(heir, &Request::Elect, ELECT_PATIENCE).await {
                Err(error) if error.is_certainly_not_sent() => return None,
                // It may be standing: its disk is slow, or the answer was lost.
                Ok(_) | Err(_) => {}
            }
        }
        let mut server = core.raft.server_metrics();
        let other = server.wait_for(|now| now.current_leader.is_some_and(|leader| leader != core.node.0));
        if let Ok(Ok(now)) = timeout(ELECT_PATIENCE, other).await {
            return now.current_leader;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::types::Member;

    /// Voters 1 to 3, led by 1; 4 is a learner.
    #[track_caller]
    fn check(to: Option<u64>, lags: [Option<u64>; 2], expected: Result<u64, TransferError>) {
        let member = |id: u64| {
            (id, Member { peer_addr: String::new(), http_addr: String::new(), ..Member::default() })
        };
        let members: BTreeMap<u64, Member> = (1..=4).map(member).collect();
        let membership = Membership::new(vec![BTreeSet::from([1, 2, 3])], members);
        let lags = BTreeMap::from([(1, Some(0)), (2, lags[0]), (3, lags[1])]);
        assert_eq!(choose(1, to, &membership, &lags), expected);
    }

    #[test]
    fn the_heir_is_the_one_that_is_named_or_lacks_least() {
        check(Some(2), [Some(7), Some(0)], Ok(2));
        check(None, [Some(7), Some(0)], Ok(3));
        check(None, [Some(7), None], Ok(2));
    }

    #[test]
    fn who_cannot_lead_is_refused_with_the_reason() {
        let all = [Some(0), Some(0)];
        check(Some(1), all, Err(TransferError::LeadsAlready { node: 1 }));
        check(Some(4), all, Err(TransferError::NotAVoter { node: 4 }));
        check(Some(9), all, Err(TransferError::NotAMember { node: 9 }));
        check(Some(2), [Some(1_001), Some(0)], Err(TransferError::Behind { node: 2 }));
        check(Some(2), [None, Some(0)], Err(TransferError::Silent { node: 2 }));
        check(None, [None, None], Err(TransferError::Silent { node: 2 }));
        let alone = Membership::new(vec![BTreeSet::from([1])], ());
        let lags = BTreeMap::from([(1, Some(0))]);
        assert_eq!(choose(1, None, &alone, &lags), Err(TransferError::NobodyElse));
    }
}
