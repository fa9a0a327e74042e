//! A task: a unit of work for a component, with its attempts.
//! Knows nothing of runs beyond the name of the step it may stand for.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    definition::Retry,
    ids::{ActionName, ComponentId, Json, Labels, Priority, TaskId, Text, Timestamp, Token},
    planted::{Bug, planted},
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
    /// It does not start before.
    pub run_at: Option<Timestamp>,
    /// Time from its creation to its end, over all attempts.
    pub total_timeout: Option<Duration>,
    /// Time an attempt may go without a sign of life.
    pub heartbeat_timeout: Option<Duration>,
    /// The dead task it was made from.
    pub requeued_from: Option<TaskId>,
    /// The latest attempts that have ended, oldest first.
    pub history: Vec<Attempt>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who ran it.
    pub component: ComponentId,
    /// Its token.
    pub token: Token,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it failed; none: it completed.
    pub failure: Option<Failure>,
    /// The component went away.
    pub lost: bool,
}

/// A task of its own that gave up: on the dead-letter list until somebody requeues or drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadTask {
    /// Which; the task itself is in the archive.
    pub task: TaskId,
    /// What it asked for.
    pub action: ActionName,
    /// When it ended.
    pub at: Timestamp,
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
    /// Dependencies have not completed, or it is not to start yet.
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
    /// The end of a pause between attempts, or the time it was asked to wait for.
    Timer(Timestamp),
}

impl Task {
    /// A task that waits for a component, with nothing but what every task has.
    pub fn queued(id: TaskId, action: ActionName, retry: Retry, at: Timestamp) -> Task {
        Task {
            id,
            name: action.clone(),
            action,
            payload: Json::null(),
            priority: Priority::Normal,
            labels: Labels::new(),
            dependencies: Vec::new(),
            waits_for: BTreeSet::new(),
            timeout: Duration::ZERO,
            queue_timeout: None,
            retry,
            status: TaskStatus::Queued,
            held: false,
            attempts: 0,
            failures: 0,
            lost: 0,
            created_at: at,
            ready_at: at,
            queued_at: at,
            started_at: None,
            ended_at: None,
            assignment: None,
            retry_at: None,
            cancel: None,
            output: None,
            error: None,
            run_at: None,
            total_timeout: None,
            heartbeat_timeout: None,
            requeued_from: None,
            history: Vec::new(),
        }
    }

    /// What will wake this task; none once it has ended.
    pub fn wake_up(&self) -> Option<WakeUp> {
        match self.status {
            TaskStatus::Blocked if self.waits_for.is_empty() => self.run_at.map(WakeUp::Timer),
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
        let next = self.next_at();
        next.into_iter().chain(self.total_deadline()).min()
    }

    /// When it ends whatever it does.
    pub fn total_deadline(&self) -> Option<Timestamp> {
        let total = self.total_timeout.filter(|_| !self.status.is_terminal());
        total.map(|timeout| self.created_at + timeout)
    }

    fn next_at(&self) -> Option<Timestamp> {
        match self.status {
            TaskStatus::Blocked if self.waits_for.is_empty() => self.run_at,
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

    /// Ended attempts kept of a task.
    pub const HISTORY_MAX: usize = 10;

    /// The history once the running attempt, if there is one, has ended.
    pub(crate) fn history_at(&self, at: Timestamp, failure: Option<Failure>, lost: bool) -> Vec<Attempt> {
        let ended = self.assignment.as_ref().map(|assignment| Attempt {
            component: assignment.component.clone(),
            token: assignment.token,
            started_at: assignment.assigned_at,
            ended_at: at,
            failure: failure.map(|failure| failure.cut(Failure::HISTORY_BYTES_MAX)),
            lost,
        });
        let first = (self.history.len() + usize::from(ended.is_some())).saturating_sub(Self::HISTORY_MAX);
        self.history.iter().skip(first).cloned().chain(ended).collect()
    }

    /// Whether a result with this token is about the running attempt.
    pub fn is_current(&self, token: Token) -> bool {
        self.assignment
            .as_ref()
            .is_some_and(|assignment| assignment.token == token || planted(Bug::NoFencing))
    }
}
