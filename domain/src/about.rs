//! What a fact is about.
//! Knows nothing of how facts are shown.

use crate::{event::Event, ids::RunId, schedule::ScheduleEvent, trouble::TroubleEvent};

impl Event {
    /// The run that it belongs to.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Event::RunCreated(create) => Some(create.id),
            Event::Schedule(ScheduleEvent::Fired { run, .. }) => Some(*run),
            Event::RunStarted { run }
            | Event::RunPaused { run }
            | Event::RunResumed { run }
            | Event::RunCancelRequested { run, .. }
            | Event::RunTimedOut { run }
            | Event::EvaluationAwaited { run, .. }
            | Event::RunEnded { run, .. }
            | Event::StepDecided { run, .. }
            | Event::StepStarted { run, .. }
            | Event::StepEnded { run, .. }
            | Event::FanStarted { run, .. }
            | Event::ItemEnded { run, .. }
            | Event::ItemsCollected { run, .. }
            | Event::StepStopping { run, .. }
            | Event::StepReturned { run, .. }
            | Event::TimeAwaited { run, .. }
            | Event::SignalAwaited { run, .. }
            | Event::EventAwaited { run, .. }
            | Event::ApprovalAwaited { run, .. }
            | Event::MessageAwaited { run, .. }
            | Event::ApprovalDecided { run, .. }
            | Event::RunSignalled { run, .. }
            | Event::SignalTaken { run, .. }
            | Event::RunConcluding { run, .. }
            | Event::HandlerEnded { run, .. }
            | Event::HandlersDropped { run, .. }
            | Event::Emitted { run, .. } => Some(*run),
            Event::Cache(event) => Some(event.step().0),
            Event::Trouble(TroubleEvent::Raised { concerned, .. }) => concerned.run,
            Event::Trouble(
                TroubleEvent::Recovered { task, .. } | TroubleEvent::RecoveryFailed { task, .. },
            ) => task.step().map(|(run, _)| run),
            Event::Trouble(TroubleEvent::HealthChecked(_)) => None,
            Event::TaskCreated(task) => task.id.step().map(|(run, _)| run),
            Event::DependencyCompleted { task, .. }
            | Event::TaskRequeued { task }
            | Event::TaskAssigned { task, .. }
            | Event::AttemptFailed { task, .. }
            | Event::TaskCancelRequested { task, .. }
            | Event::TaskEnded { task, .. }
            | Event::TaskDeadLettered { task, .. }
            | Event::DeadTaskRequeued { task, .. }
            | Event::TaskPriorityChanged { task, .. } => task.step().map(|(run, _)| run),
            Event::DefinitionAdded(_)
            | Event::ComponentRegistered(_)
            | Event::ComponentConnected { .. }
            | Event::SessionEnded { .. }
            | Event::ComponentDisconnected { .. }
            | Event::ComponentDraining(..)
            | Event::DrainTimedOut(_)
            | Event::ComponentDeregistered { .. }
            | Event::StateChanged(_)
            | Event::Snapshot(_)
            | Event::Posted(..)
            | Event::Message(_)
            | Event::Configured(_)
            | Event::DeadTasksDropped { .. }
            | Event::ActionPaused { .. }
            | Event::ActionResumed { .. }
            | Event::DeadlockDetected { .. }
            | Event::DeadlockResolved { .. }
            | Event::RunsDeleted { .. }
            | Event::TasksDeleted { .. }
            | Event::Workflow(_)
            | Event::Schedule(_) => None,
        }
    }
}
