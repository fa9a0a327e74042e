//! The faults: what each does to a cluster under load, and what a node has to do about it by itself. Each leaves the cluster
//! whole. Knows nothing of the load.

use std::{fs::File, io::Write as _};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use orc_check::guards::Injection;
use tokio::time::{Duration, sleep};

use super::{damage::Part, membership::Change, scene::Scene};
use crate::{cluster::Cluster, machines::network::Filter};

/// How long a node may take to end by itself.
pub const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// The exit code of a node that cannot trust its disk.
pub const EXIT_DATA: i32 = 74;

/// One of the faults.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// As the command line takes it.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// How many nodes it needs.
    pub nodes: u64,
    /// Machines beyond theirs.
    pub spares: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Kill(Who),
    Pause(Who),
    Power(Who),
    IoError(Who),
    Freeze(Who),
    Isolate(Who),
    Unplug(Who),
    Bridge,
    Deaf,
    Mute,
    Flap,
    Loss,
    Slow,
    FullDisk(Who),
    RollingRestart,
    RollingUpgrade,
    Damage(Part),
    DamageRunning(Part),
    TornLog,
    Clock(Who),
    Starve,
    Behind(bool),
    Points,
    Members(Change),
}

/// Whom it hits.
#[derive(Debug, Clone, Copy)]
enum Who {
    Leader,
    Follower,
    Majority,
    All,
    Any,
}

const fn of(name: &'static str, kind: Kind, about: &'static str) -> Fault {
    Fault { name, about, nodes: 3, spares: 0, kind }
}

const fn members(name: &'static str, change: Change, about: &'static str) -> Fault {
    Fault { spares: 1, ..of(name, Kind::Members(change), about) }
}

/// All of them.
pub const FAULTS: [Fault; 46] = [
    of("kill-leader", Kind::Kill(Who::Leader), "kill -9 of the leader"),
    of("kill-follower", Kind::Kill(Who::Follower), "kill -9 of a follower"),
    of("kill-majority", Kind::Kill(Who::Majority), "kill -9 of two of three"),
    of("kill-all", Kind::Kill(Who::All), "kill -9 of every node"),
    of("pause-leader", Kind::Pause(Who::Leader), "SIGSTOP of the leader for 0.2 to 5 s"),
    of("pause-follower", Kind::Pause(Who::Follower), "SIGSTOP of a follower for 0.2 to 5 s"),
    of("pause-all", Kind::Pause(Who::All), "SIGSTOP of every node for 0.2 to 5 s"),
    of("power-leader", Kind::Power(Who::Leader), "power loss of the leader: what was not synced is gone"),
    of("power-follower", Kind::Power(Who::Follower), "power loss of a follower"),
    of("power-majority", Kind::Power(Who::Majority), "power loss of two of three at once"),
    of("power-all", Kind::Power(Who::All), "power loss of every node at once"),
    of("io-error-leader", Kind::IoError(Who::Leader), "every write of the leader's disk fails"),
    of("io-error-follower", Kind::IoError(Who::Follower), "every write of a follower's disk fails"),
    of("stall-leader", Kind::Freeze(Who::Leader), "the leader's disk takes nothing for 0.5 to 5 s"),
    of("stall-follower", Kind::Freeze(Who::Follower), "a follower's disk takes nothing for 0.5 to 5 s"),
    of("isolate-leader", Kind::Isolate(Who::Leader), "the leader reaches no other node"),
    of("isolate-follower", Kind::Isolate(Who::Follower), "a follower reaches no other node"),
    of("unplug-leader", Kind::Unplug(Who::Leader), "the leader's cable is pulled"),
    Fault { nodes: 5, ..of("bridge", Kind::Bridge, "the leader of five reaches one follower only") },
    of("deaf-leader", Kind::Deaf, "nothing that other nodes send reaches the leader"),
    of("mute-leader", Kind::Mute, "nothing that the leader sends reaches other nodes"),
    of("flapping", Kind::Flap, "the leader's cable is pulled and put back every 0.3 to 1.5 s"),
    of("loss", Kind::Loss, "one packet of ten is lost between all nodes"),
    of("rolling-restart", Kind::RollingRestart, "SIGTERM and start of one node after another"),
    of("rolling-upgrade", Kind::RollingUpgrade, "the same, to another version of the program and back"),
    of("slow-network", Kind::Slow, "the leader sends 2 Mbit/s"),
    of("full-disk-leader", Kind::FullDisk(Who::Leader), "the leader's disk is full"),
    of("full-disk-follower", Kind::FullDisk(Who::Follower), "a follower's disk is full"),
    of("damage-log", Kind::Damage(Part::Log), "a file of the log of a stopped node is damaged"),
    of("damage-rows", Kind::Damage(Part::Rows), "a table of the state of a stopped node is damaged"),
    of("damage-manifest", Kind::Damage(Part::Manifest), "a list of files of a stopped node is damaged"),
    of(
        "damage-snapshot",
        Kind::DamageRunning(Part::Snapshot),
        "a file of a running node's snapshot is damaged",
    ),
    of(
        "damage-running",
        Kind::DamageRunning(Part::Rows),
        "a table of the state of a running node is damaged",
    ),
    of("torn-log", Kind::TornLog, "a node's log ends with a part of a record that was never synced"),
    of(
        "clock-leader",
        Kind::Clock(Who::Leader),
        "the leader's wall clock is set one hour ahead or back, and right again",
    ),
    of(
        "clock-follower",
        Kind::Clock(Who::Follower),
        "a follower's wall clock is set one hour ahead or back, and right again",
    ),
    of("starved", Kind::Starve, "all nodes together have half a processor"),
    of("behind", Kind::Behind(false), "a follower misses so much that only a snapshot helps"),
    of(
        "behind-kill-leader",
        Kind::Behind(true),
        "the same, and the leader is killed while the snapshot is on its way",
    ),
    of("fail-points", Kind::Points, "nodes end in the middle of writing, at every place that has a name"),
    of("clock-all", Kind::Clock(Who::All), "all wall clocks are set one hour ahead or back, and right again"),
    members(
        "membership-replace",
        Change::Replace,
        "a fourth node joins and votes, then a follower is removed",
    ),
    members(
        "membership-remove-leader",
        Change::RemoveLeader,
        "a fourth node votes, then the leader is removed",
    ),
    members(
        "membership-kill-during",
        Change::KillDuring,
        "the leader or the new node is killed while it joins, and the leader while a node is removed",
    ),
    members(
        "membership-lagging",
        Change::Lagging,
        "a new node is cut off from the leader until its log is gone there; only then may it vote",
    ),
    members(
        "membership-wiped",
        Change::Wiped,
        "a follower without its disk is refused under its id, also once it is removed, and another one joins",
    ),
];

