//! Facts: what has happened, numbered without gaps and the same on every node.
//! Knows nothing of how they are shown; a fact cannot fail.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    ActionName, CacheEvent, ClusterConfig, ComponentId, Conclusion, CreateRun, Decision, Definition,
    EvalPoint, Failure, FanKey, HeldAttempt, Item, Job, Json, KeyChange, MessageEvent, Parent, Priority,
    RegisterComponent, RunId, RunStatus, ScheduleEvent, Session, SessionEnd, SessionId, SnapshotEvent,
    StepIx, StepOutcome, Task, TaskId, Text, Timestamp, Token, TroubleEvent, WorkflowEvent,
};

/// What has happened. Stored: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A definition was seen for the first time, or again after it left memory.
    DefinitionAdded(Arc<Definition>),
    /// A run was accepted.
    RunCreated(Box<CreateRun>),
    /// A run left the queue.
    RunStarted {
        /// Which.
        run: RunId,
    },
    /// A run is paused.
    RunPaused {
        /// Which.
        run: RunId,
    },
    /// A run goes on.
    RunResumed {
        /// Which.
        run: RunId,
    },
    /// A run winds down.
    RunCancelRequested {
        /// Which.
        run: RunId,
        /// Why.
        reason: Text,
    },
    /// A run's time is up; it winds down.
    RunTimedOut {
        /// Which.
        run: RunId,
    },
    /// Expressions await the leader.
    EvaluationAwaited {
        /// Which run.
        run: RunId,
        /// Which expressions.
        point: EvalPoint,
    },
    /// A run ended.
    RunEnded {
        /// Which.
        run: RunId,
        /// Terminal.
        status: RunStatus,
        /// How.
        conclusion: Conclusion,
        /// JSON.
        outputs: Json,
        /// The first failure that counts.
        failure: Option<Failure>,
        /// Whose child it was.
        parent: Option<Box<Parent>>,
    },
    /// What a condition or `if` said.
    StepDecided {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// What it said.
        decision: Decision,
    },
    /// A step began: its task exists, its children may start, or its delay runs.
    StepStarted {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The config with templates filled in, where there were any.
        config: Option<Json>,
    },
    /// A step ended; its task, if any, is gone.
    StepEnded {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// How.
        outcome: StepOutcome,
    },
    /// A task of its own was accepted.
    TaskCreated(Box<Task>),
    /// A dependency completed.
    DependencyCompleted {
        /// Whose.
        task: TaskId,
        /// Which.
        dependency: TaskId,
    },
    /// A task entered its queue: a pause between attempts is over, or the time it was to start at has come.
    TaskRequeued {
        /// Which.
        task: TaskId,
    },
    /// An attempt started.
    TaskAssigned {
        /// Which.
        task: TaskId,
        /// Whose.
        component: ComponentId,
        /// What a result must carry.
        token: Token,
        /// When it times out.
        deadline: Timestamp,
    },
    /// An attempt failed, timed out or was lost.
    AttemptFailed {
        /// Which task.
        task: TaskId,
        /// Which attempt.
        token: Token,
        /// Why.
        failure: Failure,
        /// The component went away.
        lost: bool,
        /// When the next one may start; none: the task ends next.
        retry_at: Option<Timestamp>,
    },
    /// A running attempt is asked to wind down.
    TaskCancelRequested {
        /// Which.
        task: TaskId,
        /// Why.
        reason: Text,
        /// When it ends without an answer.
        deadline: Timestamp,
    },
    /// A task of its own ended.
    TaskEnded {
        /// Which.
        task: TaskId,
        /// How; never skipped.
        outcome: StepOutcome,
    },
    /// A component is known, or known differently.
    ComponentRegistered(Box<RegisterComponent>),
    /// A component is connected.
    ComponentConnected {
        /// Which.
        component: ComponentId,
        /// Its session.
        session: Session,
        /// What it still works on.
        held: Vec<HeldAttempt>,
    },
    /// A connection broke or was closed; with `until` it may come back.
    SessionEnded {
        /// Whose.
        component: ComponentId,
        /// Which.
        session: SessionId,
        /// How.
        end: SessionEnd,
        /// The end of its grace time.
        until: Option<Timestamp>,
    },
    /// A component is gone: its attempts are lost.
    ComponentDisconnected(ComponentId),
    /// A component takes no new tasks; with a time, its attempts that have not ended by then are lost to it.
    ComponentDraining(ComponentId, Option<Timestamp>),
    /// The time to drain a component is over.
    DrainTimedOut(ComponentId),
    /// A component is forgotten.
    ComponentDeregistered(ComponentId),
    /// A state key was written or deleted.
    StateChanged(KeyChange),
    /// The cluster's settings changed.
    Configured(Box<ClusterConfig>),
    /// A `foreach` has its items.
    FanStarted {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// In order.
        items: Arc<[Item]>,
    },
    /// An item of a `foreach` ended.
    ItemEnded {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Its place, from 0.
        index: u32,
        /// How.
        outcome: StepOutcome,
    },
    /// What the items of a `foreach` that failed yielded nevertheless.
    ItemsCollected {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// A JSON list, `null` in the places of those that failed.
        output: Json,
    },
    /// A step winds its children down and will end like this.
    StepStopping {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// How it will end.
        outcome: StepOutcome,
    },
    /// A step's work is done; its outputs are to be evaluated.
    StepReturned {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// What it yielded, JSON.
        output: Json,
    },
    /// A step waits for a time.
    TimeAwaited {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The time.
        until: Timestamp,
    },
    /// A step waits for a signal.
    SignalAwaited {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The signal's name.
        name: Text,
    },
    /// A step waits for somebody's approval.
    ApprovalAwaited {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// What they are shown, JSON.
        request: Json,
    },
    /// A step sends a message.
    MessageAwaited {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// To whom and what, JSON.
        request: Json,
    },
    /// Somebody approved or rejected.
    ApprovalDecided {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Yes or no.
        approved: bool,
        /// Who.
        by: Text,
        /// Why, as they say.
        comment: Option<Text>,
    },
    /// A run was given a signal.
    RunSignalled {
        /// Which.
        run: RunId,
        /// The signal's name.
        name: Text,
        /// JSON.
        data: Json,
    },
    /// A step took the oldest signal of this name.
    SignalTaken {
        /// Which run kept it.
        run: RunId,
        /// The signal's name.
        name: Text,
    },
    /// Every step of a run has ended; what follows them is done next.
    RunConcluding {
        /// Which.
        run: RunId,
        /// How it will end unless a handler fails.
        conclusion: Conclusion,
        /// What is done, in this order.
        jobs: Vec<Job>,
    },
    /// A handler of a run ended.
    HandlerEnded {
        /// Which run.
        run: RunId,
        /// Which handler.
        job: Job,
        /// How.
        outcome: StepOutcome,
    },
    /// Handlers that have not started are left out: the run was cancelled meanwhile.
    HandlersDropped {
        /// Which run.
        run: RunId,
    },
    /// An event of the user's own.
    Emitted {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// Its type.
        kind: Text,
        /// Its data, JSON.
        data: Json,
    },
    /// A task of its own gave up and is on the dead-letter list.
    TaskDeadLettered {
        /// Which.
        task: TaskId,
        /// What it asked for.
        action: ActionName,
    },
    /// A task of the dead-letter list left it for a new one.
    DeadTaskRequeued {
        /// Which.
        task: TaskId,
        /// The new one.
        requeued_as: TaskId,
    },
    /// Tasks left the dead-letter list for good.
    DeadTasksDropped {
        /// Which.
        tasks: Vec<TaskId>,
        /// The list was full; otherwise somebody asked.
        overflow: bool,
    },
    /// A task that does not run has another priority.
    TaskPriorityChanged {
        /// Which.
        task: TaskId,
        /// Which one.
        priority: Priority,
    },
    /// No tasks of an action are assigned.
    ActionPaused(ActionName),
    /// Tasks of an action are assigned again.
    ActionResumed(ActionName),
    /// Work was found that nothing can wake.
    DeadlockDetected(Text),
    /// Work that nothing could wake is gone or goes on.
    DeadlockResolved(Text),
    /// Runs that had ended are gone for good.
    RunsDeleted {
        /// Which.
        runs: Vec<RunId>,
        /// The items of theirs.
        fans: Vec<FanKey>,
    },
    /// Tasks that had ended are gone for good.
    TasksDeleted(Vec<TaskId>),
    /// A workflow kept by name changed.
    Workflow(WorkflowEvent),
    /// A schedule changed or came to its turn.
    Schedule(ScheduleEvent),
    /// A step with a `cache` began or completed.
    Cache(CacheEvent),
    /// A step waits for an event.
    EventAwaited {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
        /// The event's type, or a pattern.
        kind: Text,
    },
    /// A snapshot of the state keys was made, restored or deleted.
    Snapshot(SnapshotEvent),
    /// Somebody told of an event of their own: its type and its data, JSON.
    Posted(Text, Json),
    /// A durable message moved.
    Message(MessageEvent),
    /// An error, its recovery, or a health check.
    Trouble(TroubleEvent),
}
