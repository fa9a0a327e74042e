//! What may be asked of the cluster: commands, and the entry that carries one.
//! Knows nothing of how they are decided.

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    component::{HeldAttempt, SessionEnd},
    config::ClusterConfig,
    evaluation::Evaluation,
    following::{Followed, SkippedStarts},
    ids::{
        ActionName, ComponentId, IdempotencyKey, Json, NodeId, Priority, RunId, SessionId, StateKey, StepIx,
        TaskId, Text, Timestamp, Token,
    },
    key::Transaction,
    message::MessageCommand,
    names::{ScheduleId, WorkflowName},
    request::{ApplyWorkflow, CreateRun, DeadSelection, DeleteEnded, Expect, NewTask, RegisterComponent},
    run::Failure,
    schedule::{Missed, ScheduleSpec},
    snapshot::{NewSnapshot, RestoreSnapshot, SnapshotId},
    step::EvalPoint,
    trouble::TroubleEvent,
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
        /// Its attempts that have not ended by then are lost to it.
        within: Option<Duration>,
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
    /// Delete what has ended; refused where some of it has not.
    DeleteEnded(DeleteEnded),
    /// Give a step the event that it waits for, or say why that cannot be told.
    GiveEvent {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Number of the event.
        seq: u64,
        /// The event, JSON, or why its filter does not work.
        event: Result<Json, Failure>,
    },
    /// Events up to here have started what they start.
    FollowEvents {
        /// The last one.
        upto: Followed,
        /// What they did not start.
        skipped: Vec<SkippedStarts>,
    },
    /// Write several state keys, all or none.
    Transact(Box<Transaction>),
    /// Make a named snapshot of the state keys.
    CreateSnapshot(Box<NewSnapshot>),
    /// Bring state keys back to where they were, in this entry.
    RestoreSnapshot(Box<RestoreSnapshot>),
    /// Forget a snapshot.
    DeleteSnapshot {
        /// Which.
        snapshot: SnapshotId,
    },
    /// Durable messages.
    Message(MessageCommand),
    /// Make an event of the caller's own.
    PostEvent {
        /// Its type.
        kind: Text,
        /// Its data, JSON.
        data: Json,
    },
    /// A node tells of an error outside the log, or of a health check.
    Report(Box<TroubleEvent>),
    /// The first record of a cluster that was made of a backup: nobody who worked for the old one works for this one.
    BeginAnew {
        /// No token below is handed out here.
        token_min: Token,
    },
    /// A node connects a session again that it kept alive while it was given up; not in place of one that the component has
    /// opened since.
    ReconnectComponent {
        /// Which.
        component: ComponentId,
        /// Its connection.
        session: SessionId,
        /// Where.
        node: NodeId,
        /// The attempts it still works on; its others are lost.
        held: Vec<HeldAttempt>,
    },
}
