//! P16: a condition is decided once; what was recorded is what counts, with the values it was decided on.

use alloc::collections::BTreeMap;

use super::*;

#[derive(Default)]
struct DecidedOnce {
    decided: BTreeMap<(RunId, StepIx), bool>,
}

impl Property for DecidedOnce {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for recorded in happened.events {
            match &recorded.event {
                Event::RunCreated(create) => self.decided.retain(|(run, _), _| *run != create.id),
                Event::StepDecided { run, step, decision } => {
                    let before = self.decided.insert((*run, *step), decision.value);
                    before.map_or(Ok(()), |_| Err(format!("step {step} of {run} was decided twice")))?;
                }
                Event::StepEnded { run, step, outcome: StepOutcome::Completed(output) } => {
                    let said = self.decided.get(&(*run, *step));
                    let condition = output.as_str().starts_with("{\"result\":");
                    if let (Some(value), true) = (said, condition)
                        && output.as_str() != format!("{{\"result\":{value}}}")
                    {
                        return Err(format!(
                            "step {step} of {run} was decided {value} and yields {output:?}"
                        ));
                    }
                }
                _ => {}
            }
        }
        for ((run, place), value) in &self.decided {
            let live = happened.state.runs.get(run).map(|run| &run.steps[usize::from(*place)]);
            let kept = live.map(|step| step.decision.as_ref().map(|decision| decision.value));
            if kept.is_some_and(|kept| kept != Some(*value)) {
                return Err(format!("step {place} of {run} was decided {value}, which is not what it has"));
            }
        }
        Ok(())
    }
}

#[test]
fn a_condition_is_decided_once() {
    holds::<DecidedOnce>();
}

#[test]
fn a_decision_that_flips_is_noticed() {
    let broken = breaks::<DecidedOnce>(|state, _| {
        let decided = state.runs.iter().find_map(|(id, run)| {
            (0..).zip(&run.steps).find_map(|(place, step)| Some((*id, place, step.decision.clone()?)))
        });
        let flip = |(run, step, decision): (RunId, StepIx, Decision)| Event::StepDecided {
            run,
            step,
            decision: Decision { value: !decision.value, ..decision },
        };
        decided.map(flip).into_iter().collect()
    });
    assert!(broken.contains("decided"), "{broken}");
}
