//! Group commit: what waits while the last records are being synced is packed into the next one.
//! Bounded and in order; every job gets exactly one answer. Knows nothing of where jobs come from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use openraft::raft::ClientWriteResult;
use orc_domain::{Outcome, Unavailable};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::{Instant, timeout},
};

use crate::{
    clock::Clock,
    replica::Leadership,
    types::{Batch, Raft, TypeConfig},
};

const RETRY_AFTER: Duration = Duration::from_millis(250);

/// How much is packed, proposed at once and waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLimits {
    /// Proposals in one record.
    pub proposals_max: usize,
    /// Bytes of proposals in one record; a single longer proposal has a record of its own.
    pub bytes_max: usize,
    /// Records proposed and not yet answered.
    pub in_flight_max: usize,
    /// Proposals that wait for a record; more are refused.
    pub waiting_max: usize,
    /// Their bytes; more are refused.
    pub waiting_bytes_max: usize,
    /// After so long a caller hears that the outcome is unknown.
    pub deadline: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits {
            proposals_max: 256,
            bytes_max: 256 << 10,
            in_flight_max: 1,
            waiting_max: 8_192,
            waiting_bytes_max: 64 << 20,
            deadline: Duration::from_secs(10),
        }
    }
}

/// What became of a job: the outcome of each proposal, or one reason for all of them.
pub type JobResult = Result<Vec<Outcome>, Unavailable>;

/// What is in the batcher's hands.
#[derive(Default)]
struct Load {
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    records: AtomicUsize,
}

impl Load {
    fn wait(&self, count: usize, bytes: usize) -> (usize, usize) {
        let waiting = self.waiting.fetch_add(count, Ordering::Relaxed) + count;
        (waiting, self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }

    fn leave(&self, job: &Job) {
        self.waiting.fetch_sub(job.proposals.len(), Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(job.bytes, Ordering::Relaxed);
    }

    fn give(&self, job: Job, why: Unavailable) {
        self.leave(&job);
        let _ = job.reply.send(Err(why));
    }
}

/// Encoded proposals that belong into one record.
struct Job {
    proposals: Vec<Bytes>,
    bytes: usize,
    until: Instant,
    reply: oneshot::Sender<JobResult>,
}

/// The way into the log of the leader; a cheap handle.
#[derive(Clone)]
pub struct Batcher {
    queue: mpsc::Sender<Job>,
    load: Arc<Load>,
    limits: Arc<BatchLimits>,
}

impl Batcher {
    /// The handle and the task behind it.
    pub fn new(
        raft: Raft,
        leadership: watch::Receiver<Leadership>,
        limits: BatchLimits,
        clock: Arc<Clock>,
    ) -> (Batcher, impl Future<Output = ()> + Send) {
        let (queue, jobs) = mpsc::channel(limits.waiting_max.max(1));
        let limits = Arc::new(limits);
        let load = Arc::new(Load::default());
        let batcher = Batcher { queue, load: load.clone(), limits: limits.clone() };
        let slots = Arc::new(Semaphore::new(limits.in_flight_max));
        let packer =
            Packer { raft, leadership, limits, load, jobs, held: None, slots, term: 0, clock, busy: false };
        (batcher, packer.run())
    }

    /// Takes proposals that fit into one record, in the order of the calls, without waiting.
    pub fn submit(&self, proposals: Vec<Bytes>) -> oneshot::Receiver<JobResult> {
        let (reply, answer) = oneshot::channel();
        let bytes = proposals.iter().map(Bytes::len).sum();
        let job = Job { proposals, bytes, until: Instant::now() + self.limits.deadline, reply };
        let (waiting, waiting_bytes) = self.load.wait(job.proposals.len(), bytes);
        if waiting > self.limits.waiting_max || waiting_bytes > self.limits.waiting_bytes_max {
            self.load.give(job, Unavailable::Overloaded { retry_after: RETRY_AFTER });
        } else if let Err(refused) = self.queue.try_send(job) {
            self.load.give(refused.into_inner(), Unavailable::Overloaded { retry_after: RETRY_AFTER });
        }
        answer
    }

    /// Whether nothing waits and nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.load.waiting.load(Ordering::Relaxed) == 0 && self.load.records.load(Ordering::Relaxed) == 0
    }
}

/// Splits proposals into jobs that fit into one record each.
pub fn split(proposals: Vec<Bytes>, limits: &BatchLimits) -> Vec<Vec<Bytes>> {
    let mut jobs = vec![Vec::new()];
    let mut bytes = 0;
    for proposal in proposals {
        let last = jobs.last_mut().expect("there is always a last job");
        bytes += proposal.len();
        if !last.is_empty() && (last.len() == limits.proposals_max || bytes > limits.bytes_max) {
            bytes = proposal.len();
            jobs.push(vec![proposal]);
        } else {
            last.push(proposal);
        }
    }
    jobs
}

struct Packer {
    raft: Raft,
    leadership: watch::Receiver<Leadership>,
    limits: Arc<BatchLimits>,
    load: Arc<Load>,
    jobs: mpsc::Receiver<Job>,
    /// The job that did not fit into the last record.
    held: Option<Job>,
    /// Records in flight in `term`; those of an earlier term may never be answered and do not count.
    slots: Arc<Semaphore>,
    term: u64,
    clock: Arc<Clock>,
    /// The last record carried more than one proposal.
    busy: bool,
}

impl Packer {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            match self.slot().await {
                Some(slot) => {
                    if self.busy {
                        // Those who are about to propose come along: a record costs more than what is in it.
                        tokio::task::yield_now().await;
                    }
                    let jobs = self.gather(first);
                    self.propose(jobs, slot).await;
                }
                None => self.load.give(first, Unavailable::NoLeader),
            }
        }
    }

    async fn next(&mut self) -> Option<Job> {
        match self.held.take() {
            Some(job) => Some(job),
            None => self.jobs.recv().await,
        }
    }

    /// Room for one more record; none if this node does not lead.
    async fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            let Leadership { is_leader, term, .. } = *self.leadership.borrow_and_update();
            if !is_leader {
                return None;
            }
            if term != self.term {
                self.term = term;
                self.slots = Arc::new(Semaphore::new(self.limits.in_flight_max));
            }
            tokio::select! {
                slot = self.slots.clone().acquire_owned() => return slot.ok(),
                changed = self.leadership.changed() => changed.ok()?,
            }
        }
    }

    /// The jobs of the next record: the first and what waits behind it.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut count, mut bytes) = (first.proposals.len(), first.bytes);
        let mut jobs = vec![first];
        while let Ok(job) = self.jobs.try_recv() {
            count += job.proposals.len();
            bytes += job.bytes;
            if count > self.limits.proposals_max || bytes > self.limits.bytes_max {
                self.held = Some(job);
                break;
            }
            jobs.push(job);
        }
        jobs
    }

    async fn propose(&mut self, jobs: Vec<Job>, slot: OwnedSemaphorePermit) {
        let now = Instant::now();
        let mut proposals = Vec::with_capacity(self.limits.proposals_max);
        let mut callers = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            if job.until <= now {
                self.load.give(job, Unavailable::Overloaded { retry_after: RETRY_AFTER });
                continue;
            }
            self.load.leave(&job);
            callers.push(Caller { count: job.proposals.len(), reply: job.reply });
            proposals.append(&mut job.proposals);
        }
        if proposals.is_empty() {
            return;
        }
        self.busy = proposals.len() > 1;
        match Batch::pack(self.clock.now(), &proposals) {
            Ok(batch) => {
                let verdict = propose(&self.raft, batch).await;
                let record = InFlight::new(slot, self.load.clone());
                tokio::spawn(answer(callers, verdict, self.limits.deadline, record));
            }
            Err(error) => {
                tracing::error!(%error, "proposals beyond the limits reached the log's door");
                answer_all(callers, Err(Unavailable::Overloaded { retry_after: RETRY_AFTER }));
            }
        }
    }
}

