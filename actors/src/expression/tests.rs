//! Tables of expressions and what they are, on one run of five steps: prepare → train → (a gate) → report, and a lone one.

use std::{sync::Arc, time::Duration};

use orc_domain::{
    Definition, DefinitionId, EvalPoint, Evaluation, Json, OnFalse, Priority, Retry, Run, RunId, RunStatus, Skip, Step,
    StepDef, StepKind, StepStatus, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

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
    };
    StepDef {
        id: id.into(),
        name: id.into(),
        needs: needs.to_vec(),
        followers: Vec::new(),
        only_if: None,
        kind,
        timeout: Duration::from_secs(1),
        queue_timeout: None,
        retry,
        continue_on_error: false,
        labels: Default::default(),
        priority: None,
    }
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
    Definition {
        id: DefinitionId([0; 16]),
        name: "pipeline".into(),
        source: Json::null(),
        steps,
        outputs: Vec::new(),
        timeout: Duration::from_secs(60),
    }
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
        done(json!({ "accuracy": 0.9, "loss": 0.25, "rows": 5, "model-name": "m1", "nested": { "deep": [1, { "x": 2 }] } })),
        Step { status: StepStatus::Evaluating, ..Step::pending() },
        Step::pending(),
        done(json!({ "elsewhere": true })),
    ];
    Run {
        id: RunId(Uuid::from_u128(1)),
        definition: DefinitionId([0; 16]),
        workflow: "pipeline".into(),
        status: RunStatus::Running,
        conclusion: None,
        inputs: Json::from(json!({ "threshold": 0.85, "epochs": 3, "seed": 1, "who": "Ann \"A\"" }).to_string()),
        labels: [(Arc::from("team"), Arc::from("ml"))].into_iter().collect(),
        priority: Priority::Normal,
        created_rev: 1,
        created_at: Timestamp(5),
        started_at: Some(Timestamp(6)),
        ended_at: None,
        deadline: None,
        steps,
        open_steps: 2,
        error: None,
        cancelling: None,
        timing_out: false,
        gated: false,
        finishing: false,
        outputs: None,
    }
}

