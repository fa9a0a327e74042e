//! Linearizable reads: many callers share one proof that the leader still leads. A proof begins after its callers have
//! asked and is never used again.
//! Knows nothing of what is read afterwards.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use orc_domain::{Bug, Unavailable, planted};
use parking_lot::Mutex;
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{gate::Gate, types::Raft};

/// Proofs under way at once; who asks meanwhile is gathered for the next one.
const IN_FLIGHT_MAX: usize = 2;
const WAITING_MAX: usize = 8_192;
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A log index, or why there is none.
pub type ReadIndex = Result<u64, Unavailable>;

/// Callers gathered for one piece of work; a cheap handle.
#[derive(Clone)]
pub struct Gathering {
    queue: mpsc::Sender<oneshot::Sender<ReadIndex>>,
}

impl Gathering {
    /// The handle, and the task that does `work` once for all callers of a moment.
    pub fn new<W, F>(work: W) -> (Gathering, impl Future<Output = ()> + Send)
    where
        W: Fn() -> F + Send + 'static,
        F: Future<Output = ReadIndex> + Send + 'static,
    {
        let (queue, callers) = mpsc::channel(WAITING_MAX);
        (Gathering { queue }, gather(callers, work))
    }

    /// The result of work that begins after this call.
    pub async fn get(&self) -> ReadIndex {
        let (reply, result) = oneshot::channel();
        match self.queue.try_send(reply) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(Unavailable::Overloaded { retry_after: RETRY_AFTER });
            }
            Err(TrySendError::Closed(_)) => return Err(Unavailable::ShuttingDown),
        }
        result.await.unwrap_or(Err(Unavailable::ShuttingDown))
    }
}

async fn gather<W, F>(mut callers: mpsc::Receiver<oneshot::Sender<ReadIndex>>, work: W)
where
    W: Fn() -> F + Send + 'static,
    F: Future<Output = ReadIndex> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let last: Arc<Mutex<Option<(Instant, u64)>>> = Arc::default();
    while let Some(first) = callers.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let mut gathered = vec![first];
        while let Ok(caller) = callers.try_recv() {
            gathered.push(caller);
        }
        let (result, reused) = (work(), last.clone());
        tokio::spawn(async move {
            let old = if planted(Bug::ReadIndexReuse) { *reused.lock() } else { None };
            let result = match old.filter(|(since, _)| since.elapsed() < RETRY_AFTER) {
                Some((_, index)) => Ok(index),
                None => result.await,
            };
            if planted(Bug::ReadIndexReuse) && old.is_none_or(|(since, _)| since.elapsed() >= RETRY_AFTER) {
                *reused.lock() = result.as_ref().ok().map(|index| (Instant::now(), *index));
            }
            drop(place);
            for caller in gathered {
                let _ = caller.send(result.clone());
            }
        });
    }
}

/// Proves that this node leads; returns the index up to which a read must be applied.
pub async fn prove_leadership(raft: &Raft, gate: &Gate) -> ReadIndex {
    if gate.is_closed() {
        return Err(Unavailable::NoLeader);
    }
    match raft.get_read_log_id().await {
        Ok((read, _applied)) => Ok(read.map_or(0, |id| id.index)),
        Err(error) => {
            tracing::debug!(%error, "no proof of leadership");
            Err(Unavailable::NoLeader)
        }
    }
}
