//! Facts in their public form: the one place that says which fact has which name and data.
//! Knows nothing of streams; a fact that has no rendering does not compile.

use orc_client::wire;
use orc_domain::{
    ClusterConfig, CreateRun, EvalPoint, Event, Failure, Priority, Recorded, RegisterComponent, RunId,
    RunStatus, SessionEnd, Skip, StepIx, StepOutcome, Task, TaskId, Timestamp,
};

use super::{data::Data, event_family, event_kept, event_sent, labels, time};
use crate::config::cluster_config_to_json;

/// The names that facts leave out: a step's id within its run, and the run's workflow.
pub trait Names {
    /// The id of a step, such as `train`.
    fn step(&self, run: RunId, step: StepIx) -> Option<String>;
    /// The workflow of a run.
    fn workflow(&self, run: RunId) -> Option<String>;
}

/// A fact as everybody reads it.
pub fn envelope(recorded: &Recorded, names: &dyn Names) -> wire::Event {
    let Told(subject, data) = tell(&recorded.event, names);
    let (kind, data) = (kind(&recorded.event).to_owned(), data.finish());
    wire::Event { seq: recorded.seq, rev: recorded.rev, kind, at: time(recorded.at), subject, data }
}

/// The name of a fact.
pub fn kind(event: &Event) -> &str {
    match event {
        Event::FanStarted { .. } => "step.itemsStarted",
        Event::ItemEnded { .. } => "step.itemEnded",
        Event::ItemsCollected { .. } => "step.itemsCollected",
        Event::StepStopping { .. } => "step.stopping",
        Event::StepReturned { .. } => "step.returned",
        Event::TimeAwaited { .. } => "step.timeAwaited",
        Event::SignalAwaited { .. } => "step.signalAwaited",
        Event::EventAwaited { .. } => "step.eventAwaited",
        Event::ApprovalAwaited { .. } => "step.approvalAwaited",
        Event::MessageAwaited { .. } => "step.messageAwaited",
        Event::ApprovalDecided { .. } => "step.approvalDecided",
        Event::RunSignalled { .. } => "workflow.signalled",
        Event::SignalTaken { .. } => "workflow.signalTaken",
        Event::RunConcluding { .. } => "workflow.concluding",
        Event::HandlerEnded { .. } => "workflow.handlerEnded",
        Event::HandlersDropped { .. } => "workflow.handlersDropped",
        Event::Emitted { kind, .. } | Event::Posted(kind, _) => kind,
        Event::DefinitionAdded(_) => "workflow.defined",
        Event::RunCreated(create) => {
            event_family::child_kind(create.parent.as_deref(), None).unwrap_or("workflow.created")
        }
        Event::RunStarted { .. } => "workflow.started",
        Event::RunPaused { .. } => "workflow.paused",
        Event::RunResumed { .. } => "workflow.resumed",
        Event::RunCancelRequested { .. } => "workflow.cancelling",
        Event::RunTimedOut { .. } => "workflow.timingOut",
        Event::RunEnded { status, parent, .. } => {
            event_family::child_kind(parent.as_deref(), Some(*status)).unwrap_or(run_ended(*status))
        }
        Event::EvaluationAwaited { point: EvalPoint::Outputs, .. } => "workflow.finishing",
        Event::EvaluationAwaited { point: EvalPoint::Step(_) | EvalPoint::StepOutputs(_), .. } => {
            "step.evaluating"
        }
        Event::StepDecided { .. } => "step.decided",
        Event::StepStarted { .. } => "step.started",
        Event::StepEnded { outcome, .. } => step_ended(outcome),
        Event::TaskCreated(_) => "task.created",
        Event::DependencyCompleted { .. } => "task.dependencyCompleted",
        Event::TaskRequeued { .. } => "task.queued",
        Event::TaskAssigned { .. } => "task.assigned",
        Event::AttemptFailed { .. } => "task.attemptFailed",
        Event::TaskCancelRequested { .. } => "task.cancelling",
        Event::TaskEnded { outcome, .. } => task_ended(outcome),
        Event::ComponentRegistered(_) => "component.registered",
        Event::ComponentConnected { .. } => "component.connected",
        Event::SessionEnded { end, .. } => session_ended(*end),
        Event::ComponentDisconnected { .. } => "component.disconnected",
        Event::ComponentDraining(..) => "component.draining",
        Event::DrainTimedOut(_) => "component.drainTimedOut",
        Event::ComponentDeregistered { .. } => "component.deregistered",
        Event::StateChanged(_) => "state.changed",
        Event::Snapshot(event) => event_sent::snapshot_kind(event),
        Event::Message(event) => event_sent::message_kind(event),
        Event::Trouble(event) => event_sent::trouble_kind(event),
        Event::Configured(_) => "cluster.configured",
        Event::RunsDeleted { .. } => "workflow.deleted",
        Event::TasksDeleted { .. } => "task.deleted",
        Event::TaskDeadLettered { .. } => "task.deadLettered",
        Event::DeadTaskRequeued { .. } => "task.requeued",
        Event::DeadTasksDropped { .. } => "task.deadDropped",
        Event::TaskPriorityChanged { .. } => "task.priorityChanged",
        Event::ActionPaused { .. } => "action.paused",
        Event::ActionResumed { .. } => "action.resumed",
        Event::DeadlockDetected { .. } => "deadlock.detected",
        Event::DeadlockResolved { .. } => "deadlock.resolved",
        Event::Workflow(event) => event_kept::workflow_kind(event),
        Event::Schedule(event) => event_kept::schedule_kind(event),
        Event::Cache(event) => event_family::cache_kind(event),
    }
}

