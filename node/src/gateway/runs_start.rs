//! `POST /runs`: the definition is compiled once or found by name, the inputs are checked, the run is created.
//! Knows nothing of what a definition says.

use std::sync::Arc;

use orc_actors::expression::group_of;
use orc_client::wire::{RunStarted, StartQuery, StartRun, codes, paths};
use orc_domain::{
    Answer, BadId, Command, CreateRun, Definition, Group, Idempotency, Json, Labels, Origin, Priority,
    Rejection, RunId, ScheduleId, StartedBy, Text, WorkflowName, WorkflowRef,
};
use serde_json::{Value, json};
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
    let accepted = gateway.create_run(&call, call.idempotency()?, create.clone(), &definition).await?;
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

/// A run as it was asked for.
#[derive(Default)]
pub struct Wanted {
    /// Inputs as given.
    pub inputs: serde_json::Value,
    /// Labels beside the workflow's own.
    pub labels: Labels,
    /// How urgent, if not as the workflow says.
    pub priority: Option<Priority>,
    /// The stored workflow and its version.
    pub workflow: Option<(WorkflowName, u64)>,
    /// Who starts it.
    pub by: StartedBy,
    /// What set it off.
    pub trigger: Option<Json>,
    /// While a run of the definition with this word lives, it is the answer.
    pub dedupe: Option<Text>,
    /// The name of its concurrency group, instead of what the workflow says.
    pub group: Option<Text>,
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
        let priority = level.and_then(Priority::from_level);
        let dedupe = body.dedupe.as_deref().map(|text| word("dedupe", text)).transpose()?;
        let group = body.concurrency_key.as_deref().map(|name| word("concurrencyKey", name)).transpose()?;
        Ok(Wanted { inputs, labels, priority, by, dedupe, group, ..Wanted::default() })
    }

    /// The command's content: inputs checked, defaults and the workflow's labels filled in.
    pub fn create(self, compiled: &Compiled, definition: &Definition) -> Result<CreateRun, Refusal> {
        let inputs = resolve(compiled, &self.inputs)?;
        let mut labels: Labels = compiled.labels.clone();
        labels.extend(self.labels);
        let workflow = self.workflow.map(|(name, version)| WorkflowRef { name, version });
        let origin = Origin { by: self.by, workflow, trigger: self.trigger };
        let group = match self.group {
            Some(name) => Some(named_group(definition, name)?),
            None => group(definition, &inputs, &origin)?,
        };
        Ok(CreateRun {
            inputs,
            labels,
            priority: self.priority.unwrap_or(definition.priority),
            origin,
            group,
            dedupe: self.dedupe,
            ..CreateRun::new(RunId(Uuid::now_v7()), definition.id)
        })
    }
}

/// The group that a definition's `concurrency` means for a run.
pub fn group(definition: &Definition, inputs: &Json, origin: &Origin) -> Result<Option<Group>, Refusal> {
    let trigger = origin.trigger.as_ref().and_then(|trigger| serde_json::from_str(trigger.as_str()).ok());
    group_of(definition, inputs, &trigger.unwrap_or(Value::Null))
        .map_err(|error| Refusal::invalid("/inputs", format!("the concurrency group: {error}")))
}

/// The group of a schedule's runs: the same for all of them, so it knows the schedule but no instant.
pub fn schedule_group(
    definition: &Definition,
    schedule: &ScheduleId,
    inputs: &Json,
) -> Result<Option<Group>, Refusal> {
    let trigger = Some(Json::from(json!({"type": "cron", "schedule": schedule.as_str()}).to_string()));
    group(definition, inputs, &Origin { trigger, ..Origin::default() })
}

/// The group that the caller names; its limit is the workflow's.
fn named_group(definition: &Definition, name: Text) -> Result<Group, Refusal> {
    let Some(concurrency) = &definition.concurrency else {
        let refusal = Refusal::invalid("/concurrencyKey", "the workflow has no `concurrency`, so no groups");
        return Err(refusal.hint("say how many runs may be active together: `concurrency: { limit: 1 }`"));
    };
    let (limit, on_conflict) = (concurrency.limit, concurrency.on_conflict);
    Ok(Group { name, limit, on_conflict })
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
        idempotency: Option<Idempotency>,
        create: CreateRun,
        definition: &Arc<Definition>,
    ) -> Result<Accepted, Refusal> {
        let body = Some(definition.clone());
        let known = self.cluster.definition(&create.definition).is_some();
        let first = CreateRun { body: body.clone().filter(|_| !known), ..create.clone() };
        let outcome = self.propose(idempotency, Command::CreateRun(Box::new(first))).await?;
        if !matches!(outcome.result, Err(Rejection::DefinitionUnknown { .. })) {
            return self.accepted(call, outcome).await;
        }
        let whole = CreateRun { body, ..create };
        let outcome = self.propose(idempotency, Command::CreateRun(Box::new(whole))).await?;
        self.accepted(call, outcome).await
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
        let origin = create.earlier.as_ref().filter(|_| !deduplicated).map(render::family::origin);
        let started = RunStarted::of(id.to_string(), render::run_status(status));
        Ok(RunStarted { deduplicated, origin, ..started })
    }
}
