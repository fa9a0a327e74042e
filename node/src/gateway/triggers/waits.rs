//! Events for the steps that wait for them, once the step's filter lets them through.
//! Knows nothing of types: those were compared before.

use std::sync::Arc;

use orc_actors::expression::{Family, RESULT_BYTES_MAX, ReadKey, awaits};
use orc_domain::{Command, Failure, Json, Recorded, Rejection, RunId, StepIx, StepKind};
use tracing::{debug, warn};

use super::{Stop, starts::as_json};
use crate::gateway::{Gateway, names::KnownNames};

impl Gateway {
    /// Gives a step the event, or fails it where its filter does not work; nothing if it waits no longer.
    pub(super) async fn give_event(
        &self,
        recorded: &Recorded,
        (run, step): (RunId, StepIx),
        names: &KnownNames,
    ) -> Result<(), Stop> {
        let Some(family) = self.family(run) else { return Ok(()) };
        let kind =
            family.definition.block(family.runs[0].block).get(usize::from(step)).map(|step| &step.kind);
        let Some(StepKind::Event { filter, .. }) = kind else { return Ok(()) };
        let event = as_json(recorded, names);
        let passes = filter.as_deref().map_or(Ok(true), |filter| awaits(&family, step, filter, &event));
        let given = match passes {
            Ok(false) => return Ok(()),
            Ok(true) => within_limit(event.to_string()),
            Err(error) => Err(error.failure()),
        };
        let seq = recorded.seq;
        let outcome = self.until_decided(None, Command::GiveEvent { run, step, seq, event: given }).await?;
        match outcome.result {
            Ok(_) => debug!(%run, step, seq, "a step has its event"),
            // It ended meanwhile, or another event came first.
            Err(Rejection::EventNotAwaited { .. } | Rejection::RunNotLive { .. }) => {}
            Err(rejection) => warn!(%run, step, seq, %rejection, "a step cannot have its event"),
        }
        Ok(())
    }

    /// A live run with those of its definition around it.
    fn family(&self, run: RunId) -> Option<Family> {
        let cluster = self.cluster.clone();
        let key: ReadKey = Arc::new(move |key| cluster.key(&key.parse().ok()?)?.value.clone());
        Family::of(&run, |run| self.cluster.run(run), |id| self.cluster.definition(id), key)
    }
}

fn within_limit(event: String) -> Result<Json, Failure> {
    if event.len() > RESULT_BYTES_MAX {
        let message =
            format!("the event has {} bytes, a step yields at most {RESULT_BYTES_MAX}", event.len());
        return Err(Failure::new("RESULT_TOO_LARGE", message));
    }
    Ok(Json::from(event))
}
