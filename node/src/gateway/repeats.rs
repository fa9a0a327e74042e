//! `POST /runs/{id}/retry` and `rerun`: a new run that takes over what an earlier one has done.
//! Knows nothing of how steps run; what is taken over is decided in `repeat`.

use std::sync::Arc;

use orc_client::wire::{Raw, RerunRun, RetryRun, codes};
use orc_domain::{
    CHUNK_ITEMS, CreateRun, Definition, Earlier, Group, Item, Json, KeptItems, Origin, Repeat, Run, RunId,
    RunStatus, StartedBy, StepIx, StepKind,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Gateway,
    access::Accepted,
    call::Call,
    problem::Refusal,
    repeat::{Start, carried, keeps_items, kept, size_of, with_input},
    reply::{Answered, Reply},
    runs_start::{created, group, resolve},
};

/// The most that is taken over from an earlier run, in bytes.
const TAKEN_OVER_MAX: usize = 2 * 1024 * 1024;

/// `POST /runs/{id}/retry`
pub async fn retry(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    let body: RetryRun = call.json_or_default()?;
    gateway.fresh(&call).await?;
    let (create, definition) = gateway.to_retry(id, body.failed_only.unwrap_or(true)).await?;
    gateway.repeat(&call, create, definition).await
}

/// `POST /runs/{id}/rerun`
pub async fn rerun(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    let body: RerunRun = call.json_or_default()?;
    gateway.fresh(&call).await?;
    let (run, definition) = gateway.ended_whole(id).await?;
    let start = body.from_step.as_deref().map(|text| Start::at(text, &definition.steps)).transpose()?;
    let executed = match (&body.step_input, start.as_ref().and_then(|start| start.step)) {
        (Some(input), Some(place)) => with_input(&definition, place, input)?,
        (Some(_), None) => {
            return Err(Refusal::invalid("/stepInput", "`stepInput` is for the step that `fromStep` names"));
        }
        (None, _) => definition.clone(),
    };
    let mut create = CreateRun { definition: executed.id, ..again(&run, Repeat::Rerun) };
    if let Some(edits) = &body.inputs {
        create.inputs = gateway.edited_inputs(&run, &definition, edits)?;
        create.group = regrouped(&run, &definition, &create.inputs)?;
    }
    if let Some(start) = start {
        gateway.refuse_missing_item(&run, &start).await?;
        create = gateway.take_over(create, &run, &definition, &start).await?;
    }
    gateway.repeat(&call, create, executed).await
}

/// A new run like the earlier one, with nothing done.
fn again(run: &Run, how: Repeat) -> CreateRun {
    CreateRun {
        inputs: run.inputs.clone(),
        labels: run.labels.clone(),
        priority: run.priority,
        origin: Origin { by: StartedBy::Api, ..run.origin.clone() },
        earlier: Some(Earlier { run: run.id, how }),
        group: run.group.clone(),
        dedupe: run.dedupe.clone(),
        ..CreateRun::new(RunId(Uuid::now_v7()), run.definition)
    }
}

/// The group that the new inputs lead to, unless somebody had named another one for the earlier run.
fn regrouped(run: &Run, definition: &Definition, inputs: &Json) -> Result<Option<Group>, Refusal> {
    let same = group(definition, &run.inputs, &run.origin).is_ok_and(|group| group == run.group);
    if same { group(definition, inputs, &run.origin) } else { Ok(run.group.clone()) }
}

impl Gateway {
    /// A run that can be repeated: one that has ended and is no part of another.
    async fn ended_whole(&self, id: RunId) -> Result<(Arc<Run>, Arc<Definition>), Refusal> {
        let run = self.run(id).await?;
        if let Some(parent) = &run.parent {
            let detail = format!("run {id} is a part of run {}", parent.run);
            let refusal = Refusal::new(codes::INVALID_TRANSITION, detail);
            return Err(refusal.hint(format!("repeat the whole: POST /api/v1/runs/{}/retry", parent.run)));
        }
        if !run.status.is_terminal() {
            let detail = format!("run {id} is {}: only a run that has ended is repeated", run.shown_status());
            let refusal = Refusal::new(codes::INVALID_TRANSITION, detail);
            return Err(refusal.hint(format!("wait for its end: GET /api/v1/runs/{id}/wait")));
        }
        let definition = self.cluster.find_definition(run.definition).await?;
        let gone = || Refusal::not_found(format!("the definition of run {id} is not kept any more"));
        Ok((run, definition.ok_or_else(gone)?))
    }

