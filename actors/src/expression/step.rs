//! What a step's or a run's expressions are, as the command that records them has it.
//! Order: `if`, then the condition or the templates of the config.

use cel::Value as Cel;
use orc_domain::{CacheKey, Decision, EvalPoint, Evaluation, Json, StepIx, StepKind, Text, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    RESULT_BYTES_MAX, cache,
    error::ExpressionError,
    items::{Wanted, items_of},
    scope::{Family, Scope, parsed},
    template,
};

/// What an evaluation led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluated {
    /// What is to be recorded.
    Known(Evaluation),
    /// A workflow to be looked up by its name, and what it is given.
    Workflow {
        /// Its name.
        name: Text,
        /// Its version, the latest if none.
        version: Option<u32>,
        /// Its inputs, a JSON object.
        inputs: Json,
    },
}

impl From<Evaluation> for Evaluated {
    fn from(evaluation: Evaluation) -> Self {
        Evaluated::Known(evaluation)
    }
}

/// Evaluates what a run awaits. A name or expression that does not work out is [`Evaluation::Failed`], never a silent
/// false.
pub fn evaluate(family: &Family, point: EvalPoint) -> Evaluated {
    let found = match point {
        EvalPoint::Step(step) => of_step(family, step),
        EvalPoint::Outputs => of_run(family).map(Evaluated::Known),
        EvalPoint::StepOutputs(step) => {
            let outputs = &family.definition.block(family.runs[0].block)[usize::from(step)].outputs;
            outputs_of(&Scope::new(family, point), outputs).map(Evaluated::Known)
        }
    };
    found.unwrap_or_else(|error| Evaluation::Failed(error.failure()).into())
}

fn of_step(family: &Family, place: StepIx) -> Result<Evaluated, ExpressionError> {
    let scope = Scope::new(family, EvalPoint::Step(place));
    let step = &family.definition.block(family.runs[0].block)[usize::from(place)];
    if let Some(only_if) = &step.only_if {
        let decision = decide(&scope, only_if)?;
        if !decision.value {
            return Ok(Evaluation::Skip(decision).into());
        }
    }
    let mut filling = Filling { scope: &scope, bytes: 0 };
    if let (Some(wanted), StepKind::Task { action, config, templated }) = (&step.cache, &step.kind) {
        let key = filling.fill(&Json::from(Value::from(&*wanted.key).to_string()))?;
        let workflow = family.runs[family.runs.len() - 1].workflow_name();
        let key = cache_key(&[&workflow, &step.id, action, config.as_str(), key.as_str()]);
        let config = if *templated { Some(filling.fill(config)?) } else { None };
        return Ok(Evaluation::Cacheable { key, config }.into());
    }
    Ok(match &step.kind {
        StepKind::Condition { expression, .. } => Evaluation::Condition(decide(&scope, expression)?).into(),
        StepKind::Task { config: template, templated: true, .. }
        | StepKind::Approval { request: template, templated: true, .. }
        | StepKind::Message { request: template, templated: true }
        | StepKind::Emit { data: template, templated: true, .. } => {
            Evaluation::Proceed { config: Some(filling.fill(template)?) }.into()
        }
        StepKind::State { writes, templated: true, .. } => {
            let values = writes.iter().map(|(_, value)| filling.fill(value)).collect::<Result<_, _>>()?;
            Evaluation::Values(values).into()
        }
        StepKind::ForEach { items, item, index, key, .. } => {
            let wanted = Wanted { items, key: key.as_deref(), names: [item, index] };
            Evaluation::Items(items_of(&scope, &wanted)?).into()
        }
        StepKind::Until { expression } => Evaluation::Until(time_of(&scope, expression)?).into(),
        StepKind::Workflow { name, version, inputs, .. } => {
            Evaluated::Workflow { name: name.clone(), version: *version, inputs: filling.fill(inputs)? }
        }
        StepKind::Task { .. }
        | StepKind::Parallel { .. }
        | StepKind::Delay { .. }
        | StepKind::Signal { .. }
        | StepKind::Event { .. }
        | StepKind::Approval { .. }
        | StepKind::State { .. }
        | StepKind::Message { .. }
        | StepKind::Emit { .. } => Evaluation::Proceed { config: None }.into(),
    })
}

/// The same parts make the same key, in every run and on every node.
fn cache_key(parts: &[&str]) -> CacheKey {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    CacheKey(std::array::from_fn(|place| digest[place]))
}

/// Fills templates in, and stops early where thousands of them would each bring a large value.
struct Filling<'s> {
    scope: &'s Scope<'s>,
    bytes: usize,
}

impl Filling<'_> {
    fn fill(&mut self, template: &Json) -> Result<Json, ExpressionError> {
        let template = parsed(template);
        let filled = template::fill(&template, &mut |source| {
            let value = self.scope.evaluate(source)?.json()?;
            self.bytes += bounded(&value)?.as_str().len();
            if self.bytes > RESULT_BYTES_MAX {
                return Err(ExpressionError::Large { bytes: self.bytes });
            }
            Ok(value)
        })?;
        bounded(&filled)
    }
}

fn time_of(scope: &Scope<'_>, expression: &str) -> Result<Timestamp, ExpressionError> {
    let found = scope.evaluate(expression)?;
    let unfit = || found.program.unfit(&found.value, "a time (RFC 3339, or milliseconds since 1970)");
    let millis = match &found.value {
        Cel::Int(millis) => *millis,
        Cel::Timestamp(time) => time.timestamp_millis(),
        Cel::String(_) => {
            let parse = cache::program("timestamp(text)")?;
            match parse.run(vec![("text".to_owned(), found.value.clone())], || None) {
                Ok(Cel::Timestamp(time)) => time.timestamp_millis(),
                Ok(_) | Err(_) => return Err(unfit()),
            }
        }
        _ => return Err(unfit()),
    };
    u64::try_from(millis).map(Timestamp).map_err(|_| unfit())
}

fn of_run(family: &Family) -> Result<Evaluation, ExpressionError> {
    if family.definition.outputs.is_empty() {
        let last = family.runs[0].steps.last().and_then(|step| step.output.clone());
        return Ok(Evaluation::Outputs(last.unwrap_or_else(Json::null)));
    }
    outputs_of(&Scope::new(family, EvalPoint::Outputs), &family.definition.outputs)
}

fn outputs_of(scope: &Scope<'_>, named: &[(Text, Text)]) -> Result<Evaluation, ExpressionError> {
    let mut outputs = Map::new();
    for (name, expression) in named {
        outputs.insert(name.to_string(), scope.evaluate(expression)?.json()?);
    }
    Ok(Evaluation::Outputs(bounded(&Value::Object(outputs))?))
}

fn decide(scope: &Scope<'_>, expression: &str) -> Result<Decision, ExpressionError> {
    let found = scope.evaluate(expression)?;
    Ok(Decision { value: found.program.boolean(&found.value)?, inputs: found.inputs() })
}

fn bounded(value: &Value) -> Result<Json, ExpressionError> {
    let text = value.to_string();
    if text.len() > RESULT_BYTES_MAX {
        return Err(ExpressionError::Large { bytes: text.len() });
    }
    Ok(Json::from(text))
}
