//! The clock that stamps records. A cluster's time begins as the wall clock of whoever founds it, or as the middle one of its
//! nodes' where all of them start again; from there it goes on at the pace of the leader's monotonic clock. A wall clock that
//! jumps moves no timer: time only makes up for a wall clock that is ahead by a little, which no timer notices
//! (`docs/decisions/019`).
//! Knows nothing of what is stamped.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use orc_domain::{Bug, Timestamp, planted};
use parking_lot::Mutex;

use crate::store::StateReader;

/// Of this many parts of time, one is added while the wall clock is ahead.
const MADE_UP: u32 = 2_000;
/// A wall clock that is off by more is worth a word.
const OFF_MAX: Duration = Duration::from_secs(1);
/// Between two words.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// One node's view of the cluster's time.
pub struct Clock {
    reader: StateReader,
    told: Mutex<Told>,
}

/// Finer than a timestamp: what is cut off each time adds up.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// Another node has said what time it is, or it was chosen of what all guess. Before, it is this node's guess.
    known: bool,
    /// Since 1970.
    time: Duration,
    at: Instant,
    /// When the wall clock was last complained of.
    said: Option<Instant>,
}

impl Clock {
    /// A clock over the time of the state.
    pub fn new(reader: StateReader) -> Clock {
        let told = Told { known: false, time: Duration::ZERO, at: Instant::now(), said: None };
        Clock { reader, told: Mutex::new(told) }
    }

    /// Another node says what time it is.
    pub fn hear(&self, time: Timestamp) {
        self.reader.hear_time(time);
        self.told.lock().known = true;
    }

    /// This node leads. If no other has said what time it is, the guesses of those that answered count as much as its own: the
    /// middle one is taken, the earlier one of two.
    pub(crate) fn begin(&self, guesses: &[Reckoning]) {
        let mut told = self.told.lock();
        if !told.known {
            let at = Instant::now();
            let own = self.reader.reckoned(at).max(wall_clock());
            // One that does not answer lets the others' guesses wait.
            let mut guesses: Vec<Duration> = guesses.iter().map(|guess| guess.at(at)).chain([own]).collect();
            guesses.sort_unstable();
            let middle = guesses[(guesses.len() - 1) / 2];
            *told = Told { known: true, time: middle, at, said: None };
        }
    }

    /// The time now, if it is more than a guess.
    pub fn known(&self) -> Option<Timestamp> {
        let known = self.told.lock().known;
        known.then(|| self.now())
    }

    /// The time now: once it is known, never before what was told.
    pub fn now(&self) -> Timestamp {
        if planted(Bug::TimerWallClock) {
            return timestamp(wall_clock());
        }
        let mut told = self.told.lock();
        let (at, wall) = (Instant::now(), wall_clock());
        if !told.known {
            return timestamp(self.reader.reckoned(at).max(wall));
        }
        let now = next(*told, at, self.reader.reckoned(at), wall);
        (told.time, told.at) = (now, at);
        let off = wall.abs_diff(now);
        if off > OFF_MAX && told.said.is_none_or(|said| at - said > SAID_EVERY) {
            told.said = Some(at);
            tracing::warn!(
                ?off,
                ahead = wall > now,
                "the wall clock of this node is not the cluster's: see docs/operations.md"
            );
        }
        timestamp(now)
    }
}

/// The cluster's time as the records say that a node has applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reckoning {
    time: Duration,
    at: Instant,
}

impl Reckoning {
    /// Of a record that is applied, or a time that a leader tells, at an instant.
    pub fn new(stamped: Timestamp, at: Instant) -> Reckoning {
        Reckoning { time: Duration::from_millis(stamped.0), at }
    }

    /// Carried on to an instant.
    pub fn at(self, at: Instant) -> Duration {
        self.time + at.saturating_duration_since(self.at)
    }

    /// Takes another one's word where that is ahead: a record may be applied long after it was stamped.
    pub fn hear(&mut self, other: Reckoning) {
        if other.time > self.at(other.at) {
            *self = other;
        }
    }
}

/// The time at `at`, after what was told last, and not before what records say.
fn next(told: Told, at: Instant, reckoned: Duration, wall: Duration) -> Duration {
    let since_told = at.saturating_duration_since(told.at);
    let on = (told.time + since_told).max(reckoned);
    on + wall.saturating_sub(on).min(since_told / MADE_UP)
}

