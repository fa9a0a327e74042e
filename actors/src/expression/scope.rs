//! What names mean at one place of a run: `inputs`, `steps`, `run`, `trigger` where there is one, and bare names found in the outputs of the nearest
//! step before it, then in the inputs. Parses only the outputs that an expression names.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use cel::Value as Cel;
use orc_domain::{Definition, EvalPoint, Json, Run, Skip, StepIx, StepStatus};
use serde_json::{Map, Value, json};

use super::{
    analysis::Path,
    cache,
    error::{ExpressionError, cut},
    program::Program,
    value::to_cel,
};

/// Time that all expressions of a step may take together.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Names listed in a message.
const HAVE_MAX: usize = 20;
/// A longer value is recorded by its length only.
const RECORDED_BYTES_MAX: usize = 4 * 1024;

/// Names and their values at one place of a run.
pub(super) struct Scope<'a> {
    run: &'a Run,
    definition: &'a Definition,
    point: EvalPoint,
    until: Instant,
    inputs: OnceCell<Rc<Value>>,
    outputs: RefCell<BTreeMap<StepIx, Rc<Value>>>,
}

/// An expression's value, and what it was found from.
pub(super) struct Found {
    pub(super) program: Arc<Program>,
    pub(super) value: Cel,
    names: Map<String, Value>,
}

