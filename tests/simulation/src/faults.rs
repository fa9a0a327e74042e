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
    kinds::{ALL, Kind, link, lose},
    nodes::{self, Nodes, host},
    power,
    scene::{Order, Phase, Scene},
};

/// Between two faults, and for how long one lasts, in milliseconds.
const PAUSE: std::ops::Range<u64> = 200..3000;
const LASTS: std::ops::Range<u64> = 100..6000;
/// How long one lasts that has to be overcome, and within what time: half of that, so that a last write before then is too old.
const LONG: Duration = Duration::from_secs(16);
const OVERCOME_WITHIN: Duration = Duration::from_secs(8);
const LATENCY_MAX: Duration = Duration::from_millis(3);
/// Who calls the nodes; its links are not cut.
const BEYOND: Duration = Duration::from_secs(3600);

/// A change of the members that goes on.
struct Change {
    since: u64,
    /// Who was removed, and when it is switched off.
    leaves: Option<(u64, Duration)>,
}

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
    change: Option<Change>,
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
        // Nobody may come to vote.
        if kinds == [Kind::PowerAtVote] {
            kinds.push(Kind::Kill);
        }
        tracing::info!(?kinds, "faults of this seed");
        Faults {
            scene,
            nodes,
            rng,
            kinds,
            active: Vec::new(),
            change: None,
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
        self.go_on_changing(sim, now)?;
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
        let alone = self.active.iter().any(|active| active.kind.is_alone());
        if now >= self.next && self.active.len() < 2 && !alone {
            self.next = now + Duration::from_millis(self.rng.u64(PAUSE));
            self.begin(sim, now)?;
        }
        Ok(())
    }

    fn begin(&mut self, sim: &mut Sim<'_>, now: Duration) -> Result<()> {
        let Some(kind) = self.rng.choice(&self.kinds).copied() else { return Ok(()) };
        let all = self.scene.members();
        let busy = self.busy();
        let any = self.rng.choice(&all).copied().unwrap_or(1);
        let leader = self.scene.leader.get().filter(|leader| all.contains(leader));
        let node = leader.filter(|_| self.rng.bool()).unwrap_or(any);
        let other = all[(all.iter().position(|other| *other == node).unwrap_or(0) + 1) % all.len()];
        let nodes = match kind {
            Kind::PowerAll | Kind::Slow | Kind::Loss => all.clone(),
            Kind::SlowDisk if self.rng.bool() => all.clone(),
            Kind::PowerAtVote | Kind::Members => Vec::new(),
            Kind::Cut | Kind::Flapping | Kind::Bridge => vec![node, other],
            _ => vec![node],
        };
        // What has to be overcome is so by itself, not in spite of more trouble.
        let changing = self.change.is_some();
        let crowded = kind.is_alone() && !self.active.is_empty()
            || kind.is_long() && (changing || leader != Some(node));
        let repeated = kind.is_weather() && self.active.iter().any(|active| active.kind == kind)
            || kind == Kind::Members && changing;
        let held = !kind.is_weather() && nodes.iter().any(|node| busy.contains(node));
        if crowded || repeated || held {
            return Ok(());
        }
        tracing::info!(?kind, ?nodes, "a fault begins");
        if kind != Kind::PowerAtVote {
            self.happens(kind);
        }
        if kind == Kind::Members {
            self.begin_change(sim, &all, now);
            return Ok(());
        }
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
            Kind::Isolate | Kind::Mute | Kind::Deaf | Kind::Stall | Kind::Unheard | Kind::Bridge => {
                self.others(&nodes).for_each(|other| link(sim, kind, &host(node), &other, true));
            }
            Kind::Cut | Kind::Flapping => link(sim, kind, &host(node), &host(other), true),
            Kind::Clock => self.set_clock(node),
            Kind::Slow => sim.set_max_message_latency(Duration::from_millis(self.rng.u64(10..60))),
            Kind::Loss => {
                let of = self.rng.u32(200..2000);
                lose(sim, &nodes, 1.0 / f64::from(of));
            }
            Kind::SlowDisk => {
                let most = self.rng.u64(5..120);
                nodes.iter().for_each(|node| self.nodes.slow_disk(*node, most));
            }
            // It happens with the next vote.
            Kind::PowerAtVote => drop(simulation::votes_given()),
            Kind::Members => {}
        }
        self.scene.written.set((now, Duration::ZERO));
        let until = now + Duration::from_millis(lasts);
        let flap = (true, now + Duration::from_millis(self.rng.u64(100..1500)));
        self.active.push(Active { kind, nodes, since: self.scene_now(now), until, flap });
        Ok(())
    }

    /// Sets a wall clock wrong; now and then the monotonic one leaps with it.
    fn set_clock(&mut self, node: u64) {
        let off = self.rng.i64(-3_600_000..3_600_000);
        self.nodes.skew(node, off);
        // Where most clocks are wrong, nobody could tell what a leap was.
        let leaps = off > 0 && 2 * self.nodes.wrong_clocks() < self.scene.nodes && self.rng.bool();
        if leaps {
            self.nodes.leap(node, Duration::from_millis(off.unsigned_abs()));
        }
        tracing::info!(node, off, leaps, "a clock jumps");
    }

    fn end(&mut self, sim: &mut Sim<'_>, active: Active) -> Result<()> {
        let Active { kind, nodes, since, .. } = &active;
        let (kind, nodes, since) = (*kind, nodes.clone(), *since);
        tracing::info!(?kind, ?nodes, "a fault ends");
        match kind {
            Kind::Kill | Kind::Power | Kind::PowerAll => {
                // Not who was removed and switched off meanwhile.
                let members = self.scene.members();
                nodes.iter().filter(|node| members.contains(node)).for_each(|node| sim.bounce(host(*node)));
                if kind == Kind::PowerAll && 2 * self.nodes.wrong_clocks() >= self.scene.nodes {
                    self.scene.time_lost.set(true);
                }
            }
            Kind::Isolate | Kind::Mute | Kind::Deaf | Kind::Stall | Kind::Unheard | Kind::Bridge => {
                self.others(&nodes).for_each(|other| link(sim, kind, &host(nodes[0]), &other, false));
            }
            Kind::Cut | Kind::Flapping => link(sim, kind, &host(nodes[0]), &host(nodes[1]), false),
            // A clock stays wrong until it jumps again, or is set right.
            Kind::Clock if self.rng.bool() => self.nodes.skew(nodes[0], 0),
            Kind::Clock => {}
            Kind::Slow => sim.set_max_message_latency(LATENCY_MAX),
            Kind::Loss => lose(sim, &nodes, 0.0),
            Kind::SlowDisk => nodes.iter().for_each(|node| self.nodes.slow_disk(*node, 0)),
            Kind::PowerAtVote if !self.happened.contains(&format!("{kind:?}")) => return Ok(()),
            Kind::PowerAtVote | Kind::Members => {}
        }
        if kind.is_long() && sim.elapsed() >= active.until {
            let began = Duration::from_nanos(since);
            let (last, longest) = self.scene.written.get();
            let longest = longest.max(sim.elapsed().saturating_sub(last));
            ensure!(
                longest <= OVERCOME_WITHIN,
                "P20: under {kind:?} of node-{} no write was acknowledged for {longest:?}, the last one at {last:?}",
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
        let mut all = self.scene.members();
        all.iter().for_each(|node| self.nodes.skew(*node, 0));
        let minority = (self.scene.nodes - 1) / 2;
        // Who is about to be removed may be needed until then.
        if self.rng.u32(..3) == 0 && self.change.is_none() {
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
        let busy = self.busy();
        for node in simulation::votes_given().into_iter().filter(|node| !busy.contains(node)) {
            sim.crash(host(node));
            power::cut(&host(node), self.rng.u64(..))?;
            tracing::info!(node, "the power is gone after a vote");
            self.happens(Kind::PowerAtVote);
            sim.bounce(host(node));
        }
        Ok(())
    }

    /// A node joins; whoever operates the cluster removes another one then.
    fn begin_change(&mut self, sim: &mut Sim<'_>, members: &[u64], now: Duration) {
        let new = self.scene.comes();
        nodes::add(sim, &self.nodes, new, members);
        let removes_leader = self.rng.bool();
        tracing::info!(new, removes_leader, "a node joins");
        self.scene.order.set(Some(Order { new, removes_leader }));
        self.change = Some(Change { since: self.scene_now(now), leaves: None });
    }

    /// A node that was removed runs on for a while.
    fn go_on_changing(&mut self, sim: &mut Sim<'_>, now: Duration) -> Result<()> {
        let Some(change) = &mut self.change else { return Ok(()) };
        if let Some(old) = self.scene.removed.take() {
            change.leaves = Some((old, now + Duration::from_millis(self.rng.u64(0..1500))));
        }
        let (since, leaves) = (change.since, change.leaves);
        let Some((old, _)) = leaves.filter(|(_, at)| *at <= now) else { return Ok(()) };
        tracing::info!(old, "a node that was removed is switched off");
        sim.crash(host(old));
        self.nodes.skew(old, 0);
        self.scene.goes(old);
        self.change = None;
        let (node, end) = (Some(format!("node-{old}")), Some(self.scene_now(now)));
        self.scene.injected(&Injection { at: since, fault: format!("{:?}", Kind::Members), node, end })
    }

    fn happens(&mut self, kind: Kind) {
        self.happened.insert(format!("{kind:?}"));
        self.count += 1;
    }

    /// Nodes to which something happens already.
    fn busy(&self) -> Vec<u64> {
        let holds = |active: &&Active| !active.kind.is_weather();
        self.active.iter().filter(holds).flat_map(|active| active.nodes.clone()).collect()
    }

    fn others(&self, nodes: &[u64]) -> impl Iterator<Item = String> + use<> {
        let nodes = nodes.to_vec();
        self.scene.members().into_iter().filter(move |other| !nodes.contains(other)).map(host)
    }

    fn scene_now(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}
