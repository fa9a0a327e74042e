//! Decisions about steps: when one starts, is skipped or ends, and what its end means for the run.
//! Knows nothing of attempts; a step's task decides about those.

use alloc::{format, string::String, vec, vec::Vec};

use super::{
    Decided,
    begin::{Given, Turn},
    child, handler, signal, task,
};
use crate::{
    definition::{Definition, OnFalse, StepDef, StepKind},
    evaluation::Evaluation,
    event::Event,
    ids::{Json, RunId, StepIx, TaskId, Text},
    rejection::Rejection,
    run::{Conclusion, Failure, Run, RunStatus},
    state::State,
    step::{Decision, EvalPoint, Skip, Step, StepOutcome, StepStatus, Work},
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
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    if !moves(run) {
        return Vec::new();
    }
    if is_held(state, run) {
        return vec![Event::RunPaused { run: id }];
    }
    let definition = definition(state, run);
    if run.open_steps == 0 {
        return if run.finishing || run.handling.is_some() {
            Vec::new()
        } else {
            vec![handler::finish(run, definition)]
        };
    }
    start_each((0..).zip(&run.steps).map(|(place, _)| Turn { state, run, definition, place }))
}

/// Starts those steps whose turn it is. Of steps that write state keys one: the next sees what the one before wrote; of all
/// one where nothing runs at once (`enableParallelExecution`).
fn start_each<'a>(turns: impl Iterator<Item = Turn<'a>>) -> Vec<Event> {
    let (mut events, mut has_written, mut is_busy) = (Vec::new(), false, None);
    for turn in turns {
        let is_busy = is_busy
            .get_or_insert_with(|| is_serial(turn.state) && turn.run.steps.iter().any(Step::is_at_work));
        let writes = matches!(turn.step().kind, StepKind::State { .. });
        if !(*is_busy || writes && has_written) {
            let started = start(turn);
            has_written |= writes && !started.is_empty();
            *is_busy = is_serial(turn.state) && !started.is_empty();
            events.extend(started);
        }
    }
    events
}

/// Whether the steps of a run run one at a time.
fn is_serial(state: &State) -> bool {
    !state.config().switches.parallel_steps
}

/// Whether steps of it may start.
fn moves(run: &Run) -> bool {
    run.status == RunStatus::Running && !run.is_winding_down()
}

/// Its parent is paused, so it is, too.
fn is_held(state: &State, run: &Run) -> bool {
    let parent = run.parent.as_ref().and_then(|parent| state.runs.get(&parent.run));
    parent.is_some_and(|parent| parent.status == RunStatus::Paused)
}

fn definition<'a>(state: &'a State, run: &Run) -> &'a Definition {
    state.definitions.get(&run.definition).expect("a live run's definition is in memory")
}

/// The steps that a run executes, as its definition has them.
pub(super) fn steps_of<'a>(state: &'a State, run: &Run) -> &'a [StepDef] {
    definition(state, run).block(run.block)
}

/// Starts or skips one step, if it is its turn.
fn start(turn: Turn<'_>) -> Vec<Event> {
    let (run, step) = (turn.run, turn.step());
    if run.steps[usize::from(turn.place)].status != StepStatus::Pending {
        return Vec::new();
    }
    let needs = needs_of(turn);
    let (why, reason) = match needs {
        Needs::Open => return Vec::new(),
        _ if asks_anyway(step) => return vec![turn.await_evaluation()],
        Needs::Met if run.error.is_none() => return turn.begin(),
        Needs::Met => (Skip::Failure, Text::from(RUN_FAILED)),
        Needs::Failed(reason) if matches!(step.kind, StepKind::Parallel { .. }) => {
            return vec![turn.ended(StepOutcome::Failed(Failure::new("CHILD_FAILED", reason)))];
        }
        Needs::Failed(reason) => (Skip::Failure, reason),
        Needs::Gated(reason) => (Skip::Gated, reason),
    };
    vec![turn.ended(StepOutcome::Skipped { why, reason })]
}

const RUN_FAILED: &str = "the run failed";

/// Its `if` wants to be asked also after a failure.
fn asks_anyway(step: &StepDef) -> bool {
    step.only_if.as_ref().is_some_and(|text| text.contains("failure()") || text.contains("always()"))
}

