//! How far the events were followed, how far the state knows, and what is to be told.
//! Knows nothing of what events lead to.

use std::{collections::BTreeMap, time::Duration};

use orc_domain::{Followed, NoStart, Recorded, SkippedStarts, Text, WorkflowName};
use tokio::time::Instant;

/// After something was started, until the state is told: a new leader looks at the events of this time again.
const TELL_AFTER: Duration = Duration::from_millis(200);
/// The same where nothing was started.
const TELL_IDLE_AFTER: Duration = Duration::from_secs(5);
/// Events after which it is told at once.
const AHEAD_MAX: u64 = 10_000;

/// The places of one follower.
pub(super) struct Places {
    /// The state knows this one.
    told: Followed,
    /// The last event looked at.
    at: Followed,
    /// The last one that ends a log record.
    whole: Followed,
    /// Since when the state knows less than it could.
    ahead: Option<Instant>,
    /// Since when it must know more.
    must: Option<Instant>,
    skipped: BTreeMap<(WorkflowName, Text, NoStart), SkippedStarts>,
}

impl Places {
    /// At the end of a log record.
    pub(super) fn whole(told: Followed, at: Followed) -> Places {
        Places { told, at, whole: at, ahead: None, must: None, skipped: BTreeMap::new() }
    }

    /// Maybe within one.
    pub(super) fn within(told: Followed, at: Followed) -> Places {
        Places { whole: told, ..Places::whole(told, at) }
    }

    /// The last event looked at.
    pub(super) fn at(&self) -> Followed {
        self.at
    }

    /// An event was looked at.
    pub(super) fn pass(&mut self, event: &Recorded) {
        if event.rev > self.at.rev {
            self.is_whole();
        }
        self.at = Followed { seq: event.seq, rev: event.rev };
    }

    /// The next event is of another log record.
    pub(super) fn is_whole(&mut self) {
        self.whole = self.at;
        if self.whole > self.told {
            self.ahead.get_or_insert_with(Instant::now);
        }
    }

    /// Goes on somewhere else.
    pub(super) fn leap(&mut self, at: Followed) {
        self.at = at;
        self.is_whole();
    }

    /// The state has to know of this place soon.
    pub(super) fn must_tell(&mut self) {
        self.must.get_or_insert_with(Instant::now);
    }

    /// Some events started no runs.
    pub(super) fn skip(&mut self, skipped: SkippedStarts) {
        let key = (skipped.workflow.clone(), skipped.trigger.clone(), skipped.cause);
        let count = self.skipped.get(&key).map_or(0, |known| known.count);
        let count = count.saturating_add(skipped.count);
        self.skipped.insert(key, SkippedStarts { count, ..skipped });
    }

    /// When the state is to be told; nothing while nobody has to follow.
    pub(super) fn due(&self, idle: bool) -> Option<Instant> {
        if self.whole <= self.told {
            return None;
        }
        let ahead = self.ahead.filter(|_| !idle).map(|since| {
            if self.whole.seq - self.told.seq >= AHEAD_MAX { since } else { since + TELL_IDLE_AFTER }
        });
        let must = self.must.map(|since| since + TELL_AFTER);
        must.into_iter().chain(ahead).min()
    }

    /// What to tell; it counts as told.
    pub(super) fn take_told(&mut self) -> Option<(Followed, Vec<SkippedStarts>)> {
        if self.whole <= self.told {
            return None;
        }
        (self.told, self.ahead, self.must) = (self.whole, None, None);
        let mut skipped: Vec<SkippedStarts> = std::mem::take(&mut self.skipped).into_values().collect();
        if skipped.len() > SkippedStarts::MAX {
            tracing::warn!(
                left_out = skipped.len() - SkippedStarts::MAX,
                "too many reports of runs not started"
            );
            skipped.truncate(SkippedStarts::MAX);
        }
        Some((self.whole, skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{Event, RunId, Timestamp};
    use uuid::Uuid;

    fn event(seq: u64, rev: u64) -> Recorded {
        Recorded { seq, rev, at: Timestamp(0), event: Event::RunStarted { run: RunId(Uuid::nil()) } }
    }

    fn place(seq: u64, rev: u64) -> Followed {
        Followed { seq, rev }
    }

    #[test]
    fn only_the_end_of_a_log_record_is_told() {
        let mut places = Places::whole(place(2, 1), place(2, 1));
        places.pass(&event(3, 5));
        places.must_tell();
        assert_eq!((places.due(false), places.take_told()), (None, None), "the record may go on");
        places.pass(&event(4, 5));
        places.pass(&event(5, 6));
        assert_eq!(places.take_told(), Some((place(4, 5), vec![])));
        places.is_whole();
        assert_eq!(places.take_told(), Some((place(5, 6), vec![])));
        assert_eq!(places.take_told(), None);
    }

    #[test]
    fn nothing_is_told_while_nobody_has_to_follow() {
        let mut places = Places::whole(place(0, 0), place(0, 0));
        places.pass(&event(1, 1));
        places.is_whole();
        assert_eq!(places.due(true), None);
        let later = places.due(false).expect("in some seconds");
        places.must_tell();
        assert!(places.due(true).is_some_and(|soon| soon < later));
    }
}
