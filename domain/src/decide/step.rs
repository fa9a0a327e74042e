//! Decisions about steps: when one starts, is skipped or ends, and what its end means for the run.
//! Knows nothing of attempts; a step's task decides about those.

use alloc::{format, string::String, vec, vec::Vec};

use super::{Decided, run as whole, task};
use crate::{
    command::Evaluation,
    definition::{Definition, OnFalse, StepDef, StepKind},
    event::Event,
    ids::{Json, RunId, StepIx, TaskId, Text},
    rejection::Rejection,
    run::{Conclusion, EvalPoint, Failure, Run, RunStatus, Skip, StepOutcome, StepStatus},
    state::State,
};

/// What the ends of a step's needs mean for it.
enum Needs {
    Open,
    Met,
    /// One failed, or was skipped because one before it did.
    Failed(Text),
    /// A condition before it was false.
    Gated(Text),
}

pub(super) fn start_all(state: &State, id: RunId) -> Vec<Event> {
    let Some((run, definition)) = moving(state, id) else { return Vec::new() };
    (0..).zip(&run.steps).flat_map(|(place, _)| start(run, definition, place)).collect()
}

/// The run and its definition, if steps of it may start.
fn moving(state: &State, id: RunId) -> Option<(&Run, &Definition)> {
    let run = state.runs.get(&id)?;
    (run.status == RunStatus::Running && !run.is_winding_down()).then(|| (run, definition(state, run)))
}

fn definition<'a>(state: &'a State, run: &Run) -> &'a Definition {
    state.definitions.get(&run.definition).expect("a live run's definition is in memory")
}

/// Starts or skips one step, if it is its turn.
fn start(run: &Run, definition: &Definition, place: StepIx) -> Option<Event> {
    let step = &definition.steps[place as usize];
    if run.steps[place as usize].status != StepStatus::Pending {
        return None;
    }
    let needs = needs_of(run, definition, step);
    let (why, reason) = match needs {
        Needs::Open => return None,
        _ if asks_anyway(step) => return Some(await_evaluation(run, place)),
        Needs::Met if run.error.is_none() => return Some(begin(run, step, place)),
        Needs::Met => (Skip::Failure, Text::from(RUN_FAILED)),
        Needs::Failed(reason) if matches!(step.kind, StepKind::Parallel { .. }) => {
            return Some(ended(run, place, StepOutcome::Failed(Failure::new("CHILD_FAILED", reason))));
        }
        Needs::Failed(reason) => (Skip::Failure, reason),
        Needs::Gated(reason) => (Skip::Gated, reason),
    };
    Some(ended(run, place, StepOutcome::Skipped { why, reason }))
}

const RUN_FAILED: &str = "the run failed";

/// Its `if` wants to be asked also after a failure.
fn asks_anyway(step: &StepDef) -> bool {
    step.only_if.as_ref().is_some_and(|text| text.contains("failure()") || text.contains("always()"))
}

fn begin(run: &Run, step: &StepDef, place: StepIx) -> Event {
    let evaluates = match &step.kind {
        StepKind::Task { templated, .. } => *templated,
        StepKind::Condition { .. } => true,
        StepKind::Parallel { .. } | StepKind::Delay { .. } => false,
    };
    if evaluates || step.only_if.is_some() {
        return await_evaluation(run, place);
    }
    proceed(run, step, place, None)
}

fn await_evaluation(run: &Run, place: StepIx) -> Event {
    Event::EvaluationAwaited { run: run.id, point: EvalPoint::Step(place) }
}

/// Begins a step whose expressions, if any, are known.
fn proceed(run: &Run, step: &StepDef, place: StepIx, config: Option<Json>) -> Event {
    match &step.kind {
        StepKind::Parallel { .. } => ended(run, place, StepOutcome::Completed(Json::null())),
        StepKind::Task { .. } | StepKind::Delay { .. } | StepKind::Condition { .. } => {
            Event::StepStarted { run: run.id, step: place, config }
        }
    }
}

fn needs_of(run: &Run, definition: &Definition, step: &StepDef) -> Needs {
    let mut verdict = Needs::Met;
    for need in &step.needs {
        let (before, needed) = (&definition.steps[*need as usize], &run.steps[*need as usize]);
        let name = || -> String { format!("step `{}`", before.id) };
        match needed.status {
            StepStatus::Pending | StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting => {
                return Needs::Open;
            }
            StepStatus::Completed => {
                let is_false = needed.decision.as_ref().is_some_and(|decision| !decision.value);
                if is_false && matches!(before.kind, StepKind::Condition { .. }) {
                    verdict = worse(verdict, Needs::Gated(format!("{} was false", name()).into()));
                }
            }
            StepStatus::Skipped => {
                let reason = || Text::from(format!("{} was skipped", name()));
                match needed.skip {
                    Some(Skip::Chosen) => {}
                    Some(Skip::Gated) => verdict = worse(verdict, Needs::Gated(reason())),
                    Some(Skip::Failure) | None => verdict = worse(verdict, Needs::Failed(reason())),
                }
            }
            StepStatus::Failed | StepStatus::TimedOut if before.continue_on_error => {}
            StepStatus::Failed | StepStatus::Cancelled | StepStatus::TimedOut => {
                verdict =
                    worse(verdict, Needs::Failed(format!("{} {}", name(), needed.status.name()).into()));
            }
        }
    }
    verdict
}

fn worse(one: Needs, other: Needs) -> Needs {
    match (&one, &other) {
        (Needs::Failed(_), _) | (Needs::Gated(_), Needs::Gated(_)) => one,
        (Needs::Open | Needs::Met | Needs::Gated(_), _) => other,
    }
}

