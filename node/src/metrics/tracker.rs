//! What is remembered of runs and tasks at work, so that their ends can be timed and their recoveries told.
//! Holds only what events said or rows say; bounded, and forgetting it costs measurements, never counts of runs.

use std::{collections::BTreeMap, sync::Arc};

use orc_domain::{
    ActionName, BlockIx, CreateRun, Definition, DefinitionId, Parent, Role, Run, RunId, StepDef, StepIx,
    StepKind, StepOutcome, Task, TaskId, Timestamp,
};

use super::counted::Counted;
use crate::server::Cluster;

/// Runs, and tasks of their own, that are remembered at once; what is beyond is counted and not timed.
const REMEMBERED_MAX: usize = 50_000;

/// Where is looked for what began before anybody listened.
pub(super) trait Rows {
    fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>>;
    fn run(&self, id: &RunId) -> Option<Arc<Run>>;
    fn task(&self, id: &TaskId) -> Option<Arc<Task>>;
}

impl Rows for Cluster {
    fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>> {
        Cluster::definition(self, id)
    }

    fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        Cluster::run(self, id)
    }

    fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        Cluster::task(self, id)
    }
}

/// Runs and tasks at work.
#[derive(Default)]
pub(super) struct Tracker {
    runs: BTreeMap<RunId, RunSeen>,
    /// Tasks of their own; a step's is with its run.
    tasks: BTreeMap<TaskId, TaskSeen>,
}

/// A run at work.
pub(super) struct RunSeen {
    definition: Option<Arc<Definition>>,
    block: BlockIx,
    /// An item of a `foreach` or a handler is a part of its run and counts as none.
    pub(super) counts: bool,
    pub(super) started: Option<Timestamp>,
    steps: Vec<StepSeen>,
}

struct StepSeen {
    place: StepIx,
    started: Timestamp,
    task: Option<TaskSeen>,
}

/// A task at work.
pub(super) struct TaskSeen {
    action: ActionName,
    queued: Timestamp,
    assigned: Option<Timestamp>,
    failed: bool,
}

impl RunSeen {
    fn of(row: &Run, rows: &impl Rows) -> RunSeen {
        let task = |place| rows.task(&TaskId::Step(row.id, place)).map(|task| TaskSeen::of(&task));
        let steps = (0..).zip(&row.steps).filter(|(_, step)| !step.status.is_terminal());
        let seen = steps.filter_map(|(place, step)| {
            Some(StepSeen { place, started: step.started_at?, task: task(place) })
        });
        RunSeen {
            definition: rows.definition(&row.definition),
            block: row.block,
            counts: counts(row.parent.as_deref()),
            started: row.started_at,
            steps: seen.collect(),
        }
    }

    pub(super) fn workflow(&self) -> Option<&str> {
        self.definition.as_ref().map(|definition| &*definition.name)
    }

    fn definition_of(&self, place: StepIx) -> Option<&StepDef> {
        self.definition.as_ref()?.block(self.block).get(usize::from(place))
    }

    fn step(&mut self, place: StepIx) -> Option<&mut StepSeen> {
        self.steps.iter_mut().find(|step| step.place == place)
    }
}

fn action_of(kind: &StepKind) -> Option<ActionName> {
    if let StepKind::Task { action, .. } = kind { Some(action.clone()) } else { None }
}

fn counts(parent: Option<&Parent>) -> bool {
    parent.is_none_or(|parent| match parent.role {
        Role::Step(_) => true,
        Role::Item { .. } | Role::Handler(_) => false,
    })
}

impl TaskSeen {
    fn queued(action: ActionName, at: Timestamp) -> TaskSeen {
        TaskSeen { action, queued: at, assigned: None, failed: false }
    }

    fn of(row: &Task) -> TaskSeen {
        TaskSeen {
            action: row.action.clone(),
            queued: row.queued_at,
            assigned: row.assignment.as_ref().map(|assignment| assignment.assigned_at),
            failed: row.failures + row.lost > 0,
        }
    }

    pub(super) fn queue(&mut self, at: Timestamp) {
        self.queued = at;
    }

    pub(super) fn assign(&mut self, at: Timestamp, counted: &Counted) {
        counted.assigned(&self.action, at.since(self.queued));
        self.assigned = Some(at);
    }

    pub(super) fn attempt_failed(&mut self, at: Timestamp, counted: &Counted) {
        self.attempt_ended(at, counted);
        self.failed = true;
        self.queued = at;
    }

    fn attempt_ended(&mut self, at: Timestamp, counted: &Counted) {
        if let Some(assigned) = self.assigned.take() {
            counted.attempt_ended(&self.action, at.since(assigned));
        }
    }

