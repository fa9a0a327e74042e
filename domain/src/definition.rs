//! What a workflow says: its steps in order, what each needs, does and may fail.
//! Knows neither the file it was written in nor any run of it.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::ids::{ActionName, DefinitionId, Json, Labels, Priority, StepIx, Text};

/// A workflow, checked and with every default filled in.
///
/// The compiler of workflow files guarantees: `needs` and `followers` mirror each other, point inside `steps` and have
/// no cycle; `parallel` is flattened (the group is a step that needs its children, the children need what it needed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Content hash of the source.
    pub id: DefinitionId,
    /// Name as the user wrote it.
    pub name: Text,
    /// The document as submitted, JSON.
    pub source: Json,
    /// Steps in the order of the file; children of a `parallel` before their group.
    pub steps: Vec<StepDef>,
    /// Output names and the expressions that yield them; empty means the last step's output.
    pub outputs: Vec<(Text, Text)>,
    /// Time a run may take from its start.
    pub timeout: Duration,
}

/// One step of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepDef {
    /// Legal name in expressions, unique in the workflow.
    pub id: Text,
    /// Name as the user wrote it.
    pub name: Text,
    /// Steps that must have ended before.
    pub needs: Vec<StepIx>,
    /// Steps that need this one.
    pub followers: Vec<StepIx>,
    /// The `if` expression.
    pub only_if: Option<Text>,
    /// What it does.
    pub kind: StepKind,
    /// Time one attempt may take.
    pub timeout: Duration,
    /// Time it may wait for a component.
    pub queue_timeout: Option<Duration>,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// A failure counts as an end like any other for what follows.
    pub continue_on_error: bool,
    /// What a component must have.
    pub labels: Labels,
    /// The run's if none.
    pub priority: Option<Priority>,
    /// Time an attempt may go without a sign of life.
    pub heartbeat_timeout: Option<Duration>,
    /// Time from the step's start to its end, over all attempts.
    pub total_timeout: Option<Duration>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepKind {
    /// Asks a component for an action.
    Task {
        /// The action's name.
        action: ActionName,
        /// What the component gets.
        config: Json,
        /// `config` holds expressions to fill in first.
        templated: bool,
    },
    /// Decides whether what follows runs.
    Condition {
        /// A boolean expression.
        expression: Text,
        /// What a false value does.
        on_false: OnFalse,
    },
    /// Ends when all of its children have.
    Parallel {
        /// The children.
        children: Vec<StepIx>,
    },
    /// Waits.
    Delay {
        /// For this long.
        duration: Duration,
    },
}

impl StepKind {
    /// The word of the workflow file.
    pub fn name(&self) -> &'static str {
        match self {
            StepKind::Task { .. } => "task",
            StepKind::Condition { .. } => "condition",
            StepKind::Parallel { .. } => "parallel",
            StepKind::Delay { .. } => "delay",
        }
    }
}

/// What a false condition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFalse {
    /// What follows is skipped, the run completes as `gated`.
    Skip,
    /// The step fails.
    Fail,
}

/// What happens after a failed or lost attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, at least 1; lost ones not counted.
    pub limit: u32,
    /// Pause before the second attempt.
    pub delay: Duration,
    /// Each further pause is this many percent of the one before (100: constant).
    pub backoff_percent: u32,
    /// The longest pause.
    pub delay_max: Duration,
    /// Pauses are drawn between zero and the full length.
    pub jitter: bool,
    /// Failure codes after which no attempt follows.
    pub non_retryable: Vec<Text>,
    /// Attempts that may be lost (their component went away) before the task fails.
    pub lost_max: u32,
    /// Failure codes after which an attempt follows; empty: after all.
    pub on: Vec<Text>,
}

impl Retry {
    /// Whether another attempt follows one that failed with this code, as number `failures`.
    pub fn follows(&self, code: &str, failures: u32) -> bool {
        let names = |codes: &[Text]| codes.iter().any(|known| **known == *code);
        failures < self.limit && !names(&self.non_retryable) && (self.on.is_empty() || names(&self.on))
    }
}
