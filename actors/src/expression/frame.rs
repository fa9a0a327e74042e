//! One run of a family as expressions see it: its steps' outputs, which of them come before a place, how they ended.
//! Knows nothing of expressions or of the other runs of the family.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use orc_domain::{Definition, EvalPoint, Role, Run, Skip, StepDef, StepIx, StepKind, StepStatus};
use serde_json::{Map, Value, json};

use super::scope::parsed;

/// A run and the place in it that is looked from.
pub(super) struct Frame<'a> {
    pub(super) run: &'a Run,
    pub(super) steps: &'a [StepDef],
    point: EvalPoint,
    outputs: RefCell<BTreeMap<StepIx, Rc<Value>>>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(run: &'a Run, definition: &'a Definition, point: EvalPoint) -> Self {
        Frame { run, steps: definition.block(run.block), point, outputs: RefCell::default() }
    }

    /// The parent of a run, looked at from the step that the run is for, or from behind its steps.
    pub(super) fn around(child: &Run, parent: &'a Run, definition: &'a Definition) -> Self {
        let point = match child.parent.as_ref().map(|parent| parent.role) {
            Some(Role::Item { step, .. } | Role::Step(step)) => EvalPoint::Step(step),
            Some(Role::Handler(_)) | None => EvalPoint::Outputs,
        };
        Frame::new(parent, definition, point)
    }

    pub(super) fn output(&self, step: StepIx) -> Rc<Value> {
        let parse = || match self.run.steps.get(usize::from(step)).and_then(|step| step.output.as_ref()) {
            Some(output) => Rc::new(parsed(output)),
            None => Rc::new(Value::Null),
        };
        self.outputs.borrow_mut().entry(step).or_insert_with(parse).clone()
    }

    /// What the step at this place has yielded so far.
    pub(super) fn own_output(&self) -> Option<Rc<Value>> {
        match self.point {
            EvalPoint::StepOutputs(step) => Some(self.output(step)),
            EvalPoint::Step(_) | EvalPoint::Outputs => None,
        }
    }

    /// The names of the item that a child is for, with their values.
    pub(super) fn item_names(&self, child: &Run) -> Vec<(String, Value)> {
        let Some(Role::Item { step, index }) = child.parent.as_ref().map(|parent| parent.role) else {
            return Vec::new();
        };
        let value = child.parent.as_ref().and_then(|parent| parent.item.as_ref()).map_or(Value::Null, parsed);
        let StepKind::ForEach { item, index: place, .. } = &self.steps[usize::from(step)].kind else {
            return Vec::new();
        };
        vec![(item.to_string(), value), (place.to_string(), Value::from(index))]
    }

    pub(super) fn step_object(&self, place: StepIx) -> Value {
        let step = &self.run.steps[usize::from(place)];
        let outputs = match self.output(place).as_ref() {
            Value::Null => Value::Object(Map::new()),
            output => output.clone(),
        };
        let error =
            step.error.as_ref().map(|error| json!({ "code": &*error.code, "message": &*error.message }));
        json!({ "outputs": outputs, "status": step.status.name(), "error": error, "attempts": step.attempts })
    }

    /// The steps before this place, nearest first. Before a run's outputs all are, the last of the file first.
    pub(super) fn before(&self) -> Vec<StepIx> {
        let steps = self.steps;
        let mut waiting: VecDeque<StepIx> = match self.point {
            EvalPoint::Step(step) | EvalPoint::StepOutputs(step) => {
                steps[usize::from(step)].needs.iter().copied().collect()
            }
            EvalPoint::Outputs => {
                let ends = (0..).zip(steps).filter(|(_, step)| step.followers.is_empty());
                ends.map(|(place, _)| place).collect::<Vec<_>>().into_iter().rev().collect()
            }
        };
        let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
        while let Some(step) = waiting.pop_front() {
            if seen.insert(step) {
                order.push(step);
                waiting.extend(&steps[usize::from(step)].needs);
            }
        }
        order
    }

    /// The value of `success()`, `failure()` or `always()`.
    pub(super) fn status(&self, function: &str) -> bool {
        let needs: Vec<StepIx> = match self.point {
            EvalPoint::Step(step) | EvalPoint::StepOutputs(step) => {
                self.steps[usize::from(step)].needs.clone()
            }
            EvalPoint::Outputs => (0..).zip(self.steps).map(|(place, _)| place).collect(),
        };
        match function {
            "success()" => needs.iter().all(|need| self.went_well(*need)),
            "failure()" => needs.iter().any(|need| self.went_wrong(*need)),
            _ => true,
        }
    }

    fn went_well(&self, place: StepIx) -> bool {
        let step = &self.run.steps[usize::from(place)];
        match step.status {
            StepStatus::Completed => true,
            StepStatus::Skipped if step.skip == Some(Skip::Gated) => self.is_gone_to(),
            StepStatus::Skipped => step.skip == Some(Skip::Chosen),
            StepStatus::Failed | StepStatus::TimedOut => self.steps[usize::from(place)].continue_on_error,
            StepStatus::Pending
            | StepStatus::Evaluating
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Cancelled => false,
        }
    }

    /// A false condition has the run go on at this place.
    fn is_gone_to(&self) -> bool {
        match self.point {
            EvalPoint::Step(place) => self.run.goes_to(place, self.steps),
            EvalPoint::StepOutputs(_) | EvalPoint::Outputs => false,
        }
    }

    /// It failed, or was skipped because one before it did.
    fn went_wrong(&self, place: StepIx) -> bool {
        let step = &self.run.steps[usize::from(place)];
        match step.status {
            StepStatus::Failed | StepStatus::TimedOut => !self.steps[usize::from(place)].continue_on_error,
            StepStatus::Skipped => step.skip == Some(Skip::Failure),
            StepStatus::Completed
            | StepStatus::Pending
            | StepStatus::Evaluating
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Cancelled => false,
        }
    }
}
