//! Indexes over the tables: who waits, who is free, what is due. Every entry is a function of rows,
//! so they are rebuilt on start and kept by taking a row's entries out before it changes and in after.

mod schedules;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::{cmp::Reverse, time::Duration};

use crate::{
    component::Component,
    ids::{ActionName, ComponentId, DefinitionId, Labels, Priority, RunId, StepIx, TaskId, Timestamp},
    names::ScheduleId,
    run::{Run, RunStatus, StepStatus},
    state::State,
    task::{Task, TaskStatus},
};

/// What a deadline belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Run(RunId),
    Step(RunId, StepIx),
    Task(TaskId),
    Component(ComponentId),
    Schedule(ScheduleId),
}

/// The place in a queue: earlier is better; a level of priority is worth a head start.
pub(crate) type Place = u64;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    due: BTreeSet<(Timestamp, Due)>,
    queues: BTreeMap<(ActionName, Labels), BTreeSet<(Place, TaskId)>>,
    free: BTreeMap<ActionName, BTreeSet<(Reverse<u32>, ComponentId)>>,
    running_on: BTreeMap<ComponentId, BTreeSet<TaskId>>,
    running: u32,
    dependants: BTreeMap<TaskId, BTreeSet<TaskId>>,
    runs_queued: BTreeSet<(Place, RunId)>,
    runs_active: u32,
    /// Live runs and workflows.
    definition_users: BTreeMap<DefinitionId, u32>,
    schedules_ready: BTreeSet<ScheduleId>,
}

/// How much there is of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs waiting for `maxConcurrentWorkflows`.
    pub runs_queued: usize,
    /// Runs that have started and not ended.
    pub runs_active: usize,
    /// Live tasks.
    pub tasks_live: usize,
    /// Tasks waiting for a component.
    pub tasks_queued: usize,
    /// Running attempts.
    pub tasks_running: usize,
    /// Registered components.
    pub components: usize,
    /// Connected components.
    pub components_connected: usize,
    /// State keys, deleted ones included.
    pub keys: usize,
}

fn place(ready_at: Timestamp, priority: Priority, head_start: Duration) -> Place {
    let start = u64::try_from(head_start.as_millis()).unwrap_or(u64::MAX);
    // Shifted by the highest level's worth, so that no place is below zero.
    ready_at.0.saturating_add(start.saturating_mul(u64::from(5 - priority.level())))
}

impl Indexes {
    pub(crate) fn of(state: &State) -> Indexes {
        let mut indexes = Indexes::default();
        let head_start = state.config().head_start;
        for (_, run) in state.runs.iter() {
            indexes.add_run(run, head_start);
        }
        for (_, task) in state.tasks.iter() {
            indexes.add_task(task, None, head_start);
        }
        for (_, component) in state.components.iter() {
            indexes.add_component(component);
        }
        for (_, workflow) in state.workflows.iter() {
            indexes.use_definition(workflow.definition);
        }
        for (_, schedule) in state.schedules.iter() {
            indexes.add_schedule(schedule);
        }
        indexes
    }

    pub(crate) fn add_run(&mut self, run: &Run, head_start: Duration) {
        self.use_definition(run.definition);
        self.enter_run(RunEntries::of(run, head_start));
    }

    pub(crate) fn remove_run(&mut self, run: &Run, head_start: Duration) {
        self.leave_definition(&run.definition);
        self.leave_run(&RunEntries::of(run, head_start));
    }

    pub(crate) fn use_definition(&mut self, id: DefinitionId) {
        *self.definition_users.entry(id).or_default() += 1;
    }

    pub(crate) fn leave_definition(&mut self, id: &DefinitionId) {
        let users = self.definition_users.get_mut(id).expect("a live run or workflow uses its definition");
        *users -= 1;
        if *users == 0 {
            self.definition_users.remove(id);
        }
    }

    pub(crate) fn definitions_used(&self) -> usize {
        self.definition_users.len()
    }

    /// Most changes of a run leave its entries as they are.
    pub(crate) fn move_run(&mut self, before: &RunEntries, after: RunEntries) {
        if *before != after {
            self.leave_run(before);
            self.enter_run(after);
        }
    }

    fn enter_run(&mut self, entries: RunEntries) {
        match entries.queued {
            Some(queued) => drop(self.runs_queued.insert(queued)),
            None => self.runs_active += 1,
        }
        self.due.extend(entries.due);
    }

