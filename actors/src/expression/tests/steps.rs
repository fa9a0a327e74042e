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

/// Two runs of one definition: `each` over the outputs of `first`, and the body of one item.
fn nested() -> (Run, Run, Definition) {
    let fan = StepKind::ForEach {
        items: "steps.prepare.outputs.files".into(),
        block: 1,
        item: "file".into(),
        index: "index".into(),
        key: None,
        parallel_max: 2,
        fail_fast: true,
    };
    let mut definition = definition();
    definition.steps[usize::from(GATE)].kind = fan;
    let config =
        json!({ "v": "${{ file }}-${{ index }}-${{ accuracy }}", "w": "${{ steps.prepare.outputs.rows }}" });
    definition.blocks = vec![vec![step("body", &[], task(&config))]];
    let parent = run();
    let role = Role::Item { step: GATE, index: 4 };
    let of = Parent { run: parent.id, role, item: Some("\"a.txt\"".into()) };
    let create = CreateRun {
        block: 1,
        parent: Some(Box::new(of)),
        inputs: parent.inputs.clone(),
        ..CreateRun::new(RunId(Uuid::from_u128(2)), definition.id)
    };
    let child = Run::created(&create, &definition, Timestamp(7), 2);
    (child, parent, definition)
}

#[test]
fn a_foreach_yields_its_items_and_each_sees_what_is_around_it() {
    let (child, parent, definition) = nested();
    let items = at_step(&parent, &definition, GATE);
    assert_eq!(items, Evaluation::Items(vec![Item::new("\"a\""), Item::new("\"b\"")]));
    let mut around = family(&child, &definition);
    around.runs.push(Arc::new(parent));
    let filled = json!({ "v": "a.txt-4-0.9", "w": 1000 }).to_string();
    let known = Evaluated::Known(Evaluation::Proceed { config: Some(Json::from(filled)) });
    assert_eq!(evaluate(&around, EvalPoint::Step(0)), known);
}

#[test]
fn items_have_keys_that_differ() {
    let (_, parent, mut definition) = nested();
    let mut with_key = |expression: &str| {
        if let StepKind::ForEach { key, .. } = &mut definition.steps[usize::from(GATE)].kind {
            *key = Some(expression.into());
        }
        at_step(&parent, &definition, GATE)
    };
    let item = |value: &str, key: &str| Item { key: Some(key.into()), ..Item::new(value) };
    let keyed = Evaluation::Items(vec![item("\"a\"", "a-0"), item("\"b\"", "b-1")]);
    assert_eq!(with_key("file + '-' + string(index)"), keyed);
    let numbered = Evaluation::Items(vec![item("\"a\"", "0"), item("\"b\"", "10")]);
    assert_eq!(with_key("index * 10"), numbered);
    for (expression, expected) in [
        ("'x'", "the items 0 and 1 have the same key `x`"),
        ("[file]", "`[file]` is a list, a key (a text of 1 to 256 bytes, or a number) is needed"),
        ("shard", "unknown name `shard`, have: "),
    ] {
        let Evaluation::Failed(failure) = with_key(expression) else { panic!("{expression}") };
        assert!(failure.message.starts_with(expected), "{}", failure.message);
    }
}

#[test]
fn items_must_be_a_list() {
    let (_, parent, mut definition) = nested();
    for (items, expected) in [
        ("accuracy", "EXPRESSION_FAILED: `accuracy` is a number, a list is needed"),
        ("'x'", "EXPRESSION_FAILED: `'x'` is a string, a list is needed"),
    ] {
        if let StepKind::ForEach { items: of, .. } = &mut definition.steps[usize::from(GATE)].kind {
            *of = items.into();
        }
        let Evaluation::Failed(failure) = at_step(&parent, &definition, GATE) else { panic!("{items}") };
        assert_eq!(format!("{}: {}", failure.code, failure.message), expected);
    }
}

#[test]
fn a_wait_ends_at_a_time_written_in_any_form() {
    let (_, parent, mut definition) = nested();
    for expression in ["'1970-01-01T00:00:05Z'", "5000", "timestamp('1970-01-01T00:00:04Z') + duration('1s')"]
    {
        definition.steps[usize::from(GATE)].kind = StepKind::Until { expression: expression.into() };
        assert_eq!(at_step(&parent, &definition, GATE), Evaluation::Until(Timestamp(5000)), "{expression}");
    }
    definition.steps[usize::from(GATE)].kind = StepKind::Until { expression: "'tomorrow'".into() };
    assert!(matches!(at_step(&parent, &definition, GATE), Evaluation::Failed(_)));
}

#[test]
fn a_step_that_starts_a_workflow_says_which_with_its_inputs_filled_in() {
    let (_, parent, mut definition) = nested();
    let inputs = Json::from("{\"accuracy\":\"${{ accuracy }}\"}");
    let (name, version) = (Text::from("publish"), Some(2));
    definition.steps[usize::from(GATE)].kind =
        StepKind::Workflow { name: name.clone(), version, inputs, detach: false };
    let expected = Evaluated::Workflow { name, version, inputs: "{\"accuracy\":0.9}".into() };
    assert_eq!(evaluate(&family(&parent, &definition), EvalPoint::Step(GATE)), expected);
}

#[test]
fn outputs_of_a_step_are_made_of_what_it_yielded() {
    let (_, mut parent, mut definition) = nested();
    definition.steps[usize::from(GATE)].outputs = vec![("y".into(), "output.x + epochs".into())];
    parent.steps[usize::from(GATE)].output = Some("{\"x\":1}".into());
    let evaluation = at(&parent, &definition, EvalPoint::StepOutputs(GATE));
    assert_eq!(evaluation, Evaluation::Outputs("{\"y\":4}".into()));
}

#[test]
fn an_expression_tells_which_data_it_names() {
    let table: &[(&str, &[&str])] = &[
        ("steps.a.outputs.x + steps['b'].status", &["steps.a.outputs.x", "steps.b.status"]),
        ("has(inputs.x) && rows.exists(row, row.id == n)", &["inputs", "n", "rows"]),
        ("type(x) == int && success()", &["x"]),
        ("steps[name].outputs", &["name", "steps"]),
    ];
    for (expression, expected) in table {
        let named: Vec<String> =
            names(expression).expect("it parses").iter().map(|path| path.join(".")).collect();
        assert_eq!(named, *expected, "of {expression}");
    }
}

#[test]
fn a_step_that_waits_for_an_event_sees_it_beside_everything_else() {
    let (run, definition) = (run(), definition());
    let event = json!({ "seq": 7, "type": "eval.done", "data": { "seed": 7, "who": "bob" } });
    let check = |source: &str| {
        awaits(&family(&run, &definition), REPORT, source, &event).map_err(|error| error.to_string())
    };
    assert_eq!(check("event.type == 'eval.done' && event.seq > 6"), Ok(true));
    assert_eq!(check("event.data.seed == steps.prepare.outputs.seed"), Ok(true), "what came before");
    assert_eq!(check("event.data.who == inputs.who"), Ok(false));
    assert_eq!(check("has(event.data.none) && event.data.none == 1"), Ok(false));
    assert!(check("event.data.none == 1").is_err_and(|error| error.contains("event.data.none")));
    assert!(check("event.seq").is_err(), "it is no boolean");
}
