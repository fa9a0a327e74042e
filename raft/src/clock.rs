//! The clock that stamps records. A cluster's time begins as the wall clock of whoever founds it, or as the middle one of its
//! nodes' where all of them start again; from there it goes on at the pace of the leader's monotonic clock, as long as that
//! does not leap. A wall clock that jumps moves no timer: time only makes up for a wall clock that is ahead by a little, which
//! no timer notices (`docs/decisions/019`).
//! Knows nothing of what is stamped.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orc_domain::{Bug, Timestamp, planted};
use parking_lot::Mutex;

use crate::{store::StateReader, ticker::Ticks};

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
    /// What had been left out when another node said what time it is, or it was chosen of what all guess: as long as no more
    /// is, time is known. Before, it is this node's guess.
    sure: Option<Duration>,
    /// Since 1970.
    time: Duration,
    at: Duration,
    /// When the wall clock was last complained of.
    said: Option<Duration>,
}

impl Clock {
    /// A clock over the time of the state.
    pub fn new(reader: StateReader) -> Clock {
        let at = reader.ticks().counted;
        Clock { reader, told: Mutex::new(Told { sure: None, time: Duration::ZERO, at, said: None }) }
    }

    /// What is to be told with an answer to the question for the time: read before it is asked.
    pub(crate) fn ticks(&self) -> Ticks {
        self.reader.ticks()
    }

    /// Another node says what time it is.
    pub(crate) fn hear(&self, time: Timestamp, asked: Ticks) {
        self.reader.hear_time(time);
        self.told.lock().sure = Some(asked.left_out);
    }

    /// This node leads. If no other has said what time it is, the guesses of those that answered count as much as its own: the
    /// middle one is taken, the earlier one of two.
    pub(crate) fn begin(&self, guesses: &[Reckoning], asked: Ticks) {
        let (mut told, now) = (self.told.lock(), self.reader.ticks());
        // What leapt meanwhile is asked for again.
        if told.sure != Some(asked.left_out) && now.left_out == asked.left_out {
            let own = self.guess_after(*told, now);
            // One that does not answer lets the others' guesses wait.
            let mut guesses: Vec<Duration> =
                guesses.iter().map(|guess| guess.at(now.counted)).chain([own]).collect();
            guesses.sort_unstable();
            let middle = guesses[(guesses.len() - 1) / 2];
            told.time = middle.max(told.on(now.counted));
            (told.sure, told.at) = (Some(asked.left_out), now.counted);
        }
    }

    /// The time now, if it is more than a guess.
    pub fn known(&self) -> Option<Timestamp> {
        let sure = self.told.lock().sure;
        (sure == Some(self.reader.ticks().left_out)).then(|| self.now())
    }

    /// What this node makes of the time by itself.
    pub(crate) fn guess(&self) -> Timestamp {
        let told = self.told.lock();
        timestamp(self.guess_after(*told, self.reader.ticks()))
    }

    /// The wall clock counts for no more than may have been left out.
    fn guess_after(&self, told: Told, now: Ticks) -> Duration {
        let reckoned = self.reader.reckoned(now.counted);
        match told.sure {
            None => reckoned.max(wall_clock()),
            Some(sure) => {
                let on = told.on(now.counted).max(reckoned);
                on.max(wall_clock().min(on + (now.left_out - sure)))
            }
        }
    }

    /// The time now: once it was known, never before what was told.
    pub fn now(&self) -> Timestamp {
        if planted(Bug::TimerWallClock) {
            return timestamp(wall_clock());
        }
        let mut told = self.told.lock();
        let (ticks, wall) = (self.reader.ticks(), wall_clock());
        if told.sure.is_none() {
            return timestamp(self.guess_after(*told, ticks));
        }
        let at = ticks.counted;
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

impl Told {
    /// Carried on to a later time.
    fn on(self, at: Duration) -> Duration {
        self.time + at.saturating_sub(self.at)
    }
}

/// The cluster's time as the records say that a node has applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reckoning {
    time: Duration,
    at: Duration,
}

impl Reckoning {
    /// Of a record that is applied, or a time that a leader tells, when so much time was counted.
    pub fn new(stamped: Timestamp, at: Duration) -> Reckoning {
        Reckoning { time: Duration::from_millis(stamped.0), at }
    }

    /// Carried on to a later time.
    pub fn at(self, at: Duration) -> Duration {
        self.time + at.saturating_sub(self.at)
    }

    /// Takes another one's word where that is ahead: a record may be applied long after it was stamped.
    pub fn hear(&mut self, other: Reckoning) {
        if other.time > self.at(other.at) {
            *self = other;
        }
    }
}

/// The time at `at`, after what was told last, and not before what records say.
fn next(told: Told, at: Duration, reckoned: Duration, wall: Duration) -> Duration {
    let on = told.on(at).max(reckoned);
    on + wall.saturating_sub(on).min(at.saturating_sub(told.at) / MADE_UP)
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
        let mut told = Told { sure: Some(Duration::ZERO), time: START, at: Duration::ZERO, said: None };
        for call in 1..=calls {
            let passed = apart * call;
            told.time = next(told, passed, reckoned, wall(passed));
            told.at = passed;
        }
        told.time
    }

