//! Batches at work: each goes through its runs in the background, some at a time, by the ordinary commands.
//! Knows nothing of filters. A batch lives on the node that took it and ends with it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use orc_client::wire::{BatchAction, BatchStatus, BatchView, RunFilter, codes};
use orc_domain::{Command, CreateRun, Idempotency, IdempotencyKey, RunId, Text, Timestamp};
use orc_raft::error::ReadError;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Gateway, problem::Refusal, render::time};

/// Batches at work on one node.
const RUNNING_MAX: usize = 8;
/// Batches remembered.
const KEPT_MAX: usize = 100;
/// Commands proposed together.
const STEP: usize = 64;
/// Runs deleted by one command.
const DELETE_STEP: usize = 256;
/// Attempts where nobody could say, and the pause between them.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The batches of this node, the newest last.
#[derive(Default)]
pub struct Batches(Mutex<VecDeque<Arc<Batch>>>);

/// What is asked for.
pub struct Wanted {
    /// What is done.
    pub action: BatchAction,
    /// To which runs, for people.
    pub filter: RunFilter,
    /// Why.
    pub reason: Option<Text>,
    /// The caller's key.
    pub idempotency: Option<Idempotency>,
    /// More runs match than the batch takes.
    pub more: bool,
}

/// One batch.
pub struct Batch {
    id: String,
    wanted: Wanted,
    /// More runs match than the batch takes.
    pub more: bool,
    matched: u64,
    created_at: Timestamp,
    stopped: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    changed: u64,
    refused: u64,
    failed: u64,
    last_error: Option<String>,
    end: Option<(BatchStatus, Timestamp)>,
}

impl Batches {
    /// Every batch, the newest first.
    pub fn all(&self) -> Vec<Arc<Batch>> {
        self.0.lock().iter().rev().cloned().collect()
    }

    /// A batch.
    pub fn get(&self, id: &str) -> Option<Arc<Batch>> {
        self.0.lock().iter().find(|batch| batch.id == id).cloned()
    }

    /// The batch that a call with this key started before.
    pub fn started_by(&self, idempotency: &Idempotency) -> Option<Result<Arc<Batch>, Refusal>> {
        let batches = self.0.lock();
        let same = |batch: &&Arc<Batch>| batch.wanted.idempotency.is_some_and(|of| of.key == idempotency.key);
        let known = batches.iter().find(same)?;
        if known.wanted.idempotency.as_ref() == Some(idempotency) {
            return Some(Ok(known.clone()));
        }
        Some(Err(orc_domain::Rejection::IdempotencyKeyReused.into()))
    }

    fn add(&self, batch: Arc<Batch>) -> Result<(), Refusal> {
        let mut batches = self.0.lock();
        if batches.iter().filter(|batch| !batch.has_ended()).count() >= RUNNING_MAX {
            let detail = format!("this node carries out {RUNNING_MAX} batches, which is its limit");
            return Err(Refusal::new(codes::LIMIT_EXCEEDED, detail)
                .hint("wait until one has ended, or ask another node")
                .retry_after(Duration::from_secs(5)));
        }
        if batches.len() >= KEPT_MAX
            && let Some(oldest) = batches.iter().position(|batch| batch.has_ended())
        {
            batches.remove(oldest);
        }
        batches.push_back(batch);
        Ok(())
    }
}

impl Batch {
    /// The batch as everybody sees it.
    pub fn view(&self) -> BatchView {
        let progress = self.progress.lock();
        BatchView {
            id: self.id.clone(),
            action: self.wanted.action.clone(),
            status: progress.end.as_ref().map_or(BatchStatus::Running, |(status, _)| status.clone()),
            filter: self.wanted.filter.clone(),
            reason: self.wanted.reason.as_ref().map(ToString::to_string),
            matched: self.matched,
            changed: progress.changed,
            refused: progress.refused,
            failed: progress.failed,
            last_error: progress.last_error.clone(),
            created_at: time(self.created_at),
            ended_at: progress.end.as_ref().map(|(_, at)| time(*at)),
        }
    }

