//! Approvals: what awaits somebody's decision over all runs, and the decisions.
//! Knows nothing of what follows one; the rules say who may decide.

use std::sync::Arc;

use orc_client::wire::{self, ApprovalView, Decide, Decided, Page, PageQuery, Raw, headers};
use orc_domain::{Answer, BadId, Command, RunId, StepIx, StepStatus, Text, Work};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    form, paging,
    problem::Refusal,
    render::{
        self,
        approval::{ApprovalId, approval},
    },
    reply::{Answered, Reply},
    runs::within,
};

/// `GET /approvals`: the oldest runs first.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: PageQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let from = match paging::cursor::<ApprovalId>(query.cursor.as_deref())? {
        Some(ApprovalId(run, step)) => (run, step.saturating_add(1)),
        None => (RunId(Uuid::nil()), 0),
    };
    gateway.fresh(&call).await?;
    let mut found = gateway.cluster.approvals(from, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut items = Vec::new();
    for (run, step) in &found {
        items.extend(gateway.approval(*run, *step).await?);
    }
    let last = found.last().filter(|_| more).map(|(run, step)| ApprovalId(*run, *step));
    let next_cursor = last.as_ref().map(ToString::to_string);
    Ok(Reply::json(&Page { items, next_cursor, total: None, total_is_exact: None }))
}

/// `POST /approvals/{id}/approve`
pub async fn approve(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.decide(&call, true).await
}

/// `POST /approvals/{id}/reject`
pub async fn reject(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.decide(&call, false).await
}

/// What the step yields.
#[derive(Serialize)]
struct Output<'a> {
    approved: bool,
    by: &'a str,
    comment: Option<&'a str>,
    data: Option<&'a Raw>,
    at: wire::Timestamp,
}

impl Gateway {
    /// An approval, if it is still awaited here.
    async fn approval(&self, run: RunId, step: StepIx) -> Result<Option<ApprovalView>, Refusal> {
        let Some(run) = self.cluster.run(&run) else { return Ok(None) };
        let definition = self.cluster.find_definition(run.definition).await?;
        Ok(definition.and_then(|definition| approval(&run, &definition, step)))
    }

    /// Whether the data of a yes fits; what is not awaited here is for the rules to refuse.
    async fn check_form(&self, call: &Call, id: ApprovalId, data: Option<&Raw>) -> Result<(), Refusal> {
        self.fresh(call).await?;
        let run = self.cluster.run(&id.0);
        let step = run.as_ref().and_then(|run| run.steps.get(usize::from(id.1)));
        match step.filter(|step| step.status == StepStatus::Waiting).and_then(|step| step.work.as_deref()) {
            Some(Work::Approval(request)) => form::check(request, data),
            Some(Work::Signal(_) | Work::Message(_) | Work::Child(_) | Work::Fan(_) | Work::Event(_))
            | None => Ok(()),
        }
    }

    async fn decide(&self, call: &Call, approved: bool) -> Answered {
        let unknown = |error: BadId| Refusal::not_found(format!("there is no such approval: {error}"));
        let id: ApprovalId = call.param("id")?.parse().map_err(unknown)?;
        let ApprovalId(run, step) = id;
        let body: Decide = call.json_or_default()?;
        let by = who(call, body.by.as_deref())?;
        let comment = body.comment.as_deref();
        if comment.is_some_and(|comment| comment.len() > 4_096) {
            return Err(Refusal::invalid("/comment", "a comment has at most 4096 bytes"));
        }
        if approved {
            self.check_form(call, id, body.data.as_ref()).await?;
        }
        let output = Output {
            approved,
            by: &by,
            comment,
            data: body.data.as_ref(),
            at: render::time(self.cluster.now()),
        };
        let output = serde_json::to_string(&output).expect("it has string keys and memory does not fail");
        let command = Command::DecideApproval {
            run,
            step,
            approved,
            by: Text::from(by.as_str()),
            comment: comment.map(Text::from),
            output: within(&output, "a decision with its data")?,
        };
        let accepted = self.command(call, command).await?;
        let Answer::Run { id: run, status } = accepted.answer else {
            return Err(unexpected(&accepted.answer));
        };
        let (run_id, status) = (run.to_string(), render::run_status(status));
        let decided = Decided { id: id.to_string(), approved, by, run_id, status };
        Ok(Reply::json(&decided).rev(accepted.rev).replayed(accepted.replayed))
    }
}

/// Who decides: as the body says, else the header, else nobody in particular.
fn who(call: &Call, body: Option<&str>) -> Result<String, Refusal> {
    let by = body.or(call.text_header(headers::ORC_USER)?).unwrap_or("anonymous");
    match by.len() {
        1..=256 => Ok(by.to_owned()),
        _ => Err(Refusal::invalid("/by", "`by` has 1 to 256 bytes")),
    }
}
