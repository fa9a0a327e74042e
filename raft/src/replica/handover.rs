//! How a node leaves in order: no new work, leadership to another node, then consensus and disk.
//! Knows nothing of why it leaves.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use super::{Inner, core::Core};
use crate::transport::message::Request;

const HAND_OVER_PATIENCE: Duration = Duration::from_secs(4);
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const ELECT_PATIENCE: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn shutdown(inner: &Arc<Inner>) {
    let core = &inner.core;
    if core.stopping.swap(true, Ordering::Relaxed) {
        return;
    }
    tracing::info!(node = %core.node, "node stops");
    let idle_until = Instant::now() + DRAIN_PATIENCE;
    while Instant::now() < idle_until && !core.batcher.is_idle() {
        sleep(LOOK_EVERY).await;
    }
    hand_over(core).await;
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

/// Without heartbeats the follower with the longest log wins the election that it is asked to start; whether one won.
pub(super) async fn hand_over(core: &Core) -> bool {
    if !core.raft.server_metrics().borrow().state.is_leader() {
        return false;
    }
    core.raft.runtime_config().heartbeat(false);
    let until = Instant::now() + HAND_OVER_PATIENCE;
    while Instant::now() < until && !others_lead(core) {
        if core.raft.server_metrics().borrow().state.is_leader() {
            let Some(heir) = heir(core) else { break };
            tracing::info!(heir, "leadership is handed over");
            // A follower's lease may make the others refuse at first: it is asked again.
            let _ = core.peers.call(heir, &Request::Elect, ELECT_PATIENCE).await;
        }
        let look_until = Instant::now() + ELECT_PATIENCE;
        while Instant::now() < look_until && !others_lead(core) {
            sleep(LOOK_EVERY).await;
        }
    }
    core.raft.runtime_config().heartbeat(true);
    others_lead(core)
}

fn others_lead(core: &Core) -> bool {
    core.raft.server_metrics().borrow().current_leader.is_some_and(|leader| leader != core.node.0)
}

fn heir(core: &Core) -> Option<u64> {
    let metrics = core.raft.metrics().borrow().clone();
    let voters = metrics.membership_config.voter_ids().filter(|voter| *voter != core.node.0);
    let matched = |node: &u64| metrics.replication.as_ref()?.get(node)?.map(|id| id.index);
    voters.filter(|node| matched(node).is_some()).max_by_key(matched)
}
