//! Reads for callers, of whom thousands may come at once: a few threads do them, in the order in which they came. With a thread for
//! each, those that keep the cluster together would have a small share of the processors.
//! Knows nothing of what is read.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, available_parallelism},
};

use tokio::sync::oneshot;

use crate::{GivenUp, SIMULATED, blocking};

/// For each processor: one computes while another one waits for the disk.
const THREADS_PER_CORE: usize = 2;

type Read = Box<dyn FnOnce() + Send>;

static READS: LazyLock<io::Result<Sender<Read>>> = LazyLock::new(|| {
    #[expect(
        clippy::disallowed_methods,
        reason = "each read is one of a call under way, and those are bounded"
    )]
    let (ask, asked) = channel::<Read>();
    let asked = Arc::new(Mutex::new(asked));
    for _ in 0..threads() {
        let asked = asked.clone();
        Builder::new().name("orc-reads".to_owned()).spawn(move || work(&asked))?;
    }
    Ok(ask)
});

fn threads() -> usize {
    THREADS_PER_CORE * available_parallelism().map_or(1, usize::from)
}

fn work(asked: &Mutex<Receiver<Read>>) {
    loop {
        // The lock is gone before the read begins.
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = next else { return };
        // A panic has told of itself, and whoever waits hears that there will be no answer.
        let _ = catch_unwind(AssertUnwindSafe(read));
    }
}

/// Does such a read. It may wait for the disk and for nobody else: so may everybody who reads meanwhile.
///
/// # Errors
/// When it panicked, or the program has no threads for it.
pub async fn reading<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
    if SIMULATED {
        return blocking(read).await;
    }
    let (tell, told) = oneshot::channel();
    // Not a semaphore: its places go to whoever is next, also to one that does not go on because its client reads nothing.
    let read = move || {
        if !tell.is_closed() {
            // Whoever asked may have gone meanwhile.
            drop(tell.send(read()));
        }
    };
    let asked = READS.as_ref().map_err(|_| GivenUp)?.send(Box::new(read));
    asked.map_err(|_| GivenUp)?;
    told.await.map_err(|_| GivenUp)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::{
            Condvar,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use tokio::{task::JoinSet, time::timeout};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn few_read_at_a_time_and_who_does_not_go_on_holds_up_nobody() {
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
        let mut gone: JoinSet<_> = (0..2 * threads()).map(|_| read()).collect();
        let none_was_done = timeout(MOMENT, gone.join_next()).await.is_err();
        gone.abort_all();
        let mut idle: Vec<_> = (0..2 * threads()).map(|_| Box::pin(read())).collect();
        let mut all_wait = true;
        for waits in &mut idle {
            all_wait &= timeout(Duration::ZERO, waits).await.is_err();
        }
        let mut later = pin!(reading(|| 7));
        let had_a_turn = timeout(MOMENT, &mut later).await.is_ok();
        let other_work = blocking(|| 8).await;
        // Whatever was wrong, nothing stays behind.
        *gate.0.lock().expect("nobody panics") = true;
        gate.1.notify_all();
        assert!(none_was_done && all_wait, "the gate was closed");
        assert!(!had_a_turn, "others came before");
        assert_eq!(other_work, Ok(8), "it has threads of its own");
        assert_eq!(later.await, Ok(7), "though those before it do not look for their answers");
        assert_eq!(most.load(Ordering::SeqCst), threads());
        for waits in idle {
            waits.await.expect("it was read");
        }
    }

    #[tokio::test]
    async fn a_read_that_panics_is_given_up_and_the_next_ones_are_done() {
        for _ in 0..2 * threads() {
            assert_eq!(reading(|| -> u8 { panic!("on purpose") }).await, Err(GivenUp));
        }
        assert_eq!(reading(|| 7).await, Ok(7));
    }
}
