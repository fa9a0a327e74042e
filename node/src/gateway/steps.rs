//! One step of a run, and the items of a `foreach` step.
//! Knows nothing of what steps do.

use std::sync::Arc;

use orc_client::wire::{ItemView, ItemsQuery, Page};
use orc_domain::{CHUNK_ITEMS, Definition, FanChunk, Run, RunId, StepIx, StepKind, Work};

use super::{
    Gateway,
    call::Call,
    paging::{self, words},
    problem::Refusal,
    render::family::item,
    reply::{Answered, Reply},
};

/// Earlier runs that are looked at for the items of a step that was taken over.
const ORIGINS_MAX: usize = 100;

/// `GET /runs/{id}/steps/{step}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (run, wanted) = (call.run_id()?, call.param("step")?);
    gateway.fresh(&call).await?;
    let run = gateway.run(run).await?;
    let steps = gateway.show_run(&run).await?.steps;
    let found = steps.into_iter().find(|step| step.id == wanted);
    Ok(Reply::json(&found.ok_or_else(|| no_step(&run, &wanted))?))
}

/// `GET /runs/{id}/steps/{step}/items`: in order.
pub async fn items(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (run, wanted) = (call.run_id()?, call.param("step")?);
    let query: ItemsQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let from = paging::cursor::<u32>(query.cursor.as_deref())?.map_or(0, |last| last.saturating_add(1));
    let statuses = words(query.status.as_deref());
    gateway.fresh(&call).await?;
    let run = gateway.run(run).await?;
    let definition = gateway.cluster.find_definition(run.definition).await?;
    let place = definition.as_deref().and_then(|definition| place_of(&run, definition, &wanted));
    let (place, fans) = place.ok_or_else(|| no_step(&run, &wanted))?;
    if !fans {
        let refusal = Refusal::not_found(format!("step `{wanted}` has no items: it is not a `foreach`"));
        return Err(refusal.hint(format!("GET /api/v1/runs/{}/steps/{wanted}", run.id)));
    }
    let found = gateway.items_of(&run, place, (from, limit + 1), &statuses).await?;
    let size =
        |item: &ItemView| item.value.get().len() + item.output.as_ref().map_or(0, |raw| raw.get().len());
    let count = found.len();
    let items = paging::within_bytes(found.into_iter().take(limit), size);
    let last = items.last().filter(|_| items.len() < count);
    let next_cursor = last.map(|item| item.index.to_string());
    Ok(Reply::json(&Page { items, next_cursor, total: None, total_is_exact: None }))
}

/// The place of a step, and whether it is a `foreach`.
fn place_of(run: &Run, definition: &Definition, id: &str) -> Option<(StepIx, bool)> {
    let found = (0..).zip(definition.block(run.block)).find(|(_, step)| *step.id == *id);
    found.map(|(place, step)| (place, matches!(step.kind, StepKind::ForEach { .. })))
}

fn no_step(run: &Run, step: &str) -> Refusal {
    Refusal::not_found(format!("run {} has no step `{step}`", run.id))
        .hint(format!("GET /api/v1/runs/{}/steps lists its steps", run.id))
}

impl Gateway {
    async fn items_of(
        &self,
        run: &Arc<Run>,
        place: StepIx,
        (from, count): (u32, usize),
        statuses: &[String],
    ) -> Result<Vec<ItemView>, Refusal> {
        let mut found = Vec::new();
        let Some((home, total)) = self.home_of_items(run, place).await? else { return Ok(found) };
        let ended = run.steps[usize::from(place)].status.is_terminal();
        let mut next = from;
        while next < total && found.len() < count {
            let Some(chunk) = self.chunk(home, place, next / CHUNK_ITEMS).await? else { return Ok(found) };
            let rest = chunk.items.iter().skip((next % CHUNK_ITEMS) as usize);
            let views = (next..).zip(rest).map(|(index, row)| item(index, row, ended));
            found.extend(views.filter(|view| {
                statuses.is_empty() || statuses.iter().any(|status| status == view.status.as_str())
            }));
            next = (next / CHUNK_ITEMS + 1) * CHUNK_ITEMS;
        }
        found.truncate(count);
        Ok(found)
    }

    /// The run whose rows have the items of a step, and how many there are: an earlier one, where the step was taken over.
    pub async fn home_of_items(
        &self,
        run: &Arc<Run>,
        place: StepIx,
    ) -> Result<Option<(RunId, u32)>, Refusal> {
        let mut at = run.clone();
        for _ in 0..ORIGINS_MAX {
            let work = at.steps.get(usize::from(place)).and_then(|step| step.work.as_deref());
            let Some(Work::Fan(fan)) = work else { return Ok(None) };
            if fan.total == 0 || self.chunk(at.id, place, 0).await?.is_some() {
                return Ok(Some((at.id, fan.total)));
            }
            let Some(earlier) = at.earlier else { return Ok(None) };
            let Some(earlier) = self.cluster.find_run(earlier.run).await? else { return Ok(None) };
            at = earlier;
        }
        Ok(None)
    }

    /// A row of items.
    pub async fn chunk(
        &self,
        run: RunId,
        place: StepIx,
        number: u32,
    ) -> Result<Option<Arc<FanChunk>>, Refusal> {
        let Ok(number) = u16::try_from(number) else { return Ok(None) };
        Ok(self.cluster.find_fan((run, place, number)).await?)
    }
}
