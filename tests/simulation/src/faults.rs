//! What goes wrong in a simulation, drawn from its seed: which kinds, when, where, for how long. Some nodes may stay down
//! until the majority has shown that it can do without them.
//! Knows nothing of the load.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use anyhow::{Result, ensure};
use fastrand::Rng;
use orc_check::guards::Injection;
use orc_runtime::simulation;
use turmoil::Sim;

use crate::{
    nodes::{Nodes, host},
    power,
    scene::{Phase, Scene},
};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Kind {
    /// A node's process ends and starts again.
    Kill,
    /// The same, and what was not synced is gone.
    Power,
    /// All nodes lose power at once.
    PowerAll,
    /// A node cannot talk to others.
    Isolate,
    /// A node's packets to the others are lost.
    Mute,
    /// Packets to a node are lost.
    Deaf,
    /// Two nodes cannot talk to each other.
    Cut,
    /// Nothing that is sent to or from a node arrives until later: it seems to stand still.
    Stall,
    /// A link comes and goes.
    Flapping,
    /// A wall clock jumps.
    Clock,
    /// All packets take longer.
    Slow,
    /// Writes to a node's disk take longer.
    SlowDisk,
    /// A node loses power in the moment in which it gives its vote.
    PowerAtVote,
    /// The leader hears nobody for a long time, though all hear it: others have to take over.
    Unheard,
    /// The leader has one follower left, who sees everybody, for a long time: the others have to take over. Of five nodes.
    Bridge,
}

const ALL: [Kind; 15] = [
    Kind::Kill,
    Kind::Power,
    Kind::PowerAll,
    Kind::Isolate,
    Kind::Mute,
    Kind::Deaf,
    Kind::Cut,
    Kind::Stall,
    Kind::Flapping,
    Kind::Clock,
    Kind::Slow,
    Kind::SlowDisk,
    Kind::PowerAtVote,
    Kind::Unheard,
    Kind::Bridge,
];

impl Kind {
    /// One that the cluster has to overcome while it lasts.
    fn is_long(self) -> bool {
        matches!(self, Kind::Unheard | Kind::Bridge)
    }

    /// One that goes on beside others.
    fn is_weather(self) -> bool {
        matches!(self, Kind::Clock | Kind::Slow | Kind::SlowDisk | Kind::PowerAtVote)
    }
}

/// Between two faults, and for how long one lasts, in milliseconds.
const PAUSE: std::ops::Range<u64> = 200..3000;
const LASTS: std::ops::Range<u64> = 100..6000;
/// How long one lasts that has to be overcome, and within what time.
const LONG: Duration = Duration::from_secs(15);
const OVERCOME_WITHIN: Duration = Duration::from_secs(8);
const LATENCY_MAX: Duration = Duration::from_millis(3);
/// Who calls the nodes; its links are not cut.
const BEYOND: Duration = Duration::from_secs(3600);

struct Active {
    kind: Kind,
    nodes: Vec<u64>,
    since: u64,
    until: Duration,
    /// A flapping link is cut just now; when it changes.
    flap: (bool, Duration),
}

/// The faults of one simulation.
pub struct Faults {
    scene: Rc<Scene>,
    nodes: Rc<Nodes>,
    rng: Rng,
    kinds: Vec<Kind>,
    active: Vec<Active>,
    next: Duration,
    ends: Option<Duration>,
    lasts: Duration,
    /// Kinds that have happened.
    pub happened: BTreeSet<String>,
    /// How often any has.
    pub count: u64,
}

impl Faults {
    /// Draws a mix of kinds, of which those of this seed are.
    pub fn new(
        scene: Rc<Scene>,
        nodes: Rc<Nodes>,
        mut rng: Rng,
        (lasts, only): (Duration, &[Kind]),
    ) -> Faults {
        let mut kinds = if only.is_empty() { ALL.to_vec() } else { only.to_vec() };
        kinds.retain(|kind| *kind != Kind::Bridge || scene.nodes >= 5);
        rng.shuffle(&mut kinds);
        kinds.truncate(rng.usize(1..=5).max(only.len()));
        tracing::info!(?kinds, "faults of this seed");
        Faults {
            scene,
            nodes,
            rng,
            kinds,
            active: Vec::new(),
            next: Duration::ZERO,
            ends: None,
            lasts,
            happened: BTreeSet::new(),
            count: 0,
        }
    }

    /// Lets happen what is due after a step of the simulation.
    pub fn advance(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        let now = sim.elapsed();
        match self.scene.phase() {
            Phase::Faults => {
                let ends = *self.ends.get_or_insert(now + self.lasts);
                if now >= ends {
                    return self.calm(sim);
                }
            }
            Phase::Whole if !self.scene.down.borrow().is_empty() => return self.start_all(sim),
            Phase::Founding | Phase::Calm | Phase::Ending | Phase::Whole | Phase::Over => return Ok(()),
        }
        self.flap(sim, now);
        self.cut_voters(sim)?;
        while let Some(place) = self.active.iter().position(|active| active.until <= now) {
            let active = self.active.remove(place);
            self.end(sim, active)?;
        }
        let overcoming = self.active.iter().any(|active| active.kind.is_long());
        if now >= self.next && self.active.len() < 2 && !overcoming {
            self.next = now + Duration::from_millis(self.rng.u64(PAUSE));
            self.begin(sim, now)?;
        }
        Ok(())
    }

