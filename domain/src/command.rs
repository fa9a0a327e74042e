//! What may be asked of the cluster: commands, and the entry that carries one.
//! Knows nothing of how they are decided.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    component::{HeldAttempt, SessionEnd},
    config::ClusterConfig,
    definition::{Definition, Retry},
    ids::{
        ActionName, ComponentId, DefinitionId, IdempotencyKey, Json, Labels, NodeId, Priority, RunId,
        SessionId, StateKey, TaskId, Text, Timestamp, Token,
    },
    names::{ScheduleId, WorkflowName},
    run::{Decision, EvalPoint, Failure},
    schedule::{Missed, ScheduleSpec},
    task::TaskStatus,
    workflow::Origin,
};

/// One command as the log has it: decided alike on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Log index; the entries of one log record share it.
    pub rev: u64,
    /// The leader's clock when it packed the record.
    pub proposed_at: Timestamp,
    /// What is asked.
    pub proposal: Proposal,
}

/// A command on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is asked.
    pub command: Command,
    /// The caller's key, if it gave one.
    pub idempotency: Option<Idempotency>,
}

impl From<Command> for Proposal {
    fn from(command: Command) -> Self {
        Proposal { command, idempotency: None }
    }
}

/// Makes a repeated call yield the first one's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Hash of scope and key.
    pub key: IdempotencyKey,
    /// Hash of the request: another body under the same key is refused.
    pub request: u64,
}

/// A wish; it may be refused. Stored in the log: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Start a run.
    CreateRun(Box<CreateRun>),
    /// End a run; its running attempts get the grace time.
    CancelRun {
        /// Which.
        run: RunId,
        /// Why.
        reason: Text,
    },
    /// Start no new attempts of a run.
    PauseRun {
        /// Which.
        run: RunId,
    },
    /// Go on.
    ResumeRun {
        /// Which.
        run: RunId,
    },
    /// Create tasks, all or none; later ones may depend on earlier ones of the list.
    CreateTasks {
        /// What.
        tasks: Vec<NewTask>,
    },
    /// End a task of its own.
    CancelTask {
        /// Which.
        task: TaskId,
        /// Why.
        reason: Text,
    },
    /// A component's result.
    CompleteTask {
        /// Which.
        task: TaskId,
        /// Which attempt.
        token: Token,
        /// JSON.
        output: Json,
    },
    /// A component's failure.
    FailTask {
        /// Which.
        task: TaskId,
        /// Which attempt.
        token: Token,
        /// Why.
        failure: Failure,
        /// The component says whether another attempt makes sense.
        retryable: bool,
        /// The component's wish for the pause.
        retry_after: Option<Duration>,
    },
    /// Make a component known, or change what is known of it.
    RegisterComponent(Box<RegisterComponent>),
    /// A component is connected; a newer session takes over.
    ConnectComponent {
        /// Which.
        component: ComponentId,
        /// Its connection.
        session: SessionId,
        /// Where.
        node: NodeId,
        /// The attempts it still works on; its others are lost.
        held: Vec<HeldAttempt>,
    },
    /// A session is over.
    EndSession {
        /// Whose.
        component: ComponentId,
        /// Which; an older one is ignored.
        session: SessionId,
        /// How.
        end: SessionEnd,
    },
    /// A node is gone or has restarted: the sessions it had are lost, but for those named.
    EndNodeSessions {
        /// Which.
        node: NodeId,
        /// Sessions it still has.
        except: Vec<SessionId>,
    },
    /// Give a component no new tasks.
    DrainComponent {
        /// Which.
        component: ComponentId,
    },
    /// Forget a component; its attempts are lost.
    DeregisterComponent {
        /// Which.
        component: ComponentId,
    },
    /// What the leader found an expression to be.
    RecordEvaluation {
        /// Which run.
        run: RunId,
        /// Which expressions of it.
        point: EvalPoint,
        /// What they are.
        evaluation: Evaluation,
    },
    /// Let deadlines that have passed take effect.
    AdvanceTime,
    /// Write a state key; no value deletes it.
    SetState {
        /// Which.
        key: StateKey,
        /// JSON.
        value: Option<Json>,
        /// What must hold.
        expect: Expect,
    },
    /// Set the cluster's limits and defaults.
    Configure(Box<ClusterConfig>),
    /// Keep a workflow by name, or a new version of one.
    ApplyWorkflow(Box<ApplyWorkflow>),
    /// Forget a workflow with its versions and schedules; its runs go on.
    DeleteWorkflow {
        /// Which.
        name: WorkflowName,
        /// What must hold of its version.
        expect: Expect,
    },
    /// Start no new runs of a workflow by name, schedule or hook.
    PauseWorkflow {
        /// Which.
        name: WorkflowName,
    },
    /// Go on.
    ResumeWorkflow {
        /// Which.
        name: WorkflowName,
    },
    /// Make or change a schedule.
    SetSchedule {
        /// All of it.
        spec: Box<ScheduleSpec>,
        /// What must hold of its version.
        expect: Expect,
    },
    /// Forget a schedule; its runs go on.
    DeleteSchedule {
        /// Which.
        schedule: ScheduleId,
    },
    /// Give no instant its turn.
    PauseSchedule {
        /// Which.
        schedule: ScheduleId,
    },
    /// Go on with the instants after now.
    ResumeSchedule {
        /// Which.
        schedule: ScheduleId,
    },
    /// Start a run of a schedule now, whatever else goes on.
    TriggerSchedule {
        /// Which.
        schedule: ScheduleId,
        /// Minted by the gateway.
        run: RunId,
    },
    /// What the leader found the next instant of a schedule to be.
    PlanSchedule {
        /// Which.
        schedule: ScheduleId,
        /// The version it was computed for.
        version: u64,
        /// The instant it was computed from.
        after: Timestamp,
        /// The next one that can still have its turn.
        instant: Timestamp,
        /// Those between that cannot.
        missed: Option<Missed>,
    },
}