/// Subject and data.
pub(super) struct Told(pub(super) String, pub(super) Data);

#[expect(clippy::too_many_lines, reason = "a table: one entry for each fact")]
fn tell(event: &Event, names: &dyn Names) -> Told {
    match event {
        Event::DefinitionAdded(definition) => Told(hex(&definition.id.0), {
            let steps = definition.steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>();
            Data::default().text("workflow", &definition.name).with("steps", steps)
        }),
        Event::RunCreated(create) => created(create, names),
        Event::RunStarted { run }
        | Event::RunPaused { run }
        | Event::RunResumed { run }
        | Event::RunTimedOut { run }
        | Event::EvaluationAwaited { run, point: EvalPoint::Outputs } => of_run(*run, names),
        Event::RunCancelRequested { run, reason } => named(of_run(*run, names), "reason", reason),
        Event::RunEnded { run, status, conclusion, outputs, failure, parent } => {
            of_run(*run, names).and(|data| {
                let data = event_family::with_parent(data, parent.as_deref());
                let data = data.text("status", status.name()).text("conclusion", conclusion.name());
                data.carry("outputs", Some(outputs)).error(failure.as_ref())
            })
        }
        Event::EvaluationAwaited { run, point: EvalPoint::Step(step) | EvalPoint::StepOutputs(step) } => {
            of_step((*run, *step), names)
        }
        Event::StepDecided { run, step, decision } => of_step((*run, *step), names)
            .and(|data| data.with("value", decision.value).carry("inputs", Some(&decision.inputs))),
        Event::StepStarted { run, step, config } => {
            of_step((*run, *step), names).and(|data| data.carry("config", config.as_ref()))
        }
        Event::StepEnded { run, step, outcome } => {
            of_step((*run, *step), names).and(|data| with_outcome(data, outcome))
        }
        Event::TaskCreated(task) => task_created(task),
        Event::DependencyCompleted { task, dependency } => {
            of_task(*task, names).and(|data| data.text("dependency", dependency))
        }
        Event::TaskRequeued { task } => of_task(*task, names),
        Event::TaskAssigned { task, component, token, deadline } => of_task(*task, names).and(|data| {
            data.text("componentId", component).with("token", token.0).text("deadline", time(*deadline))
        }),
        Event::AttemptFailed { task, token, failure, lost, retry_at } => {
            let told = of_task(*task, names);
            told.and(|data| attempt_failed(data, token.0, failure, (*lost, *retry_at)))
        }
        Event::TaskCancelRequested { task, reason, deadline } => {
            of_task(*task, names).and(|data| data.text("reason", reason).text("deadline", time(*deadline)))
        }
        Event::TaskEnded { task, outcome } => of_task(*task, names).and(|data| with_outcome(data, outcome)),
        Event::ComponentRegistered(info) => registered(info),
        Event::ComponentConnected { component, session, held } => of_component(component).and(|data| {
            data.text("node", session.node).text("session", session.id.0).with("held", held.len())
        }),
        Event::SessionEnded { component, session, until, .. } => {
            let told = of_component(component);
            told.and(|data| {
                data.text("session", session.0).maybe("until", until.map(|at| time(at).to_string()))
            })
        }
        Event::ComponentDisconnected(component)
        | Event::DrainTimedOut(component)
        | Event::ComponentDeregistered(component) => of_component(component),
        Event::ComponentDraining(component, until) => {
            of_component(component).and(|data| data.maybe("until", until.map(|at| time(at).to_string())))
        }
        Event::StateChanged(change) => event_sent::tell_change(change),
        Event::Snapshot(event) => event_sent::tell_snapshot(event),
        Event::Message(event) => event_sent::tell_message(event),
        Event::Trouble(event) => event_sent::tell_trouble(event, names),
        Event::FanStarted { .. }
        | Event::ItemEnded { .. }
        | Event::ItemsCollected { .. }
        | Event::StepStopping { .. }
        | Event::StepReturned { .. }
        | Event::TimeAwaited { .. }
        | Event::SignalAwaited { .. }
        | Event::EventAwaited { .. }
        | Event::ApprovalAwaited { .. }
        | Event::MessageAwaited { .. }
        | Event::ApprovalDecided { .. }
        | Event::RunSignalled { .. }
        | Event::SignalTaken { .. }
        | Event::RunConcluding { .. }
        | Event::HandlerEnded { .. }
        | Event::HandlersDropped { .. }
        | Event::Cache(_)
        | Event::Emitted { .. } => event_family::tell(event, names).expect("these are facts of that file"),
        Event::Posted(kind, data) => Told(kind.to_string(), Data::default().carry("data", Some(data))),
        Event::Configured(config) => configured(config),
        Event::TaskDeadLettered { task, action } => named(of_task(*task, names), "action", action),
        Event::DeadTaskRequeued { task, requeued_as } => {
            named(of_task(*task, names), "requeuedAs", requeued_as)
        }
        Event::DeadTasksDropped { tasks, overflow } => dead_dropped(tasks, *overflow),
        Event::TaskPriorityChanged { task, priority } => preferred(*task, *priority, names),
        Event::ActionPaused(action) | Event::ActionResumed(action) => of_action(action),
        Event::DeadlockDetected(work) | Event::DeadlockResolved(work) => named(of_cluster(), "work", work),
        Event::Workflow(event) => event_kept::tell_workflow(event),
        Event::Schedule(event) => event_kept::tell_schedule(event),
        Event::RunsDeleted { runs, .. } => deleted("runIds", runs),
        Event::TasksDeleted(tasks) => deleted("taskIds", tasks),
    }
}

