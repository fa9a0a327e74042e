//! What a workflow says: its steps in order, what each needs, does and may fail.
//! Knows neither the file it was written in nor any run of it.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::ids::{ActionName, BlockIx, DefinitionId, Json, Labels, Priority, StateKey, StepIx, Text};

/// A workflow, checked and with every default filled in.
///
/// The compiler of workflow files guarantees, for `steps` and for each of `blocks`: `needs` and `followers` mirror each
/// other, point inside the same list and have no cycle; `parallel` is flattened (the group is a step that needs its
/// children, the children need what it needed); blocks that steps or handlers name exist and are not empty.
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
    /// Further lists of steps, each run as a child run: bodies of `foreach`, `compensate`, handlers. Block 1 is the first.
    pub blocks: Vec<Vec<StepDef>>,
    /// What follows the end of a run.
    pub handlers: Handlers,
    /// How many runs may be active together.
    pub concurrency: Option<Concurrency>,
    /// Priority of its runs, unless whoever starts one says otherwise.
    pub priority: Priority,
    /// How long its runs are kept once they have ended; none: as long as the cluster keeps runs.
    pub retention: Option<Duration>,
}

impl Definition {
    /// A definition of nothing but these steps.
    pub fn new(id: DefinitionId, name: impl Into<Text>, steps: Vec<StepDef>) -> Definition {
        Definition {
            id,
            name: name.into(),
            source: Json::null(),
            steps,
            outputs: Vec::new(),
            timeout: Duration::from_secs(3600),
            blocks: Vec::new(),
            handlers: Handlers::default(),
            concurrency: None,
            priority: Priority::Normal,
            retention: None,
        }
    }

    /// The steps of a block; block 0 are those of the workflow itself.
    pub fn block(&self, block: BlockIx) -> &[StepDef] {
        match block.checked_sub(1) {
            None => &self.steps,
            Some(place) => self.blocks.get(usize::from(place)).map_or(&[], Vec::as_slice),
        }
    }
}

/// Blocks that run when the steps of a run have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handlers {
    /// After a failure or a time-out.
    pub on_failure: Option<BlockIx>,
    /// After a cancel.
    pub on_cancel: Option<BlockIx>,
    /// After everything else, however the run ended.
    pub finally: Option<BlockIx>,
}

/// `concurrency`: runs of one group, at most so many at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// A text with `${{ }}` over the inputs; none: all runs of the workflow are one group.
    pub group: Option<Text>,
    /// Runs active at once.
    pub limit: u32,
    /// What a further run does.
    pub on_conflict: OnConflict,
}

/// What a run does whose concurrency group is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnConflict {
    /// It waits.
    #[default]
    Queue,
    /// It has older runs of the group cancelled.
    CancelRunning,
    /// It is refused.
    Reject,
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
    /// Time that the whole step may take, where it is not a task.
    pub limit: Option<Duration>,
    /// Output names and the expressions that yield them from `output`; empty: the output as it came.
    pub outputs: Vec<(Text, Text)>,
    /// Undoes the step after a failure or cancel of the run.
    pub compensate: Option<BlockIx>,
    /// Time an attempt may go without a sign of life.
    pub heartbeat_timeout: Option<Duration>,
    /// Time from the step's start to its end, over all attempts.
    pub total_timeout: Option<Duration>,
    /// Its output is kept for later runs, and taken over from earlier ones; of tasks only.
    pub cache: Option<Cache>,
}

/// `cache`: when the output of an earlier run counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// A text with `${{ }}`; where its value and what the step does are the same, the output is.
    pub key: Text,
    /// How old the output may be.
    pub age_max: Option<Duration>,
}

impl StepDef {
    /// A step of nothing but its kind, that needs nothing.
    pub fn new(id: impl Into<Text>, kind: StepKind, retry: Retry) -> StepDef {
        let id = id.into();
        StepDef {
            name: id.clone(),
            id,
            needs: Vec::new(),
            followers: Vec::new(),
            only_if: None,
            kind,
            timeout: Duration::from_secs(300),
            queue_timeout: None,
            retry,
            continue_on_error: false,
            labels: Labels::new(),
            priority: None,
            limit: None,
            outputs: Vec::new(),
            compensate: None,
            heartbeat_timeout: None,
            total_timeout: None,
            cache: None,
        }
    }

