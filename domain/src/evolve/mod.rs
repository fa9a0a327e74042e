//! Facts written: the only code that changes rows. It cannot fail and decides nothing.
//! Whoever changes a row goes through the `change_*` functions, which keep the indexes true.

mod child;
mod key;
mod message;
mod rows;
mod run;
mod schedule;
mod task;
mod workflow;

use alloc::{boxed::Box, sync::Arc};

use crate::{
    component::{Component, Session},
    event::Event,
    following::EventWait,
    indexes::Indexes,
    schedule::ScheduleEvent,
    state::State,
    step::Work,
    task::DeadTask,
    workflow::WorkflowEvent,
};

/// A fact cannot fail.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
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
        | Event::ComponentDraining(..)
        | Event::DrainTimedOut(_)
        | Event::ComponentDeregistered { .. } => component_changed(state, event),
        Event::StateChanged(change) => key::changed(state, change),
        Event::Snapshot(event) => key::snapshot_changed(state, event),
        Event::Message(event) => message::changed(state, event),
        Event::Trouble(_) => {} // for those who listen
        Event::FanStarted { run, step, items } => child::fan_started(state, *run, *step, items),
        Event::ItemEnded { run, step, index, outcome } => {
            child::item_ended(state, (*run, *step, *index), outcome);
        }
        Event::ItemsCollected { run, step, output } => {
            state.change_step(*run, *step, |step| step.output = Some(output.clone()));
        }
        Event::StepStopping { run, step, outcome } => state.change_step(*run, *step, |step| {
            step.stopping = Some(Box::new(outcome.clone()));
            step.wakes_at = None;
        }),
        Event::StepReturned { run, step, output } => run::step_returned(state, *run, *step, output),
        Event::TimeAwaited { run, step, until } => {
            state.change_step(*run, *step, |step| step.wakes_at = Some(*until));
        }
        Event::SignalAwaited { run, step, name } => state.set_work(*run, *step, Work::Signal(name.clone())),
        Event::EventAwaited { run, step, kind } => {
            let since = state.meta.seq + 1; // the number that this fact gets
            state.set_work(*run, *step, Work::Event(EventWait { kind: kind.clone(), since }));
        }
        Event::ApprovalAwaited { run, step, request } => {
            state.set_work(*run, *step, Work::Approval(request.clone()));
        }
        Event::MessageAwaited { run, step, request } => {
            state.set_work(*run, *step, Work::Message(request.clone()));
        }
        Event::RunSignalled { run, name, data } => {
            state.change_run(*run, |run| run.signals.push((name.clone(), data.clone())));
        }
        Event::SignalTaken { run, name } => state.change_run(*run, |run| {
            if let Some(place) = run.signals.iter().position(|(kept, _)| kept == name) {
                run.signals.remove(place);
            }
        }),
        Event::RunConcluding { run, conclusion, jobs } => child::concluding(state, *run, *conclusion, jobs),
        Event::HandlerEnded { run, job, outcome } => child::handler_ended(state, *run, *job, outcome),
        Event::HandlersDropped { run } => child::handlers_dropped(state, *run),
        // What happened is all there is to know of it.
        Event::ApprovalDecided { .. }
        | Event::Emitted { .. }
        | Event::Posted(..)
        | Event::Workflow(WorkflowEvent::StartsSkipped(_)) => {}
        Event::Configured(config) => {
            state.meta.config = Arc::new((**config).clone());
            state.indexes = Indexes::of(state); // places in queues depend on the head start
        }
        Event::RunsDeleted { runs, fans } => {
            runs.iter().for_each(|run| state.runs.forget_archived(*run));
            fans.iter().for_each(|fan| state.fans.forget_archived(*fan));
        }
        Event::TasksDeleted(tasks) => tasks.iter().for_each(|task| state.tasks.forget_archived(*task)),
        Event::TaskDeadLettered { task, action } => {
            let dead = DeadTask { task: *task, action: action.clone(), at: state.meta.now };
            state.put_dead(dead);
        }
        Event::DeadTaskRequeued { task, .. } => state.drop_dead(task),
        Event::DeadTasksDropped { tasks, overflow } => {
            tasks.iter().for_each(|task| state.drop_dead(task));
            state.meta.dead_overflowed += if *overflow { tasks.len() as u64 } else { 0 };
        }
        Event::TaskPriorityChanged { task, priority } => {
            state.change_task(task, |task| task.priority = *priority);
        }
        Event::ActionPaused(action) => {
            Arc::make_mut(&mut state.meta.paused_actions).insert(action.clone());
        }
        Event::ActionResumed(action) => {
            Arc::make_mut(&mut state.meta.paused_actions).remove(action);
        }
        Event::DeadlockDetected(work) => {
            Arc::make_mut(&mut state.meta.stuck).insert(work.clone());
        }
        Event::DeadlockResolved(work) => {
            Arc::make_mut(&mut state.meta.stuck).remove(work);
        }
        Event::Workflow(WorkflowEvent::Applied { name, version, definition }) => {
            workflow::applied(state, name, *version, *definition)
        }
        Event::Workflow(WorkflowEvent::Deleted { name }) => state.drop_workflow(name),
        Event::Workflow(WorkflowEvent::Paused { name }) => workflow::paused(state, name, true),
        Event::Workflow(WorkflowEvent::Resumed { name }) => workflow::paused(state, name, false),
        Event::Cache(event) => run::cache_changed(state, event),
        Event::Schedule(ScheduleEvent::Set(spec)) => schedule::set(state, spec),
        Event::Schedule(ScheduleEvent::Deleted { schedule }) => state.drop_schedule(schedule),
        Event::Schedule(ScheduleEvent::Paused { schedule }) => schedule::paused(state, schedule, true),
        Event::Schedule(ScheduleEvent::Resumed { schedule }) => schedule::paused(state, schedule, false),
        Event::Schedule(ScheduleEvent::Planned { schedule, instant, missed }) => {
            schedule::planned(state, schedule, *instant, missed.as_ref());
        }
        Event::Schedule(ScheduleEvent::Fired { schedule, instant, turn, run }) => {
            schedule::fired(state, schedule, (*instant, *turn), *run);
        }
        Event::Schedule(ScheduleEvent::Skipped { schedule, instant, turn, cause }) => {
            schedule::skipped(state, schedule, (*instant, *turn), *cause);
        }
        Event::Schedule(ScheduleEvent::Queued { schedule, instant }) => {
            schedule::queued(state, schedule, *instant)
        }
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
                drain_until: known.and_then(|known| known.drain_until),
                session: known.and_then(|known| known.session.clone()),
                ttl: info.ttl,
                idle_since: known.map_or(Some(now), |known| known.idle_since),
                rounds: known.map_or(0, |known| known.rounds),
            };
            state.put_component(component);
        }
        Event::ComponentConnected { component, session, .. } => {
            state.change_component(component, |component| {
                component.session = Some(session.clone());
                component.draining = false;
                component.drain_until = None;
                component.idle_since = None;
            })
        }
        Event::SessionEnded { component, until: Some(until), .. } => {
            state.change_component(component, |component| {
                component.session =
                    component.session.take().map(|session| Session { lost_until: Some(*until), ..session });
            })
        }
        Event::ComponentDisconnected(component) => {
            state.change_component(component, |component| {
                component.session = None;
                component.idle_since = Some(now);
            });
        }
        Event::ComponentDraining(component, until) => state.change_component(component, |component| {
            component.draining = true;
            component.drain_until = *until;
        }),
        Event::DrainTimedOut(component) => {
            state.change_component(component, |component| component.drain_until = None);
        }
        Event::ComponentDeregistered(component) => state.drop_component(component),
        _ => {} // a closed session ends with the disconnect that follows
    }
}
