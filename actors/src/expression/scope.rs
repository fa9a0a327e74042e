//! What names mean at one place of a run: `inputs`, `steps`, `run`, `output`, `trigger`, and bare names: an item's, an output of the
//! nearest step before it, an input. A child sees the runs around it. Parses only the outputs that an expression names.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use cel::Value as Cel;
use orc_domain::{Definition, DefinitionId, EvalPoint, Json, Run, RunId};
use serde_json::{Map, Value, json};

use super::{
    analysis::{Path, state_variable},
    cache,
    error::{ExpressionError, cut},
    frame::Frame,
    program::Program,
    template,
    value::{to_cel, to_json},
};

/// Time that all expressions of a step may take together.
const TIME_MAX: Duration = Duration::from_secs(5);
/// How deep runs of one definition nest.
const FAMILY_MAX: usize = 64;
/// Names listed in a message.
const HAVE_MAX: usize = 20;
/// A longer value is recorded by its length only.
const RECORDED_BYTES_MAX: usize = 4 * 1024;

/// A run, and the runs of the same definition whose child it is, the nearest first.
#[derive(Clone)]
pub struct Family {
    /// The run itself, then its parent, and so on up to the run of the whole workflow.
    pub runs: Vec<Arc<Run>>,
    /// What they execute.
    pub definition: Arc<Definition>,
    /// Reads a state key.
    pub key: ReadKey,
}

impl Family {
    /// A live run with those of its definition around it; none once one of them has ended.
    pub fn of(
        run: &RunId,
        runs: impl Fn(&RunId) -> Option<Arc<Run>>,
        definitions: impl Fn(&DefinitionId) -> Option<Arc<Definition>>,
        key: ReadKey,
    ) -> Option<Family> {
        let mut family = vec![runs(run)?];
        let definition = definitions(&family[0].definition)?;
        while let Some(parent) = family.last().filter(|run| run.block > 0).and_then(|run| run.parent.as_ref())
            && family.len() < FAMILY_MAX
        {
            family.push(runs(&parent.run)?);
        }
        Some(Family { runs: family, definition, key })
    }
}

/// Reads a state key; none where it has no value.
pub type ReadKey = Arc<dyn Fn(&str) -> Option<Json> + Send + Sync>;

/// Names and their values at one place of a run.
pub(super) struct Scope<'a> {
    /// The run itself first, the whole workflow's last.
    frames: Vec<Frame<'a>>,
    definition: &'a Definition,
    in_env: Cell<bool>,
    key: &'a ReadKey,
    until: Instant,
    inputs: OnceCell<Rc<Value>>,
    /// Names that stand for something here, whatever else they stand for.
    bound: RefCell<Vec<(String, Value)>>,
}

/// An expression's value, and what it was found from.
pub(super) struct Found {
    pub(super) program: Arc<Program>,
    pub(super) value: Cel,
    names: Map<String, Value>,
}

impl Found {
    /// Its value as JSON.
    pub(super) fn json(&self) -> Result<Value, ExpressionError> {
        to_json(&self.value).map_err(|what| self.program.no_json(what))
    }

    /// The names used with their values, as a decision records them.
    pub(super) fn inputs(&self) -> Json {
        Json::from(Value::Object(self.names.clone()).to_string())
    }
}

impl<'a> Scope<'a> {
    pub(super) fn new(family: &'a Family, point: EvalPoint) -> Self {
        let Family { runs, definition, key } = family;
        let own = runs.iter().take(1).map(|run| Frame::new(run, definition, point));
        let around = runs.windows(2).map(|pair| Frame::around(&pair[0], &pair[1], definition));
        Scope {
            frames: own.chain(around).collect(),
            definition,
            in_env: Cell::new(false),
            key,
            until: Instant::now() + TIME_MAX,
            inputs: OnceCell::new(),
            bound: RefCell::default(),
        }
    }

    /// Names that stand for something from now on, instead of those bound before.
    pub(super) fn bind(&self, names: Vec<(String, Value)>) {
        self.bound.replace(names);
    }

