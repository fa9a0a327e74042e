//! Why the rules say no: a replicated answer that changes nothing but time.
//! Knows nothing of HTTP; every variant names the obstacle.

use serde::{Deserialize, Serialize};

use crate::{
    config::ConfigError,
    ids::{ComponentId, DefinitionId, RunId, StateKey, StepIx, TaskId, Text, Token},
    run::RunStatus,
    task::TaskStatus,
};

/// The obstacle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// No live run of this id: unknown, or ended and in the archive.
    #[error("run {run} is not live")]
    RunNotLive {
        /// Which.
        run: RunId,
    },
    /// No live task of this id: unknown, or ended and in the archive.
    #[error("task {task} is not live")]
    TaskNotLive {
        /// Which.
        task: TaskId,
    },
    /// The id is taken.
    #[error("run {run} exists already")]
    RunExists {
        /// Which.
        run: RunId,
    },
    /// The id is taken.
    #[error("task {task} exists already")]
    TaskExists {
        /// Which.
        task: TaskId,
    },
    /// The state has no such definition: send its body.
    #[error("the definition is not in the state")]
    DefinitionUnknown {
        /// Which.
        definition: DefinitionId,
    },
    /// The run cannot do that from where it stands.
    #[error("run {run} is {}, it cannot be {wish}", status.name())]
    RunTransition {
        /// Which.
        run: RunId,
        /// Where it stands.
        status: RunStatus,
        /// What was asked, such as `paused`.
        wish: RunWish,
    },
    /// The task cannot do that from where it stands.
    #[error("task {task} is {}, it cannot be cancelled", status.name())]
    TaskTransition {
        /// Which.
        task: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
    /// A task of a step is ended through its run.
    #[error("task {task} belongs to a run: cancel the run instead")]
    TaskOfRun {
        /// Which.
        task: TaskId,
    },
    /// The attempt is not the running one.
    #[error("attempt {} of task {task} is not the running one", token.0)]
    StaleAttempt {
        /// Which.
        task: TaskId,
        /// As given.
        token: Token,
    },
    /// A task depends on one that nobody knows.
    #[error("the task depends on {task}, which is not known")]
    DependencyUnknown {
        /// Which.
        task: TaskId,
    },
    /// Nobody registered this component.
    #[error("component {component} is not registered")]
    ComponentUnknown {
        /// Which.
        component: ComponentId,
    },
    /// The state key does not stand where the caller expects it.
    #[error("{key} is at version {version}")]
    StateVersionConflict {
        /// Which.
        key: StateKey,
        /// Where it stands; 0 if it never had a value.
        version: u64,
        /// Whether it has a value now.
        present: bool,
    },
    /// The key has no value to delete.
    #[error("{key} has no value")]
    StateKeyAbsent {
        /// Which.
        key: StateKey,
    },
    /// As many live runs, live tasks or paused actions as the cluster may hold.
    #[error("the cluster holds {limit} {what}, which is its limit")]
    LimitExceeded {
        /// What is counted.
        what: Limited,
        /// The limit.
        limit: u32,
    },
    /// The key was used for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// Settings that cannot work.
    #[error("{0}")]
    BadConfig(ConfigError),
    /// The run does not await this evaluation: somebody else answered.
    #[error("run {run} does not await this evaluation")]
    EvaluationNotAwaited {
        /// Which.
        run: RunId,
    },
    /// The step does not wait for an approval.
    #[error("step {step} of run {run} awaits no approval")]
    ApprovalNotAwaited {
        /// Which run.
        run: RunId,
        /// Which step, by its place.
        step: StepIx,
    },
    /// Others may decide.
    #[error("{by} may not decide this approval")]
    NotAnApprover {
        /// Who tried.
        by: Text,
    },
    /// The step does not wait for the reply to a message.
    #[error("step {step} of run {run} awaits no reply")]
    ReplyNotAwaited {
        /// Which run.
        run: RunId,
        /// Which step, by its place.
        step: StepIx,
    },
    /// The concurrency group is full and its workflow refuses further runs.
    #[error("{limit} runs of the concurrency group `{group}` are active, which is its limit")]
    GroupBusy {
        /// Its name.
        group: Text,
        /// Its limit.
        limit: u32,
        /// One of those that are active.
        run: RunId,
    },
    /// Settings of a new run or task that cannot work.
    #[error("{0}")]
    Invalid(alloc::string::String),
    /// Its priority does not matter any more.
    #[error("task {task} is {}, its priority matters only while it waits", status.name())]
    TaskStarted {
        /// Which.
        task: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
    /// The task is not on the dead-letter list.
    #[error("task {task} is not on the dead-letter list")]
    TaskNotDead {
        /// Which.
        task: TaskId,
    },
}

/// What was asked of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunWish {
    /// `pause`
    Paused,
    /// `resume`
    Resumed,
    /// `cancel`
    Cancelled,
}

impl core::fmt::Display for RunWish {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            RunWish::Paused => "paused",
            RunWish::Resumed => "resumed",
            RunWish::Cancelled => "cancelled",
        })
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limited {
    /// Live runs.
    Runs,
    /// Live tasks.
    Tasks,
    /// Signals of one run that no step has taken.
    Signals,
    /// Paused actions.
    PausedActions,
}

impl core::fmt::Display for Limited {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Limited::Runs => "live runs",
            Limited::Tasks => "live tasks",
            Limited::PausedActions => "paused actions",
            Limited::Signals => "untaken signals of a run",
        })
    }
}