/// A workflow to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyWorkflow {
    /// Which.
    pub name: WorkflowName,
    /// What it says.
    pub definition: Arc<Definition>,
    /// What must hold of its version.
    pub expect: Expect,
    /// The schedules in its file.
    pub schedules: Vec<ScheduleSpec>,
    /// Its other schedules whose inputs the new version's defaults change.
    pub inputs: Vec<(ScheduleId, Json)>,
}

/// A run to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRun {
    /// Minted by the gateway.
    pub id: RunId,
    /// What it executes.
    pub definition: DefinitionId,
    /// The definition itself, where the gateway did not see it in the state.
    pub body: Option<Arc<Definition>>,
    /// Values for `inputs`, a JSON object.
    pub inputs: Json,
    /// Labels of the run.
    pub labels: Labels,
    /// Priority of its steps.
    pub priority: Priority,
    /// Where it comes from.
    pub origin: Origin,
}

/// A task to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// Minted by the gateway.
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
    /// What must complete first.
    pub dependencies: Vec<Dependency>,
    /// The configured default if none.
    pub timeout: Option<Duration>,
    /// Time it may wait for a component.
    pub queue_timeout: Option<Duration>,
    /// The configured default if none.
    pub retry: Option<Retry>,
}

/// A task that must complete first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Which.
    pub task: TaskId,
    /// How it ended, where the gateway found it ended in the archive. An ended task never changes.
    pub ended: Option<TaskStatus>,
}

/// What is known of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterComponent {
    /// Identity.
    pub id: ComponentId,
    /// Name as the user wrote it.
    pub name: Text,
    /// Free word, such as `worker`.
    pub kind: Text,
    /// Free word.
    pub version: Text,
    /// Actions it offers.
    pub capabilities: Vec<ActionName>,
    /// What tasks may demand.
    pub labels: Labels,
    /// Tasks it takes at once.
    pub slots: u32,
}

/// What the leader found expressions to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evaluation {
    /// The step runs, with its templates filled in.
    Proceed {
        /// JSON, if there were templates.
        config: Option<Json>,
    },
    /// The step's `if` is false.
    Skip(Decision),
    /// A condition's value.
    Condition(Decision),
    /// The run's outputs, a JSON object.
    Outputs(Json),
    /// An expression cannot be evaluated.
    Failed(Failure),
}

/// What must hold for a state write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Anything.
    Any,
    /// The key has no value.
    Absent,
    /// The key has a value.
    Present,
    /// The key is at this version.
    Version(u64),
}
