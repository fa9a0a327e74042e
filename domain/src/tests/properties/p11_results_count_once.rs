//! P11: a result counts once: one outcome for each task, and none by the token of an older attempt.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Default)]
struct CountOnce {
    current: BTreeMap<TaskId, Token>,
    used: BTreeSet<Token>,
    outcomes: BTreeSet<TaskId>,
}

impl CountOnce {
    fn outcome(&mut self, task: TaskId) -> Result<(), String> {
        self.current.remove(&task);
        if self.outcomes.insert(task) { Ok(()) } else { Err(format!("a second outcome of {task}")) }
    }

    fn token_counts(&self, happened: &Happened<'_>) -> Result<(), String> {
        let (task, token) = match happened.command {
            Command::CompleteTask { task, token, .. } | Command::FailTask { task, token, .. } => {
                (task, token)
            }
            _ => return Ok(()),
        };
        if happened.outcome.is_ok() && self.current.get(task) != Some(token) {
            return Err(format!("{task}: the result of attempt {} counted", token.0));
        }
        Ok(())
    }
}

impl Property for CountOnce {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        self.token_counts(happened)?;
        for recorded in happened.events {
            match &recorded.event {
                Event::RunCreated(create) => {
                    let of_run = |task: &TaskId| task.step().is_some_and(|(run, _)| run == create.id);
                    self.outcomes.retain(|task| !of_run(task));
                }
                Event::TaskCreated(task) => {
                    self.outcomes.remove(&task.id);
                }
                Event::TaskAssigned { task, token, .. } => {
                    if !self.used.insert(*token) {
                        return Err(format!("token {} was given twice", token.0));
                    }
                    self.current.insert(*task, *token);
                }
                Event::AttemptFailed { task, .. } => {
                    self.current.remove(task);
                }
                Event::StepEnded { run, step, .. } => self.outcome(TaskId::Step(*run, *step))?,
                Event::TaskEnded { task, .. } => self.outcome(*task)?,
                Event::StepReturned { run, step, .. } => {
                    self.current.remove(&TaskId::Step(*run, *step));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[test]
fn each_task_has_one_outcome_by_its_running_attempt() {
    holds::<CountOnce>();
}

#[test]
fn a_result_that_counts_twice_is_noticed() {
    let broken = breaks::<CountOnce>(|state, _| {
        let again = state.journal.events.iter().find_map(|recorded| match &recorded.event {
            Event::TaskEnded { task, outcome } => Some((*task, outcome.clone())),
            _ => None,
        });
        again.map(|(task, outcome)| Event::TaskEnded { task, outcome }).into_iter().collect()
    });
    assert!(broken.contains("a second outcome"), "{broken}");
}
