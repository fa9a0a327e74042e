//! A fact with its place in the history, and about how much memory it takes.
//! Knows nothing of what facts lead to.

use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    ids::{Json, TaskId, Timestamp},
    message::MessageEvent,
    schedule::ScheduleEvent,
    snapshot::SnapshotEvent,
    step::StepOutcome,
    trouble::TroubleEvent,
};

/// A fact with its place in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// Log index.
    pub rev: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

impl Recorded {
    /// About how many bytes of memory it holds: what users sent, and a constant for the rest.
    #[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
    pub fn weight(&self) -> usize {
        let json = |value: &Option<Json>| value.as_ref().map_or(0, |json| json.as_str().len());
        let sent = match &self.event {
            Event::StateChanged(change) => json(&change.old) + json(&change.value),
            Event::Message(MessageEvent::Queued(message)) => message.payload.as_str().len(),
            Event::Message(MessageEvent::Dropped { messages, .. }) => size_of_val(&**messages),
            Event::Snapshot(SnapshotEvent::Created(snapshot)) => snapshot.metadata.as_str().len(),
            Event::Trouble(TroubleEvent::HealthChecked(report)) => report.measured.as_str().len(),
            Event::StepEnded { outcome: StepOutcome::Completed(output), .. }
            | Event::ItemEnded { outcome: StepOutcome::Completed(output), .. }
            | Event::HandlerEnded { outcome: StepOutcome::Completed(output), .. }
            | Event::StepReturned { output, .. }
            | Event::ItemsCollected { output, .. }
            | Event::RunSignalled { data: output, .. }
            | Event::Emitted { data: output, .. }
            | Event::Posted(_, output)
            | Event::ApprovalAwaited { request: output, .. }
            | Event::MessageAwaited { request: output, .. }
            | Event::TaskEnded { outcome: StepOutcome::Completed(output), .. } => output.as_str().len(),
            Event::StepStarted { config, .. } => json(config),
            Event::RunEnded { outputs, .. } => outputs.as_str().len(),
            Event::RunCreated(create) => create.inputs.as_str().len() + json(&create.origin.trigger),
            Event::TaskCreated(task) => task.payload.as_str().len(),
            Event::FanStarted { items, .. } => items.iter().map(|item| item.value.as_str().len() + 16).sum(),
            Event::DefinitionAdded(definition) => 2 * definition.source.as_str().len(),
            Event::Schedule(ScheduleEvent::Set(spec)) => {
                spec.given.as_str().len() + spec.inputs.as_str().len()
            }
            Event::RunStarted { .. }
            | Event::RunPaused { .. }
            | Event::RunResumed { .. }
            | Event::RunCancelRequested { .. }
            | Event::RunTimedOut { .. }
            | Event::EvaluationAwaited { .. }
            | Event::StepDecided { .. }
            | Event::StepEnded { .. }
            | Event::DependencyCompleted { .. }
            | Event::TaskRequeued { .. }
            | Event::TaskAssigned { .. }
            | Event::AttemptFailed { .. }
            | Event::TaskCancelRequested { .. }
            | Event::TaskEnded { .. }
            | Event::ComponentRegistered(_)
            | Event::ComponentConnected { .. }
            | Event::SessionEnded { .. }
            | Event::ComponentDisconnected { .. }
            | Event::ComponentDraining(..)
            | Event::DrainTimedOut(_)
            | Event::ComponentDeregistered { .. }
            | Event::ItemEnded { .. }
            | Event::StepStopping { .. }
            | Event::TimeAwaited { .. }
            | Event::SignalAwaited { .. }
            | Event::ApprovalDecided { .. }
            | Event::SignalTaken { .. }
            | Event::RunConcluding { .. }
            | Event::HandlerEnded { .. }
            | Event::HandlersDropped { .. }
            | Event::Cache(_)
            | Event::Configured(_)
            | Event::TaskDeadLettered { .. }
            | Event::DeadTaskRequeued { .. }
            | Event::TaskPriorityChanged { .. }
            | Event::ActionPaused { .. }
            | Event::ActionResumed { .. }
            | Event::EventAwaited { .. }
            | Event::Snapshot(_)
            | Event::Message(_)
            | Event::Trouble(_)
            | Event::Workflow(_)
            | Event::Schedule(_) => 0,
            Event::DeadTasksDropped { tasks, .. } => tasks.len() * size_of::<TaskId>(),
            Event::RunsDeleted { runs, fans } => size_of_val(&**runs) + size_of_val(&**fans),
            Event::TasksDeleted(tasks) => size_of_val(&**tasks),
            Event::DeadlockDetected(work) | Event::DeadlockResolved(work) => work.len(),
        };
        sent + 256
    }
}
