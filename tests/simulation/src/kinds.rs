//! The kinds of faults, and what the network does under some of them.
//! Knows nothing of when they happen.

use turmoil::Sim;

use crate::nodes::host;

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
    /// A wall clock jumps, now and then with the monotonic one.
    Clock,
    /// All packets take longer.
    Slow,
    /// Packets between nodes are lost now and then, and with each the connection that waits for it.
    Loss,
    /// Writes to a node's disk take longer.
    SlowDisk,
    /// A node loses power in the moment in which it gives its vote.
    PowerAtVote,
    /// The leader hears nobody for a long time, though all hear it: others have to take over.
    Unheard,
    /// The leader has one follower left, who sees everybody, for a long time: the others have to take over. Of five nodes.
    Bridge,
    /// A node joins, then another one, often the leader, is removed for good, whatever else goes wrong meanwhile.
    Members,
}

/// All of them.
pub const ALL: [Kind; 17] = [
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
    Kind::Loss,
    Kind::SlowDisk,
    Kind::PowerAtVote,
    Kind::Unheard,
    Kind::Bridge,
    Kind::Members,
];

impl Kind {
    /// One that the cluster has to overcome while it lasts.
    pub fn is_long(self) -> bool {
        matches!(self, Kind::Unheard | Kind::Bridge)
    }

    /// One that happens by itself.
    pub fn is_alone(self) -> bool {
        self.is_long() || self == Kind::Loss
    }

    /// One that goes on beside others.
    pub fn is_weather(self) -> bool {
        matches!(self, Kind::Clock | Kind::Slow | Kind::SlowDisk | Kind::PowerAtVote | Kind::Members)
    }
}

/// Cuts or heals the way between two hosts.
pub fn link(sim: &Sim<'_>, kind: Kind, one: &str, other: &str, cut: bool) {
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

/// Lets packets between these nodes be lost at this rate.
pub fn lose(sim: &mut Sim<'_>, nodes: &[u64], rate: f64) {
    for (place, node) in nodes.iter().enumerate() {
        for other in &nodes[place + 1..] {
            sim.set_link_fail_rate(host(*node), host(*other), rate);
        }
    }
}