    /// The run of the whole workflow.
    fn whole(&self) -> &'a Run {
        self.frames[self.frames.len() - 1].run
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
            let value = self.frames[0].status(status);
            names.insert(status.to_owned(), Value::Bool(value));
            variables.push((status.to_owned(), Cel::Bool(value)));
        }
        for key in program.keys() {
            let value = (self.key)(key).map_or(Value::Null, |value| parsed(&value));
            names.insert(state_variable(key), recorded(&value));
            variables.push((state_variable(key), to_cel(&value)));
        }
        let value = program
            .run(variables, || paths.iter().find_map(|path| missing(roots.get(path.root())?, path)))?;
        Ok(Found { program, value, names })
    }

    fn root(&self, path: &Path, paths: &[&Path]) -> Result<Option<Value>, ExpressionError> {
        match path.root() {
            "inputs" => Ok(Some(self.inputs().as_ref().clone())),
            "run" => Ok(Some(self.run_object())),
            "trigger" if self.whole().origin.trigger.is_some() => {
                Ok(self.whole().origin.trigger.as_ref().map(parsed))
            }
            "env" if !self.in_env.get() => self.env().map(Some),
            "steps" => self.steps_object(paths).map(Some),
            "output" if self.frames[0].own_output().is_some() => {
                Ok(self.frames[0].own_output().map(|output| output.as_ref().clone()))
            }
            name => match self.bare(name) {
                Some(value) => Ok(Some(value)),
                None if path.may_be_type() => Ok(None),
                None => Err(ExpressionError::UnknownName { name: name.to_owned(), have: self.bare_names() }),
            },
        }
    }

    fn inputs(&self) -> Rc<Value> {
        self.inputs.get_or_init(|| Rc::new(parsed(&self.whole().inputs))).clone()
    }

    /// The `env` of the workflow. Its own texts do not see it.
    fn env(&self) -> Result<Value, ExpressionError> {
        let source = parsed(&self.definition.source);
        let env = source.get("env").cloned().unwrap_or_else(|| json!({}));
        self.in_env.set(true);
        let filled = template::fill(&env, &mut |source| self.evaluate(source)?.json());
        self.in_env.set(false);
        filled
    }

    fn run_object(&self) -> Value {
        let run = self.whole();
        let labels = run.labels.iter().map(|(name, value)| (name.to_string(), Value::from(&**value)));
        json!({
            "id": run.id.to_string(),
            "workflow": &*run.workflow,
            "status": run.shown_status(),
            "priority": run.priority.name(),
            "labels": labels.collect::<Map<_, _>>(),
            "createdAt": run.created_at.0,
            "startedAt": run.started_at.map(|at| at.0),
            "conclusion": run.handling.as_ref().map(|handling| handling.conclusion.name()),
            "error": run.error.as_ref().map(|error| json!({ "code": &*error.code, "message": &*error.message })),
        })
    }

    /// The steps that the paths name, or every one where `steps` is used by itself.
    fn steps_object(&self, paths: &[&Path]) -> Result<Value, ExpressionError> {
        let of_steps = || paths.iter().filter(|path| path.root() == "steps");
        let all = of_steps().any(|path| path.names.len() == 1);
        let named: BTreeSet<&str> =
            of_steps().filter_map(|path| path.names.get(1).map(String::as_str)).collect();
        let mut object = Map::new();
        // The nearest run that has a step of the name counts.
        for frame in self.frames.iter().rev() {
            for (place, step) in (0..).zip(frame.steps) {
                if all || named.contains(&*step.id) {
                    object.insert(step.id.to_string(), frame.step_object(place));
                }
            }
        }
        let absent = of_steps().find(|path| {
            path.names.get(1).is_some_and(|id| !object.contains_key(id))
                && !(path.asked && path.names.len() == 2)
        });
        match absent {
            Some(path) => {
                let steps = self.frames.iter().flat_map(|frame| frame.steps);
                let have = listed(steps.map(|step| step.id.to_string()));
                Err(ExpressionError::UnknownName { name: path.names[..2].join("."), have })
            }
            None => Ok(Value::Object(object)),
        }
    }

    /// A bare name: the item of the nearest `foreach`, the outputs of the nearest step before, then the inputs.
    fn bare(&self, name: &str) -> Option<Value> {
        let of_frame = |(place, frame): (usize, &Frame<'_>)| {
            let item = self.item_names(place).into_iter().find(|(known, _)| known == name);
            let before = || frame.before().into_iter().find_map(|step| frame.output(step).get(name).cloned());
            item.map(|(_, value)| value).or_else(before)
        };
        let bound =
            self.bound.borrow().iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let found = bound.or_else(|| self.frames.iter().enumerate().find_map(of_frame));
        found.or_else(|| self.inputs().get(name).cloned())
    }

    /// The names of the item that a run of the family is for.
    fn item_names(&self, place: usize) -> Vec<(String, Value)> {
        let parent = self.frames.get(place + 1);
        parent.map_or_else(Vec::new, |parent| parent.item_names(self.frames[place].run))
    }

    fn bare_names(&self) -> String {
        let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
        let of_frame = |(place, frame): (usize, &Frame<'_>)| {
            let items = self.item_names(place).into_iter().map(|(name, _)| name);
            let outputs = frame.before().into_iter().filter_map(|step| keys(&frame.output(step))).flatten();
            items.chain(outputs).collect::<Vec<_>>()
        };
        let found = self.frames.iter().enumerate().flat_map(of_frame);
        let bound = self.bound.borrow();
        let bound = bound.iter().map(|(name, _)| name.clone());
        let names: BTreeSet<String> =
            bound.chain(found).chain(keys(&self.inputs()).into_iter().flatten()).collect();
        listed(names.into_iter())
    }
}

/// JSON that the rules carried without looking; a component may have sent anything the gateway let pass.
pub(super) fn parsed(json: &Json) -> Value {
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