fn timestamp(time: Duration) -> Timestamp {
    Timestamp(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Duration = Duration::from_secs(1_000);

    /// What is told after so many calls, so far apart.
    fn after(
        calls: u32,
        apart: Duration,
        reckoned: Duration,
        wall: impl Fn(Duration) -> Duration,
    ) -> Duration {
        let began = Instant::now();
        let mut told = Told { known: true, time: START, at: began, said: None };
        for call in 1..=calls {
            let passed = apart * call;
            told.time = next(told, began + passed, reckoned, wall(passed));
            told.at = began + passed;
        }
        told.time
    }

    #[test]
    fn what_others_say_counts_more_than_the_wall_clock() {
        let folder = tempfile::tempdir().unwrap();
        let opened = crate::store::open(folder.path(), crate::store::OpenOptions::new(1)).unwrap();
        let clock = Clock::new(opened.reader.clone());
        assert!(clock.now() >= timestamp(wall_clock() - HOUR), "a guess is the wall clock's");
        assert_eq!(clock.known(), None);
        let behind = timestamp(wall_clock() - HOUR);
        clock.hear(behind);
        let told = clock.known().unwrap();
        assert!(told >= behind && told.0 < behind.0 + 60_000, "{told:?} is not {behind:?}");
        let ahead = Reckoning::new(timestamp(wall_clock() + HOUR), Instant::now());
        clock.begin(&[ahead, ahead]);
        assert!(clock.now().0 < behind.0 + 60_000, "guesses counted more than what was heard");
    }

    #[test]
    fn one_wrong_wall_clock_is_outvoted() {
        let begun = |guesses: &[i64]| {
            let folder = tempfile::tempdir().unwrap();
            let opened = crate::store::open(folder.path(), crate::store::OpenOptions::new(1)).unwrap();
            let (clock, wall) = (Clock::new(opened.reader.clone()), timestamp(wall_clock()).0 as i64);
            assert!(clock.now().0 as i64 >= wall, "a guess is the wall clock's");
            let guess = |hours: &i64| Timestamp((wall + hours * 3_600_000) as u64);
            let guess = |hours: &i64| Reckoning::new(guess(hours), Instant::now());
            clock.begin(&guesses.iter().map(guess).collect::<Vec<_>>());
            let told = clock.known().unwrap().0 as i64;
            (told - wall + 60_000).div_euclid(3_600_000)
        };
        assert_eq!(begun(&[]), 0);
        assert_eq!(begun(&[1]), 0, "the earlier of two");
        assert_eq!(begun(&[-1]), -1, "the earlier of two");
        assert_eq!(begun(&[1, 0]), 0);
        assert_eq!(begun(&[1, 1]), 1, "its own is the wrong one");
        assert_eq!(begun(&[-1, 1, 1]), 0);
    }

    #[test]
    fn a_guess_goes_on_while_others_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let opened = crate::store::open(folder.path(), crate::store::OpenOptions::new(1)).unwrap();
        let ago = Duration::from_secs(2);
        let (clock, heard) = (Clock::new(opened.reader.clone()), Instant::now().checked_sub(ago).unwrap());
        let behind = wall_clock() - HOUR;
        clock.begin(&[Reckoning::new(timestamp(behind), heard)]);
        let told = clock.known().unwrap();
        assert!(told >= timestamp(behind + ago), "{told:?} is not two seconds after {behind:?}");
    }

    #[test]
    fn time_goes_on_whatever_the_wall_clock_says() {
        let ms = Duration::from_millis;
        assert_eq!(after(1, ms(250), Duration::ZERO, |_| Duration::ZERO), START + ms(250), "it fell back");
        let ahead = after(1, ms(250), Duration::ZERO, |_| START + HOUR);
        assert_eq!(ahead, START + ms(250) + ms(250) / MADE_UP, "it jumped ahead");
        let led = after(1, ms(250), START + HOUR, |_| Duration::ZERO);
        assert_eq!(led, START + HOUR, "another leader was ahead");
    }

    #[test]
    fn time_that_is_asked_for_very_often_is_not_slower() {
        let apart = Duration::from_micros(300);
        assert_eq!(after(10_000, apart, Duration::ZERO, |passed| START + passed), START + apart * 10_000);
    }

    #[test]
    fn a_wall_clock_that_is_ahead_is_caught_up_with_slowly() {
        let apart = Duration::from_millis(1);
        let made_up = |ahead: Duration| {
            after(60_000, apart, Duration::ZERO, |passed| START + passed + ahead) - START - apart * 60_000
        };
        assert_eq!(made_up(HOUR), Duration::from_millis(30), "one part in 2,000");
        assert_eq!(made_up(Duration::from_millis(10)), Duration::from_millis(10), "not beyond it");
    }

    #[test]
    fn a_record_that_is_applied_late_does_not_hold_time_up() {
        let began = Instant::now();
        let mut reckoned = Reckoning::new(Timestamp(5_000), began);
        let late = began + Duration::from_secs(3);
        reckoned.hear(Reckoning::new(Timestamp(5_100), late));
        assert_eq!(reckoned.at(late), Duration::from_secs(8));
        reckoned.hear(Reckoning::new(Timestamp(9_000), late));
        assert_eq!(reckoned.at(late), Duration::from_secs(9), "its leader was ahead");
    }
}
