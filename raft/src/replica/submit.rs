//! Proposals on their way to the leader: through the own batcher, or forwarded to another node.
//! What certainly was not executed is tried again for a moment. Knows nothing of what is proposed.

use std::sync::Arc;

use bytes::Bytes;
use orc_domain::{Outcome, Proposal, Unavailable};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::core::{Core, Way};
use crate::{
    batcher::{JobResult, split},
    codec::encode_proposal,
    transport::{
        Answer, BoxFuture, CallError,
        message::{Request, Response, join_proposals, split_proposals},
    },
};

/// A job on its way.
enum Sent {
    Here(oneshot::Receiver<JobResult>),
    There(Answer),
    Failed(Unavailable),
}

/// Proposes in order; the work up to the queue is done before this returns.
pub(super) fn submit(
    core: Arc<Core>,
    proposals: Vec<Proposal>,
) -> BoxFuture<Vec<Result<Outcome, Unavailable>>> {
    if proposals.is_empty() {
        return Box::pin(async { Vec::new() });
    }
    let until = Instant::now() + core.batch.deadline;
    let encoded: Vec<Bytes> = proposals.iter().map(encode_proposal).collect();
    let count = encoded.len();
    let jobs = split(encoded, &core.batch).into_iter();
    let sent: Vec<(Vec<Bytes>, Sent)> = jobs.map(|job| (job.clone(), send(&core, job))).collect();
    Box::pin(async move {
        let mut outcomes = Vec::with_capacity(count);
        for (job, sent) in sent {
            let size = job.len();
            match conclude(&core, job, sent, until).await {
                Ok(done) => outcomes.extend(done.into_iter().map(Ok)),
                Err(why) => outcomes.extend(std::iter::repeat_n(Err(why), size)),
            }
        }
        outcomes
    })
}

fn send(core: &Core, job: Vec<Bytes>) -> Sent {
    if core.is_stopping() {
        return Sent::Failed(Unavailable::ShuttingDown);
    }
    match core.way() {
        Way::Here => Sent::Here(core.batcher.submit(job)),
        Way::Nowhere => Sent::Failed(Unavailable::NoLeader),
        Way::To(leader) => match core.peers.send(leader, &Request::Propose(join_proposals(&job))) {
            Ok(answer) => Sent::There(answer),
            Err(error) => Sent::Failed(unavailable(core, &error)),
        },
    }
}

async fn conclude(core: &Core, job: Vec<Bytes>, mut sent: Sent, until: Instant) -> JobResult {
    let give_up = core.give_up().min(until);
    loop {
        match answer(core, sent, until).await {
            Err(Unavailable::NoLeader) if Instant::now() < give_up => {
                core.pause().await;
                sent = send(core, job.clone());
            }
            Ok(outcomes) if outcomes.len() != job.len() => return Err(Unavailable::Unknown),
            result => return result,
        }
    }
}

async fn answer(core: &Core, sent: Sent, until: Instant) -> JobResult {
    match sent {
        Sent::Failed(why) => Err(why),
        Sent::Here(result) => match timeout_at(until, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Unavailable::Unknown),
        },
        Sent::There(answer) => match answer.within(until.saturating_duration_since(Instant::now())).await {
            Ok(Response::Propose(result)) => result,
            Ok(_) => Err(Unavailable::Unknown),
            Err(error) => Err(unavailable(core, &error)),
        },
    }
}

fn unavailable(core: &Core, error: &CallError) -> Unavailable {
    match error {
        CallError::Busy { .. } => Unavailable::Overloaded { retry_after: core.timings.heartbeat },
        error if error.is_certainly_not_sent() => Unavailable::NoLeader,
        _ => Unavailable::Unknown,
    }
}

/// A forwarded job at the leader: queued before this returns, so jobs of one node stay in order.
pub(super) fn serve(core: &Core, joined: Bytes) -> BoxFuture<JobResult> {
    let Some(job) = split_proposals(joined) else { return Box::pin(async { Err(Unavailable::Unknown) }) };
    // A stopping leader says that it is none, so that the others look for the next one.
    if core.is_stopping() || core.way() != Way::Here {
        return Box::pin(async { Err(Unavailable::NoLeader) });
    }
    let result = core.batcher.submit(job);
    Box::pin(async move { result.await.unwrap_or(Err(Unavailable::Unknown)) })
}
