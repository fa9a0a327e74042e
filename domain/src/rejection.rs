//! Why the rules say no: a replicated answer that changes nothing but time.
//! Knows nothing of HTTP; every variant names the obstacle.

use serde::{Deserialize, Serialize};

use crate::{
    config::ConfigError,
    ids::{ComponentId, DefinitionId, RunId, StateKey, StepIx, TaskId, Text, Token},
    message::MessageId,
    names::{ScheduleId, WorkflowName},
    run::RunStatus,
    snapshot::SnapshotId,
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
    /// As many live runs, live tasks, paused actions, … as the cluster may hold.
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
    /// Only what has ended can be deleted.
    #[error("run {run} is {}: only a run that has ended can be deleted", status.name())]
    RunNotEnded {
        /// Which.
        run: RunId,
        /// Where it stands.
        status: RunStatus,
    },
    /// Only what has ended can be deleted.
    #[error("task {task} is {}: only a task that has ended can be deleted", status.name())]
    TaskNotEnded {
        /// Which.
        task: TaskId,
        /// Where it stands.
        status: TaskStatus,
    },
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
    /// Nobody keeps a workflow of this name, or not in this version.
    #[error("there is no workflow {name}")]
    WorkflowUnknown {
        /// Which.
        name: WorkflowName,
    },
    /// The workflow starts no runs.
    #[error("workflow {name} is paused, it starts no runs")]
    WorkflowPaused {
        /// Which.
        name: WorkflowName,
    },
    /// The workflow does not stand where the caller expects it.
    #[error("workflow {name} is at version {version}")]
    WorkflowConflict {
        /// Which.
        name: WorkflowName,
        /// Where it stands; 0 if there is none.
        version: u64,
    },
    /// Nobody made a schedule of this name.
    #[error("there is no schedule {schedule}")]
    ScheduleUnknown {
        /// Which.
        schedule: ScheduleId,
    },
    /// The schedule does not stand where the caller expects it.
    #[error("schedule {schedule} is at version {version}")]
    ScheduleConflict {
        /// Which.
        schedule: ScheduleId,
        /// Where it stands; 0 if there is none.
        version: u64,
    },
    /// The schedule belongs to a workflow's file.
    #[error("schedule {schedule} comes with the file of workflow {workflow}")]
    ScheduleOfFile {
        /// Which.
        schedule: ScheduleId,
        /// Whose.
        workflow: WorkflowName,
    },
    /// The schedule does not await this plan: somebody else planned it, or it has changed.
    #[error("schedule {schedule} does not await this plan")]
    PlanNotAwaited {
        /// Which.
        schedule: ScheduleId,
    },
    /// Nobody made a snapshot of this id.
    #[error("there is no snapshot {snapshot}")]
    SnapshotUnknown {
        /// Which.
        snapshot: SnapshotId,
    },
    /// The name is taken.
    #[error("snapshot {snapshot} has the name `{name}` already")]
    SnapshotNameTaken {
        /// The name.
        name: Text,
        /// Whose it is.
        snapshot: SnapshotId,
    },
    /// The message is in no queue: it was acknowledged, or nobody sent it.
    #[error("message {message} is in no queue")]
    MessageUnknown {
        /// Which.
        message: MessageId,
    },
    /// The delivery is not the present one.
    #[error("delivery {} of message {message} is not the present one", token.0)]
    StaleDelivery {
        /// Which.
        message: MessageId,
        /// As given.
        token: Token,
    },
    /// The id is taken.
    #[error("message {message} exists already")]
    MessageExists {
        /// Which.
        message: MessageId,
    },
    /// The message is not on the dead-letter list.
    #[error("message {message} is not on the dead-letter list")]
    MessageNotDead {
        /// Which.
        message: MessageId,
    },
    /// As many messages as may wait for one component.
    #[error("{limit} messages wait for component {component}, which is the limit")]
    QueueFull {
        /// Whose queue.
        component: ComponentId,
        /// `components.maxQueueSize`.
        limit: u32,
    },
    /// The cluster's configuration switches this off.
    #[error("{setting} is off")]
    SwitchedOff {
        /// The setting, by the user's name.
        setting: Text,
    },
    /// The step does not wait for an event, or began to after this one.
    #[error("step {step} of run {run} does not await this event")]
    EventNotAwaited {
        /// Which run.
        run: RunId,
        /// Which step, by its place.
        step: StepIx,
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
    /// Workflows.
    Workflows,
    /// Versions of one workflow.
    WorkflowVersions,
    /// Schedules.
    Schedules,
    /// Named snapshots.
    Snapshots,
}

impl core::fmt::Display for Limited {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Limited::Runs => "live runs",
            Limited::Tasks => "live tasks",
            Limited::PausedActions => "paused actions",
            Limited::Signals => "untaken signals of a run",
            Limited::Workflows => "workflows",
            Limited::WorkflowVersions => "versions of this workflow",
            Limited::Schedules => "schedules",
            Limited::Snapshots => "named snapshots",
        })
    }
}