    fn leave_run(&mut self, entries: &RunEntries) {
        match &entries.queued {
            Some(queued) => drop(self.runs_queued.remove(queued)),
            None => self.runs_active -= 1,
        }
        for due in &entries.due {
            self.due.remove(due);
        }
    }

    /// `component` is the one that runs the task, where it is known already.
    pub(crate) fn add_task(&mut self, task: &Task, component: Option<&Component>, head_start: Duration) {
        if let Some(at) = task.due_at() {
            self.due.insert((at, Due::Task(task.id)));
        }
        if task.status == TaskStatus::Queued && !task.held {
            let queue = self.queues.entry((task.action.clone(), task.labels.clone())).or_default();
            queue.insert((place(task.ready_at, task.priority, head_start), task.id));
        }
        for dependency in &task.waits_for {
            self.dependants.entry(*dependency).or_default().insert(task.id);
        }
        if let Some(assignment) = &task.assignment {
            self.relist(component, |indexes| {
                indexes.running += 1;
                indexes.running_on.entry(assignment.component.clone()).or_default().insert(task.id);
            });
        }
    }

    pub(crate) fn remove_task(&mut self, task: &Task, component: Option<&Component>, head_start: Duration) {
        if let Some(at) = task.due_at() {
            self.due.remove(&(at, Due::Task(task.id)));
        }
        if task.status == TaskStatus::Queued && !task.held {
            let key = (task.action.clone(), task.labels.clone());
            let queue = self.queues.get_mut(&key).expect("a queued task has a queue");
            queue.remove(&(place(task.ready_at, task.priority, head_start), task.id));
            if queue.is_empty() {
                self.queues.remove(&key);
            }
        }
        for dependency in &task.waits_for {
            remove_from(&mut self.dependants, dependency, &task.id);
        }
        if let Some(assignment) = &task.assignment {
            self.relist(component, |indexes| {
                indexes.running -= 1;
                remove_from(&mut indexes.running_on, &assignment.component, &task.id);
            });
        }
    }

    pub(crate) fn add_component(&mut self, component: &Component) {
        if let Some(until) = component.session.as_ref().and_then(|session| session.lost_until) {
            self.due.insert((until, Due::Component(component.id.clone())));
        }
        self.list(component);
    }

    pub(crate) fn remove_component(&mut self, component: &Component) {
        if let Some(until) = component.session.as_ref().and_then(|session| session.lost_until) {
            self.due.remove(&(until, Due::Component(component.id.clone())));
        }
        self.unlist(component);
    }

    fn relist(&mut self, component: Option<&Component>, change: impl FnOnce(&mut Self)) {
        if let Some(component) = component {
            self.unlist(component);
        }
        change(self);
        if let Some(component) = component {
            self.list(component);
        }
    }

    fn list(&mut self, component: &Component) {
        let free = self.free_slots(component);
        if free > 0 {
            for action in &component.capabilities {
                self.free.entry(action.clone()).or_default().insert((Reverse(free), component.id.clone()));
            }
        }
    }

    fn unlist(&mut self, component: &Component) {
        let free = self.free_slots(component);
        if free > 0 {
            for action in &component.capabilities {
                remove_from(&mut self.free, action, &(Reverse(free), component.id.clone()));
            }
        }
    }

