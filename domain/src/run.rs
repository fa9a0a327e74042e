//! A run and its steps: their states and which may follow which.
//! Knows nothing of commands or indexes; `decide` asks, `evolve` writes.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{DefinitionId, Json, Labels, Priority, RunId, StepIx, Text, Timestamp},
    workflow::Origin,
};

/// Why something failed, as the user reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word, such as `TASK_TIMEOUT`.
    pub code: Text,
    /// A sentence.
    pub message: Text,
}

impl Failure {
    /// A failure from its parts.
    pub fn new(code: &str, message: impl Into<Text>) -> Self {
        Failure { code: code.into(), message: message.into() }
    }
}

/// One execution of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Identity, also the seed's `workflowId`.
    pub id: RunId,
    /// What it executes.
    pub definition: DefinitionId,
    /// Name of the definition.
    pub workflow: Text,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, once it has.
    pub conclusion: Option<Conclusion>,
    /// Values for `inputs`, a JSON object.
    pub inputs: Json,
    /// Labels given at creation.
    pub labels: Labels,
    /// Priority of its steps.
    pub priority: Priority,
    /// Log index of its creation.
    pub created_rev: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it left the queue.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it times out: set at its start.
    pub deadline: Option<Timestamp>,
    /// Steps in the order of the definition.
    pub steps: Vec<Step>,
    /// Steps that have not ended.
    pub open_steps: u32,
    /// The first failure that counts against the run.
    pub error: Option<Failure>,
    /// Why it is being cancelled, if it is.
    pub cancelling: Option<Text>,
    /// It winds down because its time is up.
    pub timing_out: bool,
    /// A condition was false.
    pub gated: bool,
    /// Its outputs are being evaluated.
    pub finishing: bool,
    /// JSON, once ended.
    pub outputs: Option<Json>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Run {
    /// No new step may start.
    pub fn is_winding_down(&self) -> bool {
        self.cancelling.is_some() || self.timing_out
    }
}

/// Where a run stands. `waiting` (only timers are awaited) is shown, not stored: see [`Run::shown_status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunStatus {
    /// `maxConcurrentWorkflows` are running.
    Queued,
    /// Steps run.
    Running,
    /// No new attempt starts.
    Paused,
    /// Running attempts wind down.
    Cancelling,
    /// Every step ended well, was skipped or gated.
    Completed,
    /// A step failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Its time was up.
    TimedOut,
}

impl RunStatus {
    /// Nothing changes any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut)
    }

    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            RunStatus::Queued => "queued",
            RunStatus::Running => "running",
            RunStatus::Paused => "paused",
            RunStatus::Cancelling => "cancelling",
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
            RunStatus::TimedOut => "timed_out",
        }
    }

    /// The table of legal transitions.
    pub fn may_become(self, next: RunStatus) -> bool {
        use RunStatus::{Cancelled, Cancelling, Completed, Failed, Paused, Queued, Running, TimedOut};
        match self {
            Queued => matches!(next, Running | Cancelled),
            Running => matches!(next, Paused | Cancelling | Completed | Failed | Cancelled | TimedOut),
            Paused => matches!(next, Running | Cancelling | Completed | Failed | Cancelled | TimedOut),
            Cancelling => matches!(next, Cancelled | TimedOut),
            Completed | Failed | Cancelled | TimedOut => false,
        }
    }
}

impl Run {
    /// The word users see: `waiting` where a running run has only timers to wait for.
    pub fn shown_status(&self) -> &'static str {
        let busy = |step: &Step| matches!(step.status, StepStatus::Evaluating | StepStatus::Running);
        let waits = |step: &Step| step.status == StepStatus::Waiting;
        if self.status == RunStatus::Running && !self.steps.iter().any(busy) && self.steps.iter().any(waits) {
            return "waiting";
        }
        self.status.name()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conclusion {
    /// Everything ran.
    Success,
    /// A condition was false; what followed it was skipped.
    Gated,
    /// A step failed.
    Failure,
    /// Cancelled.
    Cancelled,
    /// Timed out.
    TimedOut,
}

impl Conclusion {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            Conclusion::Success => "success",
            Conclusion::Gated => "gated",
            Conclusion::Failure => "failure",
            Conclusion::Cancelled => "cancelled",
            Conclusion::TimedOut => "timed_out",
        }
    }
}

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
    /// When a delay is over.
    pub wakes_at: Option<Timestamp>,
    /// JSON, once completed.
    pub output: Option<Json>,
    /// Why it failed or was skipped.
    pub error: Option<Failure>,
    /// What its condition said, and from which values.
    pub decision: Option<Decision>,
    /// Why it did not run.
    pub skip: Option<Skip>,
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
        }
    }
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
    /// Its task exists, or its children run.
    Running,
    /// A timer is awaited.
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
            Running | Waiting => next.is_terminal(),
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

/// What is evaluated: a step's expressions or the run's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EvalPoint {
    /// `if`, then the condition or the templates in the config.
    Step(StepIx),
    /// The `outputs` map, when every step has ended.
    Outputs,
}