    fn clock() -> (tempfile::TempDir, Clock) {
        let folder = tempfile::tempdir().unwrap();
        let opened = crate::store::open(folder.path(), crate::store::OpenOptions::new(1)).unwrap();
        (folder, Clock::new(opened.reader))
    }

    /// A guess that was heard now.
    fn guessed(clock: &Clock, time: Duration) -> Reckoning {
        Reckoning::new(timestamp(time), clock.ticks().counted)
    }

    #[test]
    fn what_others_say_counts_more_than_the_wall_clock() {
        let (_folder, clock) = clock();
        assert!(clock.now() >= timestamp(wall_clock() - HOUR), "a guess is the wall clock's");
        assert_eq!(clock.known(), None);
        let behind = timestamp(wall_clock() - HOUR);
        clock.hear(behind, clock.ticks());
        let told = clock.known().unwrap();
        assert!(told >= behind && told.0 < behind.0 + 60_000, "{told:?} is not {behind:?}");
        let ahead = guessed(&clock, wall_clock() + HOUR);
        clock.begin(&[ahead, ahead], clock.ticks());
        assert!(clock.now().0 < behind.0 + 60_000, "guesses counted more than what was heard");
    }

    #[test]
    fn one_wrong_wall_clock_is_outvoted() {
        let begun = |guesses: &[i64]| {
            let ((_folder, clock), wall) = (clock(), timestamp(wall_clock()).0 as i64);
            assert!(clock.now().0 as i64 >= wall, "a guess is the wall clock's");
            let guess = |hours: &i64| Timestamp((wall + hours * 3_600_000) as u64);
            let guess = |hours: &i64| Reckoning::new(guess(hours), clock.ticks().counted);
            clock.begin(&guesses.iter().map(guess).collect::<Vec<_>>(), clock.ticks());
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
        let (_folder, clock) = clock();
        let behind = wall_clock() - HOUR;
        let heard = guessed(&clock, behind);
        let later = Duration::from_secs(1);
        clock.reader.leap(later);
        clock.begin(&[heard], clock.ticks());
        let told = clock.known().unwrap();
        assert!(told >= timestamp(behind + later), "{told:?} is not a second after {behind:?}");
    }

    #[test]
    fn after_a_leap_time_goes_on_as_the_others_say() {
        let (_folder, clock) = clock();
        clock.begin(&[], clock.ticks());
        let (before, asked) = (clock.known().unwrap(), clock.ticks());
        clock.reader.leap(HOUR);
        assert_eq!(clock.known(), None);
        assert!(clock.now().0 < before.0 + 60_000, "it leapt");
        let true_time = Timestamp(before.0 + 10_000);
        clock.hear(true_time, asked);
        assert_eq!(clock.known(), None, "it was asked for before the leap");
        clock.hear(true_time, clock.ticks());
        let told = clock.known().unwrap();
        assert!(told >= true_time && told.0 < true_time.0 + 60_000, "{told:?} is not {true_time:?}");
    }

    #[test]
    fn after_a_leap_that_nobody_knows_of_the_wall_clock_counts_for_no_more_than_the_leap() {
        let (_folder, clock) = clock();
        let behind = timestamp(wall_clock() - HOUR);
        clock.hear(behind, clock.ticks());
        clock.reader.leap(HOUR / 4);
        let guess = clock.guess().0;
        assert!(
            (guess - behind.0).abs_diff(15 * 60_000) < 60_000,
            "{guess} is not a quarter after {behind:?}"
        );
        let other = guessed(&clock, wall_clock() - HOUR);
        clock.begin(&[other], clock.ticks());
        assert!(clock.known().unwrap().0 < behind.0 + 60_000, "the earlier of two");
    }

    #[test]
    fn a_leap_of_the_monotonic_clock_alone_is_no_time() {
        let (_folder, clock) = clock();
        clock.begin(&[], clock.ticks());
        clock.reader.leap(HOUR);
        clock.begin(&[], clock.ticks());
        let off = clock.known().unwrap().0.abs_diff(timestamp(wall_clock()).0);
        assert!(off < 60_000, "{off} ms off the wall clock");
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
        let mut reckoned = Reckoning::new(Timestamp(5_000), Duration::ZERO);
        let late = Duration::from_secs(3);
        reckoned.hear(Reckoning::new(Timestamp(5_100), late));
        assert_eq!(reckoned.at(late), Duration::from_secs(8));
        reckoned.hear(Reckoning::new(Timestamp(9_000), late));
        assert_eq!(reckoned.at(late), Duration::from_secs(9), "its leader was ahead");
    }
}
