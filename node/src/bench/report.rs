//! The figures of one round, the medians over all of them, and the document that is printed.
//! Knows nothing of how they came about.

use std::time::Duration;

use serde::Serialize;

use super::{Options, own::Started};

/// What one round measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Operations a second.
    pub rate: f64,
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Operations that failed, in the warm-up too.
    pub errors: u64,
    /// What the first of them said.
    pub first_error: Option<String>,
    /// Operations of a fixed rate that were refused and had no effect.
    pub refused: u64,
    /// How long most refusals took.
    pub refused_p99_ms: f64,
    /// What the death of the leader did.
    pub crash: Option<Crash>,
}

/// What the death of the leader did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Crash {
    /// The longest time after it in which no write was acknowledged.
    pub no_write_ms: f64,
    /// From it until the rate was back at 80 % of what it was; null: not before the end.
    pub back_to_80_ms: Option<f64>,
    /// Acknowledged writes that were not there at the end.
    pub lost: u64,
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// Writes a second before it.
    pub rate_before: f64,
}

/// What is known about our own cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    nodes: u16,
    #[serde(rename = "rssMiB")]
    rss_mib: Vec<f64>,
    #[serde(rename = "idleMiB")]
    idle_mib: Vec<f64>,
    start_ms: f64,
    formed_ms: f64,
}

impl Own {
    /// Memory after the load and before it, and how long the start took.
    pub(super) fn new(options: &Options, rss_mib: Vec<f64>, idle_mib: Vec<f64>, started: Started) -> Own {
        let millis = |time: Duration| rounded(time.as_secs_f64() * 1e3);
        let (start_ms, formed_ms) = (millis(started.first_write), millis(started.formed));
        Own { nodes: options.nodes, rss_mib, idle_mib, start_ms, formed_ms }
    }
}

/// What is printed: medians over the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `w1` to `w5`.
    pub work: &'static str,
    /// Callers of the closed loop; without effect with `targetRate`.
    pub in_flight: usize,
    /// How long each round was measured.
    pub seconds: f64,
    /// Operations a second.
    pub rate: f64,
    /// Median latency in milliseconds.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Operations that failed, in all rounds.
    pub errors: u64,
    /// What the first of them said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// What is done with state keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<&'static str>,
    /// The fixed rate that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_rate: Option<u32>,
    /// Operations of the fixed rate that were refused and had no effect, in all rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
    /// 99th percentile of how long a refusal took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_p99_ms: Option<f64>,
    /// The rate of each round.
    pub runs: Vec<f64>,
    /// What the death of the leader did.
    #[serde(flatten)]
    pub crash: Option<Crash>,
    /// What is known about our own cluster.
    #[serde(flatten)]
    pub own: Option<Own>,
}

impl Report {
    /// What people want to know beside the row of figures.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let (Some(refused @ 1..), Some(ms)) = (self.refused, self.refused_p99_ms) {
            notes.push(format!("{refused} refused, with nothing done; 99 % of them within {ms} ms"));
        }
        if let Some(crash) = &self.crash {
            let back =
                crash.back_to_80_ms.map_or("not before the end".to_owned(), |ms| format!("after {ms} ms"));
            notes.push(format!(
                "leader killed: no write for {} ms, back to 80 % of {} a second {back}, {} of {} writes lost",
                crash.no_write_ms, crash.rate_before, crash.lost, crash.acknowledged
            ));
        }
        if let Some(own) = &self.own {
            notes.push(format!(
                "cluster of {}: first write after {:.0} ms, all there after {:.0} ms; memory in MiB {} idle, {} after the load",
                own.nodes,
                own.start_ms,
                own.formed_ms,
                list(&own.idle_mib),
                list(&own.rss_mib)
            ));
        }
        if self.runs.len() > 1 {
            notes.push(format!("medians of {} rounds, rates {}", self.runs.len(), list(&self.runs)));
        }
        notes
    }
}

/// The medians of all rounds; there is at least one.
pub(super) fn report(options: &Options, rounds: &[Measured], own: Option<Own>) -> Report {
    let median_of = |figure: fn(&Measured) -> f64| {
        let figures: Vec<f64> = rounds.iter().map(figure).collect();
        rounded(median(&figures))
    };
    Report {
        work: options.work.name(),
        in_flight: options.in_flight,
        seconds: options.length.as_secs_f64(),
        rate: median_of(|round| round.rate),
        p50_ms: median_of(|round| round.p50_ms),
        p90_ms: median_of(|round| round.p90_ms),
        p99_ms: median_of(|round| round.p99_ms),
        errors: rounds.iter().map(|round| round.errors).sum(),
        first_error: rounds.iter().find_map(|round| round.first_error.clone()),
        op: options.work.state_op(),
        target_rate: options.rate,
        refused: options.rate.map(|_| rounds.iter().map(|round| round.refused).sum()),
        refused_p99_ms: options.rate.map(|_| median_of(|round| round.refused_p99_ms)),
        runs: rounds.iter().map(|round| rounded(round.rate)).collect(),
        crash: median_crash(rounds),
        own,
    }
}

/// Losses add up; a round in which the rate did not come back leaves no median.
fn median_crash(rounds: &[Measured]) -> Option<Crash> {
    let crashes: Vec<&Crash> = rounds.iter().filter_map(|round| round.crash.as_ref()).collect();
    if crashes.is_empty() {
        return None;
    }
    let figures =
        |figure: fn(&Crash) -> f64| -> Vec<f64> { crashes.iter().map(|crash| figure(crash)).collect() };
    let back: Option<Vec<f64>> = crashes.iter().map(|crash| crash.back_to_80_ms).collect();
    Some(Crash {
        no_write_ms: rounded(median(&figures(|crash| crash.no_write_ms))),
        back_to_80_ms: back.map(|back| rounded(median(&back))),
        lost: crashes.iter().map(|crash| crash.lost).sum(),
        acknowledged: crashes.iter().map(|crash| crash.acknowledged).sum(),
        rate_before: rounded(median(&figures(|crash| crash.rate_before))),
    })
}

/// The middle of the values, or the mean of the two in the middle; 0 if there are none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (length, middle) if length % 2 == 1 => sorted[middle],
        (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Three digits after the point are enough.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, expected) in
            [(&[][..], 0.0), (&[4.0], 4.0), (&[9.0, 1.0, 5.0], 5.0), (&[4.0, 1.0, 2.0, 9.0], 3.0)]
        {
            assert!((median(values) - expected).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn losses_add_up_and_what_never_came_back_has_no_median() {
        let round = |no_write_ms: f64, back_to_80_ms, lost| Measured {
            rate: 1.0,
            p50_ms: 1.0,
            p90_ms: 1.0,
            p99_ms: 1.0,
            errors: 0,
            first_error: None,
            refused: 0,
            refused_p99_ms: 0.0,
            crash: Some(Crash { no_write_ms, back_to_80_ms, lost, acknowledged: 10, rate_before: 1.0 }),
        };
        let crash = median_crash(&[round(1.0, Some(2.0), 0), round(3.0, Some(4.0), 2), round(2.0, None, 1)]);
        let crash = crash.expect("there were some");
        assert_eq!(
            (crash.no_write_ms, crash.back_to_80_ms, crash.lost, crash.acknowledged),
            (2.0, None, 3, 30)
        );
    }
}
