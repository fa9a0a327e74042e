//! Mistakes that are made on purpose, to see that the tests find them. Each is behind a feature of its name; a program without
//! the feature has nothing of it, and one with it makes the mistake only once it is chosen.
//! Knows nothing of where it is made.

use core::sync::atomic::{AtomicU8, Ordering};

macro_rules! bugs {
    ($($feature:literal $bug:ident $what:literal)*) => {
        /// A mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $(#[doc = $what] $bug),* }

        impl Bug {
            /// All of them.
            pub const ALL: &[Bug] = &[$(Bug::$bug),*];

            /// The one of this name.
            pub fn named(name: &str) -> Option<Bug> {
                Bug::ALL.iter().copied().find(|bug| bug.name() == name)
            }

            /// The name, which is its feature's, too.
            pub const fn name(self) -> &'static str {
                match self { $(Bug::$bug => $feature),* }
            }

            const fn is_built_in(self) -> bool {
                match self { $(Bug::$bug => cfg!(feature = $feature)),* }
            }
        }

        #[cfg(all(not(debug_assertions), any($(feature = $feature),*)))]
        compile_error!("planted bugs have no place in a release");
    };
}

bugs! {
    "bug_no_fsync" NoFsync "Records of the log are written and not synced."
    "bug_vote_unsynced" VoteUnsynced "A vote is given before it is on the disk for good."
    "bug_ack_before_commit" AckBeforeCommit "Records count before they are on the disk."
    "bug_stale_read" StaleRead "A read shows what this node has, whoever leads."
    "bug_readindex_reuse" ReadIndexReuse "A proof of leadership serves reads that began after it."
    "bug_no_fencing" NoFencing "Any token is good for a result."
    "bug_idem_not_atomic" IdemNotAtomic "An answer is kept after the record that had the effect, not with it."
    "bug_publish_uncommitted" PublishUncommitted "Watchers hear of a change before it is committed."
    "bug_watch_skip_on_slow" WatchSkipOnSlow "A watcher that reads too slowly misses events and goes on."
    "bug_dispatch_before_commit" DispatchBeforeCommit "A component gets an attempt before it is committed."
    "bug_limit_off_by_one" LimitOffByOne "One more than the limit."
    "bug_timer_wall_clock" TimerWallClock "Time is what the wall clock of the leader says."
    "bug_nondeterministic_apply" NondeterministicApply "What a record does depends on something beside the state."
    "bug_snapshot_misses_leases" SnapshotMissesLeases "An installed snapshot has no running attempts."
    "bug_no_quorum_gate" NoQuorumGate "A leader that nobody hears goes on as one."
    "bug_ns_from_body" NsFromBody "Whose call it is is taken from its body."
}

/// The chosen one, counted from 1.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Makes this mistake from now on, if it is built in; says whether it is.
pub fn plant(bug: Bug) -> bool {
    CHOSEN.store(bug as u8 + 1, Ordering::Relaxed);
    bug.is_built_in()
}

/// Whether this mistake is to be made.
#[inline(always)]
pub fn planted(bug: Bug) -> bool {
    bug.is_built_in() && CHOSEN.load(Ordering::Relaxed) == bug as u8 + 1
}