    /// Whether a step that needs this one is held back where this one is a condition and false.
    pub fn gates(&self, follower: StepIx) -> bool {
        matches!(self.kind, StepKind::Condition { .. }) && self.goes_to() != Some(follower)
    }

    /// The step that the run goes on with where this one is a condition and false.
    pub fn goes_to(&self) -> Option<StepIx> {
        let StepKind::Condition { on_false: OnFalse::Goto(place), .. } = self.kind else { return None };
        Some(place)
    }
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
    /// Waits until a time that an expression yields.
    Until {
        /// A time, RFC 3339 text or milliseconds since 1970.
        expression: Text,
    },
    /// Waits for a signal to the run; one sent before counts.
    Signal {
        /// The signal's name.
        name: Text,
    },
    /// Waits until somebody approves or rejects.
    Approval {
        /// What they are shown, a JSON object.
        request: Json,
        /// `request` holds expressions to fill in first.
        templated: bool,
        /// Who may decide; empty: anybody.
        approvers: Vec<Text>,
        /// What the time limit means.
        on_timeout: OnTimeout,
    },
    /// Runs the block once for each item.
    ForEach {
        /// An expression that yields a list.
        items: Text,
        /// The block.
        block: BlockIx,
        /// The item's name in expressions.
        item: Text,
        /// The name of the item's place in expressions.
        index: Text,
        /// An expression over the item that yields its key.
        key: Option<Text>,
        /// Items at work at once.
        parallel_max: u32,
        /// The first failure ends the others.
        fail_fast: bool,
    },
    /// Runs another workflow as a child.
    Workflow {
        /// Its name.
        name: Text,
        /// Its version, the latest if none.
        version: Option<u32>,
        /// Its inputs, a JSON object.
        inputs: Json,
        /// Does not wait for its end.
        detach: bool,
    },
    /// Writes and reads state keys in the entry that completes the step.
    State {
        /// Keys with the JSON they get, in order.
        writes: Vec<(StateKey, Json)>,
        /// Values hold expressions to fill in first.
        templated: bool,
        /// Keys read, after the writes.
        reads: Vec<StateKey>,
        /// The version that the one key written must have; 0: it must not exist.
        if_version: Option<u64>,
        /// Keys deleted, where they have a value.
        deletes: Vec<StateKey>,
        /// A snapshot is made before anything is written: what is said about it, a JSON object.
        snapshot: Option<Json>,
    },
    /// Sends a message to a component, or to all, and takes the reply.
    Message {
        /// To whom and what, a JSON object.
        request: Json,
        /// `request` holds expressions to fill in first.
        templated: bool,
    },
    /// Makes an event of the user's own.
    Emit {
        /// Its type.
        kind: Text,
        /// Its data, JSON.
        data: Json,
        /// `data` holds expressions to fill in first.
        templated: bool,
    },
    /// Waits for an event that happens after the wait began.
    Event {
        /// The event's type, or a pattern.
        kind: Text,
        /// A boolean expression over the event and what the step sees.
        filter: Option<Text>,
    },
}

/// What the time limit of an approval means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnTimeout {
    /// As if somebody had rejected.
    #[default]
    Reject,
    /// As if somebody had approved.
    Approve,
    /// The step times out.
    Fail,
}

impl StepKind {
    /// The word of the workflow file.
    pub fn name(&self) -> &'static str {
        match self {
            StepKind::Task { .. } => "task",
            StepKind::Condition { .. } => "condition",
            StepKind::Parallel { .. } => "parallel",
            StepKind::Delay { .. } => "delay",
            StepKind::Until { .. } | StepKind::Signal { .. } | StepKind::Event { .. } => "wait",
            StepKind::Approval { .. } => "approval",
            StepKind::ForEach { .. } => "foreach",
            StepKind::Workflow { .. } => "workflow",
            StepKind::State { .. } => "state",
            StepKind::Message { .. } => "message",
            StepKind::Emit { .. } => "emit",
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
    /// The steps up to this one are skipped, the run goes on there.
    Goto(StepIx),
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
