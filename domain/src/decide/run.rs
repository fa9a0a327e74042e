//! Decisions about runs as wholes: create, pause, resume, cancel, and how one ends.
//! Knows nothing of how single steps start.

use alloc::{boxed::Box, string::ToString, vec, vec::Vec};

use super::{Decided, workflow};
use crate::{
    command::CreateRun,
    definition::Definition,
    event::Event,
    ids::{Json, RunId, Text},
    rejection::{Limited, Rejection, RunWish},
    run::{Conclusion, EvalPoint, Failure, Run, RunStatus, StepStatus},
    state::State,
    workflow::WorkflowRef,
};

pub(super) fn create(state: &State, create: &CreateRun) -> Decided {
    if state.runs.contains(&create.id) {
        return Err(Rejection::RunExists { run: create.id });
    }
    let limit = state.config().runs_live_max;
    if state.runs.len() >= limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Runs, limit });
    }
    if let Some(WorkflowRef { name, version }) = &create.origin.workflow {
        workflow::may_start(state, name, *version)?;
    }
    let mut events = Vec::new();
    if !state.definitions.contains(&create.definition) {
        let unknown = Rejection::DefinitionUnknown { definition: create.definition };
        let body = create.body.as_ref().filter(|body| body.id == create.definition).ok_or(unknown)?;
        if body.steps.is_empty() {
            return Err(Rejection::Invalid("a workflow needs at least one step".to_string()));
        }
        events.push(Event::DefinitionAdded(body.clone()));
    }
    events.push(Event::RunCreated(Box::new(CreateRun { body: None, ..create.clone() })));
    Ok(events)
}

pub(super) fn cancel(state: &State, id: RunId, reason: &Text) -> Decided {
    let run = live(state, id)?;
    match run.status {
        RunStatus::Queued => Ok(vec![Event::RunEnded {
            run: id,
            status: RunStatus::Cancelled,
            conclusion: Conclusion::Cancelled,
            outputs: Json::null(),
            failure: None,
        }]),
        RunStatus::Running | RunStatus::Paused if run.finishing => Ok(vec![
            Event::RunCancelRequested { run: id, reason: reason.clone() },
            over(run, Conclusion::Cancelled, Json::null(), None),
        ]),
        RunStatus::Running | RunStatus::Paused => {
            Ok(vec![Event::RunCancelRequested { run: id, reason: reason.clone() }])
        }
        RunStatus::Cancelling => Ok(Vec::new()),
        status @ (RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut) => {
            Err(Rejection::RunTransition { run: id, status, wish: RunWish::Cancelled })
        }
    }
}

pub(super) fn pause(state: &State, id: RunId) -> Decided {
    let run = live(state, id)?;
    if run.status == RunStatus::Running && !run.timing_out {
        return Ok(vec![Event::RunPaused { run: id }]);
    }
    Err(Rejection::RunTransition { run: id, status: run.status, wish: RunWish::Paused })
}

pub(super) fn resume(state: &State, id: RunId) -> Decided {
    let run = live(state, id)?;
    if run.status == RunStatus::Paused {
        return Ok(vec![Event::RunResumed { run: id }]);
    }
    Err(Rejection::RunTransition { run: id, status: run.status, wish: RunWish::Resumed })
}

fn live(state: &State, id: RunId) -> Result<&Run, Rejection> {
    state.runs.get(&id).ok_or(Rejection::RunNotLive { run: id })
}

/// What happens once every step has ended.
pub(super) fn finish(run: &Run, definition: &Definition) -> Event {
    let conclusion = match () {
        () if run.timing_out => Conclusion::TimedOut,
        () if run.cancelling.is_some() => Conclusion::Cancelled,
        () if run.error.is_some() => Conclusion::Failure,
        () if run.gated => Conclusion::Gated,
        () => Conclusion::Success,
    };
    if conclusion == Conclusion::Success && !definition.outputs.is_empty() {
        return Event::EvaluationAwaited { run: run.id, point: EvalPoint::Outputs };
    }
    let outputs = match conclusion {
        Conclusion::Success | Conclusion::Gated => last_output(run),
        Conclusion::Failure | Conclusion::Cancelled | Conclusion::TimedOut => Json::null(),
    };
    over(run, conclusion, outputs, None)
}

/// The end of a run.
pub(super) fn over(run: &Run, conclusion: Conclusion, outputs: Json, failure: Option<Failure>) -> Event {
    let status = match conclusion {
        Conclusion::Success | Conclusion::Gated => RunStatus::Completed,
        Conclusion::Failure => RunStatus::Failed,
        Conclusion::Cancelled => RunStatus::Cancelled,
        Conclusion::TimedOut => RunStatus::TimedOut,
    };
    let failure = match conclusion {
        Conclusion::TimedOut => Some(Failure::new("WORKFLOW_TIMEOUT", "the run's time was up")),
        Conclusion::Cancelled => run.cancelling.clone().map(|reason| Failure::new("CANCELLED", reason)),
        Conclusion::Success | Conclusion::Gated | Conclusion::Failure => {
            failure.or_else(|| run.error.clone())
        }
    };
    Event::RunEnded { run: run.id, status, conclusion, outputs, failure }
}

fn last_output(run: &Run) -> Json {
    let completed = run.steps.iter().rev().filter(|step| step.status == StepStatus::Completed);
    completed.filter_map(|step| step.output.clone()).next().unwrap_or_else(Json::null)
}