    fn begin(&mut self, sim: &mut Sim<'_>, now: Duration) -> Result<()> {
        let Some(kind) = self.rng.choice(&self.kinds).copied() else { return Ok(()) };
        let all: Vec<u64> = (1..=self.scene.nodes as u64).collect();
        let holds = |active: &&Active| !active.kind.is_weather();
        let busy: Vec<u64> =
            self.active.iter().filter(holds).flat_map(|active| active.nodes.clone()).collect();
        let any = self.rng.choice(&all).copied().unwrap_or(1);
        let node = self.scene.leader.get().filter(|_| self.rng.bool()).unwrap_or(any);
        let other = all[(all.iter().position(|other| *other == node).unwrap_or(0) + 1) % all.len()];
        let nodes = match kind {
            Kind::PowerAll | Kind::Slow => all,
            Kind::SlowDisk if self.rng.bool() => all,
            Kind::PowerAtVote => Vec::new(),
            Kind::Cut | Kind::Flapping => vec![node, other],
            _ => vec![node],
        };
        // What has to be overcome is so by itself, not in spite of more trouble.
        let crowded = kind.is_long() && (!self.active.is_empty() || self.scene.leader.get() != Some(node));
        let repeated = kind.is_weather() && self.active.iter().any(|active| active.kind == kind);
        let held = !kind.is_weather() && nodes.iter().any(|node| busy.contains(node));
        if crowded || repeated || held {
            return Ok(());
        }
        tracing::info!(?kind, ?nodes, "a fault begins");
        self.happened.insert(format!("{kind:?}"));
        self.count += 1;
        let mut lasts = if kind.is_long() { LONG.as_millis() as u64 } else { self.rng.u64(LASTS) };
        match kind {
            Kind::Kill | Kind::Power | Kind::PowerAll => {
                lasts = lasts.min(3000);
                nodes.iter().for_each(|node| sim.crash(host(*node)));
                if kind != Kind::Kill {
                    for node in &nodes {
                        power::cut(&host(*node), self.rng.u64(..))?;
                        tracing::info!(node, "the power is gone");
                    }
                }
            }
            Kind::Isolate | Kind::Mute | Kind::Deaf | Kind::Stall => {
                self.others(&nodes).for_each(|other| link(sim, kind, &host(node), &other, true));
            }
            Kind::Cut | Kind::Flapping => link(sim, kind, &host(node), &host(other), true),
            Kind::Clock => {
                let off = self.rng.i64(-3_600_000..3_600_000);
                self.nodes.skew(node, off);
                tracing::info!(node, off, "a clock jumps");
            }
            Kind::Slow => sim.set_max_message_latency(Duration::from_millis(self.rng.u64(10..60))),
            Kind::SlowDisk => {
                let most = self.rng.u64(5..120);
                nodes.iter().for_each(|node| self.nodes.slow_disk(*node, most));
            }
            // It happens with the next vote.
            Kind::PowerAtVote => drop(simulation::votes_given()),
            Kind::Unheard => self.others(&nodes).for_each(|other| link(sim, kind, &host(node), &other, true)),
            Kind::Bridge => {
                self.beyond_bridge(node, other).for_each(|far| link(sim, kind, &host(node), &far, true))
            }
        }
        self.scene.written.set(None);
        let until = now + Duration::from_millis(lasts);
        let flap = (true, now + Duration::from_millis(self.rng.u64(100..1500)));
        self.active.push(Active { kind, nodes, since: self.scene_now(now), until, flap });
        Ok(())
    }