    /// What was cancelled has neither recovered nor failed.
    fn ended(mut self, how: End, at: Timestamp, counted: &Counted) {
        self.attempt_ended(at, counted);
        match how {
            End::Well if self.failed => counted.recovery(true),
            End::Badly if self.failed => counted.recovery(false),
            End::Well | End::Badly | End::Otherwise => {}
        }
    }
}

/// How a task ended, as its attempts see it.
#[derive(Clone, Copy)]
enum End {
    Well,
    Badly,
    Otherwise,
}

impl From<&StepOutcome> for End {
    fn from(outcome: &StepOutcome) -> End {
        match outcome {
            StepOutcome::Completed(_) => End::Well,
            StepOutcome::Failed(_) | StepOutcome::TimedOut(_) => End::Badly,
            StepOutcome::Skipped { .. } | StepOutcome::Cancelled(_) => End::Otherwise,
        }
    }
}

impl Tracker {
    pub(super) fn forget(&mut self) {
        self.runs.clear();
        self.tasks.clear();
    }

    pub(super) fn created(&mut self, create: &CreateRun, rows: &impl Rows) {
        if self.runs.len() < REMEMBERED_MAX {
            let seen = RunSeen {
                definition: rows.definition(&create.definition),
                block: create.block,
                counts: counts(create.parent.as_deref()),
                started: None,
                steps: Vec::new(),
            };
            self.runs.insert(create.id, seen);
        }
    }

    /// A run at work, looked up if need be.
    pub(super) fn run(&mut self, id: RunId, rows: &impl Rows) -> Option<&mut RunSeen> {
        if !self.runs.contains_key(&id) {
            let row = rows.run(&id).filter(|row| !row.status.is_terminal())?;
            if self.runs.len() >= REMEMBERED_MAX {
                return None;
            }
            self.runs.insert(id, RunSeen::of(&row, rows));
        }
        self.runs.get_mut(&id)
    }

    /// A run that has ended, for the last time.
    pub(super) fn take_run(&mut self, id: RunId, rows: &impl Rows) -> Option<RunSeen> {
        self.runs.remove(&id).or_else(|| Some(RunSeen::of(&*rows.run(&id)?, rows)))
    }

    /// A step left `pending`; `work` says that its task is in its queue, if it has one.
    pub(super) fn step_began(
        &mut self,
        (run, place): (RunId, StepIx),
        at: Timestamp,
        work: bool,
        rows: &impl Rows,
    ) {
        let Some(run) = self.run(run, rows) else { return };
        let action = run.definition_of(place).and_then(|def| action_of(&def.kind)).filter(|_| work);
        let task = action.map(|action| TaskSeen::queued(action, at));
        match run.step(place) {
            Some(step) => step.task = step.task.take().or(task),
            None => run.steps.push(StepSeen { place, started: at, task }),
        }
    }

    /// The work of a step's task is done.
    pub(super) fn step_returned(&mut self, (run, place): (RunId, StepIx), at: Timestamp, counted: &Counted) {
        let step = self.runs.get_mut(&run).and_then(|run| run.step(place));
        if let Some(task) = step.and_then(|step| step.task.take()) {
            task.ended(End::Well, at, counted);
        }
    }

    pub(super) fn step_ended(
        &mut self,
        (run, place): (RunId, StepIx),
        outcome: &StepOutcome,
        at: Timestamp,
        counted: &Counted,
    ) {
        let Some(run) = self.runs.get_mut(&run) else { return };
        let Some(found) = run.steps.iter().position(|step| step.place == place) else { return };
        let step = run.steps.swap_remove(found);
        if let Some(task) = step.task {
            task.ended(outcome.into(), at, counted);
        }
        if let (false, Some(def)) = (matches!(outcome, StepOutcome::Skipped { .. }), run.definition_of(place))
        {
            counted.step_ended(def.kind.name(), at.since(step.started));
        }
    }

    pub(super) fn task_created(&mut self, task: &Task) {
        if self.tasks.len() < REMEMBERED_MAX {
            self.tasks.insert(task.id, TaskSeen::of(task));
        }
    }

    /// A task at work, looked up if need be.
    pub(super) fn task(&mut self, id: TaskId, rows: &impl Rows) -> Option<&mut TaskSeen> {
        if let Some((run, place)) = id.step() {
            return self.run(run, rows)?.step(place)?.task.as_mut();
        }
        if !self.tasks.contains_key(&id) {
            let row = rows.task(&id).filter(|row| !row.status.is_terminal())?;
            if self.tasks.len() >= REMEMBERED_MAX {
                return None;
            }
            self.tasks.insert(id, TaskSeen::of(&row));
        }
        self.tasks.get_mut(&id)
    }

    pub(super) fn task_ended(
        &mut self,
        id: &TaskId,
        outcome: &StepOutcome,
        at: Timestamp,
        counted: &Counted,
    ) {
        if let Some(task) = self.tasks.remove(id) {
            task.ended(outcome.into(), at, counted);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.runs.len() + self.tasks.len()
    }
}
