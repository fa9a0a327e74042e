//! Whenever this, then that: what follows from a fact, inside the cluster and in the world.
//! Follow-ups are decided on the state as it is by then and are never refused.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{
    child::Parent,
    component::HeldAttempt,
    effect::Effect,
    event::Event,
    ids::{ComponentId, Json, RunId, StepIx, TaskId},
    message::MessageEvent,
    run::{Failure, RunStatus},
    schedule::{ScheduleEvent, Turn},
    state::State,
    step::{EvalPoint, StepOutcome},
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
    /// Start further items of a `foreach`, or end it.
    FeedItems(RunId, StepIx),
    /// The same for all of a run.
    FeedAll(RunId),
    /// A child ended.
    AfterChild(Box<Parent>, StepOutcome),
    /// The children of a run pause or go on with it.
    PauseChildren(RunId, bool),
    /// Start the next handler of a run, or end it.
    NextHandler(RunId),
    /// Hand a run's signals to steps that await them.
    HandOverSignals(RunId),
    /// A component's attempts are lost, but for those it holds.
    LoseAttempts { component: ComponentId, held: Vec<HeldAttempt> },
    /// The dead-letter lists may be longer than they may be.
    TrimDead,
    /// Messages that are with a lost session of a component go back; those of a component that is gone are given up.
    ReturnMessages(ComponentId),
    /// A run of nobody's failed.
    ReportRun(RunId, Failure),
    /// Instants that wait for a run may have their turn.
    ReleaseSchedules,
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
pub(crate) fn react(event: &Event) -> Vec<FollowUp> {
    match event {
        Event::RunStarted { run } => vec![FollowUp::StartSteps(*run)],
        Event::RunResumed { run } => vec![
            FollowUp::PauseChildren(*run, false),
            FollowUp::StartSteps(*run),
            FollowUp::FeedAll(*run),
            FollowUp::NextHandler(*run),
        ],
        Event::RunPaused { run } => vec![FollowUp::PauseChildren(*run, true)],
        Event::RunEnded { parent: Some(parent), status, outputs, failure, .. } => {
            vec![FollowUp::AfterChild(parent.clone(), outcome_of(*status, outputs, failure.as_ref()))]
        }
        Event::FanStarted { run, step, .. }
        | Event::ItemEnded { run, step, .. }
        | Event::StepStopping { run, step, .. } => vec![FollowUp::FeedItems(*run, *step)],
        Event::RunConcluding { run, .. }
        | Event::HandlerEnded { run, .. }
        | Event::HandlersDropped { run } => {
            vec![FollowUp::NextHandler(*run)]
        }
        Event::RunSignalled { run, .. }
        | Event::SignalAwaited { run, .. }
        | Event::SignalTaken { run, .. } => {
            vec![FollowUp::HandOverSignals(*run)]
        }
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
        Event::ComponentConnected { component, held, .. } => vec![
            FollowUp::LoseAttempts { component: component.clone(), held: held.clone() },
            FollowUp::ReturnMessages(component.clone()),
        ],
        Event::ComponentDisconnected(component) | Event::ComponentDeregistered(component) => vec![
            FollowUp::LoseAttempts { component: component.clone(), held: Vec::new() },
            FollowUp::ReturnMessages(component.clone()),
        ],
        Event::TaskDeadLettered { .. }
        | Event::Configured(_)
        | Event::Message(MessageEvent::DeadLettered { .. }) => vec![FollowUp::TrimDead],
        Event::RunEnded {
            run,
            parent: None,
            status: RunStatus::Failed | RunStatus::TimedOut,
            failure: Some(failure),
            ..
        } => {
            vec![FollowUp::ReleaseSchedules, FollowUp::ReportRun(*run, failure.clone())]
        }
        Event::RunEnded { .. }
        | Event::Schedule(ScheduleEvent::Fired { turn: Turn::Waited, .. })
        | Event::Schedule(ScheduleEvent::Skipped { turn: Turn::Waited, .. }) => {
            vec![FollowUp::ReleaseSchedules]
        }
        Event::DefinitionAdded(_)
        | Event::RunCreated(_)
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
        | Event::ComponentDraining(..)
        | Event::DrainTimedOut(_)
        | Event::StateChanged(_)
        | Event::Snapshot(_)
        | Event::Posted(..)
        | Event::Message(_)
        | Event::Trouble(_)
        | Event::ItemsCollected { .. }
        | Event::TimeAwaited { .. }
        | Event::ApprovalAwaited { .. }
        | Event::MessageAwaited { .. }
        | Event::ApprovalDecided { .. }
        | Event::Emitted { .. }
        | Event::DeadTaskRequeued { .. }
        | Event::DeadTasksDropped { .. }
        | Event::TaskPriorityChanged { .. }
        | Event::ActionPaused { .. }
        | Event::ActionResumed { .. }
        | Event::DeadlockDetected { .. }
        | Event::DeadlockResolved { .. }
        | Event::RunsDeleted { .. }
        | Event::TasksDeleted(_)
        | Event::EventAwaited { .. }
        | Event::Workflow(_)
        | Event::Cache(_)
        | Event::Schedule(_) => Vec::new(),
        Event::StepReturned { run, step, .. } => {
            vec![FollowUp::AfterTask { task: TaskId::Step(*run, *step), completed: true }]
        }
    }
}

