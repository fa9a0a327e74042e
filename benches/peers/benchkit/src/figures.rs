//! What a loop measured, as the JSON document of a driver.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::Seen;

/// The figures of one loop.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Callers, each with one operation in flight.
    pub in_flight: u32,
    /// The measured time.
    pub seconds: f64,
    /// Completed operations a second.
    pub rate: f64,
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Operations that failed, warm-up included.
    pub errors: u64,
    /// What the first of them said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
}

impl Figures {
    pub(crate) fn new(seen: Seen, in_flight: u32, seconds: f64) -> Result<Self> {
        let Seen { mut latencies, errors, first_error } = seen;
        if latencies.is_empty() {
            bail!("no operation succeeded; first error: {}", first_error.as_deref().unwrap_or("none"));
        }
        latencies.sort_unstable();
        let (p50_ms, p90_ms, p99_ms) = (at(&latencies, 0.5), at(&latencies, 0.9), at(&latencies, 0.99));
        let rate = latencies.len() as f64 / seconds;
        Ok(Self { in_flight, seconds, rate, p50_ms, p90_ms, p99_ms, errors, first_error })
    }

    /// Prints the document on stdout.
    ///
    /// # Errors
    /// When a figure cannot be written as JSON.
    pub fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// The latency that `part` of the sorted ones do not exceed, in milliseconds.
fn at(sorted: &[Duration], part: f64) -> f64 {
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted[index.clamp(1, sorted.len()) - 1].as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latencies: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| at(&latencies, part)), [1.0, 50.0, 99.0, 100.0]);
    }
}