impl Told {
    pub(super) fn and(self, more: impl FnOnce(Data) -> Data) -> Told {
        Told(self.0, more(self.1))
    }
}

pub(super) fn of_run(run: RunId, names: &dyn Names) -> Told {
    let data = Data::default().text("runId", run).maybe("workflow", names.workflow(run));
    Told(run.to_string(), data)
}

pub(super) fn of_step((run, step): (RunId, StepIx), names: &dyn Names) -> Told {
    let data = Data::default().text("runId", run).with("step", step).maybe("stepId", names.step(run, step));
    Told(run.to_string(), data)
}

pub(super) fn of_task(task: TaskId, names: &dyn Names) -> Told {
    let data = Data::default().text("taskId", task);
    let data = match task.step() {
        Some((run, step)) => data.text("runId", run).maybe("stepId", names.step(run, step)),
        None => data,
    };
    Told(task.to_string(), data)
}

pub(super) fn of_component(component: &orc_domain::ComponentId) -> Told {
    Told(component.to_string(), Data::default().text("componentId", component))
}

/// One fact speaks of many; its subject is the first of them.
fn deleted<I: ToString>(name: &'static str, ids: &[I]) -> Told {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Told(ids.first().cloned().unwrap_or_default(), Data::default().with(name, ids))
}

