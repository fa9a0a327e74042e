//! Texts that are filled in before there is a run: from its inputs and from what triggered it.
//! Knows nothing of steps; whoever starts a run, of whatever cause, finds its concurrency group here.

use std::collections::BTreeMap;

use orc_domain::{Definition, Group, Json, Text};
use serde_json::Value;

use super::{
    cache,
    error::{ExpressionError, cut},
    scope::{listed, missing, parsed},
    template,
    value::{to_cel, to_json},
};

/// The longest name of a group, in bytes.
const NAME_MAX: usize = 256;

/// Fills in the `${{ }}` of a text. Names: `inputs`, `trigger` and, bare, the inputs; `trigger` is `null` where there is none.
pub fn fill_text(template: &str, inputs: &Value, trigger: &Value) -> Result<String, ExpressionError> {
    let filled = template::fill(&Value::from(template), &mut |source| evaluate(source, inputs, trigger))?;
    Ok(match filled {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// The concurrency group of a run to start, if its workflow has any.
pub fn group_of(
    definition: &Definition,
    inputs: &Json,
    trigger: &Value,
) -> Result<Option<Group>, ExpressionError> {
    let Some(concurrency) = &definition.concurrency else { return Ok(None) };
    let name = match &concurrency.group {
        Some(template) => fill_text(template, &parsed(inputs), trigger)?,
        None => definition.name.to_string(),
    };
    if name.is_empty() || name.len() > NAME_MAX {
        let expression = cut(concurrency.group.as_deref().unwrap_or_default());
        let got = if name.is_empty() { "an empty text" } else { "a longer text" };
        return Err(ExpressionError::Unfit { expression, got, wanted: "a name of 1 to 256 bytes" });
    }
    let (name, limit, on_conflict) = (Text::from(name), concurrency.limit, concurrency.on_conflict);
    Ok(Some(Group { name, limit, on_conflict }))
}

fn evaluate(source: &str, inputs: &Value, trigger: &Value) -> Result<Value, ExpressionError> {
    let program = cache::program(source)?;
    let paths = program.paths();
    let unknown = |name: &str| {
        let names = inputs.as_object().into_iter().flat_map(|fields| fields.keys().cloned());
        let have = listed(["inputs".to_owned(), "trigger".to_owned()].into_iter().chain(names));
        ExpressionError::UnknownName { name: cut(name), have }
    };
    let mut roots = BTreeMap::new();
    for path in &paths {
        let value = match path.root() {
            "inputs" => Some(inputs),
            "trigger" => Some(trigger),
            name => inputs.get(name),
        };
        match value {
            Some(value) => {
                roots.insert(path.root(), value);
            }
            None if path.may_be_type() => {}
            None => return Err(unknown(path.root())),
        }
    }
    if let Some(status) = program.status().next() {
        return Err(unknown(status));
    }
    let variables = roots.iter().map(|(name, value)| ((*name).to_owned(), to_cel(value))).collect();
    let value =
        program.run(variables, || paths.iter().find_map(|path| missing(roots.get(path.root())?, path)))?;
    to_json(&value).map_err(|_| program.unfit(&value, "a value that JSON has a word for"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{Concurrency, DefinitionId, OnConflict};
    use serde_json::json;

    fn check(template: &str, expected: Result<&str, &str>) {
        let inputs = json!({"env": "prod", "n": 3, "list": [1, 2]});
        let trigger = json!({"body": {"number": 7}});
        let filled = fill_text(template, &inputs, &trigger).map_err(|error| error.to_string());
        match (filled, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
            (filled, expected) => panic!("{template}: {filled:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_text_is_filled_in_from_inputs_and_trigger() {
        check("deploy-${{ inputs.env }}", Ok("deploy-prod"));
        check("${{ env }}-${{ n + 1 }}", Ok("prod-4"));
        check("${{ n }}", Ok("3"));
        check("pr-${{ trigger.body.number }}", Ok("pr-7"));
        check("${{ has(inputs.x) ? 'x' : 'y' }}", Ok("y"));
        check("plain", Ok("plain"));
        check("${{ inputs.nothing }}", Err("unknown name `inputs.nothing`, have: env, list, n"));
        check("${{ nothing }}", Err("unknown name `nothing`, have: inputs, trigger, env, list, n"));
        check("${{ success() }}", Err("unknown name"));
    }

    #[test]
    fn a_run_gets_the_group_that_its_workflow_says() {
        let mut definition = Definition::new(DefinitionId([1; 16]), "deploy", Vec::new());
        let group = |definition: &Definition, inputs: &str| {
            group_of(definition, &Json::from(inputs), &Value::Null).map_err(|error| error.to_string())
        };
        assert_eq!(group(&definition, "{}"), Ok(None));
        let (limit, on_conflict) = (2, OnConflict::Reject);
        definition.concurrency = Some(Concurrency { group: None, limit, on_conflict });
        let named = |name: &str| Ok(Some(Group { name: name.into(), limit, on_conflict }));
        assert_eq!(group(&definition, "{}"), named("deploy"), "all runs of the workflow are one group");
        let text = Some("${{ inputs.env }}".into());
        definition.concurrency = Some(Concurrency { group: text, limit, on_conflict });
        assert_eq!(group(&definition, r#"{"env":"prod"}"#), named("prod"));
        assert!(group(&definition, r#"{"env":""}"#).is_err_and(|error| error.contains("1 to 256 bytes")));
    }
}
