//! Decisions about events that the hands follow: what a step that waits for one takes, and what started no run.
//! Knows nothing of types, patterns and filters.

use alloc::{format, string::ToString, vec, vec::Vec};

use super::{Decided, child, run::live};
use crate::{
    event::Event,
    following::{Followed, SkippedStarts},
    ids::{Json, RunId, StepIx},
    rejection::Rejection,
    run::Failure,
    state::State,
    step::{Step, StepOutcome, StepStatus, Work},
    workflow::WorkflowEvent,
};

/// Hands an event to a step that waits for one and has done so since before it.
pub(super) fn give(
    state: &State,
    id: RunId,
    step: StepIx,
    (seq, given): (u64, &Result<Json, Failure>),
) -> Decided {
    let run = live(state, id)?;
    let waits = |step: &&Step| {
        step.status == StepStatus::Waiting
            && matches!(step.work.as_deref(), Some(Work::Event(wait)) if wait.since < seq)
    };
    if seq > state.meta.seq || run.steps.get(usize::from(step)).filter(waits).is_none() {
        return Err(Rejection::EventNotAwaited { run: id, step });
    }
    Ok(match given {
        Ok(event) => child::finished(state, run, step, event.clone()),
        Err(failure) => {
            vec![Event::StepEnded { run: id, step, outcome: StepOutcome::Failed(failure.clone()) }]
        }
    })
}

/// Moves on; what an earlier leader says late is known already.
pub(super) fn follow(state: &State, upto: Followed, skipped: &[SkippedStarts]) -> Decided {
    if upto.seq > state.meta.seq || upto.rev > state.meta.rev {
        return Err(Rejection::Invalid("events that have not happened cannot be followed".to_string()));
    }
    if skipped.len() > SkippedStarts::MAX {
        return Err(Rejection::Invalid(format!("at most {} reports fit one command", SkippedStarts::MAX)));
    }
    if upto <= state.meta.followed {
        return Ok(Vec::new());
    }
    let told = |skipped: &SkippedStarts| Event::Workflow(WorkflowEvent::StartsSkipped(skipped.clone()));
    Ok(skipped.iter().map(told).collect())
}
