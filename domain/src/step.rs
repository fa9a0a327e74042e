//! A step of a run: where it stands, how it ended, what is evaluated for it.
//! Knows nothing of the run around it; `decide` asks, `evolve` writes.

use alloc::{boxed::Box, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    cache::CacheKey,
    child::Fan,
    following::EventWait,
    ids::{Json, RunId, StepIx, Text, Timestamp},
    run::Failure,
    task::Attempt,
};

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts started.
    pub attempts: u32,
    /// When it left `pending`.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When a delay is over, or the step's time limit.
    pub wakes_at: Option<Timestamp>,
    /// JSON, once completed.
    pub output: Option<Json>,
    /// Why it failed or was skipped.
    pub error: Option<Failure>,
    /// What its condition said, and from which values.
    pub decision: Option<Decision>,
    /// Why it did not run.
    pub skip: Option<Skip>,
    /// What it is about, where that is no task.
    pub work: Option<Box<Work>>,
    /// It winds down its children, and then ends like this.
    pub stopping: Option<Box<StepOutcome>>,
    /// The latest attempts, oldest first, once it has ended; its task has them before.
    pub history: Vec<Attempt>,
    /// What its `cache` has led to.
    pub cache: Option<Box<StepCache>>,
}

impl Step {
    /// Whether it is a condition, or has an `if`, that was false.
    pub fn is_false(&self) -> bool {
        self.decision.as_ref().is_some_and(|decision| !decision.value)
    }

    /// Whether it has begun and not ended.
    pub fn is_at_work(&self) -> bool {
        matches!(self.status, StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting)
    }

    /// How far its items are, where it is a `foreach` that has them.
    pub fn fan(&self) -> Option<&Fan> {
        match self.work.as_deref() {
            Some(Work::Fan(fan)) => Some(fan),
            Some(
                Work::Signal(_) | Work::Approval(_) | Work::Message(_) | Work::Child(_) | Work::Event(_),
            )
            | None => None,
        }
    }
}

/// What a started step without a task is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// The name of the signal awaited.
    Signal(Text),
    /// What those who may decide are shown, JSON.
    Approval(Json),
    /// The message sent, JSON: to whom and what.
    Message(Json),
    /// Its child run.
    Child(RunId),
    /// Its items.
    Fan(Fan),
    /// The event awaited.
    Event(EventWait),
}

impl Step {
    /// A step nothing has happened to.
    pub fn pending() -> Self {
        Step {
            status: StepStatus::Pending,
            attempts: 0,
            started_at: None,
            ended_at: None,
            wakes_at: None,
            output: None,
            error: None,
            decision: None,
            skip: None,
            work: None,
            stopping: None,
            history: Vec::new(),
            cache: None,
        }
    }
}

/// What the `cache` of a step has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepCache {
    /// Its output is kept under this key, once there is one.
    Missed(CacheKey),
    /// It took over the output that this run yielded.
    Hit(RunId),
}

/// What a condition or `if` said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The value.
    pub value: bool,
    /// The names it was decided on and their values, a JSON object.
    pub inputs: Json,
}

/// Where a step stands. A task step shows `ready`, `running` or `retrying` by its task while it is `Running` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StepStatus {
    /// Its needs have not ended.
    Pending,
    /// Its expressions are being evaluated on the leader.
    Evaluating,
    /// Its task exists, its children run or its message is under way.
    Running,
    /// A timer, a signal or an approval is awaited.
    Waiting,
    /// Done.
    Completed,
    /// Attempts used up.
    Failed,
    /// Not run.
    Skipped,
    /// Ended by a cancel.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

impl StepStatus {
    /// Nothing changes any more.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            StepStatus::Completed
                | StepStatus::Failed
                | StepStatus::Skipped
                | StepStatus::Cancelled
                | StepStatus::TimedOut
        )
    }

    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            StepStatus::Pending => "pending",
            StepStatus::Evaluating => "evaluating",
            StepStatus::Running => "running",
            StepStatus::Waiting => "waiting",
            StepStatus::Completed => "completed",
            StepStatus::Failed => "failed",
            StepStatus::Skipped => "skipped",
            StepStatus::Cancelled => "cancelled",
            StepStatus::TimedOut => "timed_out",
        }
    }

    /// The table of legal transitions.
    pub fn may_become(self, next: StepStatus) -> bool {
        use StepStatus::{Evaluating, Pending, Running, Waiting};
        match self {
            Pending => next != Pending,
            Evaluating => next != Pending && next != Evaluating,
            Running | Waiting => next == Evaluating || next.is_terminal(),
            StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::TimedOut => false,
        }
    }
}

/// How a step or task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepOutcome {
    /// With this output.
    Completed(Json),
    /// With its attempts used up.
    Failed(Failure),
    /// It did not run.
    Skipped {
        /// Which kind of reason.
        why: Skip,
        /// The reason, as the user reads it.
        reason: Text,
    },
    /// By a cancel, with the reason.
    Cancelled(Text),
    /// Its time was up.
    TimedOut(Failure),
}

impl StepOutcome {
    /// The state it leads to.
    pub fn status(&self) -> StepStatus {
        match self {
            StepOutcome::Completed(_) => StepStatus::Completed,
            StepOutcome::Failed(_) => StepStatus::Failed,
            StepOutcome::Skipped { .. } => StepStatus::Skipped,
            StepOutcome::Cancelled(_) => StepStatus::Cancelled,
            StepOutcome::TimedOut(_) => StepStatus::TimedOut,
        }
    }

    /// The failure, where there is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) => Some(failure),
            StepOutcome::Completed(_) | StepOutcome::Skipped { .. } | StepOutcome::Cancelled(_) => None,
        }
    }

    /// What it says of the attempt that ran at the end; none: it completed.
    pub(crate) fn of_attempt(&self) -> Option<Failure> {
        match self {
            StepOutcome::Completed(_) => None,
            StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) => Some(failure.clone()),
            StepOutcome::Cancelled(reason) | StepOutcome::Skipped { reason, .. } => {
                Some(Failure::new("CANCELLED", reason.clone()))
            }
        }
    }
}

/// Why a step did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Skip {
    /// Its own `if` was false: what follows goes on.
    Chosen,
    /// A condition before it was false.
    Gated,
    /// A step before it failed, or the run did.
    Failure,
}

/// What is evaluated: expressions before a step, those of its outputs after it, or the run's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvalPoint {
    /// `if`, then the condition or the templates in the config.
    Step(StepIx),
    /// The `outputs` map, when every step has ended.
    Outputs,
    /// The `outputs` of a step whose work is done.
    StepOutputs(StepIx),
}
