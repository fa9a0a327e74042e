//! Whenever this, then that: what follows from a fact, inside the cluster and in the world.
//! Follow-ups are decided on the state as it is by then and are never refused.

use alloc::{vec, vec::Vec};

use crate::{
    component::HeldAttempt,
    effect::Effect,
    event::Event,
    ids::{ComponentId, RunId, StepIx, TaskId},
    run::StepOutcome,
    schedule::Turn,
    state::State,
};

/// What has to be looked at again.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// Start every step of a run that can start.
    StartSteps(RunId),
    /// A step ended: start or skip what follows it, end the run if it was the last.
    AfterStep(RunId, StepIx),
    /// End or cancel every open step of a run.
    WindDown(RunId),
    /// A task ended: free or fail those that depend on it.
    AfterTask { task: TaskId, completed: bool },
    /// A component's attempts are lost, but for those it holds.
    LoseAttempts { component: ComponentId, held: Vec<HeldAttempt> },
    /// Instants that wait for a run may have their turn.
    ReleaseSchedules,
}

pub(crate) fn react(event: &Event) -> Vec<FollowUp> {
    match event {
        Event::RunStarted { run } | Event::RunResumed { run } => vec![FollowUp::StartSteps(*run)],
        Event::RunCancelRequested { run, .. } | Event::RunTimedOut { run } => vec![FollowUp::WindDown(*run)],
        Event::StepEnded { run, step, outcome } => {
            let completed = matches!(outcome, StepOutcome::Completed(_));
            vec![
                FollowUp::AfterTask { task: TaskId::Step(*run, *step), completed },
                FollowUp::AfterStep(*run, *step),
            ]
        }
        Event::TaskEnded { task, outcome } => {
            vec![FollowUp::AfterTask { task: *task, completed: matches!(outcome, StepOutcome::Completed(_)) }]
        }
        Event::ComponentConnected { component, held, .. } => {
            vec![FollowUp::LoseAttempts { component: component.clone(), held: held.clone() }]
        }
        Event::ComponentDisconnected { component } | Event::ComponentDeregistered { component } => {
            vec![FollowUp::LoseAttempts { component: component.clone(), held: Vec::new() }]
        }
        Event::RunEnded { .. }
        | Event::ScheduleFired { turn: Turn::Waited, .. }
        | Event::ScheduleSkipped { turn: Turn::Waited, .. } => vec![FollowUp::ReleaseSchedules],
        Event::DefinitionAdded(_)
        | Event::RunCreated(_)
        | Event::RunPaused { .. }
        | Event::EvaluationAwaited { .. }
        | Event::StepDecided { .. }
        | Event::StepStarted { .. }
        | Event::TaskCreated(_)
        | Event::DependencyCompleted { .. }
        | Event::TaskRequeued { .. }
        | Event::TaskAssigned { .. }
        | Event::AttemptFailed { .. }
        | Event::TaskCancelRequested { .. }
        | Event::ComponentRegistered(_)
        | Event::SessionEnded { .. }
        | Event::ComponentDraining { .. }
        | Event::StateChanged { .. }
        | Event::Configured(_)
        | Event::WorkflowApplied { .. }
        | Event::WorkflowDeleted { .. }
        | Event::WorkflowPaused { .. }
        | Event::WorkflowResumed { .. }
        | Event::ScheduleSet(_)
        | Event::ScheduleDeleted { .. }
        | Event::SchedulePaused { .. }
        | Event::ScheduleResumed { .. }
        | Event::SchedulePlanned { .. }
        | Event::ScheduleFired { .. }
        | Event::ScheduleSkipped { .. }
        | Event::ScheduleQueued { .. } => Vec::new(),
    }
}

/// What the world hears of an event; `state` is as it was before it.
pub(crate) fn effects_of(state: &State, event: &Event) -> Option<Effect> {
    match event {
        Event::EvaluationAwaited { run, point } => Some(Effect::Evaluate { run: *run, point: *point }),
        Event::TaskAssigned { task, component, token, .. } => {
            Some(Effect::DeliverTask { component: component.clone(), task: *task, token: *token })
        }
        Event::TaskCancelRequested { task, reason, .. } => cancel_attempt(state, task, reason),
        Event::AttemptFailed { task, failure, lost: false, .. }
            if &*failure.code == crate::decide::TASK_TIMEOUT =>
        {
            cancel_attempt(state, task, &failure.message)
        }
        Event::ComponentConnected { component, session, .. } => {
            let old = state.components.get(component)?.live_session()?;
            (old.id != session.id)
                .then(|| Effect::CloseSession { component: component.clone(), session: old.id })
        }
        Event::ComponentDeregistered { component } => {
            let old = state.components.get(component)?.live_session()?;
            Some(Effect::CloseSession { component: component.clone(), session: old.id })
        }
        Event::ScheduleSet(spec) => {
            let known = state.schedules.get(&spec.id);
            let plans = known.is_none_or(|known| {
                !known.paused && (known.next.is_none() || !known.spec.has_instants_of(spec))
            });
            plans.then(|| Effect::PlanSchedule { schedule: spec.id.clone() })
        }
        Event::ScheduleResumed { schedule }
        | Event::ScheduleFired { schedule, turn: Turn::Due, .. }
        | Event::ScheduleSkipped { schedule, turn: Turn::Due, .. }
        | Event::ScheduleQueued { schedule, .. } => Some(Effect::PlanSchedule { schedule: schedule.clone() }),
        Event::DefinitionAdded(_)
        | Event::RunCreated(_)
        | Event::RunStarted { .. }
        | Event::RunPaused { .. }
        | Event::RunResumed { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunTimedOut { .. }
        | Event::RunEnded { .. }
        | Event::StepDecided { .. }
        | Event::StepStarted { .. }
        | Event::StepEnded { .. }
        | Event::TaskCreated(_)
        | Event::DependencyCompleted { .. }
        | Event::TaskRequeued { .. }
        | Event::AttemptFailed { .. }
        | Event::TaskEnded { .. }
        | Event::ComponentRegistered(_)
        | Event::SessionEnded { .. }
        | Event::ComponentDisconnected { .. }
        | Event::ComponentDraining { .. }
        | Event::StateChanged { .. }
        | Event::Configured(_)
        | Event::WorkflowApplied { .. }
        | Event::WorkflowDeleted { .. }
        | Event::WorkflowPaused { .. }
        | Event::WorkflowResumed { .. }
        | Event::ScheduleDeleted { .. }
        | Event::SchedulePaused { .. }
        | Event::SchedulePlanned { .. }
        | Event::ScheduleFired { .. }
        | Event::ScheduleSkipped { .. } => None,
    }
}

fn cancel_attempt(state: &State, task: &TaskId, reason: &crate::ids::Text) -> Option<Effect> {
    let assignment = state.tasks.get(task)?.assignment.as_ref()?;
    Some(Effect::CancelAttempt {
        component: assignment.component.clone(),
        task: *task,
        token: assignment.token,
        reason: reason.clone(),
    })
}
