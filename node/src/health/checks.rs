//! What each measurement means: its limit with the reason for it, and the sentence that people read.
//! Knows nothing of how anything is measured.

use std::time::Duration;

use orc_actors::{ActorHealth, HealthReport, Heartbeats, NoAnswer};
use orc_domain::NodeId;
use orc_raft::{replica::Leadership, status::Progress};

use super::{
    disk::Probed,
    memory::Memory,
    report::{Check, Subject},
    room::Stage,
};

/// Entries a node may be behind. An entry holds up to some hundred commands and takes a few milliseconds to apply, so
/// that this is seconds of stale reads.
pub const APPLY_LAG_MAX: u64 = 1_000;
/// Components named in a sentence.
const NAMED_MAX: usize = 5;

/// The name of the check of the disk's room, for readiness.
pub const DISK_SPACE: &str = "diskSpace";
/// The name of the check of the disk's speed, for readiness.
pub const DISK_LATENCY: &str = "diskLatency";

/// Whether a leader is known, or became known within the limit: an election under way is no illness.
pub(super) fn leader(known: Option<Leadership>, waited: Duration, within: Duration) -> Check {
    let subject = Subject::new("leader", millis(within), "ms");
    match known.and_then(|known| Some((known.leader?, known.term))) {
        Some((leader, term)) => subject.at_most(millis(waited), format!("{leader} leads in term {term}")),
        None => subject.failed(format!("no leader was known for {within:?}")),
    }
}

/// On the leader: whether every node of the cluster answers it.
pub(super) fn nodes(silent: &[NodeId], within: Duration) -> Check {
    let names: Vec<String> = silent.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let message = match silent.len() {
        0 => format!("every node answered within {within:?}"),
        count => format!("{count} did not answer for {within:?}: {}", names.join(", ")),
    };
    Subject::new("nodes", 0, "nodes").at_most(silent.len() as u64, message)
}

/// How far the state is behind what is committed.
pub fn apply_lag(progress: &Progress) -> Check {
    let subject = Subject::new("applyLag", APPLY_LAG_MAX, "entries");
    let applied = progress.applied;
    let Some(committed) = progress.committed else {
        return subject.failed("consensus does not say what is committed");
    };
    let lag = committed.saturating_sub(applied);
    subject.at_most(lag, format!("applied up to entry {applied} of {committed} committed"))
}

/// Whether the disk syncs before followers would take a leader that waits for it for dead.
pub(super) fn disk_latency(probed: &Probed, limit: Duration) -> Check {
    let subject = Subject::new(DISK_LATENCY, micros(limit), "us");
    match &probed.sync {
        Ok(took) => subject.at_most(micros(*took), format!("a small write was synced after {took:.1?}")),
        Err(error) => subject.failed(format!("the data folder cannot be written: {error}")),
    }
}

/// Whether there is room to go on.
pub(super) fn disk_space(probed: &Probed) -> Check {
    match &probed.room {
        Ok(room) => {
            let meaning = match room.stage() {
                Stage::Plenty => "",
                Stage::Low => ": new work is refused",
                Stage::Out => ": the node ends",
            };
            Subject::new(DISK_SPACE, room.low, "bytes").at_least(room.free, format!("{room}{meaning}"))
        }
        Err(error) => Subject::new(DISK_SPACE, 0, "bytes")
            .failed(format!("nobody can say how much room the disk has: {error}")),
    }
}

/// Whether new work is taken.
pub(super) fn memory(found: &Memory) -> Check {
    let meaning = if found.is_tight() { ": new work is refused" } else { "" };
    Subject::new("memory", found.limit, "bytes").at_most(found.used, format!("{found}{meaning}"))
}

/// Whether components are heard. One silent component is its own affair, its session ends and its attempts go to
/// others; when more than half are silent, it is this node or its network.
pub(super) fn heartbeats(found: &Heartbeats) -> Check {
    let subject = Subject::new("heartbeats", count(found.expected / 2), "components");
    let overdue = count(found.overdue.len());
    if overdue == 0 {
        return subject.at_most(0, format!("all {} components connected here are heard", found.expected));
    }
    let named: Vec<&str> = found.overdue.iter().take(NAMED_MAX).map(|id| id.as_str()).collect();
    let more = if found.overdue.len() > NAMED_MAX { ", ..." } else { "" };
    let of = format!("{overdue} of {} components connected here are overdue", found.expected);
    subject.at_most(
        overdue,
        format!("{of}, the longest for {:.1?}: {}{more}", found.silent_longest, named.join(", ")),
    )
}

/// Whether the actors work through their mailboxes; with no answer at all, nothing is known of any of them.
pub(super) fn actors(found: &Result<HealthReport, NoAnswer>) -> Vec<Check> {
    match found {
        Ok(report) => report.actors.iter().map(|actor| of_actor(actor, report.deadline)).collect(),
        Err(NoAnswer) => {
            vec![
                Subject::new("systemOrchestrator", 0, "ms")
                    .failed("the thread of the actors does not answer"),
            ]
        }
    }
}

