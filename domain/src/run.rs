//! A run: its states and which may follow which.
//! Knows nothing of commands or indexes; `decide` asks, `evolve` writes.

use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    child::{Earlier, Handling, KeptItems, Parent},
    definition::{Definition, OnConflict, OnFalse, StepDef, StepKind},
    ids::{BlockIx, DefinitionId, Json, Labels, Priority, RunId, StepIx, Text, Timestamp},
    request::CreateRun,
    step::{Step, StepStatus},
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

    /// The longest message kept of an attempt that is over.
    pub(crate) const HISTORY_BYTES_MAX: usize = 1_024;

    /// The failure with its message cut.
    pub(crate) fn cut(self, bytes_max: usize) -> Self {
        if self.message.len() <= bytes_max {
            return self;
        }
        let end = self.message.floor_char_boundary(bytes_max);
        Failure { message: Text::from(&self.message[..end]), ..self }
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
    /// Which steps of the definition it executes; 0 for a whole workflow.
    pub block: BlockIx,
    /// Whose child it is.
    pub parent: Option<Box<Parent>>,
    /// The earlier run it repeats.
    pub earlier: Option<Earlier>,
    /// What follows its last step, once that has ended.
    pub handling: Option<Box<Handling>>,
    /// Signals that no step has taken, oldest first.
    pub signals: Vec<(Text, Json)>,
    /// Its concurrency group.
    pub group: Option<Group>,
    /// While it lives, a run of the same workflow with the same word is not started anew.
    pub dedupe: Option<Text>,
    /// Items of an earlier run that a `foreach` has yet to take over.
    pub kept: Vec<KeptItems>,
    /// Where it comes from.
    pub origin: Origin,
    /// How long it is kept once it has ended; none: as long as the cluster keeps runs.
    pub retention: Option<Duration>,
}

/// A run's concurrency group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name within the workflow.
    pub name: Text,
    /// Runs active at once.
    pub limit: u32,
    /// What happens beyond.
    pub on_conflict: OnConflict,
}

impl Run {
    /// Whether a condition of these steps was false and has the run go on at this place.
    pub fn goes_to(&self, place: StepIx, steps: &[StepDef]) -> bool {
        let mut defined = steps.iter().zip(&self.steps);
        defined.any(|(def, step)| {
            def.goes_to() == Some(place) && step.status == StepStatus::Completed && step.is_false()
        })
    }

    /// A run as it is accepted.
    pub fn created(create: &CreateRun, definition: &Definition, at: Timestamp, rev: u64) -> Run {
        let mut steps = vec![Step::pending(); definition.block(create.block).len()];
        for (place, step) in &create.carried {
            steps[usize::from(*place)] = step.clone();
        }
        let open = steps.iter().filter(|step| !step.status.is_terminal()).count();
        let gated = create.carried.iter().any(|(place, step)| {
            let kind = &definition.block(create.block)[usize::from(*place)].kind;
            step.is_false() && matches!(kind, StepKind::Condition { on_false: OnFalse::Skip, .. })
        });
        Run {
            id: create.id,
            definition: create.definition,
            workflow: definition.name.clone(),
            status: RunStatus::Queued,
            conclusion: None,
            inputs: create.inputs.clone(),
            labels: create.labels.clone(),
            priority: create.priority,
            created_rev: rev,
            created_at: at,
            started_at: None,
            ended_at: None,
            deadline: None,
            open_steps: u32::try_from(open).expect("at most 1,000 steps"),
            steps,
            error: None,
            cancelling: None,
            timing_out: false,
            gated,
            finishing: false,
            outputs: None,
            block: create.block,
            parent: create.parent.clone(),
            origin: create.origin.clone(),
            earlier: create.earlier,
            handling: None,
            signals: Vec::new(),
            group: create.group.clone(),
            dedupe: create.dedupe.clone(),
            kept: create.kept.clone(),
            retention: definition.retention,
        }
    }

    /// No new step may start.
    pub fn is_winding_down(&self) -> bool {
        self.cancelling.is_some() || self.timing_out
    }
}

/// Where a run stands. `waiting` (only timers, signals and approvals are awaited) is shown, not stored: see [`Run::shown_status`].
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
