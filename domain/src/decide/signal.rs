//! Decisions about what comes from outside to a step that waits: signals, approvals, replies, times.
//! Knows nothing of who sends them.

use alloc::{vec, vec::Vec};

use super::{Decided, begin::Turn, child, run::live, step::steps_of};
use crate::{
    definition::{OnTimeout, StepKind},
    event::Event,
    ids::{Json, RunId, StepIx, Text},
    rejection::{Limited, Rejection},
    run::{Failure, Run},
    state::State,
    step::{Step, StepOutcome, StepStatus, Work},
};

/// Signals kept for one run.
const SIGNALS_MAX: usize = 100;

pub(super) fn signal(state: &State, id: RunId, name: &Text, data: &Json) -> Decided {
    let run = live(state, id)?;
    if run.signals.len() >= SIGNALS_MAX {
        let limit = u32::try_from(SIGNALS_MAX).expect("a small number");
        return Err(Rejection::LimitExceeded { what: Limited::Signals, limit });
    }
    Ok(vec![Event::RunSignalled { run: id, name: name.clone(), data: data.clone() }])
}

/// Hands the oldest signal that a step awaits to it; signals of a run are also for its items and handlers.
pub(super) fn hand_over(state: &State, id: RunId) -> Vec<Event> {
    let mut keeper = state.runs.get(&id);
    while let Some(run) = keeper {
        let found =
            run.signals.iter().find_map(|(name, data)| Some((name, data, awaiting(state, run, name)?)));
        if let Some((name, data, (waits, step))) = found {
            let taken = Event::SignalTaken { run: run.id, name: name.clone() };
            return [vec![taken], child::finished(state, waits, step, data.clone())].concat();
        }
        let parent = run.parent.as_ref().filter(|_| run.block > 0);
        keeper = parent.and_then(|parent| state.runs.get(&parent.run));
    }
    Vec::new()
}

fn awaiting<'a>(state: &'a State, run: &'a Run, name: &Text) -> Option<(&'a Run, StepIx)> {
    let awaits = |step: &Step| {
        step.status == StepStatus::Waiting
            && matches!(step.work.as_deref(), Some(Work::Signal(wanted)) if wanted == name)
    };
    let own = (0..).zip(&run.steps).find(|(_, step)| awaits(step)).map(|(place, _)| (run, place));
    own.or_else(|| {
        let children = state.indexes.children(&run.id).filter_map(|child| state.runs.get(&child));
        children.filter(|child| child.block > 0).find_map(|child| awaiting(state, child, name))
    })
}

/// What somebody decided.
pub(super) struct Verdict<'a> {
    pub(super) approved: bool,
    pub(super) by: &'a Text,
    pub(super) comment: Option<&'a Text>,
    pub(super) output: &'a Json,
}

pub(super) fn decide_approval(state: &State, id: RunId, step: StepIx, verdict: &Verdict<'_>) -> Decided {
    let run = live(state, id)?;
    let waits = |step: &&Step| {
        step.status == StepStatus::Waiting && matches!(step.work.as_deref(), Some(Work::Approval(_)))
    };
    if run.steps.get(usize::from(step)).filter(waits).is_none() {
        return Err(Rejection::ApprovalNotAwaited { run: id, step });
    }
    let Verdict { approved, by, comment, output } = verdict;
    if let StepKind::Approval { approvers, .. } = &steps_of(state, run)[usize::from(step)].kind
        && !approvers.is_empty()
        && !approvers.contains(by)
    {
        return Err(Rejection::NotAnApprover { by: (*by).clone() });
    }
    let (by, comment) = ((*by).clone(), comment.cloned());
    let message = match &comment {
        Some(comment) => alloc::format!("{by}: {comment}"),
        None => alloc::format!("rejected by {by}"),
    };
    let mut events = vec![Event::ApprovalDecided { run: id, step, approved: *approved, by, comment }];
    if *approved {
        events.extend(child::finished(state, run, step, (*output).clone()));
    } else {
        let outcome = StepOutcome::Failed(Failure::new("APPROVAL_REJECTED", message));
        events.push(Event::StepEnded { run: id, step, outcome });
    }
    Ok(events)
}

pub(super) fn finish_message(
    state: &State,
    id: RunId,
    step: StepIx,
    reply: &Result<Json, Failure>,
) -> Decided {
    let run = live(state, id)?;
    let waits = |step: &&Step| {
        step.status == StepStatus::Running && matches!(step.work.as_deref(), Some(Work::Message(_)))
    };
    if run.steps.get(usize::from(step)).filter(waits).is_none() {
        return Err(Rejection::ReplyNotAwaited { run: id, step });
    }
    Ok(match reply {
        Ok(reply) => child::finished(state, run, step, reply.clone()),
        Err(failure) => {
            vec![Event::StepEnded { run: id, step, outcome: StepOutcome::Failed(failure.clone()) }]
        }
    })
}

/// What it means that a step's time has come.
pub(super) fn due(turn: Turn<'_>) -> Vec<Event> {
    let ended = |outcome| vec![turn.ended(outcome)];
    let completed = |output: &str| child::finished(turn.state, turn.run, turn.place, Json::from(output));
    match &turn.step().kind {
        StepKind::Delay { .. } | StepKind::Until { .. } => completed("null"),
        StepKind::Signal { name } => {
            let message = alloc::format!("no signal `{name}` came in time");
            ended(StepOutcome::TimedOut(Failure::new("SIGNAL_TIMEOUT", message)))
        }
        StepKind::Event { kind, .. } => {
            let message = alloc::format!("no event `{kind}` came in time");
            ended(StepOutcome::TimedOut(Failure::new("EVENT_TIMEOUT", message)))
        }
        StepKind::Approval { on_timeout, .. } => {
            let late = Failure::new("APPROVAL_TIMEOUT", "nobody decided in time");
            match on_timeout {
                OnTimeout::Reject => ended(StepOutcome::Failed(late)),
                OnTimeout::Approve => completed("{\"approved\":true,\"by\":null,\"timedOut\":true}"),
                OnTimeout::Fail => ended(StepOutcome::TimedOut(late)),
            }
        }
        StepKind::Message { .. } => {
            ended(StepOutcome::Failed(Failure::new("COMPONENT_TIMEOUT", "no reply came in time")))
        }
        StepKind::ForEach { .. } | StepKind::Workflow { .. } => child::limit_over(turn),
        StepKind::Task { .. }
        | StepKind::Condition { .. }
        | StepKind::Parallel { .. }
        | StepKind::State { .. }
        | StepKind::Emit { .. } => Vec::new(),
    }
}
