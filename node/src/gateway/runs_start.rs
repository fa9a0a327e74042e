//! `POST /runs`: the definition is compiled once, the inputs are checked, the run is created.
//! Knows nothing of what a definition says.

use std::sync::Arc;

use orc_actors::expression::group_of;
use orc_client::wire::{RunStarted, StartQuery, StartRun, codes, paths};
use orc_domain::{
    Answer, Command, CreateRun, Definition, Group, Json, Labels, Priority, Rejection, RunId, Text,
};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;
use warp::http::header;

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

/// The longest `dedupe` word or name of a group, in bytes.
const WORD_MAX: usize = 256;

/// Starts a run of the definition in the body; with `wait` the answer comes at its end.
pub async fn start(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: StartQuery = call.query()?;
    let body: StartRun = call.json().map_err(|refusal| named(&call).unwrap_or(refusal))?;
    let compiled = gateway.definition(&call.body, &body.definition)?;
    let create = create_run(&compiled, &body)?;
    let accepted = gateway.create_run(&call, create.clone(), compiled.definition.clone()).await?;
    let started = gateway.started(&accepted, &create).await?;
    let reply = match (query.wait, &accepted.answer) {
        (Some(_), Answer::Run { id, .. }) => {
            let deadline = Instant::now() + wait_time(query.wait);
            gateway.cluster.wait_applied(accepted.rev).await?;
            Reply::json(&gateway.run_at_its_end(&call, *id, deadline).await?)
        }
        _ => Reply::json(&started).rev(accepted.rev),
    };
    Ok(created(reply, &started).replayed(accepted.replayed))
}

/// 201 with the place of the run, or 200 where it lived already.
pub fn created(reply: Reply, started: &RunStarted) -> Reply {
    let location = paths::fill(paths::RUN, &started.run_id);
    if started.deduplicated { reply.header(header::LOCATION, &location) } else { reply.created(&location) }
}

/// A stored workflow cannot be named yet: that is said instead of what else is missing.
fn named(call: &Call) -> Option<Refusal> {
    #[derive(serde::Deserialize)]
    struct Named {
        workflow: Option<Value>,
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
        None => Value::Null,
    };
    let inputs = resolve(compiled, &given)?;
    let mut labels: Labels = compiled.labels.clone();
    let own = body.labels.iter().map(|(name, value)| (Text::from(name.as_str()), Text::from(value.as_str())));
    labels.extend(own);
    let level = body.priority.map(|priority| u64::from(priority.level()));
    let group = match &body.concurrency_key {
        Some(name) => Some(named_group(&compiled.definition, name)?),
        None => group_of(&compiled.definition, &inputs, &Value::Null)
            .map_err(|error| Refusal::invalid("/inputs", format!("the concurrency group: {error}")))?,
    };
    Ok(CreateRun {
        inputs,
        labels,
        priority: level.and_then(Priority::from_level).unwrap_or_default(),
        group,
        dedupe: body.dedupe.as_deref().map(|text| word("dedupe", text)).transpose()?,
        ..CreateRun::new(RunId(Uuid::now_v7()), compiled.definition.id)
    })
}

/// The group that the caller names; its limit is the workflow's.
fn named_group(definition: &Definition, name: &str) -> Result<Group, Refusal> {
    let Some(concurrency) = &definition.concurrency else {
        let refusal = Refusal::invalid("/concurrencyKey", "the workflow has no `concurrency`, so no groups");
        return Err(refusal.hint("say how many runs may be active together: `concurrency: { limit: 1 }`"));
    };
    let (limit, on_conflict) = (concurrency.limit, concurrency.on_conflict);
    Ok(Group { name: word("concurrencyKey", name)?, limit, on_conflict })
}

fn word(name: &str, text: &str) -> Result<Text, Refusal> {
    match text.len() {
        1..=WORD_MAX => Ok(Text::from(text)),
        _ => Err(Refusal::invalid(format!("/{name}"), format!("`{name}` has 1 to {WORD_MAX} bytes"))),
    }
}

/// The inputs of a run, checked and with defaults.
pub fn resolve(compiled: &Compiled, given: &Value) -> Result<Json, Refusal> {
    let inputs = compiled.inputs.resolve(given).map_err(|errors| refuse_inputs(errors.under("/inputs")))?;
    if inputs.as_str().len() > super::tasks_create::PAYLOAD_MAX {
        let detail = format!("the inputs are longer than {} bytes", super::tasks_create::PAYLOAD_MAX);
        return Err(Refusal::new(codes::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(inputs)
}

fn refuse_inputs(errors: DefinitionErrors) -> Refusal {
    let detail = errors.to_string();
    Refusal::new(codes::VALIDATION_FAILED, detail).errors(super::problem::definition_errors(errors))
}

impl Gateway {
    /// The definition goes into the log only where the state does not have it.
    pub async fn create_run(
        &self,
        call: &Call,
        create: CreateRun,
        definition: Arc<Definition>,
    ) -> Result<Accepted, Refusal> {
        let idempotency = call.idempotency()?;
        let body = Some(definition);
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

    /// The run that was created, or the one with the same word that lived already.
    pub async fn started(&self, accepted: &Accepted, create: &CreateRun) -> Result<RunStarted, Refusal> {
        let Answer::Run { id, status } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
        let deduplicated = create.dedupe.is_some()
            && match accepted.replayed {
                false => id != create.id,
                // The call that was answered first had minted another id: what counts is what its entry did.
                true => {
                    self.cluster.wait_applied(accepted.rev).await?;
                    self.cluster.find_run(id).await?.is_some_and(|run| run.created_rev != accepted.rev)
                }
            };
        let origin = create.origin.as_ref().filter(|_| !deduplicated).map(render::family::origin);
        let (id, status) = (id.to_string(), render::run_status(status));
        Ok(RunStarted { run_id: id.clone(), workflow_id: id, status, deduplicated, origin })
    }
}
