//! Steps and runs: templates, conditions with what they record, `if`, outputs.

use super::*;

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
    let Evaluation::Proceed { config: Some(filled) } = at_step(&run(), &definition, GATE) else {
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
    let (pointer, error) =
        check_templates(&json!({ "a/b": ["", "${{ 1 + }}"] })).expect_err("it is no expression");
    assert_eq!(pointer, "/a~1b/1");
    assert!(matches!(error, ExpressionError::Syntax { .. }));
    let (_, error) = check_templates(&json!("x ${{ 1")).expect_err("it is not closed");
    assert_eq!(error, ExpressionError::Unclosed { offset: 2 });
    let named = steps_named_in(&json!(["${{ steps.a.outputs.x }} ${{ steps['b'].status }} ${{ rows }}"]))
        .expect("it parses");
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
        let Evaluation::Condition(decision) = at_step(&run(), &definition, GATE) else {
            panic!("{expression}")
        };
        let found: Value = serde_json::from_str(decision.inputs.as_str()).expect("inputs are JSON");
        assert_eq!((decision.value, &found), (*value, inputs), "{expression}");
    }
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind =
        StepKind::Condition { expression: "rows".into(), on_false: OnFalse::Skip };
    let Evaluation::Failed(failure) = at_step(&run(), &definition, GATE) else { panic!("5 is no boolean") };
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
            match at_step(&run, &definition, REPORT) {
                Evaluation::Proceed { .. } => true,
                Evaluation::Skip(decision) => decision.value,
                other => panic!("{other:?}"),
            }
        };
        assert!(holds("always()"));
        assert_eq!(
            (holds("success()"), holds("failure()")),
            expected,
            "{status:?} {skip:?} {continue_on_error}"
        );
    }
}

#[test]
fn outputs_are_the_map_or_the_last_steps() {
    let mut definition = definition();
    assert_eq!(
        at(&run(), &definition, EvalPoint::Outputs),
        Evaluation::Outputs(Json::from(r#"{"elsewhere":true}"#))
    );
    definition.outputs =
        vec![("best".into(), "accuracy".into()), ("n".into(), "steps.prepare.outputs.rows + 1".into())];
    let evaluation = at(&run(), &definition, EvalPoint::Outputs);
    assert_eq!(evaluation, Evaluation::Outputs(Json::from(r#"{"best":0.9,"n":1001}"#)));
    definition.outputs = vec![("best".into(), "nothing".into())];
    assert!(
        matches!(at(&run(), &definition, EvalPoint::Outputs), Evaluation::Failed(failure) if &*failure.code == "UNKNOWN_NAME")
    );
}
