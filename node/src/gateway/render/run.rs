//! A run and its steps in their public form, with what their live tasks say.
//! Knows nothing of how rows are found.

use std::sync::Arc;

use orc_client::wire::{self, RunSummary, RunView, StepView, WaitingFor};
use orc_domain::{
    Definition, Run, StepDef, StepIx, StepKind, StepStatus, Task, TaskId, TaskStatus, Timestamp,
};

use super::{duration_ms, error, labels, priority, raw, time, waiting::Surroundings};

/// A run with all that is needed to show it.
pub struct Shown<'a> {
    /// The run.
    pub run: &'a Run,
    /// What it executes; none if it is no longer kept.
    pub definition: Option<&'a Definition>,
    /// Its live tasks.
    pub task: &'a dyn Fn(TaskId) -> Option<Arc<Task>>,
    /// Where reasons are found; not needed once it has ended.
    pub surroundings: Option<&'a Surroundings>,
    /// The cluster's time.
    pub now: Timestamp,
}

impl Shown<'_> {
    /// The run with its steps.
    pub fn view(&self) -> RunView {
        let run = self.run;
        let steps = self.steps();
        let waits: Vec<Option<WaitingFor>> = steps.iter().map(|step| step.waiting_for.clone()).collect();
        let working =
            steps.iter().any(|step| step.status == wire::StepStatus::Running && step.waiting_for.is_none());
        RunView {
            id: run.id.to_string(),
            workflow: run.workflow.to_string(),
            status: wire::RunStatus::from(run.shown_status()),
            conclusion: run.conclusion.map(|conclusion| conclusion.name().to_owned()),
            inputs: Some(raw(&run.inputs)),
            outputs: run.outputs.as_ref().map(raw),
            error: run.error.as_ref().map(error),
            priority: priority(run.priority),
            labels: labels(&run.labels),
            created_at: time(run.created_at),
            started_at: run.started_at.map(time),
            ended_at: run.ended_at.map(time),
            duration_ms: duration_ms(run.started_at, run.ended_at, self.now),
            waiting_for: self.surroundings.and_then(|around| around.of_run(run, &waits, working)),
            rev: run.created_rev,
            workflow_version: workflow_version(run),
            started_by: run.origin.by.name().to_owned(),
            trigger: run.origin.trigger.as_ref().map(raw),
            steps,
        }
    }

    /// The steps, in the definition's order.
    pub fn steps(&self) -> Vec<StepView> {
        (0..self.run.steps.len()).filter_map(|place| self.step(StepIx::try_from(place).ok()?)).collect()
    }

    fn step(&self, place: StepIx) -> Option<StepView> {
        let step = self.run.steps.get(usize::from(place))?;
        let def = self.definition.and_then(|definition| definition.steps.get(usize::from(place)));
        let at_work = step.status == StepStatus::Running;
        let task = at_work.then(|| (self.task)(TaskId::Step(self.run.id, place))).flatten();
        let around = self.surroundings.zip(self.definition);
        let (id, name, kind) = names(def, place);
        let status = self.step_status(def, place, task.as_deref());
        let group_at_work = step.status == StepStatus::Pending && status == wire::StepStatus::Running;
        let started_at = if group_at_work { self.children_started(def) } else { step.started_at };
        Some(StepView {
            id,
            name,
            kind,
            status,
            output: step.output.as_ref().map(raw),
            error: step.error.as_ref().or_else(|| task.as_ref()?.error.as_ref()).map(error),
            attempts: task.as_ref().map_or(step.attempts, |task| task.attempts.max(step.attempts)),
            component: task.as_ref().and_then(|task| Some(task.assignment.as_ref()?.component.to_string())),
            started_at: started_at.map(time),
            ended_at: step.ended_at.map(time),
            duration_ms: duration_ms(started_at, step.ended_at, self.now),
            waiting_for: around.filter(|_| !group_at_work).and_then(|(around, definition)| {
                around.of_step((self.run, definition), place, task.as_deref())
            }),
            decision: step.decision.as_ref().map(|decision| decision.value),
            progress: None,
            history: super::task::history(task.as_ref().map_or(&step.history, |task| &task.history)),
        })
    }

    /// A task's step stands where its task stands; a group is at work while its children are.
    fn step_status(&self, def: Option<&StepDef>, place: StepIx, task: Option<&Task>) -> wire::StepStatus {
        let stored = self.run.steps[usize::from(place)].status;
        if stored == StepStatus::Pending && self.children_started(def).is_some() {
            return wire::StepStatus::Running;
        }
        match task.filter(|_| stored == StepStatus::Running).map(|task| task.status) {
            Some(TaskStatus::Queued | TaskStatus::Blocked) => wire::StepStatus::Ready,
            Some(TaskStatus::Retrying) => wire::StepStatus::Retrying,
            Some(
                TaskStatus::Running
                | TaskStatus::Completed
                | TaskStatus::Failed
                | TaskStatus::Cancelled
                | TaskStatus::TimedOut,
            )
            | None => wire::StepStatus::from(stored.name()),
        }
    }

    fn children_started(&self, def: Option<&StepDef>) -> Option<Timestamp> {
        let StepKind::Parallel { children } = &def?.kind else { return None };
        children.iter().filter_map(|child| self.run.steps.get(usize::from(*child))?.started_at).min()
    }
}

fn names(def: Option<&StepDef>, place: StepIx) -> (String, String, String) {
    match def {
        Some(def) => (def.id.to_string(), def.name.to_string(), def.kind.name().to_owned()),
        None => (format!("step_{place}"), format!("Step {place}"), "task".to_owned()),
    }
}

/// A run in a list.
pub fn summary(run: &Run, now: Timestamp) -> RunSummary {
    let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
    RunSummary {
        id: run.id.to_string(),
        workflow: run.workflow.to_string(),
        status: wire::RunStatus::from(run.shown_status()),
        conclusion: run.conclusion.map(|conclusion| conclusion.name().to_owned()),
        priority: priority(run.priority),
        labels: labels(&run.labels),
        steps_total: count(run.steps.len()),
        steps_done: count(run.steps.iter().filter(|step| step.status.is_terminal()).count()),
        created_at: time(run.created_at),
        started_at: run.started_at.map(time),
        ended_at: run.ended_at.map(time),
        duration_ms: duration_ms(run.started_at, run.ended_at, now),
        rev: run.created_rev,
        workflow_version: workflow_version(run),
        started_by: run.origin.by.name().to_owned(),
    }
}

fn workflow_version(run: &Run) -> Option<String> {
    run.origin.workflow.as_ref().map(|of| format!("{}@{}", of.name, of.version))
}
