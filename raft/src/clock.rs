//! The clock that stamps records: the wall clock as this node found it at its start, carried on by the monotonic clock, and
//! never behind the cluster's time. Whoever sets the wall clock of a running node moves no deadline: it is
//! followed slowly. After a leader whose clock ran ahead, time goes on instead of standing still.
//! Knows nothing of what is stamped.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use orc_domain::Timestamp;
use parking_lot::Mutex;

use crate::store::StateReader;

/// A wall clock is followed by one part in so many of the time that passes, about as fast as NTP moves clocks: no deadline is
/// reached earlier than that.
const SLEW: u32 = 1_000;
/// From then on it is said that a wall clock is not followed at once.
const OFF_MIN: Duration = Duration::from_secs(1);

/// One node's view of the cluster's time.
pub struct Clock {
    reader: StateReader,
    shown: Mutex<Shown>,
}

impl Clock {
    /// A clock over the time of the state.
    pub fn new(reader: StateReader) -> Clock {
        Clock { reader, shown: Mutex::new(Shown::new(Instant::now(), wall_clock())) }
    }

    /// The time now, never before what was told earlier.
    pub fn now(&self) -> Timestamp {
        let mut shown = self.shown.lock();
        let cluster = Duration::from_millis(self.reader.now().0);
        let next = shown.next(Instant::now(), cluster, wall_clock());
        if next.is_off && !shown.is_off {
            tracing::warn!(by = ?next.own.abs_diff(wall_clock()), "the wall clock was set: it is followed slowly");
        }
        *shown = next;
        next.time()
    }
}

/// What was told last; times since 1970.
#[derive(Clone, Copy)]
struct Shown {
    told: Duration,
    /// What this node takes for the wall clock.
    own: Duration,
    /// That is not what the wall clock says.
    is_off: bool,
    at: Instant,
}

impl Shown {
    fn new(at: Instant, wall: Duration) -> Shown {
        Shown { told: Duration::ZERO, own: wall, is_off: false, at }
    }

    fn next(self, at: Instant, cluster: Duration, wall: Duration) -> Shown {
        let passed = at.saturating_duration_since(self.at);
        let carried = self.own + passed;
        let is_off = carried.abs_diff(wall) > OFF_MIN;
        let own = wall.clamp(carried.saturating_sub(passed / SLEW), carried + passed / SLEW);
        let told = (self.told + passed).max(own).max(cluster);
        Shown { told, own, is_off, at: self.at.max(at) }
    }

    fn time(self) -> Timestamp {
        Timestamp(u64::try_from(self.told.as_millis()).unwrap_or(u64::MAX))
    }
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is told so long after the start, asked every 100 ms, where the wall clock says so and the cluster's time stands.
    fn told(passed: Duration, cluster: Duration, wall: impl Fn(Duration) -> Duration) -> Duration {
        let began = Instant::now();
        let mut shown = Shown::new(began, START);
        let mut asked = Duration::ZERO;
        while asked <= passed {
            shown = shown.next(began + asked, cluster, wall(asked));
            asked += Duration::from_millis(100);
        }
        shown.told
    }

    #[test]
    fn time_goes_on_where_another_clock_ran_ahead() {
        let told = told(seconds(20), START + HOUR, |passed| START + passed);
        assert_eq!(told, START + HOUR + seconds(20), "it does not stand still");
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_time_slowly() {
        let ahead = told(seconds(20), Duration::ZERO, |passed| START + passed + HOUR);
        assert_eq!(ahead, START + Duration::from_millis(20_020));
        let behind = told(seconds(20), Duration::ZERO, |passed| START + passed - HOUR);
        assert_eq!(behind, START + seconds(20), "never slower");
    }

    #[test]
    fn a_node_that_was_asked_seldom_is_not_moved_either() {
        let began = Instant::now();
        let shown = Shown::new(began, START).next(began + seconds(20), Duration::ZERO, START + HOUR);
        assert_eq!(shown.told, START + Duration::from_millis(20_020));
    }

    #[test]
    fn small_corrections_and_slow_clocks_are_followed() {
        let little = Duration::from_millis(5);
        let corrected = told(seconds(20), Duration::ZERO, |passed| START + passed + little);
        assert_eq!(corrected, START + seconds(20) + little);
        let fast = told(seconds(20), Duration::ZERO, |passed| START + passed + passed / 2_000);
        assert_eq!(fast, START + Duration::from_millis(20_010));
    }
}
