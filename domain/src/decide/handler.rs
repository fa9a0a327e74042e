//! Decisions about the end of a run: how it concludes, which handlers follow, and when it is over.
//! Knows nothing of what handlers do: each is a child run.

use alloc::{format, string::String, vec, vec::Vec};

use super::{child, run as whole};
use crate::{
    child::{Handling, Job, Role},
    definition::{Definition, StepDef, StepKind},
    event::Event,
    ids::{Json, RunId, StepIx, Text},
    request::CreateRun,
    run::{Conclusion, Failure, Run, RunStatus},
    state::State,
    step::{EvalPoint, Step, StepStatus},
};

/// What happens once every step has ended.
pub(super) fn finish(run: &Run, definition: &Definition) -> Event {
    let conclusion = match () {
        () if run.timing_out => Conclusion::TimedOut,
        () if run.cancelling.is_some() => Conclusion::Cancelled,
        () if run.error.is_some() => Conclusion::Failure,
        () if run.gated => Conclusion::Gated,
        () => Conclusion::Success,
    };
    let jobs = if run.block == 0 { jobs(run, definition, conclusion) } else { Vec::new() };
    if jobs.is_empty() {
        return conclude(run, definition, conclusion);
    }
    Event::RunConcluding { run: run.id, conclusion, jobs }
}

fn conclude(run: &Run, definition: &Definition, conclusion: Conclusion) -> Event {
    if conclusion == Conclusion::Success && run.block == 0 && !definition.outputs.is_empty() {
        return Event::EvaluationAwaited { run: run.id, point: EvalPoint::Outputs };
    }
    let outputs = match conclusion {
        Conclusion::Success | Conclusion::Gated => last_output(run, definition.block(run.block)),
        Conclusion::Failure | Conclusion::Cancelled | Conclusion::TimedOut => Ok(Json::null()),
    };
    match outputs {
        Ok(outputs) => over(run, conclusion, outputs, None),
        Err(failure) => over(run, Conclusion::Failure, Json::null(), Some(failure)),
    }
}

/// What is done after the steps, in this order.
fn jobs(run: &Run, definition: &Definition, conclusion: Conclusion) -> Vec<Job> {
    let handlers = &definition.handlers;
    let (undoes, handler) = match conclusion {
        Conclusion::Success | Conclusion::Gated => (false, None),
        Conclusion::Failure | Conclusion::TimedOut => (true, handlers.on_failure.map(|_| Job::OnFailure)),
        Conclusion::Cancelled => (true, handlers.on_cancel.map(|_| Job::OnCancel)),
    };
    let steps = (0..).zip(&definition.steps).zip(&run.steps);
    let completed =
        steps.filter(|((_, def), step)| def.compensate.is_some() && step.status == StepStatus::Completed);
    let mut undone: Vec<_> = completed.map(|((place, _), step)| (step.ended_at, place)).collect();
    undone.sort_unstable();
    let compensations = undone.into_iter().rev().map(|(_, place)| Job::Compensate(place));
    let compensations = compensations.filter(|_| undoes);
    let finally = handlers.finally.map(|_| Job::Finally);
    compensations.chain(handler).chain(finally).collect()
}

/// Starts the next handler, or ends the run after the last.
pub(super) fn next(state: &State, id: RunId) -> Vec<Event> {
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    let definition = state.definitions.get(&run.definition).expect("a live run's definition is in memory");
    let Some(Handling { conclusion, waiting, current: None, .. }) = run.handling.as_deref() else {
        return Vec::new();
    };
    if run.status == RunStatus::Paused || run.finishing {
        return Vec::new();
    }
    let Some(job) = waiting.first() else { return vec![conclude(run, definition, *conclusion)] };
    let block = match job {
        Job::Compensate(step) => definition.steps[usize::from(*step)].compensate,
        Job::OnFailure => definition.handlers.on_failure,
        Job::OnCancel => definition.handlers.on_cancel,
        Job::Finally => definition.handlers.finally,
    };
    let block = block.expect("a job is made from its block");
    child::launch(CreateRun { block, ..child::blank(state, run, Role::Handler(*job)) })
}

/// A cancel while handlers run ends the one at work and leaves the others out.
pub(super) fn cut_short(state: &State, run: &Run, reason: &Text) -> Vec<Event> {
    let mut events = vec![Event::HandlersDropped { run: run.id }];
    for child in state.indexes.children(&run.id) {
        events.extend(whole::cancel(state, child, reason).unwrap_or_default());
    }
    events
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
    Event::RunEnded { run: run.id, status, conclusion, outputs, failure, parent: run.parent.clone() }
}

/// The output of the last step that has one; of a group, those of its children by their ids.
fn last_output(run: &Run, steps: &[StepDef]) -> Result<Json, Failure> {
    let completed =
        run.steps.iter().zip(steps).rev().filter(|(step, _)| step.status == StepStatus::Completed);
    let output = |(step, def): (&Step, &StepDef)| {
        let StepKind::Parallel { children } = &def.kind else { return step.output.clone().map(Ok) };
        Some(of_group(run, steps, children))
    };
    completed.filter_map(output).next().unwrap_or_else(|| Ok(Json::null()))
}

fn of_group(run: &Run, steps: &[StepDef], children: &[StepIx]) -> Result<Json, Failure> {
    let mut outputs = String::from("{");
    for child in children {
        let (step, def) = (&run.steps[usize::from(*child)], &steps[usize::from(*child)]);
        let comma = if outputs.len() > 1 { "," } else { "" };
        // Ids need no quoting.
        outputs += &format!("{comma}\"{}\":{}", def.id, step.output.as_ref().map_or("null", Json::as_str));
        if outputs.len() > child::OUTPUT_BYTES_MAX {
            let message =
                format!("the outputs of its last steps are more than {} bytes", child::OUTPUT_BYTES_MAX);
            return Err(Failure::new("RESULT_TOO_LARGE", message));
        }
    }
    Ok(Json::from(outputs + "}"))
}
