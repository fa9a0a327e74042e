//! Reads for callers, of whom thousands may come at once: few at a time, whoever came first. Each on a thread of its own would
//! leave the threads that keep the cluster together a small share of the processor.
//! Knows nothing of what is read.

use std::{sync::LazyLock, thread::available_parallelism};

use tokio::sync::Semaphore;

use crate::{GivenUp, SIMULATED, blocking};

/// For each processor: one computes while another one waits for the disk.
const READS_PER_CORE: usize = 2;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(reads_max()));

fn reads_max() -> usize {
    READS_PER_CORE * available_parallelism().map_or(1, usize::from)
}

/// Does such a read, which may block.
///
/// # Errors
/// When it panicked, or the program ends.
pub async fn reading<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
    if SIMULATED {
        return blocking(read).await;
    }
    let place = PLACES.acquire().await.map_err(|_| GivenUp)?;
    // Whoever stops waiting does not stop the read.
    let read = move || {
        let _place = place;
        read()
    };
    blocking(read).await
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Condvar, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    #[tokio::test]
    async fn few_read_at_a_time_all_come_to_it_and_nobody_else_waits() {
        let (reads, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let read = || {
            let (reads, most, gate) = (reads.clone(), most.clone(), gate.clone());
            reading(move || {
                most.fetch_max(reads.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let open = gate.0.lock().expect("nobody panics");
                drop(gate.1.wait_while(open, |open| !*open).expect("nobody panics"));
                reads.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let all: Vec<_> = (0..20 * reads_max()).map(|_| tokio::spawn(read())).collect();
        while reads.load(Ordering::SeqCst) < reads_max() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Whoever stopped waiting reads on.
        all[0].abort();
        assert_eq!(blocking(|| 7).await, Ok(7), "other work has threads");
        *gate.0.lock().expect("nobody panics") = true;
        gate.1.notify_all();
        for one in all.into_iter().skip(1) {
            one.await.expect("it is not given up").expect("it read");
        }
        assert_eq!(most.load(Ordering::SeqCst), reads_max());
    }
}
