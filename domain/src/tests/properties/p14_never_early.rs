//! P14: what waits for a time happens once and not before it: delays, pauses between attempts, time limits.

use alloc::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct NeverEarly {
    delays: BTreeMap<(RunId, StepIx), Timestamp>,
    pauses: BTreeMap<TaskId, Timestamp>,
    attempts: BTreeMap<TaskId, Timestamp>,
    deadlines: BTreeMap<RunId, Timestamp>,
}

fn not_before(what: &str, due: Option<Timestamp>, now: Timestamp) -> Result<(), String> {
    match due {
        Some(due) if due > now => Err(format!("{what} {} ms early", due.0 - now.0)),
        Some(_) => Ok(()),
        None => Err(format!("{what} without being due")),
    }
}

impl NeverEarly {
    fn note(&mut self, event: &Event, at: Timestamp, state: &State) -> Result<(), String> {
        match event {
            Event::StepStarted { run, step, .. } => {
                if let Some(duration) = delay_of(state, *run, *step) {
                    self.delays.insert((*run, *step), at + duration);
                }
            }
            Event::TimeAwaited { run, step, until } => {
                self.delays.insert((*run, *step), *until);
            }
            Event::StepEnded { run, step, outcome } => {
                let due = self.delays.remove(&(*run, *step));
                if let (Some(due), StepOutcome::Completed(_)) = (due, outcome) {
                    not_before("a delay was over", Some(due), at)?;
                }
            }
            Event::TaskAssigned { task, deadline, .. } => {
                self.attempts.insert(*task, *deadline);
            }
            Event::AttemptFailed { task, failure, retry_at, .. } => {
                let deadline = self.attempts.remove(task);
                if &*failure.code == "TASK_TIMEOUT" {
                    not_before("an attempt timed out", deadline, at)?;
                }
                if let Some(retry_at) = retry_at.filter(|retry_at| *retry_at > at) {
                    self.pauses.insert(*task, retry_at);
                }
            }
            Event::TaskCreated(task) => {
                if let Some(run_at) = task.run_at.filter(|run_at| *run_at > at) {
                    self.pauses.insert(task.id, run_at);
                }
            }
            Event::TaskRequeued { task } => not_before("a pause was over", self.pauses.remove(task), at)?,
            Event::RunStarted { run } => {
                if let Some(deadline) = state.runs.get(run).and_then(|run| run.deadline) {
                    self.deadlines.insert(*run, deadline);
                }
            }
            Event::RunTimedOut { run } => not_before("a run timed out", self.deadlines.remove(run), at)?,
            _ => {}
        }
        Ok(())
    }
}

fn delay_of(state: &State, run: RunId, step: StepIx) -> Option<Duration> {
    let run = state.runs.get(&run)?;
    match &state.definitions.get(&run.definition)?.block(run.block)[usize::from(step)].kind {
        StepKind::Delay { duration } => Some(*duration),
        _ => None,
    }
}

impl Property for NeverEarly {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for recorded in happened.events {
            self.note(&recorded.event, recorded.at, happened.state)?;
        }
        let due = happened.state.next_due().filter(|due| *due <= happened.state.meta.now);
        match (happened.command, due) {
            (Command::AdvanceTime, Some(due)) if happened.events.len() < 200 => {
                Err(format!("what was due at {} did not happen", due.0))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn what_waits_for_a_time_happens_once_and_not_before() {
    holds::<NeverEarly>();
}

#[test]
fn a_delay_that_ends_early_is_noticed() {
    let broken = breaks::<NeverEarly>(|state, _| {
        let early = state.runs.iter().find_map(|(id, run)| {
            let soon = |step: &Step| step.wakes_at.is_some_and(|at| at > state.meta.now);
            let waits = |(_, step): &(StepIx, &Step)| step.status == StepStatus::Waiting && soon(step);
            let (place, _) = (0..).zip(&run.steps).find(waits)?;
            delay_of(state, *id, place).map(|_| (*id, place))
        });
        let done =
            |(run, step)| Event::StepEnded { run, step, outcome: StepOutcome::Completed(Json::null()) };
        early.map(done).into_iter().collect()
    });
    assert!(broken.contains("early"), "{broken}");
}