fn of_actor(actor: &ActorHealth, deadline: Duration) -> Check {
    let subject = Subject::new(camel_case(actor.name), millis(deadline), "ms");
    let restarts = match actor.restarts {
        0 => String::new(),
        restarts => format!(", started again {restarts} times"),
    };
    match actor.answered_after {
        Some(after) => subject.at_most(millis(after), format!("answered after {after:.1?}{restarts}")),
        None => subject.failed(format!("did not answer within {deadline:?}{restarts}")),
    }
}

/// `WorkflowManager` as the seed writes it in its status.
fn camel_case(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Error};

    use orc_domain::NodeId;

    use super::{
        super::room::{Room, RoomLimits},
        *,
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether it is well, what was measured, and that its sentence has a word in it.
    #[track_caller]
    fn check(found: &Check, is_ok: bool, measured: Option<u64>, word: &str) {
        assert_eq!((found.is_ok, found.measured), (is_ok, measured), "{found:?}");
        assert!(found.message.contains(word), "{found:?}");
    }

    fn progress(committed: Option<u64>, applied: u64) -> Progress {
        Progress { committed, applied, peers_behind: BTreeMap::new() }
    }

    #[test]
    fn a_leader_is_known_or_missed() {
        let known = Leadership { leader: Some(NodeId(2)), term: 7, is_leader: false };
        check(&leader(Some(known), SECOND, 3 * SECOND), true, Some(1_000), "node-2 leads in term 7");
        check(&leader(None, 3 * SECOND, 3 * SECOND), false, None, "no leader");
        let headless = Leadership { leader: None, ..known };
        check(&leader(Some(headless), SECOND, 3 * SECOND), false, None, "no leader");
    }

    #[test]
    fn a_node_may_lag_a_little() {
        check(&apply_lag(&progress(Some(10), 12)), true, Some(0), "12 of 10");
        check(&apply_lag(&progress(Some(1_012), 12)), true, Some(1_000), "entry 12");
        check(&apply_lag(&progress(Some(1_013), 12)), false, Some(1_001), "entry 12");
        check(&apply_lag(&progress(None, 12)), false, None, "consensus");
    }

    #[test]
    fn a_disk_is_fast_and_has_room() {
        let probed = |sync, room| Probed { sync, room };
        let room =
            |free| Ok(Room::new(free, 1 << 40, RoomLimits { low_percent: 0, ..RoomLimits::default() }));
        let broken = || Error::other("broken");
        let good = probed(Ok(SECOND), room(512 << 20));
        check(&disk_latency(&good, SECOND), true, Some(1_000_000), "1.0s");
        check(&disk_space(&good), true, Some(512 << 20), "512 of");
        let bad = probed(Ok(2 * SECOND), room((512 << 20) - 1));
        check(&disk_latency(&bad, SECOND), false, Some(2_000_000), "2.0s");
        check(&disk_space(&bad), false, Some((512 << 20) - 1), "511 of");
        let none = probed(Err(broken()), Err(broken()));
        check(&disk_latency(&none, SECOND), false, None, "broken");
        check(&disk_space(&none), false, None, "broken");
    }

    #[test]
    fn memory_is_well_up_to_its_limit() {
        let of = |used, limit| Memory { used, limit, max: 64 << 20 };
        check(&memory(&of(64 << 20, 64 << 20)), true, Some(64 << 20), "64 of 64 MiB");
        check(&memory(&of(62 << 20, 61 << 20)), false, Some(62 << 20), "new work is refused");
    }

    #[test]
    fn one_silent_component_is_its_own_affair() {
        let of = |expected, overdue: &[&str]| Heartbeats {
            expected,
            overdue: overdue.iter().map(|id| id.parse().expect("an id")).collect(),
            silent_longest: SECOND,
        };
        check(&heartbeats(&of(0, &[])), true, Some(0), "all 0");
        check(&heartbeats(&of(2, &["ann"])), true, Some(1), "1 of 2 components connected here are overdue");
        check(&heartbeats(&of(3, &["ann", "bob"])), false, Some(2), "1.0s: ann, bob");
        check(&heartbeats(&of(1, &["ann"])), false, Some(1), "ann");
    }

    #[test]
    fn actors_answer_or_do_not() {
        let actor = |answered_after, restarts| ActorHealth { name: "StateManager", answered_after, restarts };
        let report =
            |actor| HealthReport { actors: vec![actor], deadline: SECOND, heartbeats: Heartbeats::default() };
        let found = actors(&Ok(report(actor(Some(SECOND), 0))));
        check(&found[0], true, Some(1_000), "answered after 1.0s");
        assert_eq!(found[0].name, "stateManager");
        check(&actors(&Ok(report(actor(None, 2))))[0], false, None, "started again 2 times");
        let found = actors(&Err(NoAnswer));
        check(&found[0], false, None, "does not answer");
        assert_eq!(found[0].name, "systemOrchestrator");
    }
}
