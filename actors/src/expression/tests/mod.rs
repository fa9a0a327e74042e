//! One run of five steps to evaluate on: prepare → train → (a gate) → report, and a lone one.

use std::{sync::Arc, time::Duration};

use orc_domain::{
    CreateRun, Definition, DefinitionId, EvalPoint, Evaluation, Item, Json, OnFalse, Parent, Retry, Role,
    Run, RunId, RunStatus, Skip, Step, StepDef, StepIx, StepKind, StepStatus, Text, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

mod limits;
mod noise;
mod steps;
mod values;

use super::*;

const GATE: u16 = 2;
const REPORT: u16 = 3;

fn step(id: &str, needs: &[u16], kind: StepKind) -> StepDef {
    let retry = Retry {
        limit: 3,
        delay: Duration::ZERO,
        backoff_percent: 100,
        delay_max: Duration::ZERO,
        jitter: false,
        non_retryable: Vec::new(),
        lost_max: 0,
        on: Vec::new(),
    };
    StepDef { needs: needs.to_vec(), ..StepDef::new(id, kind, retry) }
}

fn task(config: &Value) -> StepKind {
    StepKind::Task { action: "echo".into(), config: Json::from(config.to_string()), templated: true }
}

fn definition() -> Definition {
    let gate = StepKind::Condition { expression: "true".into(), on_false: OnFalse::Skip };
    let mut steps = vec![
        step("prepare", &[], task(&json!({}))),
        step("train", &[0], task(&json!({}))),
        step("gate", &[1], gate),
        step("report", &[2], task(&json!({}))),
        step("lone", &[], task(&json!({}))),
    ];
    for place in 0..3u16 {
        steps[usize::from(place)].followers = vec![place + 1];
    }
    Definition::new(DefinitionId([0; 16]), "pipeline", steps)
}

fn family(run: &Run, definition: &Definition) -> Family {
    Family {
        runs: vec![Arc::new(run.clone())],
        definition: Arc::new(definition.clone()),
        key: Arc::new(stored),
    }
}

fn stored(key: &str) -> Option<Json> {
    (key == "app.limit").then(|| Json::from("{\"max\":7}"))
}

fn at(run: &Run, definition: &Definition, point: EvalPoint) -> Evaluation {
    match evaluate(&family(run, definition), point) {
        Evaluated::Known(evaluation) => evaluation,
        other @ Evaluated::Workflow { .. } => panic!("{other:?} is still to be looked up"),
    }
}

fn at_step(run: &Run, definition: &Definition, step: StepIx) -> Evaluation {
    at(run, definition, EvalPoint::Step(step))
}

fn run() -> Run {
    let done = |output: Value| Step {
        status: StepStatus::Completed,
        attempts: 1,
        output: Some(Json::from(output.to_string())),
        ..Step::pending()
    };
    let steps = vec![
        done(json!({ "rows": 1000, "seed": 7, "files": ["a", "b"] })),
        done(
            json!({ "accuracy": 0.9, "loss": 0.25, "rows": 5, "model-name": "m1", "nested": { "deep": [1, { "x": 2 }] } }),
        ),
        Step { status: StepStatus::Evaluating, ..Step::pending() },
        Step::pending(),
        done(json!({ "elsewhere": true })),
    ];
    let inputs = json!({ "threshold": 0.85, "epochs": 3, "seed": 1, "who": "Ann \"A\"" });
    let create = CreateRun {
        inputs: Json::from(inputs.to_string()),
        labels: [(Arc::from("team"), Arc::from("ml"))].into_iter().collect(),
        ..CreateRun::new(RunId(Uuid::from_u128(1)), DefinitionId([0; 16]))
    };
    Run {
        status: RunStatus::Running,
        started_at: Some(Timestamp(6)),
        steps,
        open_steps: 2,
        ..Run::created(&create, &definition(), Timestamp(5), 1)
    }
}

/// What an expression is as an output of the gate's condition or as a template; an error is its message.
fn value_of(expression: &str) -> String {
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind = task(&json!({ "v": format!("${{{{ {expression} }}}}") }));
    match at_step(&run(), &definition, GATE) {
        Evaluation::Proceed { config: Some(config) } => {
            let config: Value = serde_json::from_str(config.as_str()).expect("a config is JSON");
            config["v"].to_string()
        }
        Evaluation::Failed(failure) => format!("{}: {}", failure.code, failure.message),
        other => panic!("{other:?}"),
    }
}

fn check_values(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(expression, expected)| (expression, expected, value_of(expression)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(expression, expected, found)| {
            format!("{expression}\n  expected {expected}\n  found    {found}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
