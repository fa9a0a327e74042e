//! The only door into consensus: it bounds what is in flight and packs what waits into one call.
//! Knows nothing of HTTP, components or who leads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use actix::prelude::*;
use orc_domain::{Outcome, Proposal, Unavailable};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::{
    Options,
    seam::ReplicatedState,
    supervision::{Ping, Stop},
};

/// Proposals that go into one call of `submit`.
const BATCH_MAX: usize = 256;
/// When to try again after `Overloaded`.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// The longest pause between tries of a proposal that must be decided.
const PAUSE_MAX: Duration = Duration::from_secs(2);

type Answer = Result<Outcome, Unavailable>;

/// A proposal that waits for its turn, with whom to tell.
struct Waiting {
    proposal: Proposal,
    answer: oneshot::Sender<Answer>,
}

/// Proposes commands; cheap to clone.
#[derive(Clone)]
pub struct ProposerHandle {
    shared: Arc<Shared>,
}

struct Shared {
    queue: mpsc::Sender<Waiting>,
    closing: AtomicBool,
    unanswered: AtomicUsize,
    deadline: Duration,
}

/// Counts a caller while it waits.
struct Unanswered<'a>(&'a AtomicUsize);

impl<'a> Unanswered<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Unanswered(count)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ProposerHandle {
    /// Proposes one command and waits for what became of it. Commands of one caller that awaits each, and those that
    /// wait here together, reach the log in the order of the calls.
    pub async fn propose(&self, proposal: impl Into<Proposal>) -> Result<Outcome, Unavailable> {
        if self.shared.closing.load(Ordering::Acquire) {
            return Err(Unavailable::ShuttingDown);
        }
        let _counted = Unanswered::new(&self.shared.unanswered);
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { proposal: proposal.into(), answer };
        self.shared.queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Overloaded { retry_after: RETRY_AFTER },
            mpsc::error::TrySendError::Closed(_) => Unavailable::ShuttingDown,
        })?;
        match tokio::time::timeout(self.shared.deadline, answered).await {
            Ok(Ok(answer)) => answer,
            // The task that submitted it is gone, or nobody answered in time.
            Ok(Err(_)) | Err(_) => Err(Unavailable::Unknown),
        }
    }

    /// Proposes again until somebody decides; none if `goes_on` says no before, or the node shuts down.
    /// Only for commands that the rules refuse or ignore the second time.
    pub async fn decide(&self, proposal: impl Into<Proposal>, goes_on: impl Fn() -> bool) -> Option<Outcome> {
        let proposal = proposal.into();
        let mut pause = Duration::from_millis(20);
        while goes_on() {
            match self.propose(proposal.clone()).await {
                Ok(outcome) => return Some(outcome),
                Err(Unavailable::ShuttingDown) => return None,
                Err(Unavailable::Overloaded { retry_after }) => tokio::time::sleep(retry_after).await,
                Err(Unavailable::NoLeader | Unavailable::Unknown) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        None
    }

    /// Callers that have not been answered.
    pub fn unanswered(&self) -> usize {
        self.shared.unanswered.load(Ordering::Acquire)
    }

    /// Refuses new proposals and waits until those under way are answered.
    pub(crate) async fn close(&self, within: Duration) {
        self.shared.closing.store(true, Ordering::Release);
        let answered = async {
            while self.unanswered() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(within, answered).await.is_err() {
            tracing::warn!(unanswered = self.unanswered(), "proposals were given up at shutdown");
        }
    }
}

/// What a recreated [`Proposer`] takes over: the queue itself is never lost.
#[derive(Clone)]
pub(crate) struct ProposerParts {
    queue: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    places: Arc<Semaphore>,
    state: Arc<dyn ReplicatedState>,
    options: Options,
}

pub(crate) fn proposer(
    state: Arc<dyn ReplicatedState>,
    options: &Options,
) -> (ProposerHandle, ProposerParts) {
    let (sender, queue) = mpsc::channel(options.proposals_waiting_max);
    let shared = Shared {
        queue: sender,
        closing: AtomicBool::new(false),
        unanswered: AtomicUsize::new(0),
        deadline: options.proposal_deadline,
    };
    let parts = ProposerParts {
        queue: Arc::new(Mutex::new(queue)),
        places: Arc::new(Semaphore::new(options.submits_in_flight_max)),
        state,
        options: options.clone(),
    };
    (ProposerHandle { shared: Arc::new(shared) }, parts)
}

/// Supervises the task that submits: a mailbox would cost each request a hop.
pub struct Proposer {
    parts: ProposerParts,
}

impl Proposer {
    pub(crate) fn new(parts: ProposerParts) -> Self {
        Proposer { parts }
    }

    fn keep_submitting(&mut self, ctx: &mut Context<Self>) {
        let task = AbortOnDrop(self.parts.options.runtime.spawn(submit_what_waits(self.parts.clone())));
        let ended = async move {
            let mut task = task;
            (&mut task.0).await
        };
        ctx.spawn(ended.into_actor(self).map(|ended, proposer, ctx| {
            tracing::error!(panicked = ended.is_err(), "the submitting task ended: starting it again");
            proposer.keep_submitting(ctx);
        }));
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn submit_what_waits(parts: ProposerParts) {
    let mut queue = parts.queue.lock().await;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut busy = false;
    loop {
        let place = parts.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        if queue.recv_many(&mut batch, BATCH_MAX).await == 0 {
            return;
        }
        if busy {
            // Those who are about to propose come along.
            tokio::task::yield_now().await;
        }
        while batch.len() < BATCH_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        busy = batch.len() > 1;
        // Whoever stopped waiting hears nothing, so nothing has to be done.
        let waiting = batch.drain(..).filter(|waiting| !waiting.answer.is_closed());
        let (proposals, callers): (Vec<_>, Vec<_>) =
            waiting.map(|waiting| (waiting.proposal, waiting.answer)).unzip();
        if proposals.is_empty() {
            continue;
        }
        let mut call = parts.state.submit(proposals);
        // Polled here once, so that calls begin in the order in which they were made.
        match futures::poll!(&mut call) {
            Poll::Ready(answers) => tell(callers, answers),
            Poll::Pending => {
                let deadline = parts.options.proposal_deadline;
                parts.options.runtime.spawn(async move {
                    if let Ok(answers) = tokio::time::timeout(deadline, call).await {
                        tell(callers, answers);
                    }
                    drop(place);
                });
            }
        }
    }
}

fn tell(callers: Vec<oneshot::Sender<Answer>>, answers: Vec<Answer>) {
    debug_assert_eq!(callers.len(), answers.len(), "one answer per proposal");
    for (caller, answer) in callers.into_iter().zip(answers) {
        // A caller that stopped waiting has nobody to tell.
        let _ = caller.send(answer);
    }
}

impl Actor for Proposer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keep_submitting(ctx);
    }
}

impl Handler<Ping> for Proposer {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for Proposer {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
