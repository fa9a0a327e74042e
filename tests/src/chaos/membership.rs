//! Changes of the membership: a node joins, catches up and votes, another one is removed for good, one change at a time, and the
//! cluster has as many voters as before. Knows nothing of the load.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use tokio::time::{Duration, Instant, sleep};

use super::stage::{ENDS_WITHIN, Stage};

/// The exit code of a node that the others refuse.
const EXIT_REFUSED: i32 = 77;
/// A command that changes the membership is done by then, and so is what it waits for.
const CHANGED_WITHIN: Duration = Duration::from_secs(60);

/// How the membership changes.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A node joins, a follower goes.
    Replace,
    /// A node joins, the leader goes.
    RemoveLeader,
    /// Somebody is killed in the middle of each.
    KillDuring,
    /// A node that joins does not hear the leader for long.
    Lagging,
    /// A voter comes back without its disk.
    Wiped,
}

impl Stage<'_> {
    /// Lets it happen; the ids of those who came or went.
    pub(super) async fn change_members(&mut self, change: Change) -> Result<Vec<u64>> {
        match change {
            Change::Replace => {
                let new = self.joins().await?;
                let old = self.follower_but(new).await?;
                self.cluster.remove_node(old).await?;
                self.leaves(old).await?;
                Ok(vec![new, old])
            }
            Change::RemoveLeader => {
                let new = self.joins().await?;
                let old = self.cluster.leader().await?;
                self.cluster.remove_node(old).await?;
                self.leaves(old).await?;
                Ok(vec![new, old])
            }
            Change::KillDuring => self.kill_during().await,
            Change::Lagging => self.lagging().await,
            Change::Wiped => self.wiped().await,
        }
    }

    /// A node more, from its start until it votes.
    async fn joins(&mut self) -> Result<u64> {
        let new = self.cluster.add_member()?;
        self.cluster.start_node(new)?;
        self.votes(new).await?;
        Ok(new)
    }

    async fn votes(&mut self, new: u64) -> Result<()> {
        self.cluster.ready(new).await?;
        self.cluster.voters(self.cluster.ids().len()).await
    }

    async fn follower_but(&mut self, new: u64) -> Result<u64> {
        let leader = self.cluster.leader().await?;
        let mut followers = self.cluster.ids();
        followers.retain(|id| *id != leader && *id != new);
        self.rng.shuffle(&mut followers);
        followers.first().copied().context("a follower beside the new node")
    }

    /// A node that was removed runs on for a while, and whoever asks it must not be told what is old.
    async fn leaves(&mut self, old: u64) -> Result<()> {
        sleep(Duration::from_millis(self.rng.u64(0..1500))).await;
        self.cluster.forget_node(old)?;
        self.cluster.voters(self.cluster.ids().len()).await
    }

    async fn kill_during(&mut self) -> Result<Vec<u64>> {
        let leader = self.cluster.leader().await?;
        let new = self.cluster.add_member()?;
        self.cluster.start_node(new)?;
        sleep(Duration::from_millis(self.rng.u64(0..800))).await;
        let killed = if self.rng.bool() { leader } else { new };
        let down = self.between(0..2_000);
        self.kill(&[killed], down).await?;
        self.votes(new).await?;

        let old = if self.rng.bool() { self.cluster.leader().await? } else { self.follower_but(new).await? };
        let leader = self.cluster.leader().await?;
        let mut removal = self.cluster.removal(old)?.stdout(Stdio::null()).spawn()?;
        sleep(Duration::from_millis(self.rng.u64(0..60))).await;
        self.cluster.kill_node(leader)?;
        let ended = tokio::time::timeout(CHANGED_WITHIN, removal.wait()).await;
        println!("node-{old} was being removed: {}", ended.context("the removal did not end")??);
        if leader != old {
            self.cluster.start_node(leader)?;
            self.cluster.ready(leader).await?;
        }
        self.gone(old).await?;
        self.leaves(old).await?;
        Ok(vec![killed, new, leader, old])
    }

    /// Removes a node that may be removed already.
    async fn gone(&mut self, old: u64) -> Result<()> {
        let deadline = Instant::now() + CHANGED_WITHIN;
        let name = format!("node-{old}");
        loop {
            // One that was removed may not have heard of it.
            let other = self.cluster.ids().into_iter().find(|node| *node != old).context("no other node")?;
            let asked = self.cluster.client_of(other)?;
            let status = self.cluster.until_at(&asked, "a leader", |status| status.leader.is_some()).await?;
            if status.nodes.iter().all(|node| node.id != name) {
                return Ok(());
            }
            let removed = self.cluster.remove_node(old).await;
            ensure!(Instant::now() < deadline, "{name} is still a member: {removed:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn lagging(&mut self) -> Result<Vec<u64>> {
        let leader = self.cluster.leader().await?;
        let new = self.cluster.add_member()?;
        let machines = (self.cluster.machine(leader), self.cluster.machine(new));
        self.cluster.machines()?.network.cut(machines.0, machines.1)?;
        self.cluster.start_node(new)?;
        let name = format!("node-{new}");
        let admitted = self.cluster.until("the new node", |status| {
            status.nodes.iter().any(|node| node.id == name) && status.leader.is_some()
        });
        admitted.await?;
        self.miss_records(leader).await?;
        let asked = format!("{}/api/v1/cluster/nodes/{name}/promote", self.cluster.url(leader));
        let answer = reqwest::Client::new().post(asked).timeout(ENDS_WITHIN).send().await?;
        let (status, said) = (answer.status(), answer.text().await?);
        ensure!(
            status == StatusCode::CONFLICT,
            "{name} lacks everything, and its promotion is {status}: {said}"
        );
        self.cluster.machines()?.network.heal()?;
        self.votes(new).await?;
        let output = self.cluster.process(new)?.output();
        ensure!(output.contains("a snapshot arrives"), "{name} came without a snapshot:\n{output}");
        let old = self.follower_but(new).await?;
        self.cluster.remove_node(old).await?;
        self.leaves(old).await?;
        Ok(vec![new, old])
    }

    /// Nobody gets the id of a voter for an empty folder, nor that of one that was removed.
    async fn wiped(&mut self) -> Result<Vec<u64>> {
        let old = self.follower_but(0).await?;
        self.cluster.kill_node(old)?;
        self.cluster.wipe_node(old)?;
        self.is_refused(old).await?;
        self.cluster.remove_node(old).await?;
        self.is_refused(old).await?;
        self.leaves(old).await?;
        Ok(vec![old, self.joins().await?])
    }

    async fn is_refused(&mut self, node: u64) -> Result<()> {
        self.cluster.start_node(node)?;
        let process = self.cluster.process(node)?;
        let (status, said) = (process.ended(ENDS_WITHIN).await?, process.output());
        let refused = status.code() == Some(EXIT_REFUSED) && said.contains("node ids are never reused");
        ensure!(refused, "node-{node} has no disk of its own any more and ended with {status}\n{said}");
        self.cluster.kill_node(node)
    }
}
