//! Time as a process counts it: what passes between two looks at the monotonic clock, unless that is more than passes while
//! a process runs. A process that stood still, and a clock that leapt, look the same from inside.
//! Knows nothing of what time it is.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Somebody looks so often.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A longer step is a leap.
const STEP_MAX: Duration = Duration::from_secs(2);

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
        let (at, ticks) = &mut *self.seen.lock();
        let step = now.saturating_duration_since(*at);
        if step > STEP_MAX {
            ticks.left_out += step;
            tracing::warn!(?step, "this process stood still, or its clock leapt");
        } else {
            ticks.counted += step;
        }
        *at = now.max(*at);
        *ticks
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
        assert_eq!(look_after(step), Ticks { counted: step, left_out: Duration::ZERO });
        assert_eq!(look_after(STEP_MAX).counted, step + STEP_MAX, "a slow process");
        let hour = Duration::from_secs(3_600);
        let after = look_after(hour);
        assert_eq!(after, Ticks { counted: step + STEP_MAX, left_out: hour });
        assert_eq!(look_after(step), Ticks { counted: after.counted + step, ..after });
        assert_eq!(ticker.look_at(now - step), ticker.look_at(now), "a late look");
    }
}
