//! Time as a process counts it: what passes between two looks at the monotonic clock, unless that is more than passes while
//! a process runs. A process that stood still, and a clock that leapt, look the same from inside.
//! Knows nothing of what time it is.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Somebody looks so often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A longer step is a leap.
const STEP_MAX: Duration = Duration::from_secs(2);

/// A tick now, and one after each period; those missed in a standstill are not made up for.
pub(crate) fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Counts the time that passes while somebody looks at least every [`LOOK_EVERY`].
#[derive(Debug)]
pub(crate) struct Ticker {
    seen: Mutex<(Instant, Ticks)>,
}

/// Time as a [`Ticker`] counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Since it began.
    pub counted: Duration,
    /// By so much the clock went on in leaps, of which nobody knows whether they were true.
    pub left_out: Duration,
    /// What was counted since the last of them.
    pub since_leap: Duration,
}

impl Ticker {
    pub fn new() -> Ticker {
        Ticker { seen: Mutex::new((Instant::now(), Ticks::default())) }
    }

    pub fn look(&self) -> Ticks {
        self.look_at(Instant::now())
    }

    /// Tests say when they look.
    pub fn look_at(&self, now: Instant) -> Ticks {
        let mut seen = self.seen.lock();
        let (at, ticks) = &mut *seen;
        let step = now.saturating_duration_since(*at);
        if step > STEP_MAX {
            ticks.left_out += step;
            ticks.since_leap = Duration::ZERO;
        } else {
            ticks.counted += step;
            ticks.since_leap += step;
        }
        *at = now.max(*at);
        let ticks = *ticks;
        drop(seen);
        if step > STEP_MAX {
            tracing::warn!(?step, "this process stood still, or its clock leapt");
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_not_counted_and_what_follows_is() {
        let ticker = Ticker::new();
        let (mut now, step) = (ticker.seen.lock().0, Duration::from_millis(400));
        let mut look_after = |after| {
            now += after;
            ticker.look_at(now)
        };
        assert_eq!(look_after(step), Ticks { counted: step, since_leap: step, ..Ticks::default() });
        assert_eq!(look_after(STEP_MAX).counted, step + STEP_MAX, "a slow process");
        let hour = Duration::from_secs(3_600);
        let after = look_after(hour);
        assert_eq!(after, Ticks { counted: step + STEP_MAX, left_out: hour, since_leap: Duration::ZERO });
        assert_eq!(look_after(step), Ticks { counted: after.counted + step, since_leap: step, ..after });
        assert_eq!(ticker.look_at(now - step), ticker.look_at(now), "a late look");
    }
}