    /// Lets it do nothing more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.progress.lock().end.is_some()
    }

    fn count(&self, asked: u64, outcome: Result<(), Trouble>) {
        let mut progress = self.progress.lock();
        match outcome {
            Ok(()) => progress.changed += asked,
            Err(Trouble::Refused(why)) => {
                progress.refused += asked;
                progress.last_error = Some(why);
            }
            Err(Trouble::Unavailable(why)) => {
                progress.failed += asked;
                progress.last_error = Some(why);
            }
        }
    }

    /// What is asked of a run; none where it takes more than one command.
    fn command(&self, run: RunId) -> Option<Command> {
        let reason = |what: &str| {
            let own = || Text::from(format!("{what} by batch {}", self.id));
            self.wanted.reason.clone().unwrap_or_else(own)
        };
        Some(match &self.wanted.action {
            BatchAction::Cancel => Command::CancelRun { run, reason: reason("cancelled") },
            BatchAction::Terminate => Command::TerminateRun { run, reason: reason("terminated") },
            BatchAction::Pause => Command::PauseRun { run },
            BatchAction::Resume => Command::ResumeRun { run },
            BatchAction::Retry | BatchAction::Delete | BatchAction::Unknown(_) => return None,
        })
    }
}

enum Trouble {
    /// The rules say no.
    Refused(String),
    /// Nobody could say, again and again.
    Unavailable(String),
}

impl Gateway {
    /// Begins a batch.
    pub fn begin(self: Arc<Self>, wanted: Wanted, runs: Vec<RunId>) -> Result<Arc<Batch>, Refusal> {
        let batch = Arc::new(Batch {
            id: format!("bat_{}-{}", Uuid::now_v7().simple(), self.cluster.node().0),
            more: wanted.more,
            wanted,
            matched: u64::try_from(runs.len()).unwrap_or(u64::MAX),
            created_at: self.cluster.now(),
            stopped: AtomicBool::new(false),
            progress: Mutex::default(),
        });
        self.batches.add(batch.clone())?;
        tokio::spawn({
            let batch = batch.clone();
            async move { self.carry_out(&batch, &runs).await }
        });
        Ok(batch)
    }

    async fn carry_out(&self, batch: &Batch, runs: &[RunId]) {
        let deletes = batch.wanted.action == BatchAction::Delete;
        for chunk in runs.chunks(if deletes { DELETE_STEP } else { STEP }) {
            if batch.stopped.load(Ordering::Relaxed) {
                break;
            }
            // One that lives again would have all of them refused.
            if deletes && self.delete(chunk).await.is_ok() {
                batch.count(u64::try_from(chunk.len()).unwrap_or(u64::MAX), Ok(()));
                continue;
            }
            let asked = chunk.iter().map(|run| self.steer_one(batch, *run));
            join_all(asked).await.into_iter().for_each(|outcome| batch.count(1, outcome));
        }
        let mut progress = batch.progress.lock();
        let done = progress.changed + progress.refused + progress.failed;
        let status = if done < batch.matched { BatchStatus::Cancelled } else { BatchStatus::Completed };
        progress.end = Some((status, self.cluster.now()));
    }

    async fn steer_one(&self, batch: &Batch, run: RunId) -> Result<(), Trouble> {
        match (batch.command(run), &batch.wanted.action) {
            (Some(command), _) => self.ask(None, command).await,
            (None, BatchAction::Retry) => self.retry_one(run).await,
            (None, _) => self.delete(&[run]).await,
        }
    }

    /// Deletes runs with their parts.
    async fn delete(&self, runs: &[RunId]) -> Result<(), Trouble> {
        let unavailable = |error: ReadError| Trouble::Unavailable(error.to_string());
        for delete in self.cluster.deletion(runs).await.map_err(unavailable)? {
            self.ask(None, Command::DeleteEnded(delete)).await?;
        }
        Ok(())
    }

    async fn retry_one(&self, run: RunId) -> Result<(), Trouble> {
        let refused = |refusal: Refusal| Trouble::Refused(refusal.detail().to_owned());
        self.has_room().map_err(refused)?;
        let (create, definition) = self.to_retry(run, true).await.map_err(refused)?;
        // Asked again where nobody could say, it is the same run.
        let same = Idempotency { key: IdempotencyKey(create.id.0.into_bytes()), request: 0 };
        let create = CreateRun { body: Some(definition), ..create };
        self.ask(Some(same), Command::CreateRun(Box::new(create))).await
    }

    async fn ask(&self, idempotency: Option<Idempotency>, command: Command) -> Result<(), Trouble> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.propose(idempotency, command.clone()).await {
                Ok(outcome) => {
                    return outcome.result.map(|_| ()).map_err(|why| Trouble::Refused(why.to_string()));
                }
                Err(refusal) if attempt >= ATTEMPTS || refusal.code() == codes::SHUTTING_DOWN => {
                    return Err(Trouble::Unavailable(refusal.detail().to_owned()));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}
