//! What a new run takes over from the earlier run that it repeats: steps as they ended, and items of a `foreach`.
//! Knows nothing of requests or of where rows are kept.

use std::{collections::BTreeSet, sync::Arc};

use orc_actors::expression::check_templates;
use orc_client::wire::Raw;
use orc_domain::{
    Definition, DefinitionId, FanItem, Item, Job, Json, Run, Skip, Step, StepDef, StepIx, StepKind,
    StepOutcome, StepStatus,
};
use sha2::{Digest, Sha256};

use super::problem::Refusal;
use crate::definition::suggest::did_you_mean;

/// Where a new run begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Steps that are done again even where they completed.
    pub anew: BTreeSet<StepIx>,
    /// The step that somebody named.
    pub step: Option<StepIx>,
    /// The one item of it that is done again.
    pub item: Option<u32>,
}

impl Start {
    /// Where a step begins by its id, or by one item of it: `evaluate[7]`.
    pub fn at(text: &str, steps: &[StepDef]) -> Result<Start, Refusal> {
        let (id, item) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((id, index)) => {
                let wrong =
                    |_| Refusal::invalid("/fromStep", format!("`{index}` is not the place of an item"));
                (id, Some(index.parse::<u32>().map_err(wrong)?))
            }
            None => (text, None),
        };
        let found = (0..).zip(steps).find(|(_, step)| *step.id == *id);
        let Some((place, step)) = found else {
            let meant = did_you_mean(id, steps.iter().map(|step| &*step.id));
            return Err(Refusal::invalid("/fromStep", format!("the workflow has no step `{id}`{meant}")));
        };
        if item.is_some() && !matches!(step.kind, StepKind::ForEach { .. }) {
            let detail = format!("step `{id}` has no items: it is not a `foreach`");
            return Err(Refusal::invalid("/fromStep", detail));
        }
        Ok(Start { anew: from_there_on(place, steps), step: Some(place), item })
    }
}

/// A step, all that come after it, and the children of a group among them.
fn from_there_on(place: StepIx, steps: &[StepDef]) -> BTreeSet<StepIx> {
    let (mut found, mut open) = (BTreeSet::new(), vec![place]);
    while let Some(place) = open.pop() {
        if found.insert(place) {
            let step = &steps[usize::from(place)];
            open.extend(&step.followers);
            if let StepKind::Parallel { children } = &step.kind {
                open.extend(children);
            }
        }
    }
    found
}

/// The steps that a new run takes over: those that completed or were skipped by choice, and have not been undone.
pub fn carried(run: &Run, start: &Start) -> Vec<(StepIx, Step)> {
    let undone = |place: StepIx| {
        let started = run.handling.iter().flat_map(|handling| &handling.started);
        started.map(|(job, _)| *job).any(|job| job == Job::Compensate(place))
    };
    let good = |step: &Step| match step.status {
        StepStatus::Completed => true,
        StepStatus::Skipped => step.skip == Some(Skip::Chosen),
        StepStatus::Pending
        | StepStatus::Evaluating
        | StepStatus::Running
        | StepStatus::Waiting
        | StepStatus::Failed
        | StepStatus::Cancelled
        | StepStatus::TimedOut => false,
    };
    let steps = (0..).zip(&run.steps);
    let kept = steps.filter(|(place, step)| good(step) && !undone(*place) && !start.anew.contains(place));
    kept.map(|(place, step)| (place, step.clone())).collect()
}

/// Whether the completed items of a step that is done again are taken over: not where the whole step is asked for anew.
pub fn keeps_items(start: &Start, place: StepIx) -> bool {
    !start.anew.contains(&place) || (start.step == Some(place) && start.item.is_some())
}

/// The completed items of a row, but for the one that is done again.
pub fn kept(start: &Start, place: StepIx, from: u32, items: &[FanItem]) -> Vec<(u32, Item, Json)> {
    let again = start.item.filter(|_| start.step == Some(place));
    let completed = (from..).zip(items).filter_map(|(index, item)| match &item.outcome {
        Some(StepOutcome::Completed(output)) if again != Some(index) => {
            Some((index, item.given.clone(), output.clone()))
        }
        Some(_) | None => None,
    });
    completed.collect()
}

/// How many bytes a step takes up that is taken over.
pub fn size_of(step: &Step) -> usize {
    let output = step.output.as_ref().map_or(0, |output| output.as_str().len());
    let decided = step.decision.as_ref().map_or(0, |decision| decision.inputs.as_str().len());
    64 + output + decided
}

