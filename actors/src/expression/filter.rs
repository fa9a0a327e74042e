//! Whether a filter lets what happened through: an expression over `trigger` alone, or over `event` and what a step sees.

use cel::Value as Cel;
use orc_domain::{EvalPoint, StepIx};
use serde_json::{Map, Value};

use super::{
    cache,
    error::ExpressionError,
    scope::{Family, Scope, listed, missing},
    value::to_cel,
};

/// Evaluates a filter over the object `trigger`; an unknown name is an error, never a silent false.
pub fn filter(source: &str, trigger: &Map<String, Value>) -> Result<bool, ExpressionError> {
    let program = cache::program(source)?;
    let paths = program.paths();
    if let Some(path) = paths.iter().find(|path| path.root() != "trigger" && !path.may_be_type()) {
        let have = listed(std::iter::once("trigger".to_owned()));
        return Err(ExpressionError::UnknownName { name: path.root().to_owned(), have });
    }
    let root = Value::Object(trigger.clone());
    let variables = vec![("trigger".to_owned(), to_cel(&root))];
    let value: Cel = program.run(variables, || paths.iter().find_map(|path| missing(&root, path)))?;
    program.boolean(&value)
}

/// Evaluates the filter of a step that waits for an event over the object `event` and all that the step sees.
pub fn awaits(family: &Family, place: StepIx, source: &str, event: &Value) -> Result<bool, ExpressionError> {
    let scope = Scope::new(family, EvalPoint::Step(place));
    scope.bind(vec![("event".to_owned(), event.clone())]);
    let found = scope.evaluate(source)?;
    found.program.boolean(&found.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(source: &str, expected: Result<bool, &str>) {
        let trigger = json!({"event": "push", "body": {"action": "opened", "n": 3}});
        let found =
            filter(source, trigger.as_object().expect("an object")).map_err(|error| error.to_string());
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{source}"),
            Err(part) => {
                assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{source}: {found:?}")
            }
        }
    }

    #[test]
    fn a_filter_sees_the_trigger_and_nothing_else() {
        check("trigger.body.action in ['opened', 'synchronize']", Ok(true));
        check("trigger.event == 'push' && trigger.body.n > 3", Ok(false));
        check("has(trigger.body.missing) && trigger.body.missing == 1", Ok(false));
        check("trigger.body.missing == 1", Err("trigger.body.missing"));
        check("inputs.x", Err("unknown name `inputs`"));
        check("trigger.body.n", Err("n"));
    }
}
