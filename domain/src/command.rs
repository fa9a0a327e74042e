//! What may be asked of the cluster: commands, and the entry that carries one.
//! Knows nothing of how they are decided.

use alloc::{boxed::Box, collections::BTreeSet, sync::Arc, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    child::{KeptItems, Origin, Parent},
    component::{HeldAttempt, SessionEnd},
    config::ClusterConfig,
    definition::{Definition, Retry},
    ids::{
        ActionName, BlockIx, ComponentId, DefinitionId, IdempotencyKey, Json, Labels, NodeId, Priority,
        RunId, SessionId, StateKey, StepIx, TaskId, Text, Timestamp, Token,
    },
    run::{Failure, Group},
    step::{Decision, EvalPoint, Step},
    task::TaskStatus,
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
    /// End a run and its children at once, without grace or handlers.
    TerminateRun {
        /// Which.
        run: RunId,
        /// Why.
        reason: Text,
    },
    /// Give a run a signal; it is kept until a step awaits it.
    SignalRun {
        /// Which.
        run: RunId,
        /// The signal's name.
        name: Text,
        /// JSON that the awaiting step yields.
        data: Json,
    },
    /// Approve or reject what a step awaits.
    DecideApproval {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Yes or no.
        approved: bool,
        /// Who says so.
        by: Text,
        /// Why, as they say.
        comment: Option<Text>,
        /// JSON that the step yields.
        output: Json,
    },
    /// What became of the message that a step sent.
    FinishMessage {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The reply, JSON, or why there is none.
        reply: Result<Json, Failure>,
    },
    /// The node that has the component's session says: the attempt gave no sign of life within its time.
    ExpireHeartbeat {
        /// Which.
        task: TaskId,
        /// Which attempt.
        token: Token,
    },
    /// Change the priority of a task that does not run.
    SetTaskPriority {
        /// Which.
        task: TaskId,
        /// To what.
        priority: Priority,
    },
    /// Assign no tasks of an action; running attempts go on.
    PauseAction {
        /// Which.
        action: ActionName,
    },
    /// Assign tasks of an action again.
    ResumeAction {
        /// Which.
        action: ActionName,
    },
    /// Take tasks off the dead-letter list for good.
    DropDeadTasks {
        /// Which.
        which: DeadSelection,
    },
    /// The leader's sweep: all work it found that nothing can wake, as sentences.
    ReportStuck {
        /// What it found; empty: nothing any more.
        found: BTreeSet<Text>,
    },
}

/// Tasks of the dead-letter list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadSelection {
    /// These; each must be on the list.
    Tasks(Vec<TaskId>),
    /// Those of an action.
    Action(ActionName),
    /// All.
    All,
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
    /// Which steps of the definition it executes; 0 for a whole workflow.
    pub block: BlockIx,
    /// Whose child it is; the rules alone make children.
    pub parent: Option<Box<Parent>>,
    /// The earlier run it repeats.
    pub origin: Option<Origin>,
    /// Steps of the earlier run that are taken over as they ended.
    pub carried: Vec<(StepIx, Step)>,
    /// Items of the earlier run that are taken over where their value is still the same.
    pub kept: Vec<KeptItems>,
    /// Its concurrency group.
    pub group: Option<Group>,
    /// While a run of the workflow with this word lives, it is the answer and nothing is started.
    pub dedupe: Option<Text>,
}

impl CreateRun {
    /// A run with nothing but what it executes.
    pub fn new(id: RunId, definition: DefinitionId) -> CreateRun {
        CreateRun {
            id,
            definition,
            body: None,
            inputs: Json::from("{}"),
            labels: Labels::new(),
            priority: Priority::Normal,
            block: 0,
            parent: None,
            origin: None,
            carried: Vec::new(),
            kept: Vec::new(),
            group: None,
            dedupe: None,
        }
    }
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
    /// It does not start before.
    pub run_at: Option<Timestamp>,
    /// Time from its creation to its end, over all attempts.
    pub total_timeout: Option<Duration>,
    /// Time an attempt may go without a sign of life.
    pub heartbeat_timeout: Option<Duration>,
    /// The task of the dead-letter list that it takes the place of.
    pub requeued_from: Option<TaskId>,
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
    /// The outputs of the run or of a step, a JSON object.
    Outputs(Json),
    /// An expression cannot be evaluated.
    Failed(Failure),
    /// The items of a `foreach`, JSON each.
    Items(Vec<Json>),
    /// The time to wait for.
    Until(Timestamp),
    /// What a `state` step writes, in the order of its keys.
    Values(Vec<Json>),
    /// The run that a `workflow` step starts.
    Child(Box<ChildStart>),
}

/// A child run to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildStart {
    /// What it executes.
    pub definition: DefinitionId,
    /// The definition itself, where the leader did not see it in the state.
    pub body: Option<Arc<Definition>>,
    /// Its inputs, checked, a JSON object.
    pub inputs: Json,
    /// Its labels.
    pub labels: Labels,
    /// Its concurrency group.
    pub group: Option<Group>,
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
