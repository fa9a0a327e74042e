//! Disks that lose their power, refuse writes or syncs, stand still, are slow or full.
//! Knows nothing of what is on them.

use anyhow::{Result, ensure};
use tokio::time::{Duration, sleep};

use super::stage::Stage;
use crate::machines::{groups::Group, syncs::FailingSync};

/// The thread of a node that writes its log.
const LOG_THREAD: &str = "orc-log";
/// What a slow disk takes a second.
const WRITES_MAX: u32 = 20;

impl Stage<'_> {
    pub(super) async fn power(&mut self, nodes: &[u64], down: Duration) -> Result<()> {
        for node in nodes {
            self.cluster.machines()?.disk(*node)?.power_off()?;
        }
        nodes.iter().try_for_each(|node| self.cluster.kill_node(*node))?;
        nodes.iter().try_for_each(|node| self.mount_again(*node))?;
        sleep(down).await;
        self.start(nodes).await
    }

    fn mount_again(&self, node: u64) -> Result<()> {
        let disk = self.cluster.machines()?.disk(node)?;
        disk.off()?;
        disk.on()
    }

    pub(super) async fn io_error(&mut self, node: u64, down: Duration) -> Result<()> {
        self.cluster.machines()?.disk(node)?.power_off()?;
        self.ends(node).await?;
        self.mount_again(node)?;
        sleep(down).await;
        self.start(&[node]).await
    }

    /// One sync fails, and all others would not.
    pub(super) async fn failing_sync(&mut self, node: u64, down: Duration) -> Result<()> {
        let told = self.cluster.folder().join(format!("strace-{}.log", self.round));
        let failing = FailingSync::of(self.cluster.process(node)?.pid(), LOG_THREAD, told)?;
        self.ends(node).await?;
        let count = failing.count()?;
        ensure!(count == 1, "{count} syncs of node-{node} failed");
        sleep(down).await;
        self.start(&[node]).await
    }

    pub(super) async fn full_disk(&mut self, node: u64, down: Duration) -> Result<()> {
        self.cluster.machines()?.disk(node)?.fill(true)?;
        self.ends(node).await?;
        self.cluster.machines()?.disk(node)?.fill(false)?;
        sleep(down).await;
        self.start(&[node]).await
    }

    pub(super) async fn freeze(&mut self, node: u64, lasts: Duration) -> Result<()> {
        let frozen = self.cluster.machines()?.disk(node)?.freeze()?;
        sleep(lasts).await;
        drop(frozen);
        Ok(())
    }

    pub(super) async fn slow_disk(&mut self, node: u64, lasts: Duration) -> Result<()> {
        let disk = self.cluster.machines()?.disk(node)?.number()?;
        let slow = Group::of_disk(self.cluster.process(node)?.pid(), (&disk, WRITES_MAX))?;
        sleep(lasts).await;
        let (written, most) = (slow.written(&disk)?, u64::from(WRITES_MAX) * (lasts.as_secs() + 2));
        drop(slow);
        ensure!((1..=most).contains(&written), "the disk of node-{node} took {written} writes in {lasts:?}");
        Ok(())
    }
}
