//! Clocks that are set, on nodes that have their own.
//! Knows nothing of what they are asked for.

use anyhow::Result;
use tokio::time::{Duration, sleep};

use super::stage::Stage;

const HOUR: i64 = 3_600;

impl Stage<'_> {
    /// Sets wall clocks wrong, and right again.
    pub(super) async fn set_clocks(&mut self, nodes: &[u64], lasts: Duration) -> Result<()> {
        let ahead = if self.rng.bool() { HOUR } else { -HOUR };
        nodes.iter().try_for_each(|node| self.cluster.set_clock(*node, ahead))?;
        sleep(lasts).await;
        nodes.iter().try_for_each(|node| self.cluster.set_clock(*node, 0))
    }

    /// Lets all clocks of a node jump ahead; no monotonic clock ever goes back, so they stay there. Whoever does not lead may do
    /// so then.
    pub(super) async fn jump(&mut self, node: u64, leader: u64, lasts: Duration) -> Result<()> {
        let before = self.term().await?;
        self.cluster.set_clock(node, HOUR * i64::from(self.round))?;
        match node == leader {
            true => sleep(lasts).await,
            false => self.kill(&[leader], lasts).await?,
        }
        self.is_calm_since(before).await
    }
}
