//! A task: a unit of work for a component, with its attempts.
//! Knows nothing of runs beyond the name of the step it may stand for.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    definition::Retry,
    ids::{ActionName, ComponentId, Json, Labels, Priority, TaskId, Text, Timestamp, Token},
    run::Failure,
};

/// A unit of work for a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Identity.
    pub id: TaskId,
    /// Name as the user wrote it.
    pub name: Text,
    /// What is asked for.
    pub action: ActionName,
    /// JSON for the component.
    pub payload: Json,
    /// How urgent.
    pub priority: Priority,
    /// What a component must have.
    pub labels: Labels,
    /// Every task it depends on.
    pub dependencies: Vec<TaskId>,
    /// Those that have not completed.
    pub waits_for: BTreeSet<TaskId>,
    /// Time one attempt may take.
    pub timeout: Duration,
    /// Time it may wait for a component.
    pub queue_timeout: Option<Duration>,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// Where it stands.
    pub status: TaskStatus,
    /// Its run is paused: it keeps its place and is not assigned.
    pub held: bool,
    /// Attempts started, lost ones included.
    pub attempts: u32,
    /// Attempts that failed or timed out.
    pub failures: u32,
    /// Attempts whose component went away.
    pub lost: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it became ready, which is its place in the queue.
    pub ready_at: Timestamp,
    /// When it last entered its queue.
    pub queued_at: Timestamp,
    /// When its first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The running attempt.
    pub assignment: Option<Assignment>,
    /// When the next attempt may start.
    pub retry_at: Option<Timestamp>,
    /// Somebody wants it to end.
    pub cancel: Option<CancelRequest>,
    /// JSON, once completed.
    pub output: Option<Json>,
    /// The last failure.
    pub error: Option<Failure>,
}

/// A running attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Who runs it.
    pub component: ComponentId,
    /// What a result must carry.
    pub token: Token,
    /// When it started.
    pub assigned_at: Timestamp,
    /// When it times out.
    pub deadline: Timestamp,
}

/// A cancel that a running attempt has not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Why, as the user reads it.
    pub reason: Text,
    /// When it ends without an answer.
    pub deadline: Timestamp,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaskStatus {
    /// Dependencies have not completed.
    Blocked,
    /// In its action's queue.
    Queued,
    /// An attempt runs.
    Running,
    /// Between two attempts.
    Retrying,
    /// Done.
    Completed,
    /// Attempts used up.
    Failed,
    /// Ended by a cancel.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

impl TaskStatus {
    /// Nothing changes any more.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::TimedOut
        )
    }

    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            TaskStatus::Blocked => "blocked",
            TaskStatus::Queued => "queued",
            TaskStatus::Running => "running",
            TaskStatus::Retrying => "retrying",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Cancelled => "cancelled",
            TaskStatus::TimedOut => "timed_out",
        }
    }
}

/// The one thing that will wake a task that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeUp {
    /// Its dependencies.
    Dependencies,
    /// A free slot.
    Queue,
    /// Its run going on.
    Resume,
    /// Its component, or the attempt's deadline.
    Attempt,
    /// The end of a pause between attempts.
    Timer(Timestamp),
}

impl Task {
    /// What will wake this task; none once it has ended.
    pub fn wake_up(&self) -> Option<WakeUp> {
        match self.status {
            TaskStatus::Blocked => Some(WakeUp::Dependencies),
            TaskStatus::Queued if self.held => Some(WakeUp::Resume),
            TaskStatus::Queued => Some(WakeUp::Queue),
            TaskStatus::Running => Some(WakeUp::Attempt),
            TaskStatus::Retrying => self.retry_at.map(WakeUp::Timer),
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled | TaskStatus::TimedOut => None,
        }
    }

    /// When time alone changes this task: a deadline or the end of a pause.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self.status {
            TaskStatus::Queued if self.held => None,
            TaskStatus::Queued => self.queue_timeout.map(|timeout| self.queued_at + timeout),
            TaskStatus::Running => {
                let deadline = self.assignment.as_ref().map(|assignment| assignment.deadline);
                let cancel = self.cancel.as_ref().map(|cancel| cancel.deadline);
                deadline.into_iter().chain(cancel).min()
            }
            TaskStatus::Retrying => self.retry_at,
            TaskStatus::Blocked
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::TimedOut => None,
        }
    }

    /// Whether a result with this token is about the running attempt.
    pub fn is_current(&self, token: Token) -> bool {
        self.assignment.as_ref().is_some_and(|assignment| assignment.token == token)
    }
}