    /// The run that retries one that has not completed; it takes over what completed, or starts anew.
    pub async fn to_retry(
        &self,
        id: RunId,
        failed_only: bool,
    ) -> Result<(CreateRun, Arc<Definition>), Refusal> {
        let (run, definition) = self.ended_whole(id).await?;
        if run.status == RunStatus::Completed {
            let refusal =
                Refusal::new(codes::INVALID_TRANSITION, format!("run {id} is completed: nothing failed"));
            return Err(refusal.hint(format!("to do it again: POST /api/v1/runs/{id}/rerun")));
        }
        let blank = again(&run, Repeat::Retry);
        let create = match failed_only {
            false => blank,
            true => self.take_over(blank, &run, &definition, &Start::default()).await?,
        };
        Ok((create, definition))
    }

    /// Adds what the new run takes over.
    async fn take_over(
        &self,
        create: CreateRun,
        run: &Arc<Run>,
        definition: &Definition,
        start: &Start,
    ) -> Result<CreateRun, Refusal> {
        let carried = carried(run, start);
        let mut bytes: usize = carried.iter().map(|(_, step)| size_of(step)).sum();
        let mut all = Vec::new();
        let is_open = |place: StepIx| carried.iter().all(|(done, _)| *done != place);
        for (place, step) in (0..).zip(&definition.steps) {
            let fans = matches!(step.kind, StepKind::ForEach { .. });
            if fans && is_open(place) && keeps_items(start, place) {
                let items = self.kept_items(run, place, start).await?;
                bytes += items.iter().map(|(_, item, output)| size_of_item(item, output)).sum::<usize>();
                all.extend((!items.is_empty()).then_some(KeptItems { step: place, items }));
            }
            if bytes > TAKEN_OVER_MAX {
                let detail = format!("what is taken over has more than {TAKEN_OVER_MAX} bytes");
                let refusal = Refusal::new(codes::PAYLOAD_TOO_LARGE, detail);
                return Err(refusal.hint("start anew: `failedOnly: false`, or an earlier `fromStep`"));
            }
        }
        Ok(CreateRun { carried, kept: all, ..create })
    }

    /// The completed items of a step: as rows, or as the earlier run had taken them over itself.
    async fn kept_items(
        &self,
        run: &Arc<Run>,
        place: StepIx,
        start: &Start,
    ) -> Result<Vec<(u32, Item, Json)>, Refusal> {
        let Some((home, total)) = self.home_of_items(run, place).await? else {
            let earlier = run.kept.iter().find(|kept| kept.step == place);
            return Ok(earlier.map_or_else(Vec::new, |kept| kept.items.clone()));
        };
        let (mut items, mut bytes) = (Vec::new(), 0);
        for number in 0..total.div_ceil(CHUNK_ITEMS) {
            let Some(chunk) = self.chunk(home, place, number).await? else { break };
            let found = kept(start, place, number * CHUNK_ITEMS, &chunk.items);
            bytes += found.iter().map(|(_, item, output)| size_of_item(item, output)).sum::<usize>();
            items.extend(found);
            if bytes > TAKEN_OVER_MAX {
                break;
            }
        }
        Ok(items)
    }

    async fn refuse_missing_item(&self, run: &Arc<Run>, start: &Start) -> Result<(), Refusal> {
        let (Some(place), Some(index)) = (start.step, start.item) else { return Ok(()) };
        let total = self.home_of_items(run, place).await?.map_or(0, |(_, total)| total);
        if index < total {
            return Ok(());
        }
        Err(Refusal::invalid("/fromStep", format!("the step had {total} items: there is no item {index}")))
    }

    /// The earlier inputs with some replaced, checked as those of any run.
    fn edited_inputs(&self, run: &Run, definition: &Definition, edits: &Raw) -> Result<Json, Refusal> {
        let object = |text: &str| match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) | Err(_) => Err(Refusal::invalid("/inputs", "inputs must be an object")),
        };
        let mut inputs = object(run.inputs.as_str())?;
        inputs.extend(object(edits.get())?);
        let compiled = self.catalog.definitions.get(definition.source.as_str(), &self.cluster.config());
        let compiled = compiled.map_err(Refusal::definition)?;
        resolve(&compiled, &Value::Object(inputs))
    }

    async fn repeat(&self, call: &Call, create: CreateRun, definition: Arc<Definition>) -> Answered {
        let accepted: Accepted =
            self.create_run(call, call.idempotency()?, create.clone(), &definition).await?;
        let started = self.started(&accepted, &create).await?;
        Ok(created(Reply::json(&started), &started).rev(accepted.rev).replayed(accepted.replayed))
    }
}

fn size_of_item(item: &Item, output: &Json) -> usize {
    16 + item.value.as_str().len() + output.as_str().len()
}
