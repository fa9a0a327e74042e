//! `POST /runs`: the definition is compiled once or found by name, the inputs are checked, the run is created.
//! Knows nothing of what a definition says.

use std::sync::Arc;

use orc_client::wire::{RunStarted, StartQuery, StartRun, codes, paths};
use orc_domain::{
    Answer, BadId, Command, CreateRun, Definition, Idempotency, Json, Labels, Origin, Priority, Rejection,
    RunId, StartedBy, Text, WorkflowName, WorkflowRef,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Gateway,
    access::{Accepted, unexpected},
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
    runs::wait_time,
};
use crate::definition::{Compiled, DefinitionErrors};

/// Starts a run of the definition in the body or of a stored workflow; with `wait` the answer comes at its end.
pub async fn start(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: StartQuery = call.query()?;
    let body: StartRun = call.json()?;
    let mut wanted = Wanted::of(&body)?;
    let (compiled, definition) = match (&body.definition, &body.workflow) {
        (Some(definition), None) => {
            let compiled = gateway.definition(&call.body, definition)?;
            let definition = compiled.definition.clone();
            (compiled, definition)
        }
        (None, Some(name)) => {
            let illegal = |error: BadId| Refusal::invalid("/workflow", error.to_string());
            let name: WorkflowName = name.parse().map_err(illegal)?;
            gateway.fresh(&call).await?;
            let stored = gateway.stored(&name, body.version).await?;
            wanted.workflow = Some((name, stored.version));
            (stored.compiled, stored.definition)
        }
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid("/workflow", "give `definition` or `workflow`, not both"));
        }
        (None, None) => {
            let detail =
                "a run needs `definition`, the whole workflow, or `workflow`, the name of a kept one";
            return Err(Refusal::invalid("", detail));
        }
    };
    let create = wanted.create(&compiled, &definition)?;
    let accepted = gateway.create_run(call.idempotency()?, create, &definition).await?;
    let Answer::Run { id, status } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let location = paths::fill(paths::RUN, &id.to_string());
    let reply = match query.wait {
        Some(_) => {
            let deadline = Instant::now() + wait_time(query.wait);
            gateway.cluster.wait_applied(accepted.rev).await?;
            Reply::json(&gateway.run_at_its_end(&call, id, deadline).await?)
        }
        None => {
            let (id, status) = (id.to_string(), render::run_status(status));
            Reply::json(&RunStarted { run_id: id.clone(), workflow_id: id, status }).rev(accepted.rev)
        }
    };
    Ok(reply.created(&location).replayed(accepted.replayed))
}

/// A run as it was asked for.
#[derive(Default)]
pub struct Wanted {
    /// Inputs as given.
    pub inputs: serde_json::Value,
    /// Labels beside the workflow's own.
    pub labels: Labels,
    /// How urgent.
    pub priority: Priority,
    /// The stored workflow and its version.
    pub workflow: Option<(WorkflowName, u64)>,
    /// Who starts it.
    pub by: StartedBy,
    /// What set it off.
    pub trigger: Option<Json>,
}

impl Wanted {
    fn of(body: &StartRun) -> Result<Wanted, Refusal> {
        let inputs = match &body.inputs {
            Some(raw) => {
                serde_json::from_str(raw.get()).map_err(|error| Refusal::bad_request(error.to_string()))?
            }
            None => serde_json::Value::Null,
        };
        let by = match body.started_by.as_deref() {
            None | Some("api") => StartedBy::Api,
            Some("cli") => StartedBy::Cli,
            Some(other) => {
                let detail = format!("`startedBy` must be `api` or `cli`, not `{other}`");
                return Err(Refusal::invalid("/startedBy", detail));
            }
        };
        if body.version.is_some() && body.workflow.is_none() {
            return Err(Refusal::invalid("/version", "`version` goes with `workflow`"));
        }
        let text = |text: &String| Text::from(text.as_str());
        let labels = body.labels.iter().map(|(name, value)| (text(name), text(value))).collect();
        let level = body.priority.map(|priority| u64::from(priority.level()));
        let priority = level.and_then(Priority::from_level).unwrap_or_default();
        Ok(Wanted { inputs, labels, priority, by, ..Wanted::default() })
    }

    /// The command's content: inputs checked, defaults and the workflow's labels filled in.
    pub fn create(self, compiled: &Compiled, definition: &Definition) -> Result<CreateRun, Refusal> {
        let resolved = compiled.inputs.resolve(&self.inputs);
        let inputs = resolved.map_err(|errors| refuse_inputs(errors.under("/inputs")))?;
        if inputs.as_str().len() > super::tasks_create::PAYLOAD_MAX {
            let detail = format!("the inputs are longer than {} bytes", super::tasks_create::PAYLOAD_MAX);
            return Err(Refusal::new(codes::PAYLOAD_TOO_LARGE, detail));
        }
        let mut labels: Labels = compiled.labels.clone();
        labels.extend(self.labels);
        let workflow = self.workflow.map(|(name, version)| WorkflowRef { name, version });
        Ok(CreateRun {
            id: RunId(Uuid::now_v7()),
            definition: definition.id,
            body: None,
            inputs,
            labels,
            priority: self.priority,
            origin: Origin { by: self.by, workflow, trigger: self.trigger },
        })
    }
}

/// Inputs that do not fit, with their places.
pub fn refuse_inputs(errors: DefinitionErrors) -> Refusal {
    let detail = errors.to_string();
    Refusal::new(codes::VALIDATION_FAILED, detail).errors(super::problem::definition_errors(errors))
}

impl Gateway {
    /// The definition goes into the log only where the state does not have it.
    pub async fn create_run(
        &self,
        idempotency: Option<Idempotency>,
        create: CreateRun,
        definition: &Arc<Definition>,
    ) -> Result<Accepted, Refusal> {
        let body = Some(definition.clone());
        let known = self.cluster.definition(&create.definition).is_some();
        let first = CreateRun { body: body.clone().filter(|_| !known), ..create.clone() };
        let outcome = self.propose(idempotency, Command::CreateRun(Box::new(first))).await?;
        if !matches!(outcome.result, Err(Rejection::DefinitionUnknown { .. })) {
            return self.accepted(outcome).await;
        }
        let whole = CreateRun { body, ..create };
        let outcome = self.propose(idempotency, Command::CreateRun(Box::new(whole))).await?;
        self.accepted(outcome).await
    }
}
