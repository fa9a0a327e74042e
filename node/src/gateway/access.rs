//! How handlers reach the replicated state: fresh reads and proposals with the caller's idempotency key.
//! Knows nothing of bodies; what the rules refuse is explained with what the archive knows.

use std::{sync::Arc, time::Instant};

use orc_client::wire::codes;
use orc_domain::{Answer, Command, Idempotency, Outcome, Proposal, Rejection, Run, RunId, Task, TaskId};

use super::{
    Gateway,
    call::{Call, Consistency},
    problem::Refusal,
};

/// A command that the rules accepted.
#[derive(Debug)]
pub struct Accepted {
    /// What it yielded.
    pub answer: Answer,
    /// Its log index.
    pub rev: u64,
    /// An earlier call with the same key was accepted; nothing happened now.
    pub replayed: bool,
}

impl Gateway {
    /// Makes this node as new as the caller's own writes.
    pub async fn reach(&self, call: &Call) -> Result<(), Refusal> {
        if let Some(index) = call.min_index()? {
            self.cluster.wait_applied(index).await?;
        }
        Ok(())
    }

    /// Makes this node as new as the call wants, before it reads.
    pub async fn fresh(&self, call: &Call) -> Result<(), Refusal> {
        self.reach(call).await?;
        match call.consistency()? {
            Consistency::Linearizable => Ok(self.cluster.read_barrier().await?),
            Consistency::Stale => Ok(()),
        }
    }

    /// Proposes a command and explains a rejection.
    pub async fn command(&self, call: &Call, command: Command) -> Result<Accepted, Refusal> {
        let outcome = self.propose(call.idempotency()?, command).await?;
        self.accepted(call, outcome).await
    }

    /// Proposes a command.
    pub async fn propose(
        &self,
        idempotency: Option<Idempotency>,
        command: Command,
    ) -> Result<Outcome, Refusal> {
        let proposer = &self.hands()?.proposer;
        let started = Instant::now();
        let outcome = proposer.propose(Proposal { command, idempotency }).await;
        self.metrics.proposal(started.elapsed(), outcome.is_ok());
        Ok(outcome?)
    }

    /// The answer, or the rejection with what the archive knows about it. From an answer on, the call has had an effect.
    pub async fn accepted(&self, call: &Call, outcome: Outcome) -> Result<Accepted, Refusal> {
        let Outcome { rev, replayed, result } = outcome;
        match result {
            Ok(answer) => {
                call.effect.happened();
                Ok(Accepted { answer, rev, replayed })
            }
            Err(rejection) => Err(self.explain(rejection, rev).await),
        }
    }

    /// What is not live may have ended: then it exists, and it is too late.
    async fn explain(&self, rejection: Rejection, rev: u64) -> Refusal {
        match rejection {
            Rejection::RunNotLive { run } => match self.ended_run(run, rev).await {
                Ok(Some(ended)) => {
                    too_late(format!("run {run} is {}, nothing changes any more", ended.status.name()))
                }
                Ok(None) => Rejection::RunNotLive { run }.into(),
                Err(refusal) => refusal,
            },
            Rejection::TaskNotLive { task } => match self.ended_task(task, rev).await {
                Ok(Some(ended)) => {
                    too_late(format!("task {task} is {}, nothing changes any more", ended.status.name()))
                }
                Ok(None) => Rejection::TaskNotLive { task }.into(),
                Err(refusal) => refusal,
            },
            other => other.into(),
        }
    }

    async fn ended_run(&self, run: RunId, rev: u64) -> Result<Option<Arc<Run>>, Refusal> {
        self.cluster.wait_applied(rev).await?;
        Ok(self.cluster.find_run(run).await?)
    }

    /// A task as the archive has it, once what happened up to `rev` is applied here.
    pub async fn ended_task(&self, task: TaskId, rev: u64) -> Result<Option<Arc<Task>>, Refusal> {
        self.cluster.wait_applied(rev).await?;
        Ok(self.cluster.find_task(task).await?)
    }
}

fn too_late(detail: String) -> Refusal {
    Refusal::new(codes::INVALID_TRANSITION, detail).hint("GET it to see how it ended")
}

/// An answer of another kind than the command yields: we are wrong.
pub fn unexpected(answer: &Answer) -> Refusal {
    Refusal::new(codes::INTERNAL, format!("the answer {answer:?} does not belong to this command"))
}
