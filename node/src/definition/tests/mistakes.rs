//! Tables of mistakes: each kind with its place and sentence, limits, and inputs that do not fit.
//! Knows the compiler by its public face only.

use serde_json::{Value, json};

use super::{compile, compiled, steps, task, workflow};

/// The mistakes of a document, each as `line:column code message`, in order.
pub(super) fn check(text: &str, expected: &[&str]) {
    let errors = compile(text).err().map(|errors| errors.0).unwrap_or_default();
    let shown: Vec<String> = errors
        .iter()
        .map(|error| {
            format!(
                "{}:{} {} {}",
                error.line.unwrap_or(0),
                error.column.unwrap_or(0),
                error.code,
                error.message
            )
        })
        .collect();
    assert_eq!(shown, expected, "of\n{text}");
}

pub(super) fn check_steps(steps: &str, expected: &[&str]) {
    check(&workflow(steps), expected);
}

#[test]
fn mistakes_of_the_document() {
    check("", &["1:1 syntax the document is empty"]);
    check("- a", &["1:1 wrong-type a workflow must be a map, this is a list"]);
    check(
        "nme: W\nsteps: []",
        &[
            "1:1 unknown-field unknown field `nme`, did you mean `name`?",
            "1:1 missing-field a workflow needs a `name`",
            "2:8 bad-value `steps` is empty",
        ],
    );
    check("name: W", &["1:1 missing-field a workflow needs `steps`"]);
    check("name: W\nname: V\nsteps: [{id: a}]", &["2:1 duplicate-field field `name` is there twice"]);
    check(
        "name: W\ntimeout: soon\nsteps: [{id: a}]",
        &[
            "2:10 bad-duration `soon` is not a duration: write milliseconds as a number, or 250ms, 30s, 5m, 1h, 1d",
        ],
    );
    check(
        "name: W\nmode: sequence\nsteps: [{id: a}, {id: b, needs: [a]}]",
        &["2:7 conflict `mode: sequence` does not go with steps that have `needs`"],
    );
    check(
        "name: W\noutputs: { x: '??' }\nsteps: [{id: a}]",
        &["2:15 bad-expression output `x` `??` is not a valid expression: unexpected `??`"],
    );
    let broken = compile("name: [W\nsteps: {").expect_err("it is broken");
    assert_eq!((broken.0.len(), broken.0[0].code), (1, "syntax"));
    check(
        "name: W\nsteps: [{id: a}]\n---\nname: V",
        &["3:1 syntax one file holds one workflow: a second document begins here"],
    );
}

#[test]
fn mistakes_of_a_step() {
    check_steps("- { id: a, typ: task }", &["3:12 unknown-field unknown field `typ`, did you mean `type`?"]);
    check_steps("- { id: a, type: tsk }", &["3:18 bad-value unknown step type `tsk`, did you mean `task`?"]);
    check_steps("- { id: a, cache: {} }", &["3:19 missing-field `cache` needs `key`"]);
    check_steps(
        "- { id: a, wait: 1s, cache: { key: x } }",
        &["3:22 conflict `cache` does not apply to a step of type `delay`"],
    );
    check_steps(
        "- { id: a, config: { x: 1 }, with: { y: 2 } }",
        &["3:36 conflict `with` is another word for `config`: give one of them"],
    );
    check_steps("- { id: a, with: 5 }", &["3:18 wrong-type `with` must be a map, this is a number"]);
    for (condition, mistake) in [
        ("goto", "3:38 missing-field `onFalse: goto` needs a step to go to"),
        ("go", "3:38 bad-value `onFalse` must be `skip`, `fail` or `{ goto: … }`, not `go`"),
        ("{ goto: c }", "3:46 unknown-step step `b` goes to `c`, which is not in the same list of steps"),
        ("{ goto: a }", "3:46 conflict step `b` goes to `a`, which does not come after it"),
    ] {
        let steps = format!("- {{ id: b, condition: true, onFalse: {condition} }}\n- {{ id: a, needs: [] }}");
        check_steps(&steps, &[mistake]);
    }
    check_steps(
        "- { id: a, condition: x, retry: 2 }",
        &["3:26 conflict `retry` does not apply to a step of type `condition`"],
    );
    check_steps("- { id: a, type: condition }", &["3:3 missing-field a condition step needs a `condition`"]);
    check_steps("- { type: task }", &["3:3 missing-field a step needs a `name` or an `id`"]);
    check_steps("- hello", &["3:3 wrong-type a step must be a map, this is a text"]);
    check_steps(
        "- { id: a, timeout: true }",
        &[
            "3:21 wrong-type `timeout` must be a duration (milliseconds, or a text like 30s), this is a boolean",
        ],
    );
    check_steps("- { id: a, timeout: 0 }", &["3:21 bad-duration `timeout` must be more than zero"]);
    check_steps(
        "- { id: a, priority: 9 }",
        &["3:22 bad-value `priority` must be 1 to 5, or LOW, NORMAL, HIGH, CRITICAL, URGENT"],
    );
    check_steps(
        "- { id: a, action: x, config: { action: y } }",
        &["3:41 conflict the action is given twice: `action` and `config.action`"],
    );
    check_steps("- { id: in }", &["3:9 bad-value `in` cannot be a step's id: expressions reserve this word"]);
    check_steps(
        "- { id: a, run: 'echo ${{ x }}' }",
        &["3:17 run-interpolation `${{ }}` is not allowed inside run:, pass it through env:"],
    );
    check_steps(
        "- { id: a, action: run, config: { script: 'echo ${{ x }}' } }",
        &["3:43 run-interpolation `${{ }}` is not allowed inside run:, pass it through env:"],
    );
    check_steps(
        "- { id: a, config: { x: '${{ ?? }}' } }",
        &["3:25 bad-expression the expression `??` is not a valid expression: unexpected `??`"],
    );
    assert!(task(&steps("- { id: a, config: { x: '$${{ kept }}' } }")[0]).2, "an escape is filled in too");
    check_steps("- { id: a, config: { x: '${{ y' } }", &["3:25 bad-expression `${{` has no matching `}}`"]);
}