fn needs_of(turn: Turn<'_>) -> Needs {
    let steps = turn.definition.block(turn.run.block);
    let mut verdict = Needs::Met;
    for need in &turn.step().needs {
        let (before, needed) = (&steps[usize::from(*need)], &turn.run.steps[usize::from(*need)]);
        let name = || -> String { format!("step `{}`", before.id) };
        match needed.status {
            StepStatus::Pending | StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting => {
                return Needs::Open;
            }
            StepStatus::Completed => {
                if needed.is_false() && before.gates(turn.place) {
                    verdict = worse(verdict, Needs::Gated(format!("{} was false", name()).into()));
                }
            }
            StepStatus::Skipped => {
                let reason = || Text::from(format!("{} was skipped", name()));
                match needed.skip {
                    Some(Skip::Chosen) => {}
                    Some(Skip::Gated) if turn.run.goes_to(turn.place, steps) => {}
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
        let is_over = run.finishing || run.handling.is_some();
        return if is_over { Vec::new() } else { vec![handler::finish(run, definition)] };
    }
    if !moves(run) {
        return Vec::new();
    }
    let turn = |place| Turn { state, run, definition, place };
    let ended = &run.steps[usize::from(step)];
    let fails = matches!(ended.status, StepStatus::Failed | StepStatus::TimedOut);
    if fails && run.error.is_some() {
        return (0..).zip(&run.steps).flat_map(|(place, _)| start_or_give_up(turn(place))).collect();
    }
    let def = &definition.block(run.block)[usize::from(step)];
    if matches!(def.kind, StepKind::State { .. }) || is_serial(state) {
        return start_all(state, id); // others may have waited for it
    }
    start_each(def.followers.iter().map(|place| turn(*place)))
}

/// After a failure nothing new starts but what asks for it (`failure()`, `always()`).
fn start_or_give_up(turn: Turn<'_>) -> Vec<Event> {
    let step = turn.step();
    let pending = turn.run.steps[usize::from(turn.place)].status == StepStatus::Pending;
    let group = matches!(step.kind, StepKind::Parallel { .. });
    if pending && !asks_anyway(step) && !group && matches!(needs_of(turn), Needs::Open) {
        let reason = Text::from(RUN_FAILED);
        return vec![turn.ended(StepOutcome::Skipped { why: Skip::Failure, reason })];
    }
    start(turn)
}

pub(super) fn wind_down(state: &State, id: RunId) -> Vec<Event> {
    let Some(run) = state.runs.get(&id) else { return Vec::new() };
    let definition = definition(state, run);
    let reason = run.cancelling.clone().unwrap_or_else(|| Text::from("the run's time was up"));
    if run.handling.is_some() {
        return handler::cut_short(state, run, &reason);
    }
    let mut events = Vec::new();
    for (place, step) in (0..).zip(&run.steps) {
        let turn = Turn { state, run, definition, place };
        match step.status {
            StepStatus::Pending | StepStatus::Evaluating | StepStatus::Waiting => {
                events.push(turn.ended(StepOutcome::Cancelled(reason.clone())));
            }
            StepStatus::Running => events.extend(stop(turn, step, &reason)),
            StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::TimedOut => {}
        }
    }
    if run.open_steps == 0 && !run.finishing {
        events.push(handler::finish(run, definition));
    }
    events
}

/// Has a running step end: its task, its children or its wait for a reply.
fn stop(turn: Turn<'_>, step: &Step, reason: &Text) -> Vec<Event> {
    let (state, run, place) = (turn.state, turn.run, turn.place);
    let cancelled = || StepOutcome::Cancelled(reason.clone());
    match step.work.as_deref() {
        None => task::wind_down(state, TaskId::Step(run.id, place), reason),
        Some(Work::Child(_)) => child::cancel_all(state, run.id, place, reason),
        Some(Work::Fan(_)) => {
            let stopping = Event::StepStopping { run: run.id, step: place, outcome: cancelled() };
            [vec![stopping], child::cancel_all(state, run.id, place, reason)].concat()
        }
        Some(Work::Signal(_) | Work::Approval(_) | Work::Message(_) | Work::Event(_)) => {
            vec![turn.ended(cancelled())]
        }
    }
}

/// What a step's passed deadline means.
pub(super) fn due(state: &State, id: RunId, place: StepIx) -> Vec<Event> {
    let run = state.runs.get(&id).expect("a run in the index is live");
    signal::due(Turn { state, run, definition: definition(state, run), place })
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
                Ok(vec![handler::over(run, Conclusion::Success, outputs.clone(), None)])
            }
            Evaluation::Failed(failure) => {
                Ok(vec![handler::over(run, Conclusion::Failure, Json::null(), Some(failure.clone()))])
            }
            Evaluation::Proceed { .. }
            | Evaluation::Skip(_)
            | Evaluation::Condition(_)
            | Evaluation::Items(_)
            | Evaluation::Until(_)
            | Evaluation::Values(_)
            | Evaluation::Child(_)
            | Evaluation::Cacheable { .. } => Err(not_awaited),
        },
        EvalPoint::Step(place) | EvalPoint::StepOutputs(place) => {
            let step = run.steps.get(usize::from(place));
            let awaits = step.is_some_and(|step| {
                let returned = matches!(point, EvalPoint::StepOutputs(_));
                step.status == StepStatus::Evaluating && step.output.is_some() == returned
            });
            if !awaits {
                return Err(not_awaited);
            }
            let turn = Turn { state, run, definition: definition(state, run), place };
            let events = match point {
                EvalPoint::StepOutputs(_) => outputs_known(turn, evaluation),
                EvalPoint::Step(_) | EvalPoint::Outputs => evaluated(turn, evaluation),
            };
            events.ok_or(not_awaited)
        }
    }
}

