//! Facts written: the only code that changes rows. It cannot fail and decides nothing.
//! Whoever changes a row goes through the `change_*` functions, which keep the indexes true.

mod rows;
mod run;
mod schedule;
mod task;
mod workflow;

use alloc::sync::Arc;

use crate::{
    component::{Component, Session},
    event::Event,
    ids::{Json, StateKey},
    indexes::Indexes,
    key::{KeyRecord, VersionRecord},
    state::State,
};

/// A fact cannot fail.
pub(crate) fn evolve(state: &mut State, event: &Event) {
    match event {
        Event::DefinitionAdded(definition) => state.definitions.insert(definition.id, (**definition).clone()),
        Event::RunCreated(create) => run::created(state, create),
        Event::RunStarted { run } => run::started(state, *run),
        Event::RunPaused { run } => run::paused(state, *run, true),
        Event::RunResumed { run } => run::paused(state, *run, false),
        Event::RunCancelRequested { run, reason } => run::cancel_requested(state, *run, reason),
        Event::RunTimedOut { run } => state.change_run(*run, |run| run.timing_out = true),
        Event::EvaluationAwaited { run, point } => run::evaluation_awaited(state, *run, *point),
        Event::RunEnded { .. } => run::ended(state, event),
        Event::StepDecided { run, step, decision } => {
            state.change_run(*run, |run| run.steps[*step as usize].decision = Some(decision.clone()));
        }
        Event::StepStarted { run, step, config } => run::step_started(state, *run, *step, config.as_ref()),
        Event::StepEnded { run, step, outcome } => run::step_ended(state, *run, *step, outcome),
        Event::TaskCreated(task) => state.add_task((**task).clone()),
        Event::DependencyCompleted { task, dependency } => {
            task::dependency_completed(state, task, dependency)
        }
        Event::TaskRequeued { task } => task::requeued(state, task),
        Event::TaskAssigned { task, component, token, deadline } => {
            task::assigned(state, task, component, (*token, *deadline));
        }
        Event::AttemptFailed { task, failure, lost, retry_at, .. } => {
            task::attempt_failed(state, task, failure, (*lost, *retry_at));
        }
        Event::TaskCancelRequested { task, reason, deadline } => {
            task::cancel_requested(state, task, reason, *deadline)
        }
        Event::TaskEnded { task, outcome } => task::ended(state, task, outcome),
        Event::ComponentRegistered(_)
        | Event::ComponentConnected { .. }
        | Event::SessionEnded { .. }
        | Event::ComponentDisconnected { .. }
        | Event::ComponentDraining { .. }
        | Event::ComponentDeregistered { .. } => component_changed(state, event),
        // The value before is for readers of the event; the row is the truth.
        Event::StateChanged { key, old: _, value, version, version_min } => {
            state_changed(state, key, value.as_ref(), (*version, *version_min));
        }
        Event::Configured(config) => {
            state.meta.config = Arc::new((**config).clone());
            state.indexes = Indexes::of(state); // places in queues depend on the head start
        }
        Event::WorkflowApplied { name, version, definition } => {
            workflow::applied(state, name, *version, *definition)
        }
        Event::WorkflowDeleted { name } => state.drop_workflow(name),
        Event::WorkflowPaused { name } => workflow::paused(state, name, true),
        Event::WorkflowResumed { name } => workflow::paused(state, name, false),
        Event::ScheduleSet(spec) => schedule::set(state, spec),
        Event::ScheduleDeleted { schedule } => state.drop_schedule(schedule),
        Event::SchedulePaused { schedule } => schedule::paused(state, schedule, true),
        Event::ScheduleResumed { schedule } => schedule::paused(state, schedule, false),
        Event::SchedulePlanned { schedule, instant, missed } => {
            schedule::planned(state, schedule, *instant, missed.as_ref());
        }
        Event::ScheduleFired { schedule, instant, turn, run } => {
            schedule::fired(state, schedule, (*instant, *turn), *run);
        }
        Event::ScheduleSkipped { schedule, instant, turn, cause } => {
            schedule::skipped(state, schedule, (*instant, *turn), *cause);
        }
        Event::ScheduleQueued { schedule, instant } => schedule::queued(state, schedule, *instant),
    }
}

fn component_changed(state: &mut State, event: &Event) {
    let now = state.meta.now;
    match event {
        Event::ComponentRegistered(info) => {
            let known = state.components.get(&info.id);
            let component = Component {
                id: info.id.clone(),
                name: info.name.clone(),
                kind: info.kind.clone(),
                version: info.version.clone(),
                capabilities: info.capabilities.clone(),
                labels: info.labels.clone(),
                slots: info.slots,
                registered_at: known.map_or(now, |known| known.registered_at),
                draining: known.is_some_and(|known| known.draining),
                session: known.and_then(|known| known.session.clone()),
            };
            state.put_component(component);
        }
        Event::ComponentConnected { component, session, .. } => {
            state.change_component(component, |component| {
                component.session = Some(session.clone());
                component.draining = false;
            })
        }
        Event::SessionEnded { component, until: Some(until), .. } => {
            state.change_component(component, |component| {
                component.session =
                    component.session.take().map(|session| Session { lost_until: Some(*until), ..session });
            })
        }
        Event::ComponentDisconnected { component } => {
            state.change_component(component, |component| component.session = None);
        }
        Event::ComponentDraining { component } => {
            state.change_component(component, |component| component.draining = true);
        }
        Event::ComponentDeregistered { component } => state.drop_component(component),
        _ => {} // a closed session ends with the disconnect that follows
    }
}

fn state_changed(
    state: &mut State,
    key: &StateKey,
    value: Option<&Json>,
    (version, version_min): (u64, u64),
) {
    let (rev, at) = (state.meta.rev, state.meta.now);
    let oldest = state.keys.get(key).map_or(version_min, |record| record.version_min);
    for dropped in oldest..version_min {
        state.versions.forget_archived((key.clone(), dropped));
    }
    state
        .versions
        .insert_archived((key.clone(), version), VersionRecord { version, value: value.cloned(), rev, at });
    let record = KeyRecord { key: key.clone(), value: value.cloned(), version, version_min, rev, at };
    state.keys.insert(key.clone(), record);
}
