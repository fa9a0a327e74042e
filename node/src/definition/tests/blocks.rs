//! Lists of steps beside the workflow's own: bodies of `foreach`, `compensate`, handlers.
//! Knows the compiler by its public face only.

use std::time::Duration;

use orc_domain::{Definition, Handlers, StepDef, StepKind};

use super::{
    compiled,
    mistakes::{check, check_steps},
    workflow,
};

fn definition(steps: &str) -> Definition {
    (*compiled(&workflow(steps)).definition).clone()
}

fn ids(steps: &[StepDef]) -> Vec<&str> {
    steps.iter().map(|step| &*step.id).collect()
}

#[test]
fn a_foreach_runs_a_block_of_one_step_with_the_same_name() {
    let made = definition(
        "- { id: list }\n\
         - { id: each, name: Each Item, if: list, foreach: { items: steps.list.outputs.rows, as: row, maxParallel: 3, failFast: false, timeout: 1h }, action: work, config: { row: '${{ row }}', at: '${{ index }}' }, timeout: 5s, retry: 2, labels: { gpu: true }, continueOnError: true, outputs: { all: output }, compensate: { run: undo } }\n\
         - { id: last }\n",
    );
    let each = &made.steps[1];
    let fan = StepKind::ForEach {
        items: "steps.list.outputs.rows".into(),
        block: 1,
        item: "row".into(),
        index: "index".into(),
        key: None,
        parallel_max: 3,
        fail_fast: false,
    };
    assert_eq!((&each.kind, each.limit), (&fan, Some(Duration::from_secs(3_600))));
    assert_eq!((&each.needs, &each.followers, each.only_if.as_deref()), (&vec![0], &vec![2], Some("list")));
    assert_eq!((each.continue_on_error, each.outputs.len(), each.compensate), (true, 1, Some(2)));
    let [body] = made.block(1) else { panic!("one step") };
    assert_eq!((&*body.id, &*body.name), ("each", "Each Item"));
    assert_eq!((body.timeout, body.retry.limit, body.labels.len()), (Duration::from_secs(5), 2, 1));
    assert!(matches!(&body.kind, StepKind::Task { action, templated: true, .. } if &**action == "work"));
    assert!(body.needs.is_empty() && body.followers.is_empty() && body.only_if.is_none());
    assert!(!body.continue_on_error && body.outputs.is_empty() && body.compensate.is_none());
    assert_eq!(ids(made.block(2)), ["compensate_each"]);
}

#[test]
fn an_item_its_place_and_its_key_have_names() {
    let made = definition(
        "- { id: each, foreach: { items: inputs.rows, as: row, index: at, key: row.id }, config: { x: '${{ row.id }}-${{ at }}' } }",
    );
    let StepKind::ForEach { item, index, key, .. } = &made.steps[0].kind else { panic!("a foreach") };
    assert_eq!((&**item, &**index, key.as_deref()), ("row", "at", Some("row.id")));
}

#[test]
fn a_foreach_has_defaults_and_takes_a_list_as_it_is() {
    let made = definition(
        "- { id: each, foreach: { items: [a, { b: 1 }] }, run: echo }\n- { id: also, foreach: { items: rows, as: item, index: index }, wait: 1s }",
    );
    let fan = |items: &str, block| StepKind::ForEach {
        items: items.into(),
        block,
        item: "item".into(),
        index: "index".into(),
        key: None,
        parallel_max: 10,
        fail_fast: true,
    };
    assert_eq!(made.steps[0].kind, fan("[\"a\",{\"b\":1}]", 1));
    assert_eq!((&made.steps[1].kind, made.steps[1].limit), (&fan("rows", 2), None));
}

#[test]
fn a_time_limit_of_an_item_that_is_no_task_stays_with_the_item() {
    let made = definition("- { id: each, foreach: { items: rows }, workflow: other, timeout: 5s }");
    assert_eq!((made.steps[0].limit, made.block(1)[0].limit), (None, Some(Duration::from_secs(5))));
}

#[test]
fn a_group_and_a_foreach_inside_a_foreach_are_blocks_of_their_own() {
    let made = definition(
        "- id: outer\n  foreach: { items: rows, as: row }\n  parallel:\n  - { id: one, run: echo, env: { R: '${{ row }}' } }\n  - { id: two, needs: [one], foreach: { items: row.parts, as: part }, action: work, config: { r: '${{ row }}', p: '${{ part }}' } }\n",
    );
    assert_eq!(ids(&made.steps), ["outer"]);
    assert!(matches!(made.steps[0].kind, StepKind::ForEach { block: 2, .. }));
    let body = made.block(2);
    assert_eq!(ids(body), ["one", "two", "outer"]);
    assert_eq!((&body[1].needs, &body[2].needs), (&vec![0], &vec![0, 1]));
    assert!(matches!(body[1].kind, StepKind::ForEach { block: 1, .. }));
    assert!(matches!(&body[2].kind, StepKind::Parallel { children } if *children == [0, 1]));
    assert_eq!(ids(made.block(1)), ["two"]);
}

