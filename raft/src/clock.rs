//! The clock that stamps records: the wall clock, but never behind the cluster's time and never slower than real time
//! from there. So after a leader whose clock ran ahead, time goes on instead of standing still.
//! Knows nothing of what is stamped.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use orc_domain::Timestamp;
use parking_lot::Mutex;

use crate::store::StateReader;

/// One node's view of the cluster's time.
pub struct Clock {
    reader: StateReader,
    shown: Mutex<(Timestamp, Instant)>,
}

impl Clock {
    /// A clock over the time of the state.
    pub fn new(reader: StateReader) -> Clock {
        Clock { reader, shown: Mutex::new((Timestamp(0), Instant::now())) }
    }

    /// The time now, never before what was told earlier.
    pub fn now(&self) -> Timestamp {
        let mut shown = self.shown.lock();
        let at = Instant::now();
        let now = next(*shown, at, self.reader.now().max(wall_clock()));
        *shown = (now, at);
        now
    }
}

fn next((told, then): (Timestamp, Instant), at: Instant, seen: Timestamp) -> Timestamp {
    seen.max(told + at.saturating_duration_since(then))
}

fn wall_clock() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_goes_on_where_another_clock_ran_ahead() {
        let then = Instant::now();
        let ahead = Timestamp(3_600_000);
        assert_eq!(next((Timestamp(0), then), then, ahead), ahead);
        let later = then + Duration::from_millis(250);
        assert_eq!(
            next((ahead, then), later, Timestamp(1_000)),
            Timestamp(3_600_250),
            "it does not stand still"
        );
        assert_eq!(
            next((Timestamp(5), then), later, Timestamp(9_000)),
            Timestamp(9_000),
            "the wall clock leads"
        );
    }
}
