//! A follower that misses so much that only a snapshot helps, while the load goes on; and the leader that ends while it sends.
//! Knows nothing of the load.

use anyhow::{Context, Result, ensure};
use orc_client::wire::ClusterStatus;
use tokio::time::{Duration, Instant, sleep};

use super::faults::Stage;
use crate::cluster::leader_of;

/// So many records later the leader has a snapshot and no log for a node that lacks them.
const RECORDS_MISSED: u64 = 1_500;
const HELPED_WITHIN: Duration = Duration::from_secs(30);

impl Stage<'_> {
    /// A follower is cut off for so long, comes back, and the leader is killed soon after if that is wished.
    pub(super) async fn fall_behind(&mut self, node: u64, leader_dies: bool) -> Result<()> {
        let told = self.cluster.output(node)?.len();
        let others: Vec<u64> = self.cluster.ids().into_iter().filter(|other| *other != node).collect();
        others.iter().try_for_each(|other| self.cluster.machines()?.network.cut(node, *other))?;
        let seen = self.miss_records(others[0]).await?;
        let leader = leader_of(&seen).filter(|leader| *leader != node);
        let leader =
            leader.with_context(|| format!("none but node-{node} leads, and that reaches nobody"))?;
        self.cluster.machines()?.network.heal()?;
        if leader_dies {
            sleep(Duration::from_millis(self.rng.u64(0..400))).await;
            self.kill(&[leader]).await?;
        }
        let deadline = Instant::now() + HELPED_WITHIN;
        while !self.cluster.output(node)?.split_off(told).contains("a snapshot arrives") {
            ensure!(Instant::now() < deadline, "node-{node} got no snapshot in {HELPED_WITHIN:?}");
            sleep(Duration::from_millis(50)).await;
        }
        self.cluster.ready(node).await
    }

    /// Waits until that many records more are in the log of a node, or of those that it reaches; what it sees then.
    pub(super) async fn miss_records(&self, asked: u64) -> Result<ClusterStatus> {
        let asked = self.cluster.client_of(asked)?;
        let leads = |status: &ClusterStatus| status.leader.is_some();
        let last = |status: &ClusterStatus| {
            status.nodes.iter().filter_map(|node| node.last_log).max().unwrap_or_default()
        };
        let from = last(&self.cluster.until_at(&asked, "a leader", leads).await?);
        let missed = |status: &ClusterStatus| leads(status) && last(status) > from + RECORDS_MISSED;
        self.cluster.until_at(&asked, "records", missed).await
    }
}