#[test]
fn mistakes_of_the_graph() {
    check_steps(
        "- { id: evaluate }\n- { id: deploy, needs: [evalute] }",
        &["4:25 unknown-step step `deploy` needs unknown step `evalute` (did you mean `evaluate`?)"],
    );
    check_steps(
        "- { name: Model Training }\n- { id: b, needs: [Model Training] }",
        &[
            "4:20 unknown-step step `b` needs unknown step `Model Training` (did you mean its id, `model_training`?)",
        ],
    );
    check_steps(
        "- { id: a, needs: [c] }\n- { id: b, needs: [a] }\n- { id: c, needs: [b] }",
        &["3:19 cycle these steps wait for each other: a → c → b → a"],
    );
    check_steps("- { id: a, needs: [a] }", &["3:19 cycle step `a` needs itself"]);
    check_steps(
        "- { name: Same }\n- { name: same }",
        &["4:11 duplicate-id two steps have the id `same` (the first one is in line 3)"],
    );
    check_steps(
        "- { id: g, needs: [x], parallel: [{ id: p }, { id: q }] }",
        &["3:20 unknown-step step `g` needs unknown step `x`"],
    );
    check_steps(
        "- { id: g, parallel: [{ id: p, needs: [g] }] }",
        &["3:39 cycle these steps wait for each other: p → g → p"],
    );
}

#[test]
fn limits_have_sentences() {
    let many: String = (0..1_001).map(|n| format!("- {{ id: s{n} }}\n")).collect();
    check_steps(&many, &["3:3 limit 1001 steps are more than the 1000 allowed"]);
    let deep = format!("name: W\nx: {}1{}", "[".repeat(70), "]".repeat(70));
    assert_eq!(compile(&deep).expect_err("too deep").0[0].code, "limit");
    let deep_with_tabs = format!("{{\t\"x\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    assert_eq!(compile(&deep_with_tabs).expect_err("too deep").0[0].code, "limit");
    let long = workflow(&format!("- {{ id: a, if: '{}' }}", "x".repeat(5_000)));
    assert_eq!(compile(&long).expect_err("too long").0[0].message, "`if` is longer than 4096 bytes");
    let large = workflow(&format!("- {{ id: a, config: {{ x: '{}' }} }}", "x".repeat(300_000)));
    assert_eq!(compile(&large).expect_err("too large").0[0].code, "limit");
    let bomb = (0..12).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let parts = vec![format!("*a{n}"); 9].join(", ");
        format!("{text}a{0}: &a{0} [{parts}]\n", n + 1)
    });
    assert_eq!(compile(&bomb).expect_err("too many").0[0].code, "limit");
}

#[test]
fn every_mistake_is_told_at_once_in_the_form_of_a_compiler() {
    let text = "name: W\nsteps:\n- { id: a, typ: task }\n- { id: b, run: 'echo ${{ x }}' }\n";
    let shown = compile(text).expect_err("two mistakes").render("bad.yaml");
    assert_eq!(
        shown,
        "bad.yaml:3:12 error: unknown field `typ`, did you mean `type`?\n\
         bad.yaml:4:17 error: `${{ }}` is not allowed inside run:, pass it through env: [run-interpolation]\n2 errors\n"
    );
    let errors = compile(r#"{"name": "W", "steps": [{"id": "a", "typ": 1}]}"#).expect_err("a mistake");
    assert_eq!(errors.under("/definition").0[0].pointer, "/definition/steps/0/typ");
}

#[test]
fn inputs_are_checked_and_filled_in() {
    let text = "name: W\ninputs:\n  epochs: { type: integer, default: 3 }\n  mode: { type: string, enum: [fast, slow] }\n  key: { type: string, required: true }\nsteps: [{ id: a }]";
    let schema = compiled(text).inputs;
    let resolve = |given: Value| match schema.resolve(&given) {
        Ok(json) => Ok(serde_json::from_str::<Value>(json.as_str()).expect("JSON")),
        Err(errors) => Err(errors.0.into_iter().map(|error| error.message).collect::<Vec<_>>()),
    };
    assert_eq!(resolve(json!({"key": "k"})), Ok(json!({"epochs": 3, "key": "k"})));
    assert_eq!(
        resolve(json!({"key": "k", "epochs": 5, "mode": "fast"})),
        Ok(json!({"epochs": 5, "key": "k", "mode": "fast"}))
    );
    assert_eq!(
        resolve(json!({"epoch": 5, "epochs": "5", "mode": "medium"})),
        Err(vec![
            "unknown input `epoch`, did you mean `epochs`?".to_owned(),
            "input `epochs` must be of type integer, not \"5\"".to_owned(),
            "input `mode` must be one of \"fast\", \"slow\"".to_owned(),
            "input `key` is required".to_owned(),
        ])
    );
    let free = compiled("name: W\nsteps: [{ id: a }]").inputs;
    assert!(free.resolve(&json!({"anything": 1})).is_ok(), "no schema accepts anything");
    check(
        "name: W\ninputs: { n: { type: integer, default: x } }\nsteps: [{ id: a }]",
        &["2:40 wrong-type the default does not fit: input `n` must be of type integer, not \"x\""],
    );
}
