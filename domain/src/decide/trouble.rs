//! What is told of errors: a run or task that failed for good, a component that fell silent, and whether trying again helped.
//! Knows nothing of what is done about them.

use alloc::{vec, vec::Vec};

use crate::{
    event::Event,
    ids::{ComponentId, RunId, Text},
    run::Failure,
    state::State,
    task::Task,
    trouble::{Concerned, HealthReport, TroubleEvent},
};

fn raised(code: &str, message: Text, concerned: Concerned) -> Event {
    Event::Trouble(TroubleEvent::Raised { code: code.into(), message, concerned, count: 1 })
}

pub(super) fn run_failed(run: RunId, failure: &Failure) -> Vec<Event> {
    let message = alloc::format!("{}: {}", failure.code, failure.message);
    vec![raised("WORKFLOW_FAILED", message.into(), Concerned { run: Some(run), ..Concerned::default() })]
}

/// A component did not come back within its grace time.
pub(super) fn component_silent(state: &State, id: &ComponentId) -> Vec<Event> {
    let grace = state.config().disconnect_grace.as_millis();
    let message = alloc::format!("component {id} did not come back within {grace} ms");
    let concerned = Concerned { component: Some(id.clone()), ..Concerned::default() };
    vec![raised("COMPONENT_TIMEOUT", message.into(), concerned)]
}

/// The failures that a task is known to have had: the first still known, and the last.
fn failures(task: &Task) -> impl DoubleEndedIterator<Item = &Failure> {
    task.history.iter().filter_map(|attempt| attempt.failure.as_ref())
}

/// A task completed; trying again helped if an attempt had failed before.
pub(super) fn recovered(task: &Task) -> Option<Event> {
    let failure = failures(task).next_back()?.clone();
    Some(Event::Trouble(TroubleEvent::Recovered { task: task.id, failure, attempts: task.attempts }))
}

/// A task failed for good.
pub(super) fn task_failed(task: &Task, failure: &Failure) -> Vec<Event> {
    let concerned = Concerned {
        run: task.id.step().map(|(run, _)| run),
        task: Some(task.id),
        component: task.assignment.as_ref().map(|assignment| assignment.component.clone()),
    };
    let message = alloc::format!("{}: {}", failure.code, failure.message);
    let mut events = vec![raised("TASK_FAILED", message.into(), concerned)];
    if let Some(original) = failures(task).next().cloned() {
        let (failure, attempts) = (failure.clone(), task.attempts);
        events.push(Event::Trouble(TroubleEvent::RecoveryFailed {
            task: task.id,
            original,
            failure,
            attempts,
        }));
    }
    events
}

/// A report from outside the log. Of health, what is as it was before is told again, as the seed does.
pub(super) fn report(state: &State, report: &TroubleEvent) -> Vec<Event> {
    let wanted = match report {
        TroubleEvent::HealthChecked(HealthReport { .. }) => state.config().switches.monitoring,
        TroubleEvent::Raised { .. }
        | TroubleEvent::Recovered { .. }
        | TroubleEvent::RecoveryFailed { .. } => true,
    };
    if wanted { vec![Event::Trouble(report.clone())] } else { Vec::new() }
}