/// The same definition, with another config for one task.
pub fn with_input(definition: &Definition, place: StepIx, input: &Raw) -> Result<Arc<Definition>, Refusal> {
    let mut edited = definition.clone();
    let step = &mut edited.steps[usize::from(place)];
    let StepKind::Task { config, templated, .. } = &mut step.kind else {
        let detail = format!("step `{}` is no task: it has no config to replace", step.id);
        return Err(Refusal::invalid("/stepInput", detail).hint("change its `inputs` instead"));
    };
    let value = serde_json::from_str(input.get()).map_err(|error| Refusal::bad_request(error.to_string()))?;
    *templated = check_templates(&value)
        .map_err(|(pointer, error)| Refusal::invalid(format!("/stepInput{pointer}"), error.to_string()))?;
    *config = Json::from(input.get());
    let mut hash = Sha256::new();
    hash.update(definition.id.0);
    hash.update(place.to_be_bytes());
    hash.update(input.get());
    let digest = hash.finalize();
    edited.id = DefinitionId(std::array::from_fn(|byte| digest[byte]));
    Ok(Arc::new(edited))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::render::run::tests::{definition, run};
    use orc_domain::{Conclusion, Handling, RunId};
    use uuid::Uuid;

    fn task() -> StepKind {
        StepKind::Task { action: "a".into(), config: Json::from("{}"), templated: false }
    }

    fn each() -> StepKind {
        let items = "[]".into();
        StepKind::ForEach {
            items,
            block: 1,
            item: "item".into(),
            index: "index".into(),
            key: None,
            parallel_max: 1,
            fail_fast: false,
        }
    }

    /// `s0` and `s1` are the children of the group `s2`, which the `foreach` `s3` needs; `s4` stands alone.
    fn workflow() -> Definition {
        let group = StepKind::Parallel { children: vec![0, 1] };
        let mut definition = definition(vec![task(), task(), group, each(), task()]);
        for (from, to) in [(0, 2), (1, 2), (2, 3)] {
            definition.steps[from].followers.push(to);
            definition.steps[usize::from(to)].needs.push(StepIx::try_from(from).expect("small"));
        }
        definition
    }

    #[test]
    fn a_rerun_begins_at_the_step_and_does_all_that_follows_again() {
        let steps = workflow().steps;
        let check = |text: &str, expected: Result<(&[StepIx], Option<u32>), &str>| match (
            Start::at(text, &steps),
            expected,
        ) {
            (Ok(start), Ok((anew, item))) => {
                assert_eq!((start.anew.into_iter().collect::<Vec<_>>().as_slice(), start.item), (anew, item));
            }
            (Err(refusal), Err(words)) => assert!(refusal.detail().contains(words), "{}", refusal.detail()),
            (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
        };
        check("s1", Ok((&[0, 1, 2, 3], None)));
        check("s2", Ok((&[0, 1, 2, 3], None)));
        check("s3[7]", Ok((&[3], Some(7))));
        check("s4", Ok((&[4], None)));
        check("s4[0]", Err("no items"));
        check("s3[x]", Err("`x` is not the place"));
        check("s9", Err("no step `s9`"));
    }

    #[test]
    fn completed_and_chosen_steps_are_taken_over_unless_undone_or_after_the_start() {
        let definition = workflow();
        let mut run = run(&definition);
        for (place, status) in
            [(0, StepStatus::Completed), (1, StepStatus::Skipped), (2, StepStatus::Completed)]
        {
            run.steps[place].status = status;
        }
        (run.steps[3].status, run.steps[4].status) = (StepStatus::Failed, StepStatus::Completed);
        let places = |run: &Run, start: &Start| -> Vec<StepIx> {
            carried(run, start).into_iter().map(|(place, _)| place).collect()
        };
        assert_eq!(
            places(&run, &Start::default()),
            [0, 2, 4],
            "a step that a condition gated is looked at again"
        );
        run.steps[1].skip = Some(Skip::Chosen);
        assert_eq!(places(&run, &Start::default()), [0, 1, 2, 4]);
        let start = Start::at("s2", &definition.steps).expect("it is there");
        assert_eq!(places(&run, &start), [4]);
        let started = vec![(Job::Compensate(4), RunId(Uuid::from_u128(1)))];
        let conclusion = Conclusion::Failure;
        run.handling = Some(Box::new(Handling { conclusion, waiting: vec![], current: None, started }));
        assert_eq!(places(&run, &Start::default()), [0, 1, 2], "it was undone");
    }

    #[test]
    fn completed_items_are_kept_but_for_the_one_that_is_named() {
        let definition = workflow();
        let item = |outcome| FanItem { given: Item::new("1"), run: None, outcome };
        let done = || Some(StepOutcome::Completed(Json::from("2")));
        let items = [item(done()), item(None), item(done()), item(Some(StepOutcome::Cancelled("x".into())))];
        let indexes = |start: &Start| -> Vec<u32> {
            kept(start, 3, 64, &items).into_iter().map(|(index, ..)| index).collect()
        };
        assert_eq!(indexes(&Start::default()), [64, 66]);
        let one = Start::at("s3[66]", &definition.steps).expect("it is there");
        assert_eq!(indexes(&one), [64]);
        let whole = Start::at("s3", &definition.steps).expect("it is there");
        assert!(keeps_items(&Start::default(), 3) && keeps_items(&one, 3) && !keeps_items(&whole, 3));
    }

    #[test]
    fn a_task_gets_another_config_and_the_definition_another_identity() {
        let definition = workflow();
        let raw = |text: &str| serde_json::value::RawValue::from_string(text.into()).expect("JSON");
        let edited = with_input(&definition, 4, &raw("{\"v\":\"${{ inputs.x }}\"}")).expect("it is a task");
        assert_ne!(edited.id, definition.id);
        assert!(matches!(&edited.steps[4].kind, StepKind::Task { templated: true, .. }));
        assert!(with_input(&definition, 3, &raw("1")).is_err(), "a foreach has no config");
        let refusal =
            with_input(&definition, 4, &raw("{\"v\":[\"${{ 1 + }}\"]}")).expect_err("no expression");
        assert_eq!(refusal.into_parts().0.errors[0].pointer, "/stepInput/v/0");
    }
}