fn outputs_known(turn: Turn<'_>, evaluation: &Evaluation) -> Option<Vec<Event>> {
    Some(vec![match evaluation {
        Evaluation::Outputs(outputs) => turn.ended(StepOutcome::Completed(outputs.clone())),
        Evaluation::Failed(failure) => turn.ended(StepOutcome::Failed(failure.clone())),
        Evaluation::Proceed { .. }
        | Evaluation::Skip(_)
        | Evaluation::Condition(_)
        | Evaluation::Items(_)
        | Evaluation::Until(_)
        | Evaluation::Values(_)
        | Evaluation::Child(_)
        | Evaluation::Cacheable { .. } => return None,
    }])
}

fn evaluated(turn: Turn<'_>, evaluation: &Evaluation) -> Option<Vec<Event>> {
    let decided = |decision: &Decision| Event::StepDecided {
        run: turn.run.id,
        step: turn.place,
        decision: decision.clone(),
    };
    let given = match (evaluation, &turn.step().kind) {
        (Evaluation::Failed(failure), _) => {
            return Some(vec![turn.ended(StepOutcome::Failed(failure.clone()))]);
        }
        (Evaluation::Skip(decision), _) => {
            let reason = Text::from("its `if` is false");
            let skipped = StepOutcome::Skipped { why: Skip::Chosen, reason };
            return Some(vec![decided(decision), turn.ended(skipped)]);
        }
        (Evaluation::Condition(decision), StepKind::Condition { expression, on_false }) => {
            let outcome = match (decision.value, on_false) {
                (false, OnFalse::Fail) => {
                    StepOutcome::Failed(Failure::new("CONDITION_FALSE", format!("`{expression}` is false")))
                }
                (value, _) => StepOutcome::Completed(Json::from(format!("{{\"result\":{value}}}"))),
            };
            return Some(vec![decided(decision), turn.ended(outcome)]);
        }
        (Evaluation::Condition(_) | Evaluation::Outputs(_), _) => return None,
        (Evaluation::Proceed { config }, _) => Given::Config(config.as_ref()),
        (Evaluation::Items(items), _) => Given::Items(items),
        (Evaluation::Until(until), _) => Given::Until(*until),
        (Evaluation::Values(values), _) => Given::Values(values),
        (Evaluation::Child(start), _) => Given::Child(start),
        (Evaluation::Cacheable { key, config }, _) => Given::Cacheable(*key, config.as_ref()),
    };
    if turn.run.error.is_some() && !asks_anyway(turn.step()) {
        let reason = Text::from(RUN_FAILED);
        return Some(vec![turn.ended(StepOutcome::Skipped { why: Skip::Failure, reason })]);
    }
    turn.proceed(&given)
}