pub(super) fn of_cluster() -> Told {
    Told("cluster".to_owned(), Data::default())
}

fn of_action(action: &str) -> Told {
    named(Told(action.to_owned(), Data::default()), "action", action)
}

fn named(told: Told, name: &str, value: impl ToString) -> Told {
    told.and(|data| data.text(name, value))
}

fn configured(config: &ClusterConfig) -> Told {
    of_cluster().and(|data| data.with("config", cluster_config_to_json(config)))
}

fn dead_dropped(tasks: &[TaskId], overflow: bool) -> Told {
    let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
    of_cluster().and(|data| data.with("taskIds", tasks).with("overflow", overflow))
}

fn preferred(task: TaskId, priority: Priority, names: &dyn Names) -> Told {
    of_task(task, names).and(|data| data.with("priority", priority.level()))
}

fn created(create: &CreateRun, names: &dyn Names) -> Told {
    of_run(create.id, names).and(|data| {
        let data = data.text("definition", hex(&create.definition.0)).carry("inputs", Some(&create.inputs));
        let data = data
            .with("labels", serde_json::json!(labels(&create.labels)))
            .with("priority", create.priority.level())
            .text("startedBy", create.origin.by.name());
        event_family::with_parent(data, create.parent.as_deref())
    })
}

fn task_created(task: &Task) -> Told {
    let data = Data::default().text("taskId", task.id).text("name", &task.name).text("action", &task.action);
    let dependencies: Vec<String> = task.dependencies.iter().map(ToString::to_string).collect();
    let data = data.with("priority", task.priority.level()).with("dependencies", dependencies);
    Told(task.id.to_string(), data.text("status", task.status.name()))
}

fn registered(info: &RegisterComponent) -> Told {
    of_component(&info.id).and(|data| {
        let capabilities: Vec<String> = info.capabilities.iter().map(ToString::to_string).collect();
        let data = data.text("name", &info.name).text("type", &info.kind).text("version", &info.version);
        data.with("capabilities", capabilities).with("slots", info.slots)
    })
}

fn attempt_failed(
    data: Data,
    token: u64,
    failure: &Failure,
    (lost, retry_at): (bool, Option<Timestamp>),
) -> Data {
    let retry_at = retry_at.map(|at| time(at).to_string());
    data.with("token", token).with("lost", lost).maybe("retryAt", retry_at).error(Some(failure))
}

pub(super) fn with_outcome(data: Data, outcome: &StepOutcome) -> Data {
    match outcome {
        StepOutcome::Completed(output) => data.carry("output", Some(output)),
        StepOutcome::Failed(failure) | StepOutcome::TimedOut(failure) => data.error(Some(failure)),
        StepOutcome::Skipped { why, reason } => {
            let why = match why {
                Skip::Chosen => "chosen",
                Skip::Gated => "gated",
                Skip::Failure => "failure",
            };
            data.text("why", why).text("reason", reason)
        }
        StepOutcome::Cancelled(reason) => data.text("reason", reason),
    }
}

fn run_ended(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Completed | RunStatus::Queued | RunStatus::Running | RunStatus::Paused => {
            "workflow.completed"
        }
        RunStatus::Failed => "workflow.failed",
        RunStatus::Cancelled | RunStatus::Cancelling => "workflow.cancelled",
        RunStatus::TimedOut => "workflow.timedOut",
    }
}

fn step_ended(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Completed(_) => "step.completed",
        StepOutcome::Failed(_) => "step.failed",
        StepOutcome::Skipped { .. } => "step.skipped",
        StepOutcome::Cancelled(_) => "step.cancelled",
        StepOutcome::TimedOut(_) => "step.timedOut",
    }
}

fn task_ended(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Completed(_) => "task.completed",
        StepOutcome::Failed(_) | StepOutcome::Skipped { .. } => "task.failed",
        StepOutcome::Cancelled(_) => "task.cancelled",
        StepOutcome::TimedOut(_) => "task.timedOut",
    }
}

fn session_ended(end: SessionEnd) -> &'static str {
    match end {
        SessionEnd::Lost => "component.lost",
        SessionEnd::Closed => "component.closed",
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
