//! Which workflows led to an event: the run it is about, the runs around that one, and what set those off.
//! Bounds what runs start through events; knows nothing of triggers' types and filters.

use orc_domain::{Event, Recorded, Repeat, Run, RunId, StepIx, StepKind};
use orc_raft::store::EventsError;
use serde_json::Value;

use super::Stop;
use crate::gateway::Gateway;

/// Runs, each started by what the one before did.
pub(super) const CHAIN_MAX: usize = 16;
/// Runs around a run that are looked at.
const FAMILY_MAX: usize = 64;
/// Events before a change of a state key among which its step is looked for.
const WRITES_MAX: u64 = 256;

impl Gateway {
    /// The names of kept workflows whose runs led to an event, the first one first.
    pub(super) async fn chain(&self, recorded: &Recorded) -> Result<Vec<String>, Stop> {
        let run = match recorded.event.run() {
            None if matches!(recorded.event, Event::StateChanged(_)) => self.writer(recorded).await?,
            run => run,
        };
        match run {
            Some(run) => self.chain_of(run).await,
            None => Ok(Vec::new()),
        }
    }

    /// The same for all that a run does.
    async fn chain_of(&self, run: RunId) -> Result<Vec<String>, Stop> {
        let (mut next, mut names, mut before) = (Some(run), Vec::new(), Vec::new());
        for _ in 0..FAMILY_MAX {
            let Some(run) = next else { break };
            let Some(run) = self.cluster.find_run(run).await? else { break };
            if let Some(workflow) = &run.origin.workflow
                && names.last().is_none_or(|last| last != workflow.name.as_str())
            {
                names.push(workflow.name.to_string());
            }
            next = starter(&run);
            if next.is_none() {
                before = led_to(&run);
            }
        }
        names.reverse();
        before.append(&mut names);
        Ok(before)
    }

    /// The run whose step wrote a state key: its start is right before what it writes.
    async fn writer(&self, changed: &Recorded) -> Result<Option<RunId>, Stop> {
        let first = changed.seq.saturating_sub(WRITES_MAX + 1);
        let first = first.max(self.cluster.first_seq().saturating_sub(1));
        let seq = changed.seq;
        let before = move |event: &Recorded| event.seq < seq;
        let limit = usize::try_from(seq - first).unwrap_or(0).saturating_sub(1);
        let page = match self.cluster.events_since(first, limit, before).await {
            Ok(page) => page,
            Err(EventsError::Compacted { .. }) => return Ok(None),
            Err(EventsError::Read(error)) => return Err(error.into()),
        };
        for event in page.events.iter().rev().take_while(|event| event.rev == changed.rev) {
            if matches!(event.event, Event::StateChanged(_) | Event::Snapshot(_)) {
                continue;
            }
            let Event::StepStarted { run, step, .. } = &event.event else { break };
            return self.writes(*run, *step).await;
        }
        Ok(None)
    }

    /// The run, if this step of it writes state keys.
    async fn writes(&self, id: RunId, step: StepIx) -> Result<Option<RunId>, Stop> {
        let Some(run) = self.cluster.find_run(id).await? else { return Ok(None) };
        let definition = self.cluster.find_definition(run.definition).await?;
        let kind = definition.as_ref().and_then(|def| def.block(run.block).get(usize::from(step)));
        Ok(kind.is_some_and(|step| matches!(step.kind, StepKind::State { .. })).then_some(id))
    }
}

/// The run that a run belongs to, or that started it without waiting for it.
fn starter(run: &Run) -> Option<RunId> {
    let parent = run.parent.as_ref().map(|parent| parent.run);
    parent
        .or_else(|| run.earlier.filter(|earlier| earlier.how == Repeat::Detached).map(|earlier| earlier.run))
}

/// What led to a run that an event started.
fn led_to(run: &Run) -> Vec<String> {
    let trigger = run.origin.trigger.as_ref();
    let trigger: Option<Value> = trigger.and_then(|trigger| serde_json::from_str(trigger.as_str()).ok());
    let chain = trigger.as_ref().and_then(|trigger| trigger.get("chain")?.as_array());
    chain.into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}
