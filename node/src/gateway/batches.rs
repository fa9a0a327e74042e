//! `/batches`: one action on every run that a filter finds.
//! Knows nothing of how a batch goes on in the background.

use std::{collections::BTreeSet, sync::Arc};

use orc_client::wire::{BatchAction, BatchStarted, BatchView, Page, Reason, StartBatch, codes};
use orc_domain::{Listed, Run, RunId};
use orc_raft::store::{Order, Query};
use warp::http::{StatusCode, header};

use super::{
    Gateway,
    batches_work::{Batch, Wanted},
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
    runs::text_within_bounds,
    search::Parameters,
};
use crate::definition::suggest::did_you_mean;

/// Runs that one batch takes.
const MATCHED_MAX: usize = 100_000;
const PAGE: usize = 500;

/// `POST /batches`
pub async fn start(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: StartBatch = call.json()?;
    let query = query(&gateway, &body)?;
    let reason = text_within_bounds(body.reason.as_deref())?;
    let idempotency = call.idempotency()?;
    if let Some(known) = idempotency.and_then(|idempotency| gateway.batches.started_by(&idempotency)) {
        let known = known?;
        return accepted(&known, known.more).map(|reply| reply.replayed(true));
    }
    gateway.fresh(&call).await?;
    let (runs, more) = gateway.matching(query).await?;
    let matched = u64::try_from(runs.len()).unwrap_or(u64::MAX);
    if body.dry_run {
        return Ok(Reply::json(&BatchStarted { id: None, matched, more }));
    }
    let wanted = Wanted { action: body.action, filter: body.filter, reason, idempotency, more };
    let batch = gateway.clone().begin(wanted, runs)?;
    accepted(&batch, more)
}

fn accepted(batch: &Batch, more: bool) -> Answered {
    let view = batch.view();
    let started = BatchStarted { id: Some(view.id.clone()), matched: view.matched, more };
    let location = orc_client::wire::paths::fill(orc_client::wire::paths::BATCH, &view.id);
    Ok(Reply::json(&started).status(StatusCode::ACCEPTED).header(header::LOCATION, &location))
}

/// `GET /batches`: those of this node, the newest first.
pub async fn list(gateway: Arc<Gateway>, _: Call) -> Answered {
    let items: Vec<BatchView> = gateway.batches.all().iter().map(|batch| batch.view()).collect();
    let total = Some(u64::try_from(items.len()).unwrap_or(u64::MAX));
    Ok(Reply::json(&Page { items, next_cursor: None, total, total_is_exact: Some(true) }))
}

/// `GET /batches/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    Ok(Reply::json(&gateway.batch_of(&call.param("id")?)?.view()))
}

/// `POST /batches/{id}/cancel`: what was done stays done.
pub async fn cancel(gateway: Arc<Gateway>, call: Call) -> Answered {
    let _: Reason = call.json_or_default()?;
    let batch = gateway.batch_of(&call.param("id")?)?;
    batch.stop();
    Ok(Reply::json(&batch.view()))
}

/// Statuses from which an action may lead on.
fn statuses_of(action: &BatchAction) -> Result<BTreeSet<u8>, Refusal> {
    let all = || (0..=u8::MAX).take(Run::STATUSES.len());
    let named = |words: &'static [&'static str]| {
        all().filter(|status| words.contains(&Run::STATUSES[usize::from(*status)])).collect()
    };
    Ok(match action {
        BatchAction::Cancel | BatchAction::Terminate => {
            all().filter(|status| !Run::is_ended(*status)).collect()
        }
        BatchAction::Pause => named(&["running", "waiting"]),
        BatchAction::Resume => named(&["paused"]),
        BatchAction::Retry => named(&["failed", "cancelled", "timed_out"]),
        BatchAction::Delete => all().filter(|status| Run::is_ended(*status)).collect(),
        BatchAction::Unknown(other) => {
            let known = ["cancel", "terminate", "pause", "resume", "retry", "delete"];
            let meant = did_you_mean(other, known);
            return Err(Refusal::invalid("/action", format!("there is no action `{other}`{meant}"))
                .hint(format!("there are {}", known.join(", "))));
        }
    })
}

fn query(gateway: &Gateway, body: &StartBatch) -> Result<Query<RunId, Run>, Refusal> {
    let possible = statuses_of(&body.action)?;
    let parameters = Parameters::from(&body.filter);
    if parameters.is_everything() {
        return Err(Refusal::invalid("/filter", "an empty filter would mean every run")
            .hint("name at least one of status, workflow, label, since, until, q"));
    }
    let mut query = parameters.query::<Run>(gateway.cluster.now())?;
    query.statuses = match query.statuses.is_empty() {
        true => possible,
        false => query.statuses.intersection(&possible).copied().collect(),
    };
    Ok(query)
}

impl Gateway {
    /// The runs that a query finds, the oldest first, and whether there are more than a batch takes.
    async fn matching(&self, query: Query<RunId, Run>) -> Result<(Vec<RunId>, bool), Refusal> {
        let mut runs = Vec::new();
        if query.statuses.is_empty() {
            return Ok((runs, false));
        }
        let mut page = Query { order: Order::Oldest, limit: PAGE, is_plain: false, ..query };
        loop {
            let (found, _) = self.cluster.list_runs(page.clone()).await?;
            runs.extend(found.rows.iter().map(|run| run.id));
            match found.next {
                None => return Ok((runs, false)),
                Some(_) if runs.len() >= MATCHED_MAX => return Ok((runs, true)),
                next => page.after = next,
            }
        }
    }

    fn batch_of(&self, id: &str) -> Result<Arc<Batch>, Refusal> {
        self.batches.get(id).ok_or_else(|| {
            let refusal = Refusal::new(codes::NOT_FOUND, format!("this node knows no batch {id}"));
            let own = self.cluster.node().0.to_string();
            match id.rsplit_once('-') {
                Some((_, node)) if node != own && node.parse::<u64>().is_ok() => {
                    refusal.hint(format!("it was given to node-{node}: ask that one"))
                }
                Some(_) | None => {
                    refusal.hint("a batch ends with its node: GET /api/v1/batches lists batches")
                }
            }
        })
    }
}
