//! The two kinds of load: callers that each issue, await and issue again, and operations begun at a fixed rate.
//! Knows nothing of what the operations are.

use std::{
    future::Future,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use orc_client::Error;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Options, recorder::Recorder};

/// A caller whose operation failed waits so long: an error that comes at once is not asked for in a tight loop.
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// Operations of a fixed rate that may be under way at once; later ones begin later and count from when they should have.
const UNDER_WAY_MAX: usize = 50_000;
/// Longer than any load.
pub(super) const FOREVER: Duration = Duration::from_secs(86_400);
/// Beginnings that the clock may be ahead.
const AHEAD_MAX: usize = 1_000;

/// Loads as the options say, until the recorder's window ends and every operation has.
/// An operation gets the caller's place, which chooses its node, and a number of its own.
pub(super) async fn load<F, W>(options: &Options, recorder: &Arc<Recorder>, operation: F)
where
    F: Fn(usize, u64) -> W + Clone + Send + 'static,
    W: Future<Output = Result<(), Error>> + Send + 'static,
{
    let Some(rate) = options.rate else {
        return closed_loop(options.in_flight, recorder, operation).await;
    };
    let ended = recorder.clone();
    let recorded = move |number: u64, intended: Instant| {
        let place = usize::try_from(number).unwrap_or_default();
        let (recorder, work) = (ended.clone(), operation(place, number));
        async move {
            let result = work.await;
            match result.as_ref().err().and_then(Error::problem) {
                Some(problem) if problem.executed == Some(false) => recorder.refused(intended),
                _ => recorder.ended(intended, &result),
            }
        }
    };
    open_loop(rate, recorder.until(), recorded).await;
}

/// Callers that each issue, await and issue again.
pub(super) async fn closed_loop<F, W>(in_flight: usize, recorder: &Arc<Recorder>, operation: F)
where
    F: Fn(usize, u64) -> W + Clone + Send + 'static,
    W: Future<Output = Result<(), Error>> + Send,
{
    let mut callers = JoinSet::new();
    for place in 0..in_flight {
        let (operation, recorder) = (operation.clone(), recorder.clone());
        callers.spawn(async move {
            let mut start = Instant::now();
            for number in (place as u64..).step_by(in_flight) {
                if start >= recorder.until() {
                    return;
                }
                let result = operation(place, number).await;
                recorder.ended(start, &result);
                if result.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                start = Instant::now();
            }
        });
    }
    all_ended(callers).await;
}

/// Operations begun at a fixed rate until `until`, each told when it should have begun.
pub(super) async fn open_loop<F, W>(rate: u32, until: Instant, operation: F)
where
    F: Fn(u64, Instant) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    let (sender, mut beginnings) = mpsc::channel(AHEAD_MAX);
    // The runtime's timer knows milliseconds; a thread of its own sleeps more exactly.
    let clock = tokio::task::spawn_blocking(move || keep_time(rate, until, &sender));
    let mut under_way = JoinSet::new();
    let mut number = 0;
    while let Some(intended) = beginnings.recv().await {
        under_way.spawn(operation(number, intended));
        number += 1;
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= UNDER_WAY_MAX {
            under_way.join_next().await;
        }
    }
    clock.await.expect("keeping time does not panic");
    all_ended(under_way).await;
}

/// Says when each operation should begin, at that time.
fn keep_time(rate: u32, until: Instant, beginnings: &mpsc::Sender<Instant>) {
    let begun = Instant::now();
    for number in 0_u64.. {
        let intended = begun + Duration::from_secs_f64(number as f64 / f64::from(rate));
        if intended >= until {
            return;
        }
        while let Some(left) = intended.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            thread::park_timeout(left);
        }
        if beginnings.blocking_send(intended).is_err() {
            return;
        }
    }
}

async fn all_ended(mut operations: JoinSet<()>) {
    while let Some(ended) = operations.join_next().await {
        ended.expect("an operation does not panic");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_caller_has_numbers_of_its_own() {
        let now = Instant::now();
        let recorder = Recorder::new(now, now + Duration::from_millis(20));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let list = seen.clone();
        closed_loop(3, &recorder, move |place, number| {
            list.lock().push((place, number));
            async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(())
            }
        })
        .await;
        let mut seen = seen.lock().clone();
        assert!(seen.iter().all(|(place, number)| number % 3 == *place as u64));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_fixed_rate_does_not_wait_for_answers() {
        let begun = Arc::new(AtomicU64::new(0));
        let until = Instant::now() + Duration::from_millis(100);
        let count = begun.clone();
        open_loop(1_000, until, move |_, intended| {
            assert!(intended < until);
            count.fetch_add(1, Ordering::Relaxed);
            async { tokio::time::sleep(Duration::from_millis(50)).await }
        })
        .await;
        // One after another, there would have been two.
        assert!(begun.load(Ordering::Relaxed) > 2);
    }
}
