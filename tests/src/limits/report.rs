//! What came of the pressure, and what of it is not as promised. Knows nothing of how the pressure was made.

use std::{collections::BTreeMap, time::Duration};

use super::{
    calls, flood, holders,
    probes::{self, Taken},
    refused::BEYOND,
};

/// The most that a node may have in memory.
pub const MEMORY_MAX: u64 = 1 << 30;
/// So many times the time without pressure may a call take with it.
const TIMES_MAX: f64 = 5.0;
/// Fewer calls of a kind prove nothing.
const CALLS_MIN: usize = 100;

/// Everything that was seen.
pub struct Report {
    /// The most that each node had in memory, in bytes.
    pub peaks: Vec<u64>,
    /// What was refused, by limit and answer.
    pub answers: BTreeMap<(&'static str, String), u64>,
    /// Admitted calls without pressure.
    pub calm: Taken,
    /// Admitted calls with it.
    pub pressed: Taken,
    /// What became of the search for what was accepted, if it was not all there.
    pub lost: Option<anyhow::Error>,
}

/// Every limit and what it has to answer.
pub fn expected() -> impl Iterator<Item = (&'static str, &'static str)> {
    let beyond = BEYOND.iter().map(|beyond| (beyond.limit, beyond.expected));
    beyond.chain(calls::EXPECTED).chain(holders::EXPECTED).chain(flood::EXPECTED)
}

impl Report {
    /// Prints it; what is wrong.
    pub fn tell(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.lost.iter().map(|error| format!("{error:#}")).collect();
        for (node, peak) in (1..).zip(&self.peaks) {
            println!("node-{node:<26} at most {} MiB", peak >> 20);
            if *peak > MEMORY_MAX {
                wrong.push(format!("node-{node} had {} MiB", peak >> 20));
            }
        }
        for ((limit, answer), count) in &self.answers {
            println!("{limit:<31} {answer:<28} {count:>9}");
            if answer.contains("INTERNAL") {
                wrong.push(format!("{limit}: {count} times {answer}"));
            }
        }
        for (limit, answer) in expected() {
            if !self.answers.contains_key(&(limit, answer.to_owned())) {
                wrong.push(format!("{limit}: nobody heard {answer}"));
            }
        }
        println!(
            "{:<26} {:>8} {:>9} {:>9} | {:>8} {:>9} {:>9} | p99",
            "admitted calls, ms", "calm", "p50", "p99", "pressed", "p50", "p99"
        );
        wrong.extend(probes::kinds().filter_map(|kind| self.compare(kind)));
        wrong
    }

    fn compare(&self, kind: &'static str) -> Option<String> {
        let of = |taken: &Taken| {
            let times = probes::times(taken, kind);
            let at = |percent| times.percentile(percent).map_or(f64::NAN, millis);
            (taken.get(kind).map_or(0, Vec::len), at(50), at(99))
        };
        let (calm, pressed) = (of(&self.calm), of(&self.pressed));
        let ratio = pressed.2 / calm.2;
        println!(
            "{kind:<26} {:>8} {:>9.2} {:>9.2} | {:>8} {:>9.2} {:>9.2} | x {ratio:.2}",
            calm.0, calm.1, calm.2, pressed.0, pressed.1, pressed.2
        );
        if calm.0 < CALLS_MIN || pressed.0 < CALLS_MIN {
            return Some(format!("{kind}: {} and {} calls are too few", calm.0, pressed.0));
        }
        (ratio > TIMES_MAX).then(|| format!("{kind}: p99 is {ratio:.1} times that without pressure"))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