    fn end(&mut self, sim: &mut Sim<'_>, active: Active) -> Result<()> {
        let Active { kind, nodes, since, .. } = &active;
        let (kind, nodes, since) = (*kind, nodes.clone(), *since);
        tracing::info!(?kind, ?nodes, "a fault ends");
        match kind {
            Kind::Kill | Kind::Power | Kind::PowerAll => {
                nodes.iter().for_each(|node| sim.bounce(host(*node)));
                if kind == Kind::PowerAll && 2 * self.nodes.wrong_clocks() >= self.scene.nodes {
                    self.scene.time_lost.set(true);
                }
            }
            Kind::Isolate | Kind::Mute | Kind::Deaf | Kind::Stall => {
                self.others(&nodes).for_each(|other| link(sim, kind, &host(nodes[0]), &other, false));
            }
            Kind::Cut | Kind::Flapping => link(sim, kind, &host(nodes[0]), &host(nodes[1]), false),
            // A clock stays wrong until it jumps again, or is set right.
            Kind::Clock if self.rng.bool() => self.nodes.skew(nodes[0], 0),
            Kind::Clock => {}
            Kind::Slow => sim.set_max_message_latency(LATENCY_MAX),
            Kind::SlowDisk => nodes.iter().for_each(|node| self.nodes.slow_disk(*node, 0)),
            Kind::PowerAtVote => {}
            Kind::Unheard => {
                self.others(&nodes).for_each(|other| link(sim, kind, &host(nodes[0]), &other, false));
            }
            Kind::Bridge => {
                let other = nodes[0] % self.scene.nodes as u64 + 1;
                self.beyond_bridge(nodes[0], other)
                    .for_each(|far| link(sim, kind, &host(nodes[0]), &far, false));
            }
        }
        if kind.is_long() && sim.elapsed() >= active.until {
            let began = Duration::from_nanos(since);
            let last = self.scene.written.get();
            ensure!(
                last.is_some_and(|last| last > began + OVERCOME_WITHIN),
                "P20: {kind:?} of node-{} was not overcome within {OVERCOME_WITHIN:?}: the last write was at {last:?}",
                nodes[0]
            );
            // It cannot know of the others: that it has no majority, it can.
            let refused = self.scene.refused.borrow().get(&format!("node-{}", nodes[0])).copied();
            ensure!(
                kind != Kind::Unheard || refused.is_some_and(|last| last > began + OVERCOME_WITHIN),
                "P21: node-{} led nobody and refused nothing for {OVERCOME_WITHIN:?}: the last time was {refused:?}",
                nodes[0]
            );
        }
        let node = nodes.first().filter(|_| nodes.len() == 1).map(|node| format!("node-{node}"));
        let end = Some(self.scene_now(sim.elapsed()));
        self.scene.injected(&Injection { at: since, fault: format!("{kind:?}"), node, end })
    }

    fn flap(&mut self, sim: &mut Sim<'_>, now: Duration) {
        for active in self.active.iter_mut().filter(|active| active.kind == Kind::Flapping) {
            if active.flap.1 <= now {
                let cut = !active.flap.0;
                active.flap = (cut, now + Duration::from_millis(self.rng.u64(100..1500)));
                link(sim, Kind::Cut, &host(active.nodes[0]), &host(active.nodes[1]), cut);
            }
        }
    }

    /// The faults are over, for a majority at least.
    fn calm(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        for active in std::mem::take(&mut self.active) {
            self.end(sim, active)?;
        }
        (1..=self.scene.nodes as u64).for_each(|node| self.nodes.skew(node, 0));
        let minority = (self.scene.nodes - 1) / 2;
        if self.rng.u32(..3) == 0 {
            let mut all: Vec<u64> = (1..=self.scene.nodes as u64).collect();
            self.rng.shuffle(&mut all);
            all.truncate(minority);
            all.iter().for_each(|node| sim.crash(host(*node)));
            tracing::info!(nodes = ?all, "stay down");
            *self.scene.down.borrow_mut() = all;
        }
        self.scene.enter(Phase::Calm);
        self.next = sim.elapsed() + BEYOND;
        Ok(())
    }

    fn start_all(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        for node in self.scene.down.take() {
            sim.bounce(host(node));
        }
        Ok(())
    }

    /// Nodes that gave their vote in the last step are without power before they do anything else.
    fn cut_voters(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        if !self.active.iter().any(|active| active.kind == Kind::PowerAtVote) {
            return Ok(());
        }
        let holds = |active: &&Active| !active.kind.is_weather();
        let busy: Vec<u64> =
            self.active.iter().filter(holds).flat_map(|active| active.nodes.clone()).collect();
        for node in simulation::votes_given().into_iter().filter(|node| !busy.contains(node)) {
            sim.crash(host(node));
            power::cut(&host(node), self.rng.u64(..))?;
            tracing::info!(node, "the power is gone after a vote");
            sim.bounce(host(node));
        }
        Ok(())
    }

    /// Those that the leader does not see over the bridge.
    fn beyond_bridge(&self, leader: u64, bridge: u64) -> impl Iterator<Item = String> + use<> {
        let all = self.scene.nodes as u64;
        (1..=all).filter(move |node| *node != leader && *node != bridge).map(host)
    }

    fn others(&self, nodes: &[u64]) -> impl Iterator<Item = String> + use<> {
        let (nodes, all) = (nodes.to_vec(), self.scene.nodes as u64);
        (1..=all).filter(move |other| !nodes.contains(other)).map(host)
    }

    fn scene_now(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Cuts or heals the way between two hosts.
fn link(sim: &Sim<'_>, kind: Kind, one: &str, other: &str, cut: bool) {
    match (kind, cut) {
        (Kind::Mute, true) => sim.partition_oneway(one, other),
        (Kind::Mute, false) => sim.repair_oneway(one, other),
        (Kind::Deaf | Kind::Unheard, true) => sim.partition_oneway(other, one),
        (Kind::Deaf | Kind::Unheard, false) => sim.repair_oneway(other, one),
        (Kind::Stall, true) => sim.hold(one, other),
        (Kind::Stall, false) => sim.release(one, other),
        (_, true) => sim.partition(one, other),
        (_, false) => sim.repair(one, other),
    }
}