/// What an expression is as an output of the gate's condition or as a template; an error is its message.
fn value_of(expression: &str) -> String {
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind = task(&json!({ "v": format!("${{{{ {expression} }}}}") }));
    match evaluate_step(&run(), &definition, GATE) {
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
        .map(|(expression, expected, found)| format!("{expression}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_mean_the_nearest_step_then_the_inputs() {
    check_values(&[
        ("accuracy", "0.9"),
        ("rows", "5"),
        ("files", r#"["a","b"]"#),
        ("seed", "7"),
        ("inputs.seed", "1"),
        ("epochs", "3"),
        ("nested.deep[1].x", "2"),
        ("steps.prepare.outputs.rows", "1000"),
        ("steps['train'].outputs['model-name']", r#""m1""#),
        ("steps.train.status", r#""completed""#),
        ("steps.train.attempts", "1"),
        ("steps.train.error", "null"),
        ("steps.report.status", r#""pending""#),
        ("size(steps)", "5"),
        ("run.id", r#""run_00000000000000000000000001""#),
        ("run.workflow + '/' + run.labels.team", r#""pipeline/ml""#),
        ("has(steps.train.outputs.accuracy)", "true"),
        ("has(steps.train.outputs.nothing)", "false"),
        ("has(steps.report.outputs.nothing)", "false"),
        ("has(inputs.nothing) && inputs.nothing > 1", "false"),
        ("type(rows) == int", "true"),
    ]);
}

#[test]
fn a_name_that_does_not_exist_is_an_error_that_says_what_exists() {
    let all = "accuracy, epochs, files, loss, model-name, nested, rows, seed, threshold, who";
    check_values(&[
        ("accurcy > 0.85", &format!("UNKNOWN_NAME: unknown name `accurcy`, have: {all}")),
        ("accurcy > 0.85 || true", &format!("UNKNOWN_NAME: unknown name `accurcy`, have: {all}")),
        ("elsewhere", &format!("UNKNOWN_NAME: unknown name `elsewhere`, have: {all}")),
        ("steps.trian.outputs", "UNKNOWN_NAME: unknown name `steps.trian`, have: prepare, train, gate, report, lone"),
        (
            "steps.train.outputs.accurcy",
            "UNKNOWN_NAME: unknown name `steps.train.outputs.accurcy`, have: accuracy, loss, model-name, nested, rows",
        ),
        ("steps.report.outputs.url", "UNKNOWN_NAME: unknown name `steps.report.outputs.url`, have: nothing"),
        ("rows.x", "UNKNOWN_NAME: unknown name `rows.x`, have: nothing, `rows` is not an object"),
        ("inputs.epoch + 1", "UNKNOWN_NAME: unknown name `inputs.epoch`, have: epochs, seed, threshold, who"),
        ("[1].map(x, y)", &format!("UNKNOWN_NAME: unknown name `y`, have: {all}")),
    ]);
}

#[test]
fn whole_and_broken_numbers_mix() {
    check_values(&[
        ("rows * 2", "10"),
        ("rows * 1.5", "7.5"),
        ("1.5 * rows", "7.5"),
        ("rows + accuracy", "5.9"),
        ("rows - 0.5", "4.5"),
        ("rows / 2", "2"),
        ("rows / 2.0", "2.5"),
        ("double(rows) / 2", "2.5"),
        ("rows % 2", "1"),
        ("-rows", "-5"),
        ("accuracy > 0", "true"),
        ("rows >= 4.5", "true"),
        ("rows == 5.0", "true"),
        ("5.0 in [5]", "true"),
        ("rows + 1u", "6"),
        ("int(7.9) + rows", "12"),
        ("[1, 2.5].map(x, x * 2)", "[2,5.0]"),
        ("files.map(f, f + '!').size() + 0.5", "2.5"),
        ("rows / 0", "EXPRESSION_FAILED: `rows / 0`: division by zero"),
        ("accuracy / 0", "EXPRESSION_FAILED: `accuracy / 0`: division by zero"),
        ("9223372036854775807 + 1", "EXPRESSION_FAILED: `9223372036854775807 + 1`: a number is out of range"),
    ]);
}

#[test]
fn the_language_is_whole() {
    check_values(&[
        ("'a' + 'b'", r#""ab""#),
        ("[1] + [2]", "[1,2]"),
        ("{'a': {'b': rows}}", r#"{"a":{"b":5}}"#),
        ("files.exists(f, f == 'b')", "true"),
        ("files.all(f, f != 'c')", "true"),
        ("files.exists_one(f, f == 'b')", "true"),
        ("files.filter(f, f > 'a')", r#"["b"]"#),
        ("[1, 2, 3].map(x, x > 1, x * x)", "[4,9]"),
        ("nested.map(k, k)", r#"["deep"]"#),
        ("accuracy > threshold ? 'good' : 'bad'", r#""good""#),
        ("who.startsWith('Ann') && who.matches('A.n.*')", "true"),
        ("string(rows) + ' rows'", r#""5 rows""#),
        ("timestamp('2024-05-06T07:08:09Z').getFullYear()", "2024"),
        ("duration('90s')", "90000"),
        ("inputs[?'nothing'].orValue(4)", "4"),
        ("optional.of(rows).value()", "5"),
        ("1 > 'a'", "EXPRESSION_FAILED: `1 > 'a'`: found no matching overload for '_>_' applied to '(int, string)'"),
        ("'a' + 1", "EXPRESSION_FAILED: `'a' + 1`: `add` does not work on a string and a number"),
        ("files[7]", "EXPRESSION_FAILED: `files[7]`: an index is out of bounds"),
        ("rows ? 1 : 2", "EXPRESSION_FAILED: `rows ? 1 : 2`: int where bool is needed"),
        ("type(rows)", r#""int""#),
        ("b'a'", "EXPRESSION_FAILED: `b'a'`: the result is bytes, which JSON cannot hold"),
    ]);
}

#[test]
fn an_expression_is_refused_before_it_runs() {
    let table: &[(&str, &str)] = &[
        ("a >", "(line 1, column 4)"),
        ("sucess()", "unknown function `sucess` (line 1, column 1)"),
        ("a &&\n  foo(b)", "unknown function `foo` (line 2, column 3)"),
        ("a.toUpper()", "unknown function `toUpper` (line 1, column 3)"),
        ("Thing{a: 1}", "unknown type `Thing`"),
        ("", "line 1"),
    ];
    for (expression, expected) in table {
        let message = check(expression).expect_err(expression).to_string();
        assert!(message.contains(expected), "{expression}: {message}");
    }
    assert_eq!(check(&"a".repeat(5000)), Err(ExpressionError::Long { bytes: 5000 }));
    check("accuracy > 0.85 && (success() || always())").expect("it is CEL");
}

#[test]
fn no_expression_can_exhaust_the_stack() {
    let nested = |open: &str, close: &str| format!("{}1{}", open.repeat(1300), close.repeat(1300));
    let deep = ["1+".repeat(2000) + "1", "a".to_owned() + &".b".repeat(2000), "a".to_owned() + &"[0]".repeat(1300)];
    let nests = [nested("(", ")"), nested("[", "]"), "size(".repeat(800), "true?1:".repeat(500), "1<".repeat(2000) + "1"];
    for expression in deep.iter().chain(&nests) {
        assert_eq!(check(expression), Err(ExpressionError::Complex), "{}", &expression[..20]);
    }
    // The deepest that are let through are evaluated on a thread of 2 MiB, as tokio's are.
    let allowed = ["rows+".repeat(120) + "1", "size([".repeat(20) + "1" + &"])".repeat(20), "(".repeat(40) + "1" + &")".repeat(40)];
    for expression in allowed {
        std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || assert!(!value_of(&expression).starts_with("EXPRESSION"), "{}", value_of(&expression)))
            .expect("a thread starts")
            .join()
            .expect("the stack holds");
    }
}

#[test]
fn no_expression_can_exhaust_time_or_memory() {
    let hundred = format!("[{}]", vec!["0"; 100].join(","));
    let visits = format!("{hundred}.map(a, {hundred}.map(b, {hundred}.map(c, 1)))");
    let doubles = format!("['x']{}[0] == ''", ".map(s, s + s)".repeat(40));
    let swallowed = format!("{visits}.size() == 1 || true");
    let expected = [(visits, "100,000 iterations"), (doubles, "16 MiB"), (swallowed, "100,000 iterations")];
    for (expression, limit) in expected {
        let found = value_of(&expression);
        assert!(found.starts_with("EXPRESSION_FAILED") && found.ends_with(limit), "{found}");
    }
    let long = format!("['{}']{}[0]", "x".repeat(100), ".map(s, s + s)".repeat(12));
    assert!(value_of(&long).contains("the limit is 262144"), "{}", value_of(&long));
}

#[test]
fn templates_keep_types_and_fill_text() {
    let config = json!({
        "whole": "${{ rows }}",
        "list": "${{files}}",
        "object": "${{ {'a': {'b': 1}} }}",
        "text": "n=${{ rows }}, who=${{ who }}, files=${{ files }}",
        "quoted": "${{ '}}' + \"{\" }}!",
        "escaped": "$${{ rows }} and ${{ rows }}",
        "plain": "no $ {{ here }}",
        "deep": [{ "x": ["${{ epochs * 2 }}"] }],
        "${{ rows }}": 1,
        "number": 5
    });
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind = task(&config);
    let Evaluation::Proceed { config: Some(filled) } = evaluate_step(&run(), &definition, GATE) else {
        panic!("it proceeds")
    };
    let filled: Value = serde_json::from_str(filled.as_str()).expect("a config is JSON");
    let expected = json!({
        "whole": 5,
        "list": ["a", "b"],
        "object": { "a": { "b": 1 } },
        "text": "n=5, who=Ann \"A\", files=[\"a\",\"b\"]",
        "quoted": "}}{!",
        "escaped": "${{ rows }} and 5",
        "plain": "no $ {{ here }}",
        "deep": [{ "x": [6] }],
        "${{ rows }}": 1,
        "number": 5
    });
    assert_eq!(filled, expected);
    assert_eq!(check_templates(&config), Ok(true));
    assert_eq!(check_templates(&json!({ "a": ["$${{ b }}", "x"] })), Ok(false));
    let (pointer, error) = check_templates(&json!({ "a/b": ["", "${{ 1 + }}"] })).expect_err("it is no expression");
    assert_eq!(pointer, "/a~1b/1");
    assert!(matches!(error, ExpressionError::Syntax { .. }));
    let (_, error) = check_templates(&json!("x ${{ 1")).expect_err("it is not closed");
    assert_eq!(error, ExpressionError::Unclosed { offset: 2 });
    let named = steps_named_in(&json!(["${{ steps.a.outputs.x }} ${{ steps['b'].status }} ${{ rows }}"])).expect("it parses");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_condition_records_what_it_was_decided_on() {
    let table: &[(&str, bool, Value)] = &[
        ("accuracy > 0.85", true, json!({ "accuracy": 0.9 })),
        ("accuracy > 0.95", false, json!({ "accuracy": 0.9 })),
        (
            "steps.train.outputs.loss < inputs.threshold && success()",
            true,
            json!({ "steps.train.outputs.loss": 0.25, "inputs.threshold": 0.85, "success()": true }),
        ),
        ("has(steps.train.outputs.gone)", false, json!({})),
    ];
    for (expression, value, inputs) in table {
        let mut definition = definition();
        let kind = StepKind::Condition { expression: (*expression).into(), on_false: OnFalse::Skip };
        definition.steps[usize::from(GATE)].kind = kind;
        let Evaluation::Condition(decision) = evaluate_step(&run(), &definition, GATE) else { panic!("{expression}") };
        let found: Value = serde_json::from_str(decision.inputs.as_str()).expect("inputs are JSON");
        assert_eq!((decision.value, &found), (*value, inputs), "{expression}");
    }
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind = StepKind::Condition { expression: "rows".into(), on_false: OnFalse::Skip };
    let Evaluation::Failed(failure) = evaluate_step(&run(), &definition, GATE) else { panic!("5 is no boolean") };
    assert_eq!(&*failure.message, "`rows` is a number, a boolean is needed");
}

#[test]
fn an_if_asks_how_the_needs_ended() {
    // Status of the gate before `report`, why it was skipped, then what success() and failure() are.
    let table = [
        (StepStatus::Completed, None, false, (true, false)),
        (StepStatus::Skipped, Some(Skip::Chosen), false, (true, false)),
        (StepStatus::Skipped, Some(Skip::Failure), false, (false, true)),
        (StepStatus::Skipped, Some(Skip::Gated), false, (false, false)),
        (StepStatus::Failed, None, false, (false, true)),
        (StepStatus::TimedOut, None, false, (false, true)),
        (StepStatus::Failed, None, true, (true, false)),
        (StepStatus::Cancelled, None, false, (false, false)),
    ];
    for (status, skip, continue_on_error, expected) in table {
        let (mut run, mut definition) = (run(), definition());
        run.steps[usize::from(GATE)].status = status;
        run.steps[usize::from(GATE)].skip = skip;
        definition.steps[usize::from(GATE)].continue_on_error = continue_on_error;
        let mut holds = |only_if: &str| {
            definition.steps[usize::from(REPORT)].only_if = Some(only_if.into());
            match evaluate_step(&run, &definition, REPORT) {
                Evaluation::Proceed { .. } => true,
                Evaluation::Skip(decision) => decision.value,
                other => panic!("{other:?}"),
            }
        };
        assert!(holds("always()"));
        assert_eq!((holds("success()"), holds("failure()")), expected, "{status:?} {skip:?} {continue_on_error}");
    }
}

#[test]
fn outputs_are_the_map_or_the_last_steps() {
    let mut definition = definition();
    assert_eq!(evaluate_outputs(&run(), &definition), Evaluation::Outputs(Json::from(r#"{"elsewhere":true}"#)));
    definition.outputs = vec![("best".into(), "accuracy".into()), ("n".into(), "steps.prepare.outputs.rows + 1".into())];
    let evaluation = evaluate(&run(), &definition, EvalPoint::Outputs);
    assert_eq!(evaluation, Evaluation::Outputs(Json::from(r#"{"best":0.9,"n":1001}"#)));
    definition.outputs = vec![("best".into(), "nothing".into())];
    assert!(matches!(evaluate_outputs(&run(), &definition), Evaluation::Failed(failure) if &*failure.code == "UNKNOWN_NAME"));
}
