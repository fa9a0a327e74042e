//! Closed loops: a number of callers that each issue, await, and issue again.
//! Knows nothing of what they call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::{task::JoinSet, time::Instant};

/// What a loop measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Completed operations a second.
    pub(crate) rate: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile of the latency in milliseconds.
    pub(crate) p99_ms: f64,
}

/// Runs `in_flight` callers for `length` after a warm-up of a fifth of it. An operation that fails fails the loop.
pub(crate) async fn closed_loop<F, W>(in_flight: usize, length: Duration, operation: F) -> Result<Figures>
where
    F: Fn(u64) -> W + Clone + Send + 'static,
    W: Future<Output = Result<()>> + Send,
{
    let count = Arc::new(AtomicU64::new(0));
    let warm = Instant::now() + length / 5;
    let end = warm + length;
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (operation, count) = (operation.clone(), count.clone());
        callers.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let start = Instant::now();
                operation(count.fetch_add(1, Ordering::Relaxed)).await?;
                let done = Instant::now();
                if done >= warm && done < end {
                    latencies.push(done - start);
                }
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(caller) = callers.join_next().await {
        latencies.extend(caller??);
    }
    ensure!(!latencies.is_empty(), "no operation ended within {length:?}");
    latencies.sort();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok(Figures { rate: latencies.len() as f64 / length.as_secs_f64(), p50_ms: at(50), p99_ms: at(99) })
}

/// The figures of the repetition with the median rate.
pub(crate) fn median(mut figures: Vec<Figures>) -> Figures {
    figures.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    figures.swap_remove(figures.len() / 2)
}
