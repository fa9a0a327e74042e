//! Who waits for the end of which run or task: woken by the event, never by polling.
//! Holds nothing that a read of the state cannot give back; whoever is woken reads again.

use std::{collections::BTreeMap, sync::Arc};

use orc_domain::{Event, Recorded, RunId, TaskId};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::Gateway;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A run's end.
    Run(RunId),
    /// A task's end.
    Task(TaskId),
}

/// Whoever waits for a subject is woken by its sender's end.
type Waiting = BTreeMap<Subject, watch::Sender<()>>;

/// Those who wait on this node.
#[derive(Default)]
pub struct Waiters(Arc<Mutex<Waiting>>);

/// A place among those who wait.
pub struct Ear {
    subject: Subject,
    hears: Option<watch::Receiver<()>>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Waiters {
    /// Listens from now on: read the state after this call, then wait.
    pub fn listen(&self, subject: Subject) -> Ear {
        let hears = self.0.lock().entry(subject).or_default().subscribe();
        Ear { subject, hears: Some(hears), waiting: self.0.clone() }
    }

    fn wake(&self, subject: Subject) {
        // Thousands may wait: they are woken once the lock is gone.
        let waiting = self.0.lock().remove(&subject);
        drop(waiting);
    }

    fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.0.lock());
        drop(waiting);
    }

    /// Wakes whoever waits for what this event ends.
    pub fn tell(&self, event: &Event) {
        match event {
            Event::RunEnded { run, .. } => self.wake(Subject::Run(*run)),
            Event::TaskEnded { task, .. } => self.wake(Subject::Task(*task)),
            Event::StepEnded { run, step, .. } => self.wake(Subject::Task(TaskId::Step(*run, *step))),
            Event::DefinitionAdded(_)
            | Event::RunCreated(_)
            | Event::RunStarted { .. }
            | Event::RunPaused { .. }
            | Event::RunResumed { .. }
            | Event::RunCancelRequested { .. }
            | Event::RunTimedOut { .. }
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
            | Event::Trouble(_)
            | Event::FanStarted { .. }
            | Event::ItemEnded { .. }
            | Event::ItemsCollected { .. }
            | Event::StepStopping { .. }
            | Event::StepReturned { .. }
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
            | Event::Workflow(_)
            | Event::Cache(_)
            | Event::Schedule(_) => {}
        }
    }
}

impl Ear {
    /// Waits until it is worth reading again.
    pub async fn heard(mut self) {
        if let Some(hears) = &mut self.hears {
            // Nothing is ever sent: it ends when its sender does.
            let _ = hears.changed().await;
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        drop(self.hears.take());
        let mut waiting = self.waiting.lock();
        if waiting.get(&self.subject).is_some_and(|sender| sender.receiver_count() == 0) {
            waiting.remove(&self.subject);
        }
    }
}

/// Follows the events of this node and wakes those who wait. Ends with the state.
pub async fn follow(gateway: Arc<Gateway>, mut events: broadcast::Receiver<Arc<[Arc<Recorded>]>>) {
    loop {
        match events.recv().await {
            Ok(news) if news.is_empty() => gateway.waiters.wake_all(),
            Ok(news) => {
                for recorded in news.iter() {
                    gateway.waiters.tell(&recorded.event);
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => gateway.waiters.wake_all(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{Conclusion, Json, RunStatus};
    use uuid::Uuid;

    fn ended(run: RunId) -> Event {
        let (status, conclusion) = (RunStatus::Completed, Conclusion::Success);
        Event::RunEnded { run, status, conclusion, outputs: Json::null(), failure: None, parent: None }
    }

    #[tokio::test]
    async fn only_those_who_wait_for_it_are_woken() {
        let waiters = Waiters::default();
        let (one, other) = (RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let [gone, first, too] = [(); 3].map(|()| waiters.listen(Subject::Run(one)));
        let second = waiters.listen(Subject::Run(other));
        drop(gone);
        assert_eq!(waiters.0.lock().len(), 2, "others wait for it still");
        waiters.tell(&ended(one));
        first.heard().await;
        too.heard().await;
        assert_eq!(waiters.0.lock().len(), 1);
        drop(second);
        assert!(waiters.0.lock().is_empty(), "who stops waiting leaves nothing behind");
    }
}