/// A run's end as its parent sees it.
fn outcome_of(status: RunStatus, outputs: &Json, failure: Option<&Failure>) -> StepOutcome {
    let failure = || failure.cloned().unwrap_or_else(|| Failure::new("WORKFLOW_FAILED", "the run failed"));
    match status {
        RunStatus::Completed => StepOutcome::Completed(outputs.clone()),
        RunStatus::Cancelled => StepOutcome::Cancelled(failure().message),
        RunStatus::TimedOut => StepOutcome::TimedOut(failure()),
        RunStatus::Failed
        | RunStatus::Queued
        | RunStatus::Running
        | RunStatus::Paused
        | RunStatus::Cancelling => StepOutcome::Failed(failure()),
    }
}

/// What the world hears of an event; `state` is as it was before it.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
pub(crate) fn effects_of(state: &State, event: &Event) -> Option<Effect> {
    match event {
        Event::EvaluationAwaited { run, point } => Some(Effect::Evaluate { run: *run, point: *point }),
        Event::StepReturned { run, step, .. } => {
            Some(Effect::Evaluate { run: *run, point: EvalPoint::StepOutputs(*step) })
        }
        Event::MessageAwaited { run, step, .. } => Some(Effect::SendMessage { run: *run, step: *step }),
        Event::TaskAssigned { task, component, token, .. } => {
            Some(Effect::DeliverTask { component: component.clone(), task: *task, token: *token })
        }
        Event::TaskCancelRequested { task, reason, .. } => cancel_attempt(state, task, reason),
        Event::AttemptFailed { task, failure, .. }
            if crate::decide::ENDED_BY_US.contains(&&*failure.code) =>
        {
            cancel_attempt(state, task, &failure.message)
        }
        Event::ComponentConnected { component, session, .. } => {
            let old = state.components.get(component)?.live_session()?;
            (old.id != session.id)
                .then(|| Effect::CloseSession { component: component.clone(), session: old.id })
        }
        Event::ComponentDeregistered(component) => {
            let old = state.components.get(component)?.live_session()?;
            Some(Effect::CloseSession { component: component.clone(), session: old.id })
        }
        Event::Message(MessageEvent::Delivered { place: (component, _), .. }) => {
            Some(Effect::DeliverMessages { component: component.clone() })
        }
        Event::Schedule(ScheduleEvent::Set(spec)) => {
            let known = state.schedules.get(&spec.id);
            let plans = known.is_none_or(|known| {
                !known.paused && (known.next.is_none() || !known.spec.has_instants_of(spec))
            });
            plans.then(|| Effect::PlanSchedule { schedule: spec.id.clone() })
        }
        Event::Schedule(ScheduleEvent::Resumed { schedule })
        | Event::Schedule(ScheduleEvent::Fired { schedule, turn: Turn::Due, .. })
        | Event::Schedule(ScheduleEvent::Skipped { schedule, turn: Turn::Due, .. })
        | Event::Schedule(ScheduleEvent::Queued { schedule, .. }) => {
            Some(Effect::PlanSchedule { schedule: schedule.clone() })
        }
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
        | Event::ComponentDraining(..)
        | Event::DrainTimedOut(_)
        | Event::StateChanged(_)
        | Event::Snapshot(_)
        | Event::Posted(..)
        | Event::Message(_)
        | Event::Trouble(_)
        | Event::FanStarted { .. }
        | Event::ItemEnded { .. }
        | Event::ItemsCollected { .. }
        | Event::StepStopping { .. }
        | Event::TimeAwaited { .. }
        | Event::SignalAwaited { .. }
        | Event::ApprovalAwaited { .. }
        | Event::ApprovalDecided { .. }
        | Event::RunSignalled { .. }
        | Event::SignalTaken { .. }
        | Event::RunConcluding { .. }
        | Event::HandlerEnded { .. }
        | Event::HandlersDropped { .. }
        | Event::Emitted { .. }
        | Event::Configured(_)
        | Event::TaskDeadLettered { .. }
        | Event::DeadTaskRequeued { .. }
        | Event::DeadTasksDropped { .. }
        | Event::TaskPriorityChanged { .. }
        | Event::ActionPaused { .. }
        | Event::ActionResumed { .. }
        | Event::DeadlockDetected { .. }
        | Event::DeadlockResolved { .. }
        | Event::RunsDeleted { .. }
        | Event::TasksDeleted(_)
        | Event::EventAwaited { .. }
        | Event::Workflow(_)
        | Event::Cache(_)
        | Event::Schedule(_) => None,
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