pub(super) fn after(state: &State, id: RunId, step: StepIx) -> Vec<Event> {
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    let definition = definition(state, run);
    if run.open_steps == 0 {
        return if run.finishing { Vec::new() } else { vec![whole::finish(run, definition)] };
    }
    if run.status != RunStatus::Running || run.is_winding_down() {
        return Vec::new();
    }
    let ended = &run.steps[step as usize];
    let fails = matches!(ended.status, StepStatus::Failed | StepStatus::TimedOut);
    if fails && run.error.is_some() {
        return (0..)
            .zip(&definition.steps)
            .flat_map(|(place, _)| start_or_give_up(run, definition, place))
            .collect();
    }
    let followers = &definition.steps[step as usize].followers;
    followers.iter().flat_map(|place| start(run, definition, *place)).collect()
}

/// After a failure nothing new starts but what asks for it (`failure()`, `always()`).
fn start_or_give_up(run: &Run, definition: &Definition, place: StepIx) -> Option<Event> {
    let step = &definition.steps[place as usize];
    let pending = run.steps[place as usize].status == StepStatus::Pending;
    let group = matches!(step.kind, StepKind::Parallel { .. });
    if pending && !asks_anyway(step) && !group && matches!(needs_of(run, definition, step), Needs::Open) {
        let reason = Text::from(RUN_FAILED);
        return Some(ended(run, place, StepOutcome::Skipped { why: Skip::Failure, reason }));
    }
    start(run, definition, place)
}

pub(super) fn wind_down(state: &State, id: RunId) -> Vec<Event> {
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    let reason = run.cancelling.clone().unwrap_or_else(|| Text::from("the run's time was up"));
    let mut events = Vec::new();
    for (place, step) in (0..).zip(&run.steps) {
        match step.status {
            StepStatus::Pending | StepStatus::Evaluating | StepStatus::Waiting => {
                events.push(ended(run, place, StepOutcome::Cancelled(reason.clone())));
            }
            StepStatus::Running => events.extend(task::wind_down(state, TaskId::Step(id, place), &reason)),
            StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::TimedOut => {}
        }
    }
    if run.open_steps == 0 {
        events.push(whole::finish(run, definition(state, run)));
    }
    events
}

pub(super) fn delay_over(run: RunId, step: StepIx) -> Event {
    Event::StepEnded { run, step, outcome: StepOutcome::Completed(Json::null()) }
}

fn ended(run: &Run, step: StepIx, outcome: StepOutcome) -> Event {
    Event::StepEnded { run: run.id, step, outcome }
}

pub(super) fn record_evaluation(
    state: &State,
    id: RunId,
    point: EvalPoint,
    evaluation: &Evaluation,
) -> Decided {
    let not_awaited = Rejection::EvaluationNotAwaited { run: id };
    let run = state.runs.get(&id).ok_or(Rejection::RunNotLive { run: id })?;
    match point {
        EvalPoint::Outputs if !run.finishing => Err(not_awaited),
        EvalPoint::Outputs => match evaluation {
            Evaluation::Outputs(outputs) => {
                Ok(vec![whole::over(run, Conclusion::Success, outputs.clone(), None)])
            }
            Evaluation::Failed(failure) => {
                Ok(vec![whole::over(run, Conclusion::Failure, Json::null(), Some(failure.clone()))])
            }
            Evaluation::Proceed { .. } | Evaluation::Skip(_) | Evaluation::Condition(_) => Err(not_awaited),
        },
        EvalPoint::Step(place) => {
            let awaits =
                run.steps.get(place as usize).is_some_and(|step| step.status == StepStatus::Evaluating);
            if !awaits {
                return Err(not_awaited);
            }
            let step = &definition(state, run).steps[place as usize];
            evaluated(run, step, place, evaluation).ok_or(not_awaited)
        }
    }
}

fn evaluated(run: &Run, step: &StepDef, place: StepIx, evaluation: &Evaluation) -> Option<Vec<Event>> {
    let decided = |decision: &crate::run::Decision| Event::StepDecided {
        run: run.id,
        step: place,
        decision: decision.clone(),
    };
    match (evaluation, &step.kind) {
        (Evaluation::Proceed { .. }, _) if run.error.is_some() && !asks_anyway(step) => {
            let reason = Text::from(RUN_FAILED);
            Some(vec![ended(run, place, StepOutcome::Skipped { why: Skip::Failure, reason })])
        }
        (Evaluation::Proceed { config }, _) => Some(vec![proceed(run, step, place, config.clone())]),
        (Evaluation::Skip(decision), _) => {
            let reason = Text::from("its `if` is false");
            Some(vec![
                decided(decision),
                ended(run, place, StepOutcome::Skipped { why: Skip::Chosen, reason }),
            ])
        }
        (Evaluation::Condition(decision), StepKind::Condition { expression, on_false }) => {
            let outcome = match (decision.value, on_false) {
                (false, OnFalse::Fail) => {
                    StepOutcome::Failed(Failure::new("CONDITION_FALSE", format!("`{expression}` is false")))
                }
                (value, _) => StepOutcome::Completed(Json::from(format!("{{\"result\":{value}}}"))),
            };
            Some(vec![decided(decision), ended(run, place, outcome)])
        }
        (Evaluation::Failed(failure), _) => {
            Some(vec![ended(run, place, StepOutcome::Failed(failure.clone()))])
        }
        (Evaluation::Condition(_) | Evaluation::Outputs(_), _) => None,
    }
}
