//! A run and its steps in their public form, with what their live tasks say.
//! Knows nothing of how rows are found.

use std::sync::Arc;

use orc_client::wire::{self, RunSummary, RunView, StepView, WaitingFor};
use orc_domain::{
    Definition, Run, StepCache, StepDef, StepIx, StepKind, StepStatus, Task, TaskId, TaskStatus, Timestamp,
};

use super::{awaiting, duration_ms, error, family, labels, priority, raw, time, waiting::Surroundings};

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
    /// Its parent and what that executes, where it has one that is still there.
    pub parent: Option<(&'a Run, Option<&'a Definition>)>,
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
            waiting_for: self.waiting_for(&waits, working),
            rev: run.created_rev,
            workflow_version: workflow_version(run),
            started_by: run.origin.by.name().to_owned(),
            trigger: run.origin.trigger.as_ref().map(raw),
            steps,
            parent: run.parent.as_ref().map(|parent| family::parent(parent, self.parent)),
            origin: run.earlier.as_ref().map(family::origin),
            handlers: family::handlers(run, self.definition),
            signals: run.signals.len(),
            group: run.group.as_ref().map(|group| group.name.to_string()),
            dedupe: run.dedupe.as_ref().map(ToString::to_string),
        }
    }

    fn waiting_for(&self, steps: &[Option<WaitingFor>], working: bool) -> Option<WaitingFor> {
        let around = self.surroundings?;
        let handlers = self.definition.and_then(|definition| awaiting::of_handlers(self.run, definition));
        handlers.or_else(|| around.of_run(self.run, steps, working))
    }

    /// The steps, in the definition's order.
    pub fn steps(&self) -> Vec<StepView> {
        (0..self.run.steps.len()).filter_map(|place| self.step(StepIx::try_from(place).ok()?)).collect()
    }

    fn step(&self, place: StepIx) -> Option<StepView> {
        let step = self.run.steps.get(usize::from(place))?;
        let def =
            self.definition.and_then(|definition| definition.block(self.run.block).get(usize::from(place)));
        let at_work = step.status == StepStatus::Running;
        let task = at_work.then(|| (self.task)(TaskId::Step(self.run.id, place))).flatten();
        let around = self.surroundings.zip(self.definition);
        let (id, name, kind) = names(def, place);
        let status = self.step_status(def, place, task.as_deref());
        let group_at_work = step.status == StepStatus::Pending && status == wire::StepStatus::Running;
        let started_at = if group_at_work { self.children_started(def) } else { step.started_at };
        let mut view = StepView {
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
            items: None,
            child_run_id: None,
            cached_from: match step.cache.as_deref() {
                Some(StepCache::Hit(from)) => Some(from.to_string()),
                Some(StepCache::Missed(_)) | None => None,
            },
            signal: None,
            event: None,
            approval_id: None,
            request: None,
        };
        family::add_work(&mut view, self.run, place);
        Some(view)
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

#[cfg(test)]
pub mod tests {
    use super::*;
    use orc_domain::{
        CreateRun, DefinitionId, Earlier, Fan, FanItem, Handling, Item, Job, Json, Parent, Repeat, Role,
        RunId, Text, Work,
    };
    use uuid::Uuid;

    /// A workflow of steps that do this, named `s0`, `s1`, ….
    pub fn definition(kinds: Vec<StepKind>) -> Definition {
        Definition::new(DefinitionId([1; 16]), "w", steps(kinds))
    }

    fn steps(kinds: Vec<StepKind>) -> Vec<StepDef> {
        let retry = orc_domain::ClusterConfig::default().step_retry;
        let step = |(place, kind): (usize, StepKind)| StepDef::new(format!("s{place}"), kind, retry.clone());
        kinds.into_iter().enumerate().map(step).collect()
    }

    /// A run that has just been accepted.
    pub fn run(definition: &Definition) -> Run {
        run_of(definition, 0)
    }

    fn run_of(definition: &Definition, block: u16) -> Run {
        let create = CreateRun { block, ..CreateRun::new(RunId(Uuid::from_u128(9)), definition.id) };
        Run::created(&create, definition, Timestamp(1), 1)
    }

    fn delay() -> StepKind {
        StepKind::Delay { duration: std::time::Duration::from_secs(1) }
    }

    fn shown(run: &Run, definition: &Definition, parent: Option<(&Run, Option<&Definition>)>) -> RunView {
        let nothing = |_: TaskId| -> Option<Arc<Task>> { None };
        let (definition, now) = (Some(definition), Timestamp(5));
        Shown { run, definition, task: &nothing, surroundings: None, now, parent }.view()
    }

    #[test]
    fn a_child_shows_the_steps_of_its_block_and_its_place_in_the_parent() {
        let mut definition = definition(vec![delay(), delay()]);
        definition.blocks = vec![steps(vec![delay()])];
        definition.blocks[0][0].id = Text::from("inner");
        let outer = run(&definition);
        let mut child = run_of(&definition, 1);
        let role = Role::Item { step: 1, index: 4 };
        child.parent = Some(Box::new(Parent { run: outer.id, role, item: None }));
        let view = shown(&child, &definition, Some((&outer, Some(&definition))));
        assert_eq!((view.steps.len(), view.steps[0].id.as_str()), (1, "inner"));
        let parent = view.parent.expect("it has one");
        assert_eq!((parent.role.step.as_deref(), parent.role.index), (Some("s1"), Some(4)));
    }

    #[test]
    fn a_run_shows_what_it_repeats_its_handlers_and_how_far_its_items_are() {
        let definition = definition(vec![delay(), delay(), delay()]);
        let mut run = run(&definition);
        let child = RunId(Uuid::from_u128(3));
        run.earlier = Some(Earlier { run: child, how: Repeat::Retry });
        let started = vec![(Job::Compensate(1), child), (Job::Finally, child)];
        let conclusion = orc_domain::Conclusion::Failure;
        run.handling = Some(Box::new(Handling { conclusion, waiting: vec![], current: None, started }));
        run.steps[0].work =
            Some(Box::new(Work::Fan(Fan { total: 9, next: 4, running: 2, ended: 3, failed: 1 })));
        (run.steps[1].work, run.steps[1].status) =
            (Some(Box::new(Work::Approval(Json::from("{\"prompt\":\"?\"}")))), StepStatus::Waiting);
        run.steps[2].work = Some(Box::new(Work::Child(child)));
        let view = shown(&run, &definition, None);
        assert_eq!(view.origin.map(|origin| origin.how).as_deref(), Some("retry"));
        let handlers: Vec<_> =
            view.handlers.iter().map(|one| (one.kind.as_str(), one.step.as_deref())).collect();
        assert_eq!(handlers, [("compensate", Some("s1")), ("finally", None)]);
        assert_eq!(
            view.steps[0].items.map(|items| (items.total, items.running, items.failed)),
            Some((9, 2, 1))
        );
        let approval = view.steps[1].approval_id.as_deref().expect("it waits");
        assert!(approval.starts_with("appr_") && approval.ends_with("-1"), "{approval}");
        assert_eq!(view.steps[2].child_run_id, Some(child.to_string()));
    }

    #[test]
    fn an_item_that_never_began_is_skipped_once_its_step_has_ended() {
        let item = FanItem { given: Item::new("1"), run: None, outcome: None };
        assert_eq!(family::item(0, &item, false).status, wire::StepStatus::Pending);
        assert_eq!(family::item(0, &item, true).status, wire::StepStatus::Skipped);
    }
}
