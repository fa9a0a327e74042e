//! Indexes over the tables: who waits, who is free, what is due. Every entry is a function of rows,
//! so they are rebuilt on start and kept by taking a row's entries out before it changes and in after.

mod admission;
mod entries;
mod kept;
mod messages;
mod outputs;
mod schedules;
mod stuck;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{cmp::Reverse, time::Duration};

use admission::Admission;
pub(crate) use entries::RunEntries;
use messages::Messages;
use outputs::Outputs;
pub(crate) use stuck::stuck;

use crate::{
    backlog::Backlog,
    component::Component,
    ids::{
        ActionName, ComponentId, DefinitionId, Labels, Priority, RunId, StateKey, StepIx, TaskId, Text,
        Timestamp,
    },
    message::MessagePlace,
    names::ScheduleId,
    run::Run,
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
    Key(StateKey),
    Message(MessagePlace),
}

/// The place in a queue: earlier is better; a level of priority is worth a head start.
pub(crate) type Place = u64;

/// What tasks of one queue have in common.
type Queue = (ActionName, Labels, Priority);

fn queue_of(task: &Task) -> Queue {
    (task.action.clone(), task.labels.clone(), task.priority)
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    due: BTreeSet<(Timestamp, Due)>,
    queues: BTreeMap<Queue, BTreeSet<(Timestamp, TaskId)>>,
    pub(crate) free: BTreeMap<ActionName, BTreeSet<(Reverse<u32>, ComponentId)>>,
    running_on: BTreeMap<ComponentId, BTreeSet<TaskId>>,
    running: u32,
    dependants: BTreeMap<TaskId, BTreeSet<TaskId>>,
    admission: Admission,
    /// Live runs and workflows.
    definition_users: BTreeMap<DefinitionId, u32>,
    children: BTreeMap<RunId, BTreeSet<RunId>>,
    /// Live runs by workflow and the word that keeps them single.
    twins: BTreeMap<(Text, Text), RunId>,
    approvals: BTreeSet<(RunId, StepIx)>,
    event_waits: BTreeSet<(RunId, StepIx)>,
    pub(crate) backlog: Backlog,
    pub(crate) dead: BTreeMap<ActionName, BTreeSet<(Timestamp, TaskId)>>,
    schedules_ready: BTreeSet<ScheduleId>,
    pub(crate) outputs: Outputs,
    pub(crate) messages: Messages,
    keys_present: usize,
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
    /// State keys that have a value.
    pub keys: usize,
    /// Tasks on the dead-letter list.
    pub tasks_dead: usize,
    /// Durable messages that are not acknowledged.
    pub messages: usize,
    /// Durable messages that were given up.
    pub messages_dead: usize,
    /// Named snapshots.
    pub snapshots: usize,
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
            indexes.add_task(task, None);
        }
        for (_, component) in state.components.iter() {
            indexes.add_component(component);
        }
        state.dead.iter().for_each(|(_, dead)| indexes.add_dead(dead));
        state.outputs.iter().for_each(|(key, kept)| indexes.outputs.add(*key, kept));
        for (_, workflow) in state.workflows.iter() {
            indexes.use_definition(workflow.definition);
        }
        for (_, schedule) in state.schedules.iter() {
            indexes.add_schedule(schedule);
        }
        state.keys.iter().for_each(|(_, record)| indexes.add_key(record));
        for (_, message) in state.messages.iter() {
            indexes.add_message(message, state.components.get(&message.component));
        }
        indexes
    }

    pub(crate) fn add_run(&mut self, run: &Run, head_start: Duration) {
        self.use_definition(run.definition);
        if let Some(parent) = &run.parent {
            self.children.entry(parent.run).or_default().insert(run.id);
        }
        if let Some(word) = &run.dedupe {
            self.twins.insert((run.workflow.clone(), word.clone()), run.id);
        }
        self.enter_run(RunEntries::of(run, head_start));
    }

    pub(crate) fn remove_run(&mut self, run: &Run, head_start: Duration) {
        self.leave_definition(&run.definition);
        if let Some(parent) = &run.parent {
            remove_from(&mut self.children, &parent.run, &run.id);
        }
        if let Some(word) = &run.dedupe {
            self.twins.remove(&(run.workflow.clone(), word.clone()));
        }
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
        self.admission.enter(entries.candidate);
        self.due.extend(entries.due);
        self.approvals.extend(entries.approvals);
        self.event_waits.extend(entries.event_waits);
    }

    fn leave_run(&mut self, entries: &RunEntries) {
        self.admission.leave(&entries.candidate);
        for due in &entries.due {
            self.due.remove(due);
        }
        for approval in &entries.approvals {
            self.approvals.remove(approval);
        }
        for wait in &entries.event_waits {
            self.event_waits.remove(wait);
        }
    }

    /// `component` is the one that runs the task, where it is known already.
    pub(crate) fn add_task(&mut self, task: &Task, component: Option<&Component>) {
        if let Some(at) = task.due_at() {
            self.due.insert((at, Due::Task(task.id)));
        }
        self.backlog.add(task);
        if task.status == TaskStatus::Queued && !task.held {
            self.queues.entry(queue_of(task)).or_default().insert((task.ready_at, task.id));
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

    pub(crate) fn remove_task(&mut self, task: &Task, component: Option<&Component>) {
        if let Some(at) = task.due_at() {
            self.due.remove(&(at, Due::Task(task.id)));
        }
        self.backlog.remove(task);
        if task.status == TaskStatus::Queued && !task.held {
            remove_from(&mut self.queues, &queue_of(task), &(task.ready_at, task.id));
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
    pub(crate) fn matches<'a>(
        &'a self,
        paused: &'a BTreeSet<ActionName>,
        head_start: Duration,
    ) -> impl Iterator<Item = (Place, TaskId, &'a Labels, impl Iterator<Item = &'a ComponentId>)> {
        self.queues.iter().filter_map(move |((action, labels, priority), queue)| {
            let free = self.free.get(action).filter(|_| !paused.contains(action))?;
            let (ready_at, task) = queue.first()?;
            let place = place(*ready_at, *priority, head_start);
            Some((place, *task, labels, free.iter().map(|(_, component)| component)))
        })
    }

    /// Since when the first task of each queue waits, by action.
    pub(crate) fn waiting_since(&self) -> impl Iterator<Item = (&ActionName, Timestamp)> {
        self.queues.iter().filter_map(|((action, ..), queue)| Some((action, queue.first()?.0)))
    }

    /// The next run to start, if the limit allows one.
    pub(crate) fn next_run(&self, limit: u32) -> Option<RunId> {
        self.admission.next(limit)
    }

    /// The runs of a concurrency group: those that have started, and those that wait.
    pub(crate) fn group(&self, workflow: &Text, name: &Text) -> (Vec<RunId>, Vec<RunId>) {
        self.admission.group(workflow, name)
    }

    /// The live run of a workflow with this word.
    pub(crate) fn twin(&self, workflow: &Text, word: &Text) -> Option<RunId> {
        self.twins.get(&(workflow.clone(), word.clone())).copied()
    }

    /// The live children of a run.
    pub(crate) fn children(&self, run: &RunId) -> impl Iterator<Item = RunId> + '_ {
        self.children.get(run).into_iter().flatten().copied()
    }

    /// Steps that await an approval, from a place on.
    pub(crate) fn approvals(&self, from: (RunId, StepIx)) -> impl Iterator<Item = (RunId, StepIx)> + '_ {
        self.approvals.range(from..).copied()
    }

    /// Steps that wait for an event.
    pub(crate) fn event_waits(&self) -> impl Iterator<Item = (RunId, StepIx)> + '_ {
        self.event_waits.iter().copied()
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

    pub(crate) fn running(&self) -> &BTreeMap<ComponentId, BTreeSet<TaskId>> {
        &self.running_on
    }

    pub(crate) fn first_due(&self, now: Timestamp) -> Option<Due> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, due)| due.clone())
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn counts(&self, state: &State) -> Counts {
        Counts {
            runs_queued: self.admission.queued() as usize,
            runs_active: self.admission.active() as usize,
            tasks_live: state.tasks.len(),
            tasks_queued: self.queues.values().map(BTreeSet::len).sum(),
            tasks_running: self.running as usize,
            components: state.components.len(),
            components_connected: state.components.iter().filter(|(_, c)| c.live_session().is_some()).count(),
            keys: self.keys_present,
            tasks_dead: state.dead.len(),
            messages: state.messages.len(),
            messages_dead: state.dead_messages.len(),
            snapshots: state.snapshots.len(),
        }
    }
}

fn remove_from<K: Ord, V: Ord>(index: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
