//! The faults: what each is called, whom it hits, how long it lasts, and how long writes may be away meanwhile. Each leaves the
//! cluster whole. Knows nothing of how they are done.

use anyhow::{Context, Result};
use tokio::time::Duration;

use super::{behind::Trouble, damage::Part, links::Links, membership::Change};
use crate::machines::clock::Clocks;

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
    /// The longest time without an acknowledged write, counted from its beginning on. The fault lasts longer, so that its end
    /// is not what ends that time.
    pub outage_max: Option<Duration>,
    /// How long it lasts at least and at most, in milliseconds.
    pub(super) lasts_ms: (u64, u64),
    pub(super) who: Who,
    pub(super) kind: Kind,
}

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Kill,
    OutOfMemory,
    Pause,
    Power,
    IoError,
    FailingSync,
    Freeze,
    SlowDisk,
    FullDisk,
    Links(Links),
    RollingRestart,
    RollingUpgrade,
    Damage(Part),
    DamageRunning(Part),
    TornLog,
    WallClock,
    Jump,
    Starve,
    Behind(Trouble),
    NoWorkers,
    Points,
    Members(Change),
}

/// Whom it hits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Leader,
    Follower,
    Majority,
    All,
    Any,
}

const fn of(name: &'static str, kind: Kind, who: Who, about: &'static str) -> Fault {
    let lasts_ms = match kind {
        Kind::Kill | Kind::OutOfMemory => (0, 2_000),
        Kind::Pause => (200, 5_000),
        Kind::Power | Kind::IoError | Kind::FailingSync | Kind::FullDisk => (0, 1_000),
        Kind::Freeze => (500, 5_000),
        Kind::Links(_) => (4_000, 8_000),
        Kind::SlowDisk | Kind::Starve => (5_000, 8_000),
        Kind::WallClock | Kind::Jump => (3_000, 6_000),
        Kind::NoWorkers => (20_000, 22_000),
        Kind::RollingRestart | Kind::RollingUpgrade | Kind::Points | Kind::Members(_) => (0, 1),
        Kind::Damage(_) | Kind::DamageRunning(_) | Kind::TornLog | Kind::Behind(_) => (0, 1),
    };
    Fault { name, about, nodes: 3, spares: 0, outage_max: None, lasts_ms, who, kind }
}

const fn links(name: &'static str, links: Links, who: Who, about: &'static str) -> Fault {
    of(name, Kind::Links(links), who, about)
}

const fn members(name: &'static str, change: Change, about: &'static str) -> Fault {
    Fault { spares: 1, ..of(name, Kind::Members(change), Who::All, about) }
}

