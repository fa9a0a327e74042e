//! Times as figures: percentiles, a histogram, and the bounds that they have to keep.
//! Knows nothing of what took that long.

use std::{fmt, time::Duration};

/// Upper ends of the histogram's bars, in seconds.
const BARS: [f64; 7] = [0.1, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0];

/// Times in their order.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Any times.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Times(times)
    }

    /// The least time that so many percent do not exceed.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }

    /// How many are up to each bar's end and above the one before: `<= 0.5 s 3, ...`.
    pub fn histogram(&self) -> String {
        let up_to = |end: f64| self.0.partition_point(|time| time.as_secs_f64() <= end);
        let mut before = 0;
        let mut bars: Vec<String> = Vec::new();
        for end in BARS {
            let count = up_to(end) - std::mem::replace(&mut before, up_to(end));
            if count > 0 {
                bars.push(format!("<= {end} s {count}"));
            }
        }
        if self.0.len() > before {
            bars.push(format!("more {}", self.0.len() - before));
        }
        bars.join(", ")
    }
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percentile = |percent| self.percentile(percent).unwrap_or_default().as_secs_f64();
        match self.0.is_empty() {
            true => write!(formatter, "never"),
            false => {
                let [p50, p99, max] = [50, 99, 100].map(percentile);
                write!(formatter, "p50 {p50:.2} s, p99 {p99:.2} s, max {max:.2} s")
            }
        }
    }
}

/// What percentiles of times may be at most, in seconds; 100 is the maximum.
#[derive(Clone, Debug, Default)]
pub struct Bounds(pub Vec<(usize, f64)>);

impl Bounds {
    /// Which of them are not kept by these times of something, in words; without any times none is.
    pub fn broken_by(&self, what: &str, times: &Times) -> Vec<String> {
        let exceeds = |(percent, most): &(usize, f64)| match times.percentile(*percent) {
            Some(time) if time.as_secs_f64() <= *most => None,
            Some(time) => Some(format!("{what}: p{percent} is {:.2} s, above {most} s", time.as_secs_f64())),
            None => Some(format!("{what}: p{percent} is unknown")),
        };
        self.0.iter().filter_map(exceeds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(seconds: &[f64]) -> Times {
        Times::new(seconds.iter().map(|time| Duration::from_secs_f64(*time)).collect())
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let found = [50, 99, 100].map(|percent| times(&hundred).percentile(percent));
        assert_eq!(found, [50, 99, 100].map(|time| Some(Duration::from_secs(time))));
        assert_eq!(times(&[3.0, 1.0, 2.0]).percentile(50), Some(Duration::from_secs(2)));
        assert_eq!(times(&[]).percentile(50), None);
    }

    #[test]
    fn every_time_is_in_one_bar() {
        let text = times(&[0.05, 0.1, 0.11, 1.9, 2.0, 7.0]).histogram();
        assert_eq!(text, "<= 0.1 s 2, <= 0.5 s 1, <= 2 s 2, more 1");
    }

    #[test]
    fn bounds_that_are_exceeded_are_told() {
        let bounds = Bounds(vec![(50, 2.0), (100, 5.0)]);
        assert_eq!(bounds.broken_by("late", &times(&[1.0, 2.0, 5.0])), Vec::<String>::new());
        assert_eq!(bounds.broken_by("late", &times(&[1.0, 2.0, 5.1])), ["late: p100 is 5.10 s, above 5 s"]);
        assert_eq!(bounds.broken_by("late", &times(&[])).len(), 2);
    }
}
