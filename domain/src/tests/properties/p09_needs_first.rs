//! P9: no step starts before what it needs has ended well, unless its `if` asks to; no task before its dependencies.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Default)]
struct NeedsFirst {
    definitions: BTreeMap<RunId, (Arc<Definition>, BlockIx)>,
    /// Steps that let what follows go on.
    passed: BTreeSet<(RunId, StepIx)>,
    /// Steps that a condition held back.
    gated: BTreeSet<(RunId, StepIx)>,
    /// Steps that a false condition has the run go on with.
    gone_to: BTreeSet<(RunId, StepIx)>,
    completed: BTreeSet<TaskId>,
    dependencies: BTreeMap<TaskId, Vec<TaskId>>,
}

impl NeedsFirst {
    fn may_start(&self, run: RunId, place: StepIx) -> Result<(), String> {
        let Some((definition, block)) = self.definitions.get(&run) else { return Ok(()) };
        let step = &definition.block(*block)[usize::from(place)];
        let asks = step.only_if.as_deref() == Some("always()");
        let gone_to = self.gone_to.contains(&(run, place));
        let passed = |need: StepIx| {
            self.passed.contains(&(run, need)) || (gone_to && self.gated.contains(&(run, need)))
        };
        match step.needs.iter().find(|need| !passed(**need)) {
            Some(need) if !asks => Err(format!("step {place} of {run} started before step {need}")),
            Some(_) | None => Ok(()),
        }
    }

    fn ended(&mut self, run: RunId, place: StepIx, outcome: &StepOutcome) {
        let forgiven = self.definitions.get(&run).is_some_and(|(definition, block)| {
            definition.block(*block)[usize::from(place)].continue_on_error
        });
        let passes = match outcome {
            StepOutcome::Completed(_) => true,
            StepOutcome::Skipped { why, .. } => *why == Skip::Chosen,
            StepOutcome::Failed(_) | StepOutcome::TimedOut(_) => forgiven,
            StepOutcome::Cancelled(_) => false,
        };
        if passes {
            self.passed.insert((run, place));
        }
        if matches!(outcome, StepOutcome::Skipped { why: Skip::Gated, .. }) {
            self.gated.insert((run, place));
        }
        let kind = self
            .definitions
            .get(&run)
            .map(|(definition, block)| definition.block(*block)[usize::from(place)].kind.clone());
        if let Some(StepKind::Condition { on_false: OnFalse::Goto(target), .. }) = kind
            && *outcome == StepOutcome::Completed("{\"result\":false}".into())
        {
            self.gone_to.insert((run, target));
        }
    }
}

impl Property for NeedsFirst {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for recorded in happened.events {
            match &recorded.event {
                Event::RunCreated(create) => {
                    for steps in [&mut self.passed, &mut self.gated, &mut self.gone_to] {
                        steps.retain(|(run, _)| *run != create.id);
                    }
                    let shared = happened.state.definitions.share(&create.definition);
                    if let Some(definition) = shared {
                        self.definitions.insert(create.id, (definition, create.block));
                    }
                }
                Event::StepStarted { run, step, .. } => self.may_start(*run, *step)?,
                Event::StepEnded { run, step, outcome } => {
                    self.ended(*run, *step, outcome);
                    if matches!(outcome, StepOutcome::Completed(_)) {
                        self.completed.insert(TaskId::Step(*run, *step));
                    }
                }
                Event::StepReturned { run, step, .. } => {
                    self.completed.insert(TaskId::Step(*run, *step));
                }
                Event::TaskCreated(task) => {
                    let waits = task.waits_for.iter().copied().collect();
                    self.dependencies.insert(task.id, waits);
                }
                Event::TaskEnded { task, outcome: StepOutcome::Completed(_) } => {
                    self.completed.insert(*task);
                }
                Event::TaskAssigned { task, .. } => {
                    let needs = self.dependencies.get(task).into_iter().flatten();
                    if let Some(open) = { needs }.find(|need| !self.completed.contains(need)) {
                        return Err(format!("{task} started before {open}"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[test]
fn nothing_starts_before_what_it_needs() {
    holds::<NeedsFirst>();
}

#[test]
fn a_step_that_starts_too_early_is_noticed() {
    let broken = breaks::<NeedsFirst>(|state, _| {
        let early =
            state.runs.iter().filter(|(_, run)| run.status == RunStatus::Running).find_map(|(id, run)| {
                let steps = state.definitions.get(&run.definition)?.block(run.block);
                let waits = |(place, step): (StepIx, &Step)| {
                    let def = &steps[usize::from(place)];
                    let open = def
                        .needs
                        .iter()
                        .any(|need| run.steps[usize::from(*need)].status == StepStatus::Running);
                    let asks = def.only_if.is_some();
                    (step.status == StepStatus::Pending && open && !asks).then_some((*id, place))
                };
                (0..).zip(&run.steps).find_map(waits)
            });
        early.map(|(run, step)| Event::StepStarted { run, step, config: None }).into_iter().collect()
    });
    assert!(broken.contains("started before"), "{broken}");
}
