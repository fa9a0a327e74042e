//! The search for work that nothing can ever wake. There must be none but what users tie into a knot themselves.
//! Knows nothing of how it came about.

use alloc::{format, string::String, vec::Vec};

use crate::{
    ids::{RunId, StepIx, TaskId},
    run::{Run, RunStatus},
    state::State,
    step::{Step, StepStatus, Work},
    task::Task,
};

/// Work that nothing can ever wake: there must be none.
pub(crate) fn stuck(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    for (id, run) in state.runs.iter() {
        let moves =
            |status| matches!(status, StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting);
        let handled = run.handling.as_ref().is_some_and(|handling| handling.current.is_some());
        let waits = matches!(run.status, RunStatus::Queued | RunStatus::Paused) || run.finishing || handled;
        if !waits && !run.steps.iter().any(|step| moves(step.status)) {
            found.push(format!("run {id} is {} and none of its steps moves", run.status.name()));
        }
        if let Some(parent) = run.parent.as_ref().filter(|parent| !state.runs.contains(&parent.run)) {
            found.push(format!("run {id} is a child of {}, which is gone", parent.run));
        }
        for (place, step) in (0..).zip(&run.steps).filter(|(_, step)| step.status == StepStatus::Running) {
            found.extend(running_for_nothing(state, run, place, step));
        }
    }
    for (id, task) in state.tasks.iter() {
        if task.waits_for.iter().any(|dependency| !state.tasks.contains(dependency)) {
            found.push(format!("task {id} waits for a task that is gone"));
        }
        if task.step().is_some_and(|(run, _)| !state.runs.contains(&run)) {
            found.push(format!("task {id} belongs to a run that is gone"));
        }
    }
    found
}

/// A running step whose task, child or items are not there.
fn running_for_nothing(state: &State, run: &Run, place: StepIx, step: &Step) -> Option<String> {
    let id = run.id;
    match step.work.as_deref() {
        None if !state.tasks.contains(&TaskId::Step(id, place)) => {
            Some(format!("step {place} of run {id} is running without a task"))
        }
        Some(Work::Child(child)) if !state.runs.contains(child) => {
            Some(format!("step {place} of run {id} waits for the run {child}, which is gone"))
        }
        Some(Work::Fan(fan)) if fan.running == 0 && run.status != RunStatus::Paused => {
            Some(format!("step {place} of run {id} has no item at work"))
        }
        None
        | Some(
            Work::Child(_)
            | Work::Fan(_)
            | Work::Message(_)
            | Work::Signal(_)
            | Work::Approval(_)
            | Work::Event(_),
        ) => None,
    }
}

impl Task {
    fn step(&self) -> Option<(RunId, StepIx)> {
        self.id.step()
    }
}