/// All of them.
pub const FAULTS: &[Fault] = &[
    of("kill-leader", Kind::Kill, Who::Leader, "kill -9 of the leader").within(5),
    of("kill-follower", Kind::Kill, Who::Follower, "kill -9 of a follower"),
    of("kill-majority", Kind::Kill, Who::Majority, "kill -9 of two of three"),
    of("kill-all", Kind::Kill, Who::All, "kill -9 of every node"),
    of("oom-leader", Kind::OutOfMemory, Who::Leader, "the kernel kills the leader for want of memory")
        .within(5),
    of("oom-follower", Kind::OutOfMemory, Who::Follower, "the kernel kills a follower for want of memory"),
    of("pause-leader", Kind::Pause, Who::Leader, "SIGSTOP of the leader for 0.2 to 5 s"),
    of("pause-follower", Kind::Pause, Who::Follower, "SIGSTOP of a follower for 0.2 to 5 s"),
    of("pause-all", Kind::Pause, Who::All, "SIGSTOP of every node for 0.2 to 5 s"),
    of("long-pause-leader", Kind::Pause, Who::Leader, "SIGSTOP of the leader for 30 s").within(5).lasting(30),
    of("long-pause-follower", Kind::Pause, Who::Follower, "SIGSTOP of a follower for 30 s")
        .within(5)
        .lasting(30),
    of("power-leader", Kind::Power, Who::Leader, "power loss of the leader: what was not synced is gone")
        .within(5),
    of("power-follower", Kind::Power, Who::Follower, "power loss of a follower"),
    of("power-majority", Kind::Power, Who::Majority, "power loss of two of three at once"),
    of("power-all", Kind::Power, Who::All, "power loss of every node at once"),
    of("io-error-leader", Kind::IoError, Who::Leader, "every write of the leader's disk fails").within(5),
    of("io-error-follower", Kind::IoError, Who::Follower, "every write of a follower's disk fails").within(5),
    of("fsync-leader", Kind::FailingSync, Who::Leader, "one sync of the leader's log fails").within(5),
    of("fsync-follower", Kind::FailingSync, Who::Follower, "one sync of a follower's log fails").within(5),
    of("stall-leader", Kind::Freeze, Who::Leader, "the leader's disk takes nothing for 0.5 to 5 s"),
    of("stall-follower", Kind::Freeze, Who::Follower, "a follower's disk takes nothing for 0.5 to 5 s"),
    of("long-stall-leader", Kind::Freeze, Who::Leader, "the leader's disk takes nothing for 7.5 to 10 s")
        .within(5),
    of("slow-disk-leader", Kind::SlowDisk, Who::Leader, "the leader's disk takes 20 writes a second")
        .within(5),
    of("slow-disk-follower", Kind::SlowDisk, Who::Follower, "a follower's disk takes 20 writes a second")
        .within(5),
    of("full-disk-leader", Kind::FullDisk, Who::Leader, "the leader's disk is full"),
    of("full-disk-follower", Kind::FullDisk, Who::Follower, "a follower's disk is full"),
    links("isolate-leader", Links::Cut, Who::Leader, "the leader reaches no other node").within(5),
    links("isolate-follower", Links::Cut, Who::Follower, "a follower reaches no other node").within(5),
    links("reset-leader", Links::Reset, Who::Leader, "all connections of the leader with others are reset")
        .within(5),
    links("unplug-leader", Links::Unplugged, Who::Leader, "the leader's cable is pulled").within(5),
    links("bridge", Links::Bridge, Who::Leader, "the leader of five reaches one follower only")
        .of_five()
        .within(8),
    links("deaf-leader", Links::Deaf, Who::Leader, "nothing that other nodes send reaches the leader")
        .within(8),
    links("mute-leader", Links::Mute, Who::Leader, "nothing that the leader sends reaches other nodes")
        .within(8),
    links("ring", Links::Ring, Who::Leader, "each of five nodes reaches two others only").of_five().within(8),
    links("star", Links::Star, Who::Leader, "the followers reach the leader and not each other").within(5),
    links(
        "flapping",
        Links::Flapping,
        Who::Leader,
        "the leader's cable is pulled and put back every 0.3 to 1.5 s",
    ),
    links("loss", Links::Lossy, Who::All, "one packet of ten is lost between all nodes"),
    links("slow-network", Links::Slow, Who::Leader, "the leader sends 2 Mbit/s"),
    of("rolling-restart", Kind::RollingRestart, Who::All, "SIGTERM and start of one node after another"),
    of(
        "rolling-upgrade",
        Kind::RollingUpgrade,
        Who::All,
        "the same, to another version of the program and back",
    ),
    of("damage-log", Kind::Damage(Part::Log), Who::Any, "the log's file of a stopped node is damaged"),
    of(
        "damage-rows",
        Kind::Damage(Part::Rows),
        Who::Any,
        "a table of the state of a stopped node is damaged",
    ),
    of(
        "damage-manifest",
        Kind::Damage(Part::Manifest),
        Who::Any,
        "the list of files of the log or the state of a stopped node is damaged",
    ),
    of(
        "damage-snapshot",
        Kind::DamageRunning(Part::Snapshot),
        Who::Any,
        "a file of a running node's snapshot is damaged",
    ),
    of(
        "damage-running",
        Kind::DamageRunning(Part::Rows),
        Who::Any,
        "a table of the state of a running node is damaged",
    ),
    of(
        "torn-log",
        Kind::TornLog,
        Who::Any,
        "a node's log ends with a part of a record that was never synced",
    ),
    of(
        "clock-leader",
        Kind::WallClock,
        Who::Leader,
        "the leader's wall clock is set one hour ahead or back, and right again",
    ),
    of(
        "clock-follower",
        Kind::WallClock,
        Who::Follower,
        "a follower's wall clock is set one hour ahead or back, and right again",
    ),
    of(
        "clock-all",
        Kind::WallClock,
        Who::All,
        "all wall clocks are set one hour ahead or back, and right again",
    ),
    of(
        "jump-leader",
        Kind::Jump,
        Who::Leader,
        "the leader's clocks jump an hour ahead, the monotonic one, too",
    ),
    of("jump-follower", Kind::Jump, Who::Follower, "the same with a follower's, and the leader is killed"),
    of("starved", Kind::Starve, Who::All, "all nodes together have half a processor"),
    of(
        "no-workers",
        Kind::NoWorkers,
        Who::All,
        "nobody works for 20 s, while work is taken; then they come back to it",
    ),
    of(
        "behind",
        Kind::Behind(Trouble::None),
        Who::Follower,
        "a follower misses so much that only a snapshot helps",
    ),
    of(
        "behind-again",
        Kind::Behind(Trouble::CutAgain),
        Who::Follower,
        "the same, and it is cut off when the snapshot arrives, until only the next one helps",
    ),
    of(
        "behind-kill-leader",
        Kind::Behind(Trouble::LeaderDies),
        Who::Follower,
        "the same, and the leader is killed while the snapshot is on its way",
    ),
    of(
        "damage-needed",
        Kind::Behind(Trouble::Damage),
        Who::Follower,
        "the same, and the leader's snapshots are damaged",
    ),
    of(
        "fail-points",
        Kind::Points,
        Who::All,
        "nodes end in the middle of writing, at every place that has a name",
    ),
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

impl Fault {
    /// Writes go on within so many seconds, while it lasts.
    const fn within(self, seconds: u64) -> Fault {
        let lasts_ms = (seconds * 1_500, seconds * 2_000);
        Fault { outage_max: Some(Duration::from_secs(seconds)), lasts_ms, ..self }
    }

    const fn lasting(self, seconds: u64) -> Fault {
        Fault { lasts_ms: (seconds * 1_000, seconds * 1_000 + 1), ..self }
    }

    const fn of_five(self) -> Fault {
        Fault { nodes: 5, ..self }
    }

    /// The clocks that are set.
    pub(super) fn clocks(&self) -> Clocks {
        match self.kind {
            Kind::WallClock => Clocks::Wall,
            Kind::Jump => Clocks::All,
            _ => Clocks::Real,
        }
    }

    /// It happens where none is named: it needs no other program.
    pub fn is_for_all(&self) -> bool {
        !matches!(self.kind, Kind::Points | Kind::RollingUpgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_not_over_before_writes_have_to_go_on() {
        for Fault { name, lasts_ms, outage_max, .. } in FAULTS {
            let least = Duration::from_millis(lasts_ms.0);
            assert!(outage_max.is_none_or(|most| least > most), "{name} may be over after {least:?}");
            assert!(lasts_ms.0 < lasts_ms.1, "{name} lasts {lasts_ms:?}");
        }
    }
}
