//! `POST /runs`: the definition is compiled once, the inputs are checked, the run is created.
//! Knows nothing of what a definition says.

use std::sync::Arc;

use orc_client::wire::{RunStarted, StartQuery, StartRun, codes, paths};
use orc_domain::{Answer, Command, CreateRun, Labels, Priority, Rejection, RunId, Text};
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

/// Starts a run of the definition in the body; with `wait` the answer comes at its end.
pub async fn start(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: StartQuery = call.query()?;
    let body: StartRun = call.json().map_err(|refusal| named(&call).unwrap_or(refusal))?;
    let compiled = gateway.definition(&call.body, &body.definition)?;
    let create = create_run(&compiled, &body)?;
    let accepted = gateway.create_run(&call, create, &compiled).await?;
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

/// A stored workflow cannot be named yet: that is said instead of what else is missing.
fn named(call: &Call) -> Option<Refusal> {
    #[derive(serde::Deserialize)]
    struct Named {
        workflow: Option<serde_json::Value>,
        definition: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice::<Named>(&call.body) {
        Ok(Named { workflow: Some(_), definition: None }) => {
            let refusal = Refusal::invalid("/workflow", "stored workflows are not supported in this version");
            Some(refusal.hint("send the whole workflow as `definition`"))
        }
        Ok(_) | Err(_) => None,
    }
}

fn create_run(compiled: &Compiled, body: &StartRun) -> Result<CreateRun, Refusal> {
    let given = match &body.inputs {
        Some(raw) => {
            serde_json::from_str(raw.get()).map_err(|error| Refusal::bad_request(error.to_string()))?
        }
        None => serde_json::Value::Null,
    };
    let inputs = compiled.inputs.resolve(&given).map_err(|errors| refuse_inputs(errors.under("/inputs")))?;
    if inputs.as_str().len() > super::tasks_create::PAYLOAD_MAX {
        let detail = format!("the inputs are longer than {} bytes", super::tasks_create::PAYLOAD_MAX);
        return Err(Refusal::new(codes::PAYLOAD_TOO_LARGE, detail));
    }
    let mut labels: Labels = compiled.labels.clone();
    let own = body.labels.iter().map(|(name, value)| (Text::from(name.as_str()), Text::from(value.as_str())));
    labels.extend(own);
    let level = body.priority.map(|priority| u64::from(priority.level()));
    Ok(CreateRun {
        inputs,
        labels,
        priority: level.and_then(Priority::from_level).unwrap_or_default(),
        ..CreateRun::new(RunId(Uuid::now_v7()), compiled.definition.id)
    })
}

fn refuse_inputs(errors: DefinitionErrors) -> Refusal {
    let detail = errors.to_string();
    Refusal::new(codes::VALIDATION_FAILED, detail).errors(super::problem::definition_errors(errors))
}

impl Gateway {
    /// The definition goes into the log only where the state does not have it.
    async fn create_run(
        &self,
        call: &Call,
        create: CreateRun,
        compiled: &Compiled,
    ) -> Result<Accepted, Refusal> {
        let idempotency = call.idempotency()?;
        let body = Some(compiled.definition.clone());
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