/// A record that is not answered yet.
struct InFlight {
    _slot: OwnedSemaphorePermit,
    load: Arc<Load>,
}

impl InFlight {
    fn new(slot: OwnedSemaphorePermit, load: Arc<Load>) -> InFlight {
        load.records.fetch_add(1, Ordering::Relaxed);
        InFlight { _slot: slot, load }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.load.records.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who waits for outcomes of a record.
struct Caller {
    count: usize,
    reply: oneshot::Sender<JobResult>,
}

type Applied = oneshot::Receiver<ClientWriteResult<TypeConfig>>;

/// Whether the record was appended; openraft's core tells right after it has seen the record.
enum Verdict {
    Refused,
    Appended(Applied),
}

/// Hands the record to openraft. A refusal means "never executed" only if it comes before the append: a record that a new
/// leader cut off here may still live elsewhere and win.
async fn propose(raft: &Raft, batch: Batch) -> oneshot::Receiver<Verdict> {
    let (tell, verdict) = oneshot::channel();
    let Ok(mut applied) = raft.client_write_ff(batch).await else {
        let _ = tell.send(Verdict::Refused);
        return verdict;
    };
    raft.external_request(move |_| {
        let refused = matches!(applied.try_recv(), Ok(Err(_)));
        let _ = tell.send(if refused { Verdict::Refused } else { Verdict::Appended(applied) });
    });
    verdict
}

async fn answer(
    callers: Vec<Caller>,
    verdict: oneshot::Receiver<Verdict>,
    deadline: Duration,
    record: InFlight,
) {
    let result = timeout(deadline, async {
        match verdict.await {
            Ok(Verdict::Refused) => Err(Unavailable::NoLeader),
            Ok(Verdict::Appended(applied)) => match applied.await {
                Ok(Ok(response)) => Ok(response.data.0),
                Ok(Err(_)) | Err(_) => Err(Unavailable::Unknown),
            },
            Err(_) => Err(Unavailable::Unknown),
        }
    });
    let result = result.await.unwrap_or(Err(Unavailable::Unknown));
    drop(record);
    answer_all(callers, result);
}

fn answer_all(callers: Vec<Caller>, result: JobResult) {
    let count: usize = callers.iter().map(|caller| caller.count).sum();
    match result {
        Ok(outcomes) => {
            assert_eq!(outcomes.len(), count, "the store gives one outcome for each proposal");
            let mut outcomes = outcomes.into_iter();
            for Caller { count, reply } in callers {
                let _ = reply.send(Ok(outcomes.by_ref().take(count).collect()));
            }
        }
        Err(why) => {
            for Caller { reply, .. } in callers {
                let _ = reply.send(Err(why.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_split_by_number_and_size() {
        let limits = BatchLimits { proposals_max: 3, bytes_max: 10, ..BatchLimits::default() };
        let check = |sizes: &[usize], expected: &[&[usize]]| {
            let proposals = sizes.iter().map(|size| Bytes::from(vec![0; *size])).collect();
            let jobs = split(proposals, &limits);
            let found: Vec<Vec<usize>> =
                jobs.iter().map(|job| job.iter().map(Bytes::len).collect()).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[&[]]);
        check(&[1, 1, 1, 1], &[&[1, 1, 1], &[1]]);
        check(&[6, 4, 1], &[&[6, 4], &[1]]);
        check(&[20, 1], &[&[20], &[1]]);
        check(&[1, 20], &[&[1], &[20]]);
    }
}
