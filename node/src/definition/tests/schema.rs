//! The JSON Schema of workflow files fits what the compiler takes, and refuses what it refuses.

use jsonschema::Validator;
use serde_json::Value;

use super::super::SCHEMA;

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("it is a schema");
    jsonschema::draft202012::new(&schema).expect("it is a schema")
}

pub(super) fn mistakes(text: &str) -> Vec<String> {
    let document: Value = serde_saphyr::from_str(text).expect("it is YAML");
    validator().iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_example_fits_the_schema() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("there are examples") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).expect("it can be read");
            assert_eq!(mistakes(&text), [""; 0], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} examples");
}

#[test]
fn what_the_compiler_refuses_does_not_fit() {
    for (text, part) in [
        ("name: W\nsteps: [{ id: a, typ: task }]", "typ"),
        ("name: W\nstep: [{ id: a }]\nsteps: [{ id: a }]", "step"),
        ("name: W\nsteps: []", ""),
        ("steps: [{ id: a }]", "name"),
        ("name: W\nsteps: [{ type: task }]", ""),
        ("name: W\nsteps: [{ id: a-b }]", "a-b"),
        ("name: W\nsteps: [{ id: a, timeout: soon }]", "soon"),
        ("name: W\nsteps: [{ id: a, retry: { limit: 0 } }]", ""),
        ("name: W\nsteps: [{ id: a }]\ntriggers: { cron: [{ timezone: UTC }] }", ""),
        ("name: W\nsteps: [{ id: a }]\ntriggers: { webhook: [{ id: a, secret: lower }] }", ""),
        ("name: W\nsteps: [{ id: a }]\ninputs: { n: { type: float } }", ""),
        ("name: W\nsteps: [{ id: a }]\ntriggers: { event: [{ id: a }] }", ""),
        ("name: W\nsteps: [{ id: a }]\ntriggers: { workflow: [{ name: b, on: soon }] }", ""),
        ("name: W\nsteps: [{ id: a, wait: { events: x } }]", ""),
    ] {
        let found = mistakes(text);
        assert!(found.iter().any(|mistake| mistake.contains(part)), "{text}: {found:?}");
        assert!(super::compile(text).is_err(), "the compiler takes it: {text}");
    }
}
