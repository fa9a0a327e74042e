//! Closed and paced loops for the drivers of the peers, and the JSON document they all print:
//! its fields are those of `orc bench`, so that one program can compare both.
//! Knows nothing of what is called.

#![warn(missing_docs)]

mod figures;
mod stamps;

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

pub use figures::Figures;
pub use stamps::Stamps;

/// How long after the window an operation may still take before its caller is given up.
const GRACE: Duration = Duration::from_secs(10);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(5);

/// The load of a closed loop.
#[derive(Clone, Debug, clap::Args)]
pub struct Load {
    /// Callers; each has one operation in flight.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub clients: u32,
    /// How long is measured, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// How long the load runs before it is measured, in seconds.
    #[arg(long, default_value_t = 2.0)]
    pub warm: f64,
}

/// Runs a driver on one thread: the servers need the cores more.
pub fn on_one_thread(driver: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(driver)
}

/// Every caller issues, awaits, and issues again. Operations that end within the window count.
/// The operation is given the number of its caller and a number of its own.
///
/// # Errors
/// When no operation succeeded within the window; the message carries the first error.
pub async fn closed_loop<F, W, E>(load: &Load, operation: F) -> Result<Figures>
where
    F: Fn(usize, u64) -> W + Clone + Send + 'static,
    W: Future<Output = Result<(), E>> + Send,
    E: Display + Send + 'static,
{
    let count = Arc::new(AtomicU64::new(0));
    let begin = Instant::now() + Duration::from_secs_f64(load.warm);
    let end = begin + Duration::from_secs_f64(load.seconds);
    let mut callers = JoinSet::new();
    for caller in 0..load.clients as usize {
        let (operation, count) = (operation.clone(), count.clone());
        callers.spawn(async move {
            let mut seen = Seen::default();
            while Instant::now() < end {
                let started = Instant::now();
                let result = operation(caller, count.fetch_add(1, Ordering::Relaxed)).await;
                let done = Instant::now();
                match result {
                    Ok(()) if done >= begin && done < end => seen.latencies.push(done - started),
                    Ok(()) => {}
                    Err(error) => {
                        seen.fail(error.to_string());
                        sleep(PAUSE_AFTER_ERROR).await;
                    }
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Ok(Some(caller)) = timeout(end + GRACE - Instant::now(), callers.join_next()).await {
        all.add(caller.context("a caller ended early")?);
    }
    for _ in 0..callers.len() {
        all.fail(format!("no answer within {GRACE:?} after the end"));
    }
    Figures::new(all, load.clients, load.seconds)
}

/// Starts `rate` operations a second without waiting for their answers; the number of those that failed.
///
/// # Errors
/// When an operation panicked or did not end within 10 s of the last one's start.
pub async fn paced<F, W, E>(rate: f64, seconds: f64, operation: F) -> Result<u64>
where
    F: Fn(u64) -> W,
    W: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let mut started = JoinSet::new();
    let begin = Instant::now();
    for number in 0..(rate * seconds) as u64 {
        sleep_until(begin + Duration::from_secs_f64(number as f64 / rate)).await;
        started.spawn(operation(number));
    }
    let ended = timeout(GRACE, started.join_all()).await.context("paced operations do not end")?;
    Ok(ended.iter().filter(|result| result.is_err()).count() as u64)
}

/// What callers saw; a part of a caller's own, or the sum over all.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
}

impl Seen {
    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, other: Seen) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}
