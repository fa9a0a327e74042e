//! What a load shows: the latencies of operations that ended in the window, and errors with the words of the first.
//! Knows nothing of what the operations are.

use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::{BenchError, Options, report::Measured};

/// Latencies are kept in microseconds, up to an hour, with three digits.
const LATENCY_MAX_US: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Records operations as they end.
pub(super) struct Recorder {
    from: Instant,
    until: Instant,
    seen: Mutex<Seen>,
}

struct Seen {
    latencies: Histogram<u64>,
    refusals: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Recorder {
    /// For a load that begins now: the warm-up, then what counts.
    pub(super) fn starting(options: &Options) -> Arc<Recorder> {
        let from = Instant::now() + options.warm_up;
        Recorder::new(from, from + options.length)
    }

    /// For operations that end from `from` on and before `until`.
    pub(super) fn new(from: Instant, until: Instant) -> Arc<Recorder> {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS)
            .expect("the bounds are what the crate allows");
        let (latencies, refusals) = (histogram.clone(), histogram);
        let seen = Mutex::new(Seen { latencies, refusals, errors: 0, first_error: None });
        Arc::new(Recorder { from, until, seen })
    }

    /// When the window begins.
    pub(super) fn from(&self) -> Instant {
        self.from
    }

    /// When the window ends, and with it the load.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// An operation that began at `start` has just ended. Errors count whenever they come.
    pub(super) fn ended<T, E: Display>(&self, start: Instant, result: &Result<T, E>) {
        match result {
            Ok(_) => self.within(start, Instant::now(), |seen| &mut seen.latencies),
            Err(error) => self.failed(1, error),
        }
    }

    /// An operation that began at `start` has just been refused and had no effect.
    pub(super) fn refused(&self, start: Instant) {
        self.within(start, Instant::now(), |seen| &mut seen.refusals);
    }

    fn within(&self, start: Instant, end: Instant, histogram: fn(&mut Seen) -> &mut Histogram<u64>) {
        if end >= self.from && end < self.until {
            histogram(&mut self.seen.lock()).saturating_record(micros(end.duration_since(start)));
        }
    }

    /// So many operations have failed in the same way.
    pub(super) fn failed(&self, count: u64, error: &dyn Display) {
        let mut seen = self.seen.lock();
        seen.errors += count;
        seen.first_error.get_or_insert_with(|| error.to_string());
    }

    /// The figures of the window.
    pub(super) fn measured(&self) -> Result<Measured, BenchError> {
        self.measured_over(self.until.duration_since(self.from))
    }

    /// The figures, with the rate over another length than the window's.
    pub(super) fn measured_over(&self, length: Duration) -> Result<Measured, BenchError> {
        let seen = self.seen.lock();
        let count = seen.latencies.len();
        if count == 0 {
            let why = seen.first_error.clone().unwrap_or_else(|| "they take longer".to_owned());
            return Err(BenchError::Nothing(why));
        }
        let at = |quantile: f64| seen.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Measured {
            rate: count as f64 / length.as_secs_f64(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            errors: seen.errors,
            first_error: seen.first_error.clone(),
            refused: seen.refusals.len(),
            refused_p99_ms: seen.refusals.value_at_quantile(0.99) as f64 / 1e3,
            crash: None,
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(from: Instant, length: Duration) -> Arc<Recorder> {
        Recorder::new(from, from + length)
    }

    #[test]
    fn percentiles_are_those_of_what_ended_in_the_window() {
        let now = Instant::now();
        let recorder = recorder(now, Duration::from_secs(100));
        for milliseconds in 1..=100 {
            recorder.within(now, now + Duration::from_millis(milliseconds), |seen| &mut seen.latencies);
        }
        recorder.within(now, now + Duration::from_secs(100), |seen| &mut seen.latencies);
        let measured = recorder.measured().expect("there are some");
        for (found, expected) in [(measured.p50_ms, 50.0), (measured.p90_ms, 90.0), (measured.p99_ms, 99.0)] {
            assert!((found - expected).abs() < 1.0, "{found} is not about {expected}");
        }
        assert!((measured.rate - 1.0).abs() < 1e-9 && measured.errors == 0);
    }

    #[test]
    fn refusals_are_neither_operations_nor_errors() {
        let now = Instant::now();
        let recorder = recorder(now, Duration::from_secs(100));
        recorder.ended(now, &Ok::<_, &str>(()));
        recorder.refused(now);
        recorder.within(now, now + Duration::from_secs(50), |seen| &mut seen.refusals);
        let measured = recorder.measured().expect("there is one");
        assert_eq!((measured.refused, measured.errors), (2, 0));
        assert!((measured.refused_p99_ms / 50_000.0 - 1.0).abs() < 0.01, "{measured:?}");
        assert!(measured.p99_ms < 50_000.0, "{measured:?}");
        assert!((measured.rate - 0.01).abs() < 1e-9);
    }

    #[test]
    fn the_warm_up_does_not_count_but_its_errors_do() {
        let now = Instant::now();
        let recorder = recorder(now + Duration::from_secs(60), Duration::from_secs(1));
        recorder.ended(now, &Ok::<_, &str>(()));
        recorder.ended(now, &Err::<(), _>("first"));
        recorder.ended(now, &Err::<(), _>("second"));
        let nothing = recorder.measured().expect_err("nothing ended in the window");
        assert!(nothing.to_string().contains("first"), "{nothing}");
        assert_eq!(recorder.seen.lock().errors, 2);
    }
}
