//! Nodes that are killed, stopped or restarted, by a signal or by the kernel.
//! Knows nothing of disks and networks.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Result, ensure};
use tokio::time::{Duration, Instant, sleep};

use super::stage::{ENDS_WITHIN, Stage};
use crate::machines::groups::Group;

const SIGKILL: i32 = 9;
/// What a node may take of memory at first; from then on it is less and less.
const MEMORY_MAX: u64 = 64 << 20;

impl Stage<'_> {
    pub(super) async fn kill(&mut self, nodes: &[u64], down: Duration) -> Result<()> {
        nodes.iter().try_for_each(|node| self.cluster.kill_node(*node))?;
        sleep(down).await;
        self.start(nodes).await
    }

    pub(super) async fn pause(&mut self, nodes: &[u64], lasts: Duration) -> Result<()> {
        for node in nodes {
            self.cluster.process(*node)?.signal("STOP")?;
        }
        sleep(lasts).await;
        for node in nodes {
            self.cluster.process(*node)?.signal("CONT")?;
        }
        Ok(())
    }

    /// Lets a node have less and less memory until the kernel kills it.
    pub(super) async fn out_of_memory(&mut self, node: u64, down: Duration) -> Result<()> {
        let process = self.cluster.process(node)?;
        let group = Group::of_memory(process.pid())?;
        let (mut bytes, deadline) = (MEMORY_MAX, Instant::now() + ENDS_WITHIN);
        while !process.has_ended()? {
            ensure!(Instant::now() < deadline, "node-{node} still lives on {bytes} bytes");
            if group.bound_memory(bytes) {
                bytes -= bytes / 4;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let status = process.ended(Duration::ZERO).await?;
        let killed = group.killed()?;
        ensure!(status.signal() == Some(SIGKILL) && killed > 0, "node-{node} ended with {status}");
        self.cluster.kill_node(node)?;
        drop(group);
        sleep(down).await;
        self.start(&[node]).await
    }

    pub(super) async fn restart_each(&mut self, nodes: &[u64]) -> Result<()> {
        for node in nodes {
            let process = self.cluster.process(*node)?;
            process.signal("TERM")?;
            let status = process.ended(ENDS_WITHIN).await?;
            ensure!(status.success(), "node-{node} ended with {status}");
            self.cluster.kill_node(*node)?;
            self.start(&[*node]).await?;
        }
        Ok(())
    }
}
