//! A follower that misses so much that only a snapshot helps, while the load goes on; and the leader that ends while it sends.
//! Knows nothing of the load.

use anyhow::{Result, ensure};
use orc_client::wire::ClusterStatus;
use tokio::time::{Duration, Instant, sleep};

use super::faults::Stage;

/// So many records later the leader has a snapshot and no log for a node that lacks them.
const RECORDS_MISSED: u64 = 1_500;
const HELPED_WITHIN: Duration = Duration::from_secs(30);

impl Stage<'_> {
    /// A follower is cut off for so long, comes back, and the leader is killed soon after if that is wished.
    pub(super) async fn fall_behind(&mut self, node: u64, leader_dies: bool) -> Result<()> {
        let told = self.cluster.output(node)?.len();
        for other in self.cluster.ids().into_iter().filter(|other| *other != node) {
            self.cluster.machines()?.network.cut(node, other)?;
        }
        self.miss_records().await?;
        let leader = self.cluster.leader().await?;
        ensure!(leader != node, "node-{node} leads and reaches nobody");
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

    /// Waits until that many records more are in the log.
    pub(super) async fn miss_records(&self) -> Result<()> {
        let last = |status: &ClusterStatus| {
            status.nodes.iter().filter_map(|node| node.last_log).max().unwrap_or_default()
        };
        let from = last(&self.cluster.until("a leader", |status| status.leader.is_some()).await?);
        self.cluster.until("records", |status| last(status) > from + RECORDS_MISSED).await?;
        Ok(())
    }
}
