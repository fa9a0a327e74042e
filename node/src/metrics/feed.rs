//! Follows the events of this node and counts them, beside whoever writes: a follower that lags misses events, says how
//! many entries, and goes on. Knows nothing of how the numbers are shown.

use std::sync::Arc;

use orc_domain::{EvalPoint, Event, Recorded};
use tokio::sync::broadcast;

use super::{
    Metrics,
    counted::Counted,
    tracker::{Rows, Tracker},
};
use crate::server::Cluster;

impl Metrics {
    /// Counts what happens from now on. Ends with the state.
    pub async fn follow_events(
        self: Arc<Self>,
        cluster: Cluster,
        mut events: broadcast::Receiver<Arc<[Arc<Recorded>]>>,
    ) {
        let mut tracker = Tracker::default();
        loop {
            match events.recv().await {
                Ok(news) if !news.is_empty() => {
                    news.iter().for_each(|one| hear(one, &mut tracker, &cluster, &self.counted));
                }
                Ok(_replaced) => {
                    self.counted.missed(1);
                    tracker.forget();
                }
                Err(broadcast::error::RecvError::Lagged(entries)) => {
                    self.counted.missed(entries);
                    tracker.forget();
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
pub(super) fn hear(recorded: &Recorded, tracker: &mut Tracker, rows: &impl Rows, counted: &Counted) {
    let at = recorded.at;
    match &recorded.event {
        Event::RunCreated(create) => tracker.created(create, rows),
        Event::RunStarted { run } => {
            if let Some(run) = tracker.run(*run, rows) {
                run.started = run.started.or(Some(at));
            }
        }
        Event::RunEnded { run, status, .. } => {
            let seen = tracker.take_run(*run, rows);
            if seen.as_ref().is_none_or(|seen| seen.counts) {
                let took = seen.as_ref().and_then(|seen| Some(at.since(seen.started?)));
                counted.run_ended(seen.as_ref().and_then(|seen| seen.workflow()), *status, took);
            }
        }
        Event::EvaluationAwaited { run, point: EvalPoint::Step(step) } => {
            tracker.step_began((*run, *step), at, false, rows);
        }
        Event::StepStarted { run, step, .. } => tracker.step_began((*run, *step), at, true, rows),
        Event::StepReturned { run, step, .. } => tracker.step_returned((*run, *step), at, counted),
        Event::StepEnded { run, step, outcome } => {
            tracker.step_ended((*run, *step), outcome, at, counted);
        }
        Event::TaskCreated(task) => tracker.task_created(task),
        Event::DependencyCompleted { task, .. } | Event::TaskRequeued { task } => {
            if let Some(task) = tracker.task(*task, rows) {
                task.queue(at);
            }
        }
        Event::TaskAssigned { task, .. } => {
            if let Some(task) = tracker.task(*task, rows) {
                task.assign(at, counted);
            }
        }
        Event::AttemptFailed { task, retry_at, .. } => {
            if retry_at.is_some() {
                counted.retried();
            }
            if let Some(task) = tracker.task(*task, rows) {
                task.attempt_failed(at, counted);
            }
        }
        Event::TaskEnded { task, outcome } => {
            counted.task_ended(outcome);
            tracker.task_ended(task, outcome, at, counted);
        }
        Event::StateChanged(_) => counted.state_written(),
        Event::DefinitionAdded(_)
        | Event::RunPaused { .. }
        | Event::RunResumed { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunTimedOut { .. }
        | Event::EvaluationAwaited { point: EvalPoint::Outputs | EvalPoint::StepOutputs(_), .. }
        | Event::StepDecided { .. }
        | Event::TaskCancelRequested { .. }
        | Event::ComponentRegistered(_)
        | Event::ComponentConnected { .. }
        | Event::SessionEnded { .. }
        | Event::ComponentDisconnected { .. }
        | Event::ComponentDraining(..)
        | Event::DrainTimedOut(_)
        | Event::ComponentDeregistered { .. }
        | Event::FanStarted { .. }
        | Event::ItemEnded { .. }
        | Event::ItemsCollected { .. }
        | Event::StepStopping { .. }
        | Event::TimeAwaited { .. }
        | Event::SignalAwaited { .. }
        | Event::ApprovalAwaited { .. }
        | Event::MessageAwaited { .. }
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
        | Event::TasksDeleted { .. }
        | Event::EventAwaited { .. }
        | Event::Snapshot(_)
        | Event::Posted(..)
        | Event::Message(_)
        | Event::Trouble(_)
        | Event::Workflow(_)
        | Event::Cache(_)
        | Event::Schedule(_) => {}
    }
}
