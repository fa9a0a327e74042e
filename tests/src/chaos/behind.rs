//! A follower that misses so much that only a snapshot helps, while the load goes on, and what comes between: it is cut off
//! again, or the leader ends while it sends, or has damaged ones. Knows nothing of the load.

use anyhow::{Context, Result, ensure};
use orc_client::wire::ClusterStatus;
use tokio::time::{Duration, Instant, sleep};

use super::stage::Stage;
use crate::cluster::leader_of;

/// So many records later the leader has a snapshot and no log for a node that lacks them.
const RECORDS_MISSED: u64 = 1_500;
const HELPED_WITHIN: Duration = Duration::from_secs(30);

/// What else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The follower is cut off once more when the snapshot arrives.
    CutAgain,
    /// The leader is killed when it sends the snapshot.
    LeaderDies,
    /// The leader's snapshots are damaged.
    Damage,
}

impl Stage<'_> {
    /// A follower is cut off for so long, and comes back.
    pub(super) async fn fall_behind(&mut self, node: u64, trouble: Trouble) -> Result<()> {
        let mut told = self.cluster.output(node)?.len();
        let leader = self.miss(node).await?;
        match trouble {
            Trouble::None => {}
            Trouble::CutAgain => {
                self.gets_snapshot(node, told).await?;
                told = self.cluster.output(node)?.len();
                self.miss(node).await?;
            }
            Trouble::LeaderDies => {
                let (soon, down) = (self.between(0..400), self.between(0..2_000));
                sleep(soon).await;
                self.kill(&[leader], down).await?;
            }
            Trouble::Damage => self.damage_snapshots(leader).await?,
        }
        self.gets_snapshot(node, told).await?;
        self.cluster.ready(node).await
    }

    /// Cuts a follower off until it lacks so many records; the leader then.
    async fn miss(&mut self, node: u64) -> Result<u64> {
        let others: Vec<u64> = self.cluster.ids().into_iter().filter(|other| *other != node).collect();
        let machine = |node| self.cluster.machine(node);
        let cut = |other: &u64| self.cluster.machines()?.network.cut(machine(node), machine(*other));
        others.iter().try_for_each(cut)?;
        let seen = self.miss_records(others[0]).await?;
        self.cluster.machines()?.network.heal()?;
        let leader = leader_of(&seen).filter(|leader| *leader != node);
        leader.with_context(|| format!("none but node-{node} leads, and that reaches nobody"))
    }

    /// Waits until a snapshot arrives at a node, which has told so much before.
    async fn gets_snapshot(&self, node: u64, told: usize) -> Result<()> {
        let deadline = Instant::now() + HELPED_WITHIN;
        while !self.cluster.output(node)?.split_off(told).contains("a snapshot arrives") {
            ensure!(Instant::now() < deadline, "node-{node} got no snapshot in {HELPED_WITHIN:?}");
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
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
