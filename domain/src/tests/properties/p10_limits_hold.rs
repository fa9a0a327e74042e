//! P10: never more than the limits allow, counted from the facts alone: active runs, running attempts, a component's
//! slots, a concurrency group's runs, a `foreach`'s items.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Default)]
struct LimitsHold {
    whole: BTreeSet<RunId>,
    active: BTreeSet<RunId>,
    groups: BTreeMap<RunId, (Text, u32)>,
    attempts: BTreeMap<TaskId, ComponentId>,
    slots: BTreeMap<ComponentId, u32>,
    items: BTreeMap<RunId, (RunId, StepIx)>,
    parallel: BTreeMap<(RunId, StepIx), u32>,
}

impl LimitsHold {
    fn note(&mut self, event: &Event, state: &State) {
        match event {
            Event::RunCreated(create) => self.created(create, state),
            Event::RunStarted { run } => {
                self.active.insert(*run);
            }
            Event::RunEnded { run, .. } => {
                self.active.remove(run);
                self.items.remove(run);
            }
            Event::TaskAssigned { task, component, .. } => {
                self.attempts.insert(*task, component.clone());
            }
            Event::AttemptFailed { task, .. } | Event::TaskEnded { task, .. } => {
                self.attempts.remove(task);
            }
            Event::StepEnded { run, step, .. } | Event::StepReturned { run, step, .. } => {
                self.attempts.remove(&TaskId::Step(*run, *step));
            }
            Event::ComponentRegistered(info) => {
                self.slots.insert(info.id.clone(), info.slots);
            }
            _ => {}
        }
    }

    fn created(&mut self, create: &CreateRun, state: &State) {
        self.active.remove(&create.id);
        match create.parent.as_ref().map(|parent| (parent.run, parent.role)) {
            None => {
                self.whole.insert(create.id);
            }
            Some((parent, Role::Item { step, .. })) => {
                self.items.insert(create.id, (parent, step));
                if let Some(run) = state.runs.get(&parent)
                    && let Some(definition) = state.definitions.get(&run.definition)
                    && let StepKind::ForEach { parallel_max, .. } =
                        definition.block(run.block)[usize::from(step)].kind
                {
                    self.parallel.insert((parent, step), parallel_max);
                }
            }
            Some((_, Role::Step(_) | Role::Handler(_))) => {}
        }
        // Ids come again, once what had them is deleted.
        self.groups.remove(&create.id);
        if let Some(group) = &create.group {
            self.groups.insert(create.id, (group.name.clone(), group.limit));
        }
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let config = state.config();
        let active = self.active.intersection(&self.whole).count();
        if active > config.runs_active_max as usize {
            return Err(format!("{active} runs are active"));
        }
        if self.attempts.len() > config.tasks_running_max as usize {
            return Err(format!("{} attempts run", self.attempts.len()));
        }
        for (component, slots) in &self.slots {
            let running = self.attempts.values().filter(|runner| *runner == component).count();
            if running > *slots as usize {
                return Err(format!("{running} attempts on {slots} slots of {component}"));
            }
        }
        for (group, limit) in self.groups.values() {
            let of_group = |run: &&RunId| self.groups.get(run).is_some_and(|(name, _)| name == group);
            let limits = self.active.iter().filter(of_group).map(|run| self.groups[run].1);
            let (count, widest) =
                limits.fold((0, 0), |(count, widest), limit| (count + 1, limit.max(widest)));
            if count > widest.max(*limit) {
                return Err(format!("{count} runs of group {group}"));
            }
        }
        for (step, limit) in &self.parallel {
            let running = self.items.values().filter(|of| *of == step).count();
            if running > *limit as usize {
                return Err(format!("{running} items of {step:?} at once"));
            }
        }
        Ok(())
    }
}

impl Property for LimitsHold {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for recorded in happened.events {
            self.note(&recorded.event, happened.state);
            self.check(happened.state)?;
        }
        Ok(())
    }
}

#[test]
fn limits_hold_after_every_single_fact() {
    holds::<LimitsHold>();
}

#[test]
fn an_attempt_too_many_is_noticed() {
    let broken = breaks::<LimitsHold>(|state, _| {
        let busy = state.components.iter().find(|(id, component)| {
            component.live_session().is_some()
                && state.indexes.running_on(id).len() >= component.slots as usize
        });
        let queued = state.tasks.iter().find(|(_, task)| task.status == TaskStatus::Queued && !task.held);
        let (Some((component, _)), Some((task, _))) = (busy, queued) else { return Vec::new() };
        if state.indexes.tasks_running() >= state.config().tasks_running_max {
            return Vec::new(); // that limit would be told
        }
        let token = Token(state.meta.token.0 + 1);
        let deadline = state.meta.now + Duration::from_secs(1);
        vec![Event::TaskAssigned { task: *task, component: component.clone(), token, deadline }]
    });
    assert!(broken.contains("slots"), "{broken}");
}
