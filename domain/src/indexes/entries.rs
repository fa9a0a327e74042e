//! What the indexes have of a run: when it is due, what it waits for, its place among those that may start.
//! Knows nothing of the indexes themselves.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Due, admission::Candidate, place};
use crate::{
    ids::{RunId, StepIx, Timestamp},
    run::Run,
    step::{Step, StepStatus, Work},
};

/// What the indexes have of a run beside its definition and its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunEntries {
    pub(super) candidate: Candidate,
    pub(super) due: Vec<(Timestamp, Due)>,
    pub(super) approvals: Vec<(RunId, StepIx)>,
    pub(super) event_waits: Vec<(RunId, StepIx)>,
}

impl RunEntries {
    pub(crate) fn of(run: &Run, head_start: Duration) -> RunEntries {
        RunEntries {
            candidate: Candidate::of(run, place(run.created_at, run.priority, head_start)),
            due: run_due(run).collect(),
            approvals: steps(run)
                .filter(|(_, step)| awaits_approval(step))
                .map(|(at, _)| (run.id, at))
                .collect(),
            event_waits: steps(run)
                .filter(|(_, step)| awaits_event(step))
                .map(|(at, _)| (run.id, at))
                .collect(),
        }
    }
}

pub(super) fn steps(run: &Run) -> impl Iterator<Item = (StepIx, &Step)> {
    (0..).zip(&run.steps)
}

pub(super) fn awaits_approval(step: &Step) -> bool {
    step.status == StepStatus::Waiting && matches!(step.work.as_deref(), Some(Work::Approval(_)))
}

fn awaits_event(step: &Step) -> bool {
    step.status == StepStatus::Waiting && matches!(step.work.as_deref(), Some(Work::Event(_)))
}

fn run_due(run: &Run) -> impl Iterator<Item = (Timestamp, Due)> + '_ {
    let limited = !run.is_winding_down() && run.handling.is_none();
    let deadline = run.deadline.filter(|_| limited).map(|at| (at, Due::Run(run.id)));
    let waiting = |step: &&Step| matches!(step.status, StepStatus::Waiting | StepStatus::Running);
    let timed = steps(run).filter_map(move |(place, step)| {
        let at = Some(step).filter(waiting).and_then(|step| step.wakes_at);
        at.map(|at| (at, Due::Step(run.id, place)))
    });
    deadline.into_iter().chain(timed)
}