/// The fault of this name.
pub fn fault(name: &str) -> Result<Fault> {
    let found = FAULTS.iter().find(|fault| fault.name == name);
    found.copied().with_context(|| {
        let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
        format!("no fault {name}; there are {}", names.join(", "))
    })
}

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
}

impl Fault {
    /// It needs nodes whose clocks can be set.
    pub fn sets_clocks(&self) -> bool {
        matches!(self.kind, Kind::Clock(_))
    }

    /// It needs a program built with the feature `fail-points`, or one of another version.
    pub fn needs_another_program(&self) -> bool {
        matches!(self.kind, Kind::Points | Kind::RollingUpgrade)
    }

    /// Lets it happen once, and leaves every node running and reachable.
    pub async fn inject(&self, stage: &mut Stage<'_>) -> Result<()> {
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
        let nodes = match self.kind {
            Kind::Members(change) => return stage.change_members(change).await,
            Kind::Kill(who)
            | Kind::Pause(who)
            | Kind::Power(who)
            | Kind::Clock(who)
            | Kind::IoError(who)
            | Kind::Freeze(who)
            | Kind::Isolate(who)
            | Kind::Unplug(who)
            | Kind::FullDisk(who) => stage.chosen(who, leader),
            Kind::Points => return stage.end_at_points().await,
            Kind::RollingUpgrade => return stage.upgrade_each().await,
            Kind::RollingRestart | Kind::Loss | Kind::Starve => stage.chosen(Who::All, leader),
            Kind::Behind(_) => stage.chosen(Who::Follower, leader),
            Kind::Damage(_) | Kind::DamageRunning(_) | Kind::TornLog => stage.chosen(Who::Any, leader),
            Kind::Bridge | Kind::Deaf | Kind::Mute | Kind::Flap | Kind::Slow => vec![leader],
        };
        match self.kind {
            Kind::Kill(_) => stage.kill(&nodes).await?,
            Kind::Pause(_) => stage.pause(&nodes).await?,
            Kind::Clock(_) => stage.set_clocks(&nodes).await?,
            Kind::Power(_) => stage.power(&nodes).await?,
            Kind::IoError(_) => stage.io_error(nodes[0]).await?,
            Kind::Freeze(_) => stage.freeze(nodes[0]).await?,
            Kind::FullDisk(_) => stage.full_disk(nodes[0]).await?,
            Kind::Damage(part) => stage.damage_stopped(nodes[0], part).await?,
            Kind::DamageRunning(part) => stage.damage_running(nodes[0], part).await?,
            Kind::TornLog => stage.tear_logs(nodes[0]).await?,
            Kind::RollingRestart => stage.restart_each(&nodes).await?,
            Kind::Starve => stage.starve().await?,
            Kind::Behind(leader_dies) => stage.fall_behind(nodes[0], leader_dies).await?,
            Kind::Isolate(_)
            | Kind::Unplug(_)
            | Kind::Bridge
            | Kind::Deaf
            | Kind::Mute
            | Kind::Flap
            | Kind::Loss
            | Kind::Slow => self.disturb(stage, nodes[0]).await?,
            Kind::Points | Kind::RollingUpgrade | Kind::Members(_) => {}
        }
        Ok(nodes)
    }

