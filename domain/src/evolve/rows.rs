//! Rows changed with their indexes: entries out, change, entries in.
//! Knows nothing of why a row changes.

use alloc::boxed::Box;

use crate::{
    cache::{CacheKey, CachedOutput},
    component::Component,
    ids::{ComponentId, DefinitionId, RunId, StepIx, TaskId},
    indexes::RunEntries,
    names::{ScheduleId, WorkflowName},
    run::Run,
    schedule::Schedule,
    state::State,
    step::{Step, Work},
    task::{DeadTask, Task},
    workflow::Workflow,
};

impl State {
    pub(super) fn add_run(&mut self, run: Run) {
        self.indexes.add_run(&run, self.meta.config.head_start);
        self.runs.insert(run.id, run);
    }

    pub(super) fn change_run(&mut self, id: RunId, change: impl FnOnce(&mut Run)) {
        let head_start = self.meta.config.head_start;
        if let Some(run) = self.runs.get(&id) {
            let before = RunEntries::of(run, head_start);
            let entries = |run: &mut Run| {
                change(run);
                RunEntries::of(run, head_start)
            };
            let after = self.runs.update(&id, entries).expect("it was just there");
            self.indexes.move_run(&before, after);
        }
    }

    pub(super) fn change_step(&mut self, run: RunId, place: StepIx, change: impl FnOnce(&mut Step)) {
        self.change_run(run, |run| change(&mut run.steps[usize::from(place)]));
    }

    pub(super) fn set_work(&mut self, run: RunId, place: StepIx, work: Work) {
        self.change_step(run, place, |step| step.work = Some(Box::new(work)));
    }

    /// The run ends: it leaves memory, and its definition may.
    pub(super) fn archive_run(&mut self, id: RunId) {
        if let Some(run) = self.runs.get(&id) {
            let definition = run.definition;
            self.indexes.remove_run(run, self.meta.config.head_start);
            self.runs.archive(&id);
            self.let_go(&definition);
        }
    }

    /// A definition that nobody uses any more may leave memory.
    fn let_go(&mut self, definition: &DefinitionId) {
        let unused = self.definitions.len() - self.indexes.definitions_used();
        if unused > DEFINITIONS_KEPT_MAX && !self.indexes.is_used(definition) {
            self.definitions.archive(definition);
        }
    }

    pub(super) fn put_workflow(&mut self, workflow: Workflow) {
        let before = self.workflows.get(&workflow.name).map(|known| known.definition);
        self.indexes.use_definition(workflow.definition);
        self.workflows.insert(workflow.name.clone(), workflow);
        if let Some(definition) = before {
            self.indexes.leave_definition(&definition);
            self.let_go(&definition);
        }
    }

    /// The workflow is forgotten with its versions; their definitions stay readable.
    pub(super) fn drop_workflow(&mut self, name: &WorkflowName) {
        if let Some(workflow) = self.workflows.get(name) {
            let (definition, last) = (workflow.definition, workflow.version);
            self.indexes.leave_definition(&definition);
            self.workflows.remove(name);
            for version in 1..=last {
                self.workflow_versions.forget_archived((name.clone(), version));
            }
            self.let_go(&definition);
        }
    }

    pub(super) fn put_schedule(&mut self, schedule: Schedule) {
        self.drop_schedule(&schedule.spec.id.clone());
        self.indexes.add_schedule(&schedule);
        self.schedules.insert(schedule.spec.id.clone(), schedule);
    }

    pub(super) fn change_schedule(&mut self, id: &ScheduleId, change: impl FnOnce(&mut Schedule)) {
        if let Some(schedule) = self.schedules.get(id) {
            self.indexes.remove_schedule(schedule);
            self.schedules.update(id, change);
            self.indexes.add_schedule(self.schedules.get(id).expect("it was just changed"));
        }
    }

    pub(super) fn drop_schedule(&mut self, id: &ScheduleId) {
        if let Some(schedule) = self.schedules.get(id) {
            self.indexes.remove_schedule(schedule);
            self.schedules.remove(id);
        }
    }

    pub(super) fn add_task(&mut self, task: Task) {
        self.indexes.add_task(&task, None);
        self.tasks.insert(task.id, task);
    }

    pub(super) fn change_task(&mut self, id: &TaskId, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks.get(id) {
            self.indexes.remove_task(task, runner(&self.components, task));
            self.tasks.update(id, change);
            let task = self.tasks.get(id).expect("it was just changed");
            self.indexes.add_task(task, runner(&self.components, task));
        }
    }

    /// A task of its own ends and leaves memory.
    pub(super) fn end_task(&mut self, id: &TaskId, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks.get(id) {
            self.indexes.remove_task(task, runner(&self.components, task));
            self.tasks.update(id, change);
            self.tasks.archive(id);
        }
    }

    /// The task of a step leaves memory for good: the step keeps the result.
    pub(super) fn drop_task(&mut self, id: &TaskId) {
        if let Some(task) = self.tasks.get(id) {
            self.indexes.remove_task(task, runner(&self.components, task));
            self.tasks.remove(id);
        }
    }

    pub(super) fn put_dead(&mut self, dead: DeadTask) {
        self.drop_dead(&dead.task);
        self.indexes.add_dead(&dead);
        self.dead.insert(dead.task, dead);
    }

    /// Keeps an output; the oldest ones leave where there is no room.
    pub(super) fn keep_output(&mut self, key: CacheKey, kept: CachedOutput) {
        self.drop_output(&key);
        self.indexes.outputs.add(key, &kept);
        self.outputs.insert(key, kept);
        while let Some(oldest) = self.indexes.outputs.oldest_too_many() {
            self.drop_output(&oldest);
        }
    }

    fn drop_output(&mut self, key: &CacheKey) {
        if let Some(kept) = self.outputs.get(key) {
            self.indexes.outputs.remove(*key, kept);
            self.outputs.remove(key);
        }
    }

    pub(super) fn drop_dead(&mut self, id: &TaskId) {
        if let Some(dead) = self.dead.get(id) {
            self.indexes.remove_dead(dead);
            self.dead.remove(id);
        }
    }

    pub(super) fn put_component(&mut self, component: Component) {
        self.drop_component(&component.id.clone());
        self.indexes.add_component(&component);
        self.components.insert(component.id.clone(), component);
    }

    pub(super) fn change_component(&mut self, id: &ComponentId, change: impl FnOnce(&mut Component)) {
        if let Some(component) = self.components.get(id) {
            self.indexes.remove_component(component);
            self.components.update(id, change);
            self.indexes.add_component(self.components.get(id).expect("it was just changed"));
        }
    }

    pub(super) fn drop_component(&mut self, id: &ComponentId) {
        if let Some(component) = self.components.get(id) {
            self.indexes.remove_component(component);
            self.components.remove(id);
        }
    }
}

/// Definitions kept in memory beyond those in use, so that callers need not send them each time.
const DEFINITIONS_KEPT_MAX: usize = 1_000;

fn runner<'a>(
    components: &'a crate::table::Table<ComponentId, Component>,
    task: &Task,
) -> Option<&'a Component> {
    components.get(&task.assignment.as_ref()?.component)
}
