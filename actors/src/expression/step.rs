//! What a step's or a run's expressions are, as the command that records them has it.
//! Order: `if`, then the condition or the templates of the config.

use orc_domain::{Decision, Definition, EvalPoint, Evaluation, Json, Run, StepIx, StepKind};
use serde_json::{Map, Value};

use super::{
    RESULT_BYTES_MAX,
    error::ExpressionError,
    scope::{Found, Scope},
    template,
    value::to_json,
};

/// Evaluates what a run awaits.
pub fn evaluate(run: &Run, definition: &Definition, point: EvalPoint) -> Evaluation {
    match point {
        EvalPoint::Step(step) => evaluate_step(run, definition, step),
        EvalPoint::Outputs => evaluate_outputs(run, definition),
    }
}

/// Evaluates a step's `if`, then its condition or the templates of its config. A name or expression that does not work
/// out is [`Evaluation::Failed`], never a silent false.
pub fn evaluate_step(run: &Run, definition: &Definition, step: StepIx) -> Evaluation {
    of_step(run, definition, step).unwrap_or_else(|error| Evaluation::Failed(error.failure()))
}

/// Evaluates the `outputs` of a definition, or takes the output of its last step where it has none.
pub fn evaluate_outputs(run: &Run, definition: &Definition) -> Evaluation {
    of_outputs(run, definition).unwrap_or_else(|error| Evaluation::Failed(error.failure()))
}

fn of_step(run: &Run, definition: &Definition, place: StepIx) -> Result<Evaluation, ExpressionError> {
    let scope = Scope::new(run, definition, EvalPoint::Step(place));
    let step = &definition.steps[usize::from(place)];
    if let Some(only_if) = &step.only_if {
        let decision = decide(&scope, only_if)?;
        if !decision.value {
            return Ok(Evaluation::Skip(decision));
        }
    }
    match &step.kind {
        StepKind::Condition { expression, .. } => decide(&scope, expression).map(Evaluation::Condition),
        StepKind::Task { config, templated: true, .. } => {
            let config: Value = serde_json::from_str(config.as_str()).unwrap_or(Value::Null);
            let mut bytes = 0;
            let filled = template::fill(&config, &mut |source| {
                let value = json(&scope.evaluate(source)?)?;
                // Stops early where thousands of templates would each bring a large value.
                bytes += bounded(&value)?.as_str().len();
                if bytes > RESULT_BYTES_MAX { Err(ExpressionError::Large { bytes }) } else { Ok(value) }
            })?;
            Ok(Evaluation::Proceed { config: Some(bounded(&filled)?) })
        }
        StepKind::Task { .. } | StepKind::Parallel { .. } | StepKind::Delay { .. } => {
            Ok(Evaluation::Proceed { config: None })
        }
    }
}

fn of_outputs(run: &Run, definition: &Definition) -> Result<Evaluation, ExpressionError> {
    if definition.outputs.is_empty() {
        let last = run.steps.last().and_then(|step| step.output.clone());
        return Ok(Evaluation::Outputs(last.unwrap_or_else(Json::null)));
    }
    let scope = Scope::new(run, definition, EvalPoint::Outputs);
    let mut outputs = Map::new();
    for (name, expression) in &definition.outputs {
        outputs.insert(name.to_string(), json(&scope.evaluate(expression)?)?);
    }
    Ok(Evaluation::Outputs(bounded(&Value::Object(outputs))?))
}

fn decide(scope: &Scope<'_>, expression: &str) -> Result<Decision, ExpressionError> {
    let found = scope.evaluate(expression)?;
    Ok(Decision { value: found.program.boolean(&found.value)?, inputs: found.inputs() })
}

fn json(found: &Found) -> Result<Value, ExpressionError> {
    to_json(&found.value).map_err(|what| found.program.no_json(what))
}

fn bounded(value: &Value) -> Result<Json, ExpressionError> {
    let text = value.to_string();
    if text.len() > RESULT_BYTES_MAX {
        return Err(ExpressionError::Large { bytes: text.len() });
    }
    Ok(Json::from(text))
}