    /// The faults of the network.
    async fn disturb(&self, stage: &mut Stage<'_>, node: u64) -> Result<()> {
        let others: Vec<u64> = (1..=self.nodes).filter(|other| *other != node).collect();
        let pause = Duration::from_millis(stage.rng.u64(4000..8000));
        let network = &stage.cluster.machines()?.network;
        match self.kind {
            Kind::Isolate(_) => others.iter().try_for_each(|other| network.cut(node, *other))?,
            Kind::Unplug(_) => network.plug(node, false)?,
            Kind::Bridge => others[1..].iter().try_for_each(|other| network.cut(node, *other))?,
            Kind::Deaf => others.iter().try_for_each(|other| network.filter((*other, node), Filter::Drop))?,
            Kind::Mute => others.iter().try_for_each(|other| network.filter((node, *other), Filter::Drop))?,
            Kind::Flap => {
                for turn in 0..6 {
                    network.plug(node, turn % 2 == 1)?;
                    sleep(Duration::from_millis(stage.rng.u64(300..1500))).await;
                }
            }
            Kind::Loss => {
                let pairs = (1..=self.nodes).flat_map(|from| (1..=self.nodes).map(move |to| (from, to)));
                for pair in pairs.filter(|(from, to)| from != to) {
                    network.filter(pair, Filter::Lose(0.1))?;
                }
            }
            Kind::Slow => network.slow(node, 2_000)?,
            _ => bail!("{} is no fault of the network", self.name),
        }
        sleep(pause).await;
        network.heal()
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

    pub(super) async fn kill(&mut self, nodes: &[u64]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.cluster.kill_node(*node))?;
        sleep(Duration::from_millis(self.rng.u64(0..2000))).await;
        self.start(nodes).await
    }

    async fn pause(&mut self, nodes: &[u64]) -> Result<()> {
        for node in nodes {
            self.cluster.process(*node)?.signal("STOP")?;
        }
        sleep(Duration::from_millis(self.rng.u64(200..5000))).await;
        for node in nodes {
            self.cluster.process(*node)?.signal("CONT")?;
        }
        Ok(())
    }

    async fn set_clocks(&mut self, nodes: &[u64]) -> Result<()> {
        let ahead = if self.rng.bool() { 3600 } else { -3600 };
        nodes.iter().try_for_each(|node| self.cluster.set_clock(*node, ahead))?;
        sleep(Duration::from_millis(self.rng.u64(3000..6000))).await;
        nodes.iter().try_for_each(|node| self.cluster.set_clock(*node, 0))
    }

    async fn power(&mut self, nodes: &[u64]) -> Result<()> {
        for node in nodes {
            self.cluster.machines()?.disk(*node)?.power_off()?;
        }
        nodes.iter().try_for_each(|node| self.cluster.kill_node(*node))?;
        for node in nodes {
            let disk = self.cluster.machines()?.disk(*node)?;
            disk.off()?;
            disk.on()?;
        }
        sleep(Duration::from_millis(self.rng.u64(0..1000))).await;
        self.start(nodes).await
    }

    /// The node must not go on with a disk that has refused a write.
    async fn io_error(&mut self, node: u64) -> Result<()> {
        self.cluster.machines()?.disk(node)?.power_off()?;
        self.ends(node).await?;
        let disk = self.cluster.machines()?.disk(node)?;
        disk.off()?;
        disk.on()?;
        self.start(&[node]).await
    }

    async fn full_disk(&mut self, node: u64) -> Result<()> {
        self.cluster.machines()?.disk(node)?.fill(true)?;
        self.ends(node).await?;
        self.cluster.machines()?.disk(node)?.fill(false)?;
        self.start(&[node]).await
    }

    async fn ends(&mut self, node: u64) -> Result<()> {
        let status = self.cluster.process(node)?.ended(ENDS_WITHIN).await?;
        ensure!(status.code() == Some(EXIT_DATA), "node-{node} ended with {status}, not with {EXIT_DATA}");
        self.cluster.kill_node(node)
    }

    async fn freeze(&mut self, node: u64) -> Result<()> {
        let frozen = self.cluster.machines()?.disk(node)?.freeze()?;
        sleep(Duration::from_millis(self.rng.u64(500..5000))).await;
        drop(frozen);
        Ok(())
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

    pub(super) async fn start(&mut self, nodes: &[u64]) -> Result<()> {
        nodes.iter().try_for_each(|node| self.cluster.start_node(*node))?;
        for node in nodes {
            self.cluster.ready(*node).await?;
        }
        Ok(())
    }
}