    pub(crate) fn free_slots(&self, component: &Component) -> u32 {
        if component.live_session().is_none() || component.draining {
            return 0;
        }
        let running = self.running_on.get(&component.id).map_or(0, BTreeSet::len);
        component.slots.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX))
    }

    /// Heads of the queues that have a free component for their action, with those components, most free first.
    pub(crate) fn matches(
        &self,
    ) -> impl Iterator<Item = (Place, TaskId, &Labels, impl Iterator<Item = &ComponentId>)> {
        self.queues.iter().filter_map(|((action, labels), queue)| {
            let free = self.free.get(action)?;
            let (place, task) = queue.first()?;
            Some((*place, *task, labels, free.iter().map(|(_, component)| component)))
        })
    }

    pub(crate) fn first_queued_run(&self) -> Option<RunId> {
        self.runs_queued.first().map(|(_, run)| *run)
    }

    pub(crate) fn runs_active(&self) -> u32 {
        self.runs_active
    }

    pub(crate) fn tasks_running(&self) -> u32 {
        self.running
    }

    pub(crate) fn is_used(&self, definition: &DefinitionId) -> bool {
        self.definition_users.contains_key(definition)
    }

    pub(crate) fn dependants(&self, task: &TaskId) -> Vec<TaskId> {
        self.dependants.get(task).into_iter().flatten().copied().collect()
    }

    pub(crate) fn running_on(&self, component: &ComponentId) -> Vec<TaskId> {
        self.running_on.get(component).into_iter().flatten().copied().collect()
    }

    pub(crate) fn first_due(&self, now: Timestamp) -> Option<Due> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, due)| due.clone())
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn counts(&self, state: &State) -> Counts {
        Counts {
            runs_queued: self.runs_queued.len(),
            runs_active: self.runs_active as usize,
            tasks_live: state.tasks.len(),
            tasks_queued: self.queues.values().map(BTreeSet::len).sum(),
            tasks_running: self.running as usize,
            components: state.components.len(),
            components_connected: state.components.iter().filter(|(_, c)| c.live_session().is_some()).count(),
            keys: state.keys.len(),
        }
    }

    #[cfg(test)]
    pub(crate) fn has_wake_up(&self, task: &Task) -> bool {
        let queued = || self.queues.values().flatten().filter(|(_, id)| *id == task.id).count();
        let due = || self.due.iter().filter(|(_, due)| *due == Due::Task(task.id)).count();
        let blocked = || self.dependants.values().flatten().filter(|id| **id == task.id).count();
        let running = || self.running_on.values().flatten().filter(|id| **id == task.id).count();
        let entries = [queued().min(1), running().min(1), blocked().min(1)].iter().sum::<usize>();
        match task.wake_up() {
            Some(crate::task::WakeUp::Timer(_)) => entries == 0 && due() == 1,
            Some(crate::task::WakeUp::Resume) => entries == 0,
            Some(crate::task::WakeUp::Dependencies) => {
                blocked() == task.waits_for.len() && queued() + running() == 0
            }
            Some(crate::task::WakeUp::Queue) => entries == 1 && queued() == 1,
            Some(crate::task::WakeUp::Attempt) => entries == 1 && running() == 1 && due() == 1,
            None => false,
        }
    }
}

/// What the indexes have of a run beside its definition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunEntries {
    /// Its place among the runs that wait; none once it has started.
    queued: Option<(Place, RunId)>,
    due: Vec<(Timestamp, Due)>,
}

impl RunEntries {
    pub(crate) fn of(run: &Run, head_start: Duration) -> RunEntries {
        let waits = run.status == RunStatus::Queued;
        RunEntries {
            queued: waits.then(|| (place(run.created_at, run.priority, head_start), run.id)),
            due: run_due(run).collect(),
        }
    }
}

fn run_due(run: &Run) -> impl Iterator<Item = (Timestamp, Due)> + '_ {
    let deadline = run.deadline.filter(|_| !run.is_winding_down()).map(|at| (at, Due::Run(run.id)));
    let waiting = run.steps.iter().enumerate().filter(|(_, step)| step.status == StepStatus::Waiting);
    let delays = waiting.filter_map(|(place, step)| {
        let place = StepIx::try_from(place).expect("at most 1,000 steps");
        step.wakes_at.map(|at| (at, Due::Step(run.id, place)))
    });
    deadline.into_iter().chain(delays)
}

fn remove_from<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}

/// Work that nothing can ever wake: there must be none.
pub(crate) fn stuck(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    for (id, run) in state.runs.iter() {
        let moves =
            |status| matches!(status, StepStatus::Evaluating | StepStatus::Running | StepStatus::Waiting);
        let waits = matches!(run.status, RunStatus::Queued | RunStatus::Paused) || run.finishing;
        if !waits && !run.steps.iter().any(|step| moves(step.status)) {
            found.push(format!("run {id} is {} and none of its steps moves", run.status.name()));
        }
        for (place, step) in run.steps.iter().enumerate() {
            let task = TaskId::Step(*id, StepIx::try_from(place).expect("at most 1,000 steps"));
            if step.status == StepStatus::Running && !state.tasks.contains(&task) {
                found.push(format!("step {place} of run {id} is running without a task"));
            }
        }
    }
    for (id, task) in state.tasks.iter() {
        if task.waits_for.iter().any(|dependency| !state.tasks.contains(dependency)) {
            found.push(format!("task {id} waits for a task that is gone"));
        }
        if task.step().is_some_and(|(run, _)| !state.runs.contains(&run)) {
            found.push(format!("task {id} belongs to a run that is gone"));
        }
    }
    found
}

impl Task {
    fn step(&self) -> Option<(RunId, StepIx)> {
        self.id.step()
    }
}
