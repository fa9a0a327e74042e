//! Where faults happen: whom one hits, who does what it is, and the record that it happened.
//! Knows nothing of the load.

use std::{fs::File, io::Write as _, ops::Range};

use anyhow::{Result, ensure};
use fastrand::Rng;
use orc_check::guards::Injection;
use tokio::time::Duration;

use super::{
    faults::{Fault, Kind, Who},
    scene::Scene,
};
use crate::cluster::Cluster;

/// How long a node may take to end by itself.
pub const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// The exit code of a node that cannot trust its disk.
pub const EXIT_DATA: i32 = 74;

/// More elections than that one after another are a storm.
const ELECTIONS_MAX: u64 = 3;

/// Where faults happen.
pub struct Stage<'a> {
    /// To whom.
    pub cluster: &'a mut Cluster,
    /// The clock.
    pub scene: &'a Scene,
    /// What is left open.
    pub rng: Rng,
    /// `injections.jsonl`
    pub injections: File,
    /// How often a fault was to happen so far.
    pub round: u32,
}

impl Fault {
    /// Lets it happen once, and leaves every node running and reachable.
    pub async fn inject(&self, stage: &mut Stage<'_>) -> Result<()> {
        stage.round += 1;
        let began = stage.scene.now();
        let nodes = self.hit(stage).await?;
        let end = Some(stage.scene.now());
        for node in nodes {
            let node = Some(format!("node-{node}"));
            let injection = Injection { at: began, fault: self.name.to_owned(), node, end };
            writeln!(stage.injections, "{}", serde_json::to_string(&injection)?)?;
        }
        Ok(())
    }

    async fn hit(&self, stage: &mut Stage<'_>) -> Result<Vec<u64>> {
        let leader = stage.cluster.leader().await?;
        let nodes = stage.chosen(self.who, leader);
        let lasts = stage.between(self.lasts_ms.0..self.lasts_ms.1);
        match self.kind {
            Kind::Kill => stage.kill(&nodes, lasts).await?,
            Kind::OutOfMemory => stage.out_of_memory(nodes[0], lasts).await?,
            Kind::Pause => stage.pause(&nodes, lasts).await?,
            Kind::Power => stage.power(&nodes, lasts).await?,
            Kind::IoError => stage.io_error(nodes[0], lasts).await?,
            Kind::FailingSync => stage.failing_sync(nodes[0], lasts).await?,
            Kind::Freeze => stage.freeze(nodes[0], lasts).await?,
            Kind::SlowDisk => stage.slow_disk(nodes[0], lasts).await?,
            Kind::FullDisk => stage.full_disk(nodes[0], lasts).await?,
            Kind::Links(links) => stage.disturb(links, nodes[0], lasts).await?,
            Kind::RollingRestart => stage.restart_each(&nodes).await?,
            Kind::Damage(part) => stage.damage_stopped(nodes[0], part).await?,
            Kind::DamageRunning(part) => stage.damage_running(nodes[0], part).await?,
            Kind::TornLog => stage.tear_logs(nodes[0]).await?,
            Kind::WallClock => stage.set_clocks(&nodes, lasts).await?,
            Kind::Jump => stage.jump(nodes[0], leader, lasts).await?,
            Kind::Starve => stage.starve(lasts).await?,
            Kind::Behind(trouble) => stage.fall_behind(nodes[0], trouble).await?,
            Kind::NoWorkers => stage.without_workers(lasts).await?,
            Kind::RollingUpgrade => return stage.upgrade_each().await,
            Kind::Points => return stage.end_at_points().await,
            Kind::Members(change) => return stage.change_members(change).await,
        }
        Ok(nodes)
    }
}

impl Stage<'_> {
    fn chosen(&mut self, who: Who, leader: u64) -> Vec<u64> {
        let mut others = self.cluster.ids();
        let count = others.len();
        others.retain(|node| *node != leader);
        self.rng.shuffle(&mut others);
        match who {
            Who::Leader => vec![leader],
            Who::Follower => vec![others[0]],
            Who::Majority => others.into_iter().take(count / 2).chain([leader]).collect(),
            Who::Any if self.rng.bool() => vec![leader],
            Who::Any => vec![others[0]],
            Who::All => others.into_iter().chain([leader]).collect(),
        }
    }

    /// A time of so many milliseconds.
    pub(super) fn between(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(milliseconds))
    }

    pub(super) async fn start(&mut self, nodes: &[u64]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.cluster.start_node(*node))?;
        for node in nodes {
            self.cluster.ready(*node).await?;
        }
        Ok(())
    }

    /// The node must not go on with what has happened to its disk.
    pub(super) async fn ends(&mut self, node: u64) -> Result<()> {
        let status = self.cluster.process(node)?.ended(ENDS_WITHIN).await?;
        ensure!(status.code() == Some(EXIT_DATA), "node-{node} ended with {status}, not with {EXIT_DATA}");
        self.cluster.kill_node(node)
    }

    /// The term, once a leader is known.
    pub(super) async fn term(&self) -> Result<u64> {
        Ok(self.cluster.until("a leader", |status| status.leader.is_some()).await?.term)
    }

    /// Few have been elected since this term.
    pub(super) async fn is_calm_since(&self, term: u64) -> Result<()> {
        let elections = self.term().await? - term;
        ensure!(elections <= ELECTIONS_MAX, "{elections} elections one after another");
        Ok(())
    }
}