impl Found {
    /// The names used with their values, as a decision records them.
    pub(super) fn inputs(&self) -> Json {
        Json::from(Value::Object(self.names.clone()).to_string())
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(run: &'a Run, definition: &'a Definition, point: EvalPoint) -> Self {
        let until = Instant::now() + TIME_MAX;
        Scope { run, definition, point, until, inputs: OnceCell::new(), outputs: RefCell::default() }
    }

    pub(super) fn evaluate(&self, source: &str) -> Result<Found, ExpressionError> {
        if Instant::now() > self.until {
            return Err(ExpressionError::Exhausted {
                expression: cut(source),
                limit: "5 seconds for a step",
            });
        }
        let program = cache::program(source)?;
        let paths = program.paths();
        let mut roots: BTreeMap<&str, Value> = BTreeMap::new();
        for path in &paths {
            if !roots.contains_key(path.root())
                && let Some(value) = self.root(path, &paths)?
            {
                roots.insert(path.root(), value);
            }
        }
        let mut names = Map::new();
        for path in &paths {
            if let Some(root) = roots.get(path.root())
                && let Ok(value) = walk(root, path)
            {
                names.insert(path.names.join("."), recorded(value));
            }
        }
        let mut variables: Vec<(String, Cel)> =
            roots.iter().map(|(name, value)| ((*name).to_owned(), to_cel(value))).collect();
        for status in program.status() {
            let value = self.status(status);
            names.insert(status.to_owned(), Value::Bool(value));
            variables.push((status.to_owned(), Cel::Bool(value)));
        }
        let value = program
            .run(variables, || paths.iter().find_map(|path| missing(roots.get(path.root())?, path)))?;
        Ok(Found { program, value, names })
    }

    fn root(&self, path: &Path, paths: &[&Path]) -> Result<Option<Value>, ExpressionError> {
        match path.root() {
            "inputs" => Ok(Some(self.inputs().as_ref().clone())),
            "run" => Ok(Some(self.run_object())),
            "trigger" if self.run.origin.trigger.is_some() => {
                Ok(self.run.origin.trigger.as_ref().map(parsed))
            }
            "steps" => self.steps_object(paths).map(Some),
            name => match self.bare(name) {
                Some(value) => Ok(Some(value)),
                None if path.may_be_type() => Ok(None),
                None => Err(ExpressionError::UnknownName { name: name.to_owned(), have: self.bare_names() }),
            },
        }
    }

    fn inputs(&self) -> Rc<Value> {
        self.inputs.get_or_init(|| Rc::new(parsed(&self.run.inputs))).clone()
    }

    fn output(&self, step: StepIx) -> Rc<Value> {
        let parse = || match self.run.steps.get(usize::from(step)).and_then(|step| step.output.as_ref()) {
            Some(output) => Rc::new(parsed(output)),
            None => Rc::new(Value::Null),
        };
        self.outputs.borrow_mut().entry(step).or_insert_with(parse).clone()
    }

    fn run_object(&self) -> Value {
        let run = self.run;
        let labels = run.labels.iter().map(|(name, value)| (name.to_string(), Value::from(&**value)));
        json!({
            "id": run.id.to_string(),
            "workflow": &*run.workflow,
            "status": run.shown_status(),
            "priority": run.priority.name(),
            "labels": labels.collect::<Map<_, _>>(),
            "createdAt": run.created_at.0,
            "startedAt": run.started_at.map(|at| at.0),
        })
    }

    /// The steps that the paths name, or every one where `steps` is used by itself.
    fn steps_object(&self, paths: &[&Path]) -> Result<Value, ExpressionError> {
        let of_steps = || paths.iter().filter(|path| path.root() == "steps");
        let all = of_steps().any(|path| path.names.len() == 1);
        let named: BTreeSet<&str> =
            of_steps().filter_map(|path| path.names.get(1).map(String::as_str)).collect();
        let mut object = Map::new();
        for (place, step) in (0..).zip(&self.definition.steps) {
            if all || named.contains(&*step.id) {
                object.insert(step.id.to_string(), self.step_object(place));
            }
        }
        let absent = of_steps().find(|path| {
            path.names.get(1).is_some_and(|id| !object.contains_key(id))
                && !(path.asked && path.names.len() == 2)
        });
        match absent {
            Some(path) => {
                let have = listed(self.definition.steps.iter().map(|step| step.id.to_string()));
                Err(ExpressionError::UnknownName { name: path.names[..2].join("."), have })
            }
            None => Ok(Value::Object(object)),
        }
    }

    fn step_object(&self, place: StepIx) -> Value {
        let step = &self.run.steps[usize::from(place)];
        let outputs = match self.output(place).as_ref() {
            Value::Null => Value::Object(Map::new()),
            output => output.clone(),
        };
        let error =
            step.error.as_ref().map(|error| json!({ "code": &*error.code, "message": &*error.message }));
        json!({ "outputs": outputs, "status": step.status.name(), "error": error, "attempts": step.attempts })
    }

    /// A bare name: in the outputs of the nearest step before, then in the inputs.
    fn bare(&self, name: &str) -> Option<Value> {
        let of_steps = self.before().into_iter().find_map(|step| self.output(step).get(name).cloned());
        of_steps.or_else(|| self.inputs().get(name).cloned())
    }

    fn bare_names(&self) -> String {
        let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
        let of_steps = self.before().into_iter().filter_map(|step| keys(&self.output(step))).flatten();
        let names: BTreeSet<String> = of_steps.chain(keys(&self.inputs()).into_iter().flatten()).collect();
        listed(names.into_iter())
    }

    /// The steps before this place, nearest first. Before a run's outputs all are, the last of the file first.
    fn before(&self) -> Vec<StepIx> {
        let steps = &self.definition.steps;
        let mut waiting: VecDeque<StepIx> = match self.point {
            EvalPoint::Step(step) => steps[usize::from(step)].needs.iter().copied().collect(),
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
    fn status(&self, function: &str) -> bool {
        let needs: Vec<StepIx> = match self.point {
            EvalPoint::Step(step) => self.definition.steps[usize::from(step)].needs.clone(),
            EvalPoint::Outputs => (0..).zip(&self.definition.steps).map(|(place, _)| place).collect(),
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
            StepStatus::Skipped => step.skip == Some(Skip::Chosen),
            StepStatus::Failed | StepStatus::TimedOut => {
                self.definition.steps[usize::from(place)].continue_on_error
            }
            StepStatus::Pending
            | StepStatus::Evaluating
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Cancelled => false,
        }
    }

    /// It failed, or was skipped because one before it did.
    fn went_wrong(&self, place: StepIx) -> bool {
        let step = &self.run.steps[usize::from(place)];
        match step.status {
            StepStatus::Failed | StepStatus::TimedOut => {
                !self.definition.steps[usize::from(place)].continue_on_error
            }
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

/// JSON that the rules carried without looking; a component may have sent anything the gateway let pass.
fn parsed(json: &Json) -> Value {
    serde_json::from_str(json.as_str()).unwrap_or(Value::Null)
}

/// The value at a path, or how many of its names lead to something.
fn walk<'v>(root: &'v Value, path: &Path) -> Result<&'v Value, (usize, &'v Value)> {
    let mut at = root;
    for (place, name) in path.names.iter().enumerate().skip(1) {
        at = at.get(name).ok_or((place, at))?;
    }
    Ok(at)
}

/// The error of a path that leads nowhere.
pub(super) fn missing(root: &Value, path: &Path) -> Option<ExpressionError> {
    let (place, parent) = walk(root, path).err()?;
    if path.asked && place + 1 == path.names.len() {
        return None;
    }
    let have = match parent {
        Value::Object(fields) => listed(fields.keys().cloned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            format!("nothing, `{}` is not an object", cut(&path.names[..place].join(".")))
        }
    };
    Some(ExpressionError::UnknownName { name: cut(&path.names[..=place].join(".")), have })
}

pub(super) fn listed(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.take(HAVE_MAX + 1).map(|name| cut(&name)).collect();
    if names.is_empty() {
        return "nothing".to_owned();
    }
    if names.len() > HAVE_MAX {
        names[HAVE_MAX] = "…".to_owned();
    }
    names.join(", ")
}

fn recorded(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= RECORDED_BYTES_MAX {
        return value.clone();
    }
    Value::String(format!("… ({} bytes)", text.len()))
}
