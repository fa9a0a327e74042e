//! The clock that stamps records. A cluster's time begins as the wall clock of whoever founds it, or starts it again as a
//! whole; from there it goes on at the pace of the leader's monotonic clock. A wall clock that jumps moves no timer: time
//! only makes up for a wall clock that is ahead by a little, which no timer notices (`docs/decisions/019`).
//! Knows nothing of what is stamped.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use orc_domain::{Bug, Timestamp, planted};
use parking_lot::Mutex;

use crate::store::StateReader;

/// Of this many parts of time, one is added while the wall clock is ahead.
const MADE_UP: u32 = 2_000;
/// A wall clock that is off by more is worth a word.
const OFF_MAX: Duration = Duration::from_secs(1);
/// The longest gap that a wall clock fills.
const GAP_MAX: Duration = Duration::from_secs(60);
/// Between two words.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// One node's view of the cluster's time.
pub struct Clock {
    reader: StateReader,
    /// Another node has led since this one started: its time counts, not that of this node's wall clock.
    follows: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    time: Timestamp,
    at: Instant,
    /// When the wall clock was last complained of.
    said: Option<Instant>,
}

impl Clock {
    /// A clock over the time of the state.
    pub fn new(reader: StateReader) -> Clock {
        let told = Told { time: Timestamp(0), at: Instant::now(), said: None };
        Clock { reader, follows: AtomicBool::new(false), told: Mutex::new(told) }
    }

    /// Another node leads.
    pub fn follow(&self) {
        if !self.follows.swap(true, Ordering::Relaxed) {
            // What was told of the wall clock alone was never more than a guess.
            self.told.lock().time = Timestamp(0);
        }
    }

    /// The time now, never before what was told since another node led.
    pub fn now(&self) -> Timestamp {
        if planted(Bug::TimerWallClock) {
            return wall_clock();
        }
        let mut told = self.told.lock();
        let (at, wall) = (Instant::now(), wall_clock());
        let goes_on = told.time.0 > 0 || self.follows.load(Ordering::Relaxed);
        let now = match goes_on {
            true => next(*told, at, carried(self.reader.reckoned(), at), wall),
            false => self.reader.now().max(wall),
        };
        (told.time, told.at) = (now, at);
        let off = Duration::from_millis(wall.0.abs_diff(now.0));
        if off > OFF_MAX && told.said.is_none_or(|said| at - said > SAID_EVERY) {
            told.said = Some(at);
            tracing::warn!(
                ?off,
                ahead = wall > now,
                "the wall clock of this node is not the cluster's: see docs/operations.md"
            );
        }
        now
    }
}

/// A time that was reckoned at an instant, carried on to another.
pub(crate) fn carried((reckoned, then): (Timestamp, Instant), at: Instant) -> Timestamp {
    reckoned + at.saturating_duration_since(then)
}

/// What a node that starts takes for the cluster's time: its wall clock fills the gap since the last record unless it is
/// absurdly long.
pub(crate) fn after_a_start(recorded: Timestamp) -> Timestamp {
    let wall = wall_clock();
    if wall.since(recorded) < GAP_MAX { wall.max(recorded) } else { recorded }
}

/// The time at `at`, after what was told last, and not before what records say.
fn next(told: Told, at: Instant, recorded: Timestamp, wall: Timestamp) -> Timestamp {
    let since_told = at.saturating_duration_since(told.at);
    let on = (told.time + since_told).max(recorded);
    let behind = Duration::from_millis(wall.0.saturating_sub(on.0));
    on + behind.min(since_told / MADE_UP)
}

fn wall_clock() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timestamp = Timestamp(3_600_000);
    const SOON: Duration = Duration::from_millis(250);

    fn after(told: u64, stamped: u64, wall: Timestamp) -> u64 {
        let then = Instant::now();
        let told = Told { time: Timestamp(told), at: then, said: None };
        next(told, then + SOON, carried((Timestamp(stamped), then), then + SOON), wall).0
    }

    #[test]
    fn time_goes_on_whatever_the_wall_clock_says() {
        assert_eq!(after(5_000, 0, Timestamp(0)), 5_250, "it fell back");
        assert_eq!(after(5_000, 0, HOUR), 5_250, "it jumped ahead");
        assert_eq!(after(5_000, 9_000, Timestamp(0)), 9_250, "another leader was ahead");
    }

    #[test]
    fn a_wall_clock_that_is_ahead_is_caught_up_with_slowly() {
        let then = Instant::now();
        let told = Told { time: Timestamp(5_000), at: then, said: None };
        let minute = Duration::from_secs(60);
        let now = |wall| next(told, then + minute, Timestamp(0), wall);
        assert_eq!(now(HOUR), Timestamp(65_030), "one part in 2,000");
        assert_eq!(now(Timestamp(65_010)), Timestamp(65_010), "not beyond it");
    }
}