#[test]
fn handlers_and_compensation_need_no_names() {
    let text = "name: W\nsteps: [{ id: a, compensate: { run: undo } }, { id: b }]\n\
                onFailure: [{ emit: { type: my.failure } }, { name: Tell Ann, run: tell }]\n\
                onCancel: [{ id: x, run: one }, { id: y, needs: [x], run: two }, { id: z, run: three }]\n\
                finally: [{ emit: { type: my.end } }]\n";
    let made = compiled(text).definition;
    assert_eq!(made.steps[0].compensate, Some(1));
    assert_eq!(ids(made.block(1)), ["compensate_a"]);
    assert_eq!(made.handlers, Handlers { on_failure: Some(2), on_cancel: Some(3), finally: Some(4) });
    assert_eq!(ids(made.block(2)), ["on_failure_1", "tell_ann"]);
    assert_eq!(made.block(2)[1].needs, [0], "one after another");
    assert_eq!(made.block(3).iter().map(|step| step.needs.len()).collect::<Vec<_>>(), [0, 1, 0], "a graph");
    assert_eq!(ids(made.block(4)), ["finally_1"]);
    assert_eq!(compiled("name: W\nsteps: [{ id: a }]").definition.handlers, Handlers::default());
}

#[test]
fn mistakes_of_foreach() {
    check_steps("- { id: a, foreach: {} }", &["3:21 missing-field `foreach` needs `items`, an expression"]);
    check_steps("- { id: a, foreach: rows }", &["3:21 wrong-type `foreach` must be a map, this is a text"]);
    check_steps("- { id: a, type: foreach }", &["3:18 bad-value unknown step type `foreach`"]);
    check_steps(
        "- { id: a, foreach: { items: '??', as: 1x, maxParallel: 1001, failFast: maybe } }",
        &[
            "3:30 bad-expression `items` `??` is not a valid expression: unexpected `??`",
            "3:40 bad-value `1x` cannot be the name of an item or its place: letters, digits and `_` only",
            "3:57 bad-value `maxParallel` must be a whole number from 1 to 1000, not 1001",
            "3:73 wrong-type `failFast` must be true or false, this is a text",
        ],
    );
    for name in ["inputs", "steps", "run", "trigger", "env", "secrets", "index", "output"] {
        let taken = format!(
            "3:40 bad-value `{name}` cannot be the name of an item or its place: it stands for something else"
        );
        check_steps(&format!("- {{ id: a, foreach: {{ items: rows, as: {name} }} }}"), &[&taken]);
    }
    check_steps(
        "- { id: a, foreach: { items: rows, as: x, index: x } }",
        &["3:50 conflict an item and its place cannot both be called `x`"],
    );
    check_steps(
        "- { id: a, foreach: { items: rows, index: steps, key: '??' } }",
        &[
            "3:43 bad-value `steps` cannot be the name of an item or its place: it stands for something else",
            "3:55 bad-expression `key` `??` is not a valid expression: unexpected `??`",
        ],
    );
    check_steps(
        "- { id: a, foreach: { items: ['${{ x }}'] } }",
        &["3:30 bad-value a list of `items` holds no `${{ }}`: write the whole list as one expression"],
    );
    check_steps(
        "- { id: a, foreach: { items: rows }, parallel: [{ id: b, compensate: { run: undo } }] }",
        &["3:70 conflict only the workflow's own steps can have `compensate`, this one is inside `foreach`"],
    );
}

#[test]
fn mistakes_of_handlers_and_compensation() {
    check(
        "name: W\nsteps: [{ id: a }]\nonFailure: []\nonCancel: { run: x }\nfinally: [{ run: x, compensate: { run: y } }]",
        &[
            "3:12 bad-value `onFailure` is empty",
            "4:11 wrong-type `onCancel` must be a list of steps, this is a map",
            "5:33 conflict only the workflow's own steps can have `compensate`, this one is inside `finally`",
        ],
    );
    check_steps(
        "- { id: a, run: x, compensate: { run: y, needs: [a], compensate: { run: z } } }",
        &[
            "3:50 unknown-step step `compensate_a` needs `a`, which is not in the same list of steps",
            "3:66 conflict only the workflow's own steps can have `compensate`, this one is inside `compensate`",
        ],
    );
    check_steps(
        "- { id: a, condition: x, compensate: { run: y } }",
        &["3:26 conflict `compensate` does not apply to a step of type `condition`"],
    );
    check(
        "name: W\nsteps: [{ id: a }]\nfinally: [{ id: b, needs: [a] }]",
        &["3:28 unknown-step step `b` needs `a`, which is not in the same list of steps"],
    );
    check(
        "name: W\nsteps: [{ id: a }]\nfinally: [{ id: a }]",
        &["3:17 duplicate-id two steps have the id `a` (the first one is in line 2)"],
    );
}

#[test]
fn limits_count_every_block() {
    let many: String = (0..500).map(|n| format!("- {{ id: s{n}, foreach: {{ items: rows }} }}\n")).collect();
    let text = format!("{}finally: [{{ run: x }}]", workflow(&many));
    check(&text, &["3:3 limit 1001 steps are more than the 1000 allowed"]);
    let deep = (0..9).fold("{ id: last }".to_owned(), |inner, n| {
        format!("{{ id: s{n}, foreach: {{ items: rows }}, parallel: [{inner}] }}")
    });
    let errors = super::compile(&workflow(&format!("- {deep}"))).expect_err("too deep");
    assert_eq!(errors.0[0].message, "`foreach` nests more than 8 deep");
}
