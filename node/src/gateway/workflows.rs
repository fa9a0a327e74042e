//! Workflows kept by name: apply, read, list, pause, forget.
//! Knows nothing of what a definition says; versions are read in their own file.

use std::sync::Arc;

use orc_client::wire::{WorkflowApplied, WorkflowView, WorkflowsQuery, headers, paths};
use orc_domain::{
    Answer, ApplyWorkflow, BadId, Command, Definition, Group, Json, ScheduleId, ScheduleSpec, Workflow,
    WorkflowName,
};
use warp::http::header;

use super::{
    Gateway,
    access::{Accepted, unexpected},
    call::Call,
    paging,
    problem::Refusal,
    render::{event::hex, raw, workflow as render},
    reply::{Answered, Reply},
    runs_start::schedule_group,
};
use crate::{
    definition::{Compiled, triggers::CronTrigger},
    server::Stored,
};

/// `POST /workflows`: the document is the body.
pub async fn apply(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.apply_workflow(&call, None).await
}

/// `PUT /workflows/{name}`
pub async fn put(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    gateway.apply_workflow(&call, Some(name)).await
}

/// `GET /workflows`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: WorkflowsQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let after = paging::cursor::<WorkflowName>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    let mut rows = gateway.cluster.workflows(after.as_ref(), limit + 1);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.name.clone());
    let show = |row: &Arc<Workflow>| -> WorkflowView {
        render::view(row, gateway.cluster.definition(&row.definition).as_deref())
    };
    Ok(Reply::json(&paging::page(&rows, next, show)))
}

/// `GET /workflows/{name}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    gateway.fresh(&call).await?;
    let workflow = gateway.workflow(&name)?;
    let stored = gateway.stored(&name, None).await?;
    let mut view = render::view(&workflow, Some(&stored.definition));
    view.hooks = render::hooks(name.as_str(), &stored.compiled.triggers);
    view.definition = Some(raw(&stored.definition.source));
    Ok(Reply::json(&view).header(header::ETAG, &headers::entity_tag(workflow.version)))
}

/// `DELETE /workflows/{name}`
pub async fn delete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let command = Command::DeleteWorkflow { name: call.workflow_name()?, expect: call.condition()? };
    let accepted = gateway.command(&call, command).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /workflows/{name}/pause`
pub async fn pause(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    let accepted = gateway.command(&call, Command::PauseWorkflow { name: name.clone() }).await?;
    gateway.workflow_after(&name, &accepted).await
}

/// `POST /workflows/{name}/resume`
pub async fn resume(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    let accepted = gateway.command(&call, Command::ResumeWorkflow { name: name.clone() }).await?;
    gateway.workflow_after(&name, &accepted).await
}

impl Gateway {
    /// A workflow as this node has it.
    pub fn workflow(&self, name: &WorkflowName) -> Result<Arc<Workflow>, Refusal> {
        self.cluster
            .workflow(name)
            .ok_or_else(|| orc_domain::Rejection::WorkflowUnknown { name: name.clone() }.into())
    }

    /// A version of a workflow; the latest if none is said.
    pub async fn stored(&self, name: &WorkflowName, version: Option<u64>) -> Result<Stored, Refusal> {
        Ok(self.catalog.stored(name, version).await?)
    }

    async fn apply_workflow(&self, call: &Call, wanted: Option<WorkflowName>) -> Answered {
        let text = call.document()?;
        let compiled =
            self.catalog.definitions.get(text, &self.cluster.config()).map_err(Refusal::definition)?;
        let name: WorkflowName = compiled.workflow.parse().map_err(illegal)?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != name) {
            let detail = format!("this is workflow `{name}`, the path says `{wanted}`");
            return Err(Refusal::invalid("/id", detail).hint(format!("give the document `id: {wanted}`")));
        }
        let schedules = compiled.triggers.cron.iter().map(|cron| spec_of(&name, cron, &compiled.definition));
        let schedules = schedules.collect::<Result<Vec<_>, _>>()?;
        self.fresh(call).await?;
        let mut warnings = compiled.warnings.clone();
        let others = self.others(&name, &compiled, &mut warnings);
        let (definition, expect) = (compiled.definition.clone(), call.condition()?);
        let apply = ApplyWorkflow { name: name.clone(), definition, expect, schedules, others };
        let accepted = self.command(call, Command::ApplyWorkflow(Box::new(apply))).await?;
        let Answer::Version { version, made } = accepted.answer else {
            return Err(unexpected(&accepted.answer));
        };
        let digest = hex(&compiled.definition.id.0);
        let applied = WorkflowApplied { name: name.to_string(), version, created: made, digest, warnings };
        let reply = Reply::json(&applied).header(header::ETAG, &headers::entity_tag(version));
        let reply = if made { reply.created(&paths::fill(paths::WORKFLOW, name.as_str())) } else { reply };
        Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
    }

    /// Inputs of the schedules that others made, with the defaults of a new version, and the groups of their runs.
    fn others(
        &self,
        name: &WorkflowName,
        compiled: &Compiled,
        warnings: &mut Vec<String>,
    ) -> Vec<(ScheduleId, Json, Option<Group>)> {
        let mut others = Vec::new();
        for schedule in self.cluster.schedules(None, usize::MAX) {
            let spec = &schedule.spec;
            if spec.of_file || spec.workflow != *name {
                continue;
            }
            let given = serde_json::from_str(spec.given.as_str()).unwrap_or_default();
            let resolved = compiled.inputs.resolve(&given).map_err(|errors| errors.to_string());
            let resolved = resolved.and_then(|inputs| {
                let group = schedule_group(&compiled.definition, &spec.id, &inputs);
                Ok((spec.id.clone(), inputs, group.map_err(|refusal| refusal.detail().to_owned())?))
            });
            match resolved {
                Ok(other) => others.push(other),
                Err(detail) => warnings.push(format!("schedule {} keeps its inputs: {detail}", spec.id)),
            }
        }
        others
    }

    async fn workflow_after(&self, name: &WorkflowName, accepted: &Accepted) -> Answered {
        self.cluster.wait_applied(accepted.rev).await?;
        let workflow = self.workflow(name)?;
        let view = render::view(&workflow, self.cluster.definition(&workflow.definition).as_deref());
        Ok(Reply::json(&view).rev(accepted.rev).replayed(accepted.replayed))
    }
}

fn illegal(error: BadId) -> Refusal {
    Refusal::invalid("/id", error.to_string()).hint("give the workflow an `id` of its own")
}

fn spec_of(
    workflow: &WorkflowName,
    cron: &CronTrigger,
    definition: &Definition,
) -> Result<ScheduleSpec, Refusal> {
    let id = ScheduleId::of_workflow(workflow, &cron.id).map_err(illegal)?;
    Ok(ScheduleSpec {
        group: schedule_group(definition, &id, &cron.inputs)?,
        id,
        workflow: workflow.clone(),
        of_file: true,
        cron: cron.cron.clone(),
        timezone: cron.timezone.clone(),
        overlap: cron.overlap,
        catch_up: cron.catch_up,
        jitter: cron.jitter,
        given: cron.given.clone(),
        inputs: cron.inputs.clone(),
    })
}
