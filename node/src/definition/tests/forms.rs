//! Each form of step that waits or turns to something else: its shape, and what is refused.
//! Knows the compiler by its public face only.

use std::time::Duration;

use orc_domain::{Concurrency, OnConflict, OnTimeout, StepDef, StepKind, Text};
use serde_json::{Value, json};

use super::{
    compiled,
    mistakes::{check, check_steps},
    steps, task,
};

const SECOND: Duration = Duration::from_secs(1);

fn value(json: &orc_domain::Json) -> Value {
    serde_json::from_str(json.as_str()).expect("it is JSON")
}

fn step(text: &str) -> StepDef {
    steps(text).remove(0)
}

#[test]
fn waits_compile() {
    let all = steps(
        "- { id: a, wait: 10m }\n\
         - { id: b, wait: { duration: 2s } }\n\
         - { id: c, wait: { until: 2026-12-01T09:00:00+01:00 } }\n\
         - { id: d, wait: { until: '${{ steps.a.outputs.at }}' } }\n\
         - { id: e, wait: { until: inputs.at } }\n\
         - { id: f, type: wait, config: { until: 1764576000000 } }\n\
         - { id: g, wait: { signal: go, timeout: 1s } }\n\
         - { id: h, type: signal, wait: { signal: go }, timeout: 2s, continueOnError: true, outputs: { who: output.by } }\n",
    );
    let until = |expression: &str| StepKind::Until { expression: expression.into() };
    assert_eq!(all[0].kind, StepKind::Delay { duration: 600 * SECOND });
    assert_eq!(all[1].kind, StepKind::Delay { duration: 2 * SECOND });
    assert_eq!(all[2].kind, until("\"2026-12-01T09:00:00+01:00\""));
    assert_eq!(all[3].kind, until("steps.a.outputs.at"));
    assert_eq!(all[4].kind, until("inputs.at"));
    assert_eq!(all[5].kind, until("1764576000000"));
    assert_eq!((&all[6].kind, all[6].limit), (&StepKind::Signal { name: "go".into() }, Some(SECOND)));
    assert_eq!((&all[7].kind, all[7].limit), (&StepKind::Signal { name: "go".into() }, Some(2 * SECOND)));
    assert_eq!(
        (all[7].continue_on_error, &*all[7].outputs),
        (true, &[("who".into(), "output.by".into())][..])
    );
}

#[test]
fn mistakes_of_waits() {
    check_steps(
        "- { id: a, type: wait }",
        &[
            "3:3 missing-field a wait needs `delay: 5s`, `wait: { until: … }`, `wait: { signal: … }` or `wait: { event: … }`",
        ],
    );
    check_steps(
        "- { id: a, wait: {} }",
        &["3:18 missing-field a wait needs `duration`, `until`, `signal` or `event`"],
    );
    check_steps(
        "- { id: a, wait: { until: now, signal: go } }",
        &["3:32 conflict `until` and `signal` exclude each other"],
    );
    check_steps(
        "- { id: a, wait: { event: 'task..failed' } }",
        &["3:27 bad-value `task..failed` is no type of an event: a part is empty"],
    );
    check_steps(
        "- { id: a, wait: { event: x, filter: '??' } }",
        &["3:38 bad-expression `filter` `??` is not a valid expression: unexpected `??`"],
    );
    check_steps(
        "- { id: a, wait: { event: x, filter: steps.b.status == event.type } }",
        &["3:38 unknown-step the expression names unknown step `b`"],
    );
    check_steps(
        "- { id: a, wait: { event: x, signal: y } }",
        &["3:30 conflict `event` and `signal` exclude each other"],
    );
    check_steps(
        "- { id: a, wait: { signal: y, filter: 'true' } }",
        &["3:39 conflict `filter` applies to a wait for an event"],
    );
    check_steps(
        "- { id: a, type: event, wait: 5s }",
        &["3:3 missing-field a step of type `event` needs `wait: { event: … }`"],
    );
    check_steps(
        "- { id: a, wait: { until: 2026-02-01 } }",
        &[
            "3:27 bad-value `2026-02-01` is not a time: write 2026-11-22T04:11:08Z, or with an offset such as +01:00",
        ],
    );
    check_steps(
        "- { id: a, wait: { until: x, timeout: 5s } }",
        &["3:39 conflict `timeout` applies to a wait for a signal or an event"],
    );
    check_steps(
        "- { id: a, wait: { signal: go, timeout: 5s }, timeout: 1m }",
        &["3:41 conflict the time limit is given twice: as the step's `timeout` and here"],
    );
    check_steps(
        "- { id: a, wait: { signal: '${{ x }}' } }",
        &["3:28 bad-value `signal` is one word of at most 128 bytes, without expressions"],
    );
    check_steps(
        "- { id: a, type: signal, wait: 5s }",
        &["3:3 missing-field a step of type `signal` needs `wait: { signal: … }`"],
    );
    check_steps(
        "- { id: a, wait: 5s, timeout: 1m }",
        &["3:22 conflict `timeout` does not apply to a step of type `delay`"],
    );
}

#[test]
fn approvals_compile() {
    let plain = step("- { id: a, approval: { prompt: Deploy? } }");
    let expected = StepKind::Approval {
        request: r#"{"prompt":"Deploy?"}"#.into(),
        templated: false,
        approvers: vec![],
        on_timeout: OnTimeout::Reject,
    };
    assert_eq!((plain.kind, plain.limit), (expected, None));
    let full = step(
        "- { id: a, approval: { prompt: 'Deploy ${{ inputs.title }}?', approvers: [ann, bob], form: { type: object }, timeout: 1s, onTimeout: approve } }",
    );
    let StepKind::Approval { request, templated, approvers, on_timeout } = full.kind else {
        panic!("an approval")
    };
    let shown = json!({"prompt": "Deploy ${{ inputs.title }}?", "form": {"type": "object"}, "approvers": ["ann", "bob"]});
    assert_eq!((value(&request), templated, on_timeout), (shown, true, OnTimeout::Approve));
    assert_eq!((approvers, full.limit), (vec!["ann".into(), "bob".into()], Some(SECOND)));
}

#[test]
fn mistakes_of_approvals() {
    check_steps("- { id: a, type: approval }", &["3:3 missing-field an approval step needs `approval`"]);
    check_steps("- { id: a, approval: {} }", &["3:22 missing-field `approval` needs `prompt`"]);
    check_steps(
        "- { id: a, approval: { prompt: p, form: yes, onTimeout: reject, approver: ann } }",
        &[
            "3:41 wrong-type `form` must be a JSON Schema, a map, this is a text",
            "3:57 conflict `onTimeout` needs a `timeout`",
            "3:65 unknown-field unknown field `approver`, did you mean `approvers`?",
        ],
    );
    check_steps(
        "- { id: a, approval: { prompt: p, approvers: '${{ inputs.who }}' }, retry: 2 }",
        &[
            "3:46 bad-value `approvers` are names, without expressions",
            "3:69 conflict `retry` does not apply to a step of type `approval`",
        ],
    );
}

#[test]
fn child_workflows_compile() {
    let child =
        step("- { id: a, workflow: publish-model@3, inputs: { x: '${{ inputs.x }}', n: 1 }, timeout: 1s }");
    let expected = StepKind::Workflow {
        name: "publish-model".into(),
        version: Some(3),
        inputs: r#"{"n":1,"x":"${{ inputs.x }}"}"#.into(),
        detach: false,
    };
    assert_eq!((child.kind, child.limit), (expected, Some(SECOND)));
    let detached = step("- { id: a, workflow: other, detach: true }");
    let expected =
        StepKind::Workflow { name: "other".into(), version: None, inputs: "{}".into(), detach: true };
    assert_eq!((detached.kind, detached.limit), (expected, None));
}

#[test]
fn mistakes_of_child_workflows() {
    for bad in ["other@", "other@0", "other@new", "Other", "'${{ inputs.w }}'"] {
        let shown = bad.trim_matches('\'');
        check_steps(
            &format!("- {{ id: a, workflow: {bad} }}"),
            &[&format!(
                "3:22 bad-value `{shown}` names no workflow: write its name or name@version, such as publish-model@3"
            )],
        );
    }
    check_steps(
        "- { id: a, workflow: other, detach: true, timeout: 5s, inputs: [1] }",
        &[
            "3:52 conflict nobody waits for a detached run: give that workflow its own `timeout`",
            "3:64 wrong-type `inputs` must be a map, this is a list",
        ],
    );
}

#[test]
fn state_steps_compile() {
    let both = step(
        "- { id: a, state: { set: { app.b: { n: '${{ inputs.n }}' }, app.a: 1 }, get: [app.c, app.a] } }",
    );
    let key = |text: &str| text.parse().expect("a key");
    let writes = vec![(key("app.b"), r#"{"n":"${{ inputs.n }}"}"#.into()), (key("app.a"), "1".into())];
    let reads = vec![key("app.c"), key("app.a")];
    assert_eq!(
        both.kind,
        StepKind::State { writes, templated: true, reads, if_version: None, deletes: vec![], snapshot: None }
    );
    let one = step("- { id: a, state: { set: { a: null }, ifVersion: 0 } }");
    let writes = vec![(key("a"), "null".into())];
    assert_eq!(
        one.kind,
        StepKind::State {
            writes,
            templated: false,
            reads: vec![],
            if_version: Some(0),
            deletes: vec![],
            snapshot: None
        }
    );
}

#[test]
fn mistakes_of_state_steps() {
    check_steps(
        "- { id: a, state: {} }",
        &["3:19 missing-field `state` needs `set`, `get`, `delete` or `snapshot`"],
    );
    check_steps(
        "- { id: a, state: { set: { 'a b': 1, c: 2 }, get: [x..y], ifVersion: 3 } }",
        &[
            "3:28 bad-value `a b` is not a state key (dotted parts of letters, digits, `_-:/`, at most 512 bytes)",
            "3:52 bad-value `x..y` is not a state key (dotted parts of letters, digits, `_-:/`, at most 512 bytes)",
        ],
    );
    check_steps(
        "- { id: a, state: { set: { a: 1, b: 2 }, ifVersion: 3 } }",
        &["3:53 conflict `ifVersion` goes with one key in `set`, this step sets 2"],
    );
    check_steps(
        "- { id: a, state: { set: { a: 1 }, delete: [a] } }",
        &["3:45 conflict this step sets this key"],
    );
    check_steps(
        "- { id: a, state: { snapshot: 3 } }",
        &["3:31 wrong-type `snapshot` must be true, or a map such as { description: ... }, this is a number"],
    );
}

#[test]
fn messages_and_events_compile() {
    let all = steps(
        "- { id: a, message: { component: linear, type: failed, payload: { run: '${{ run.id }}' } } }\n\
         - { id: b, message: { broadcast: true, type: ping, timeout: 1s } }\n\
         - { id: c, message: { component: linear, type: ping }, timeout: 2s }\n\
         - { id: d, emit: { type: eval.finished, data: [1, '${{ run.id }}'] } }\n\
         - { id: e, emit: { type: done } }\n",
    );
    let message = |step: &StepDef| match &step.kind {
        StepKind::Message { request, templated } => (value(request), *templated, step.limit),
        other => panic!("not a message: {other:?}"),
    };
    let first = json!({"component": "linear", "type": "failed", "payload": {"run": "${{ run.id }}"}});
    assert_eq!(message(&all[0]), (first, true, Some(30 * SECOND)));
    assert_eq!(message(&all[1]), (json!({"broadcast": true, "type": "ping"}), false, Some(SECOND)));
    assert_eq!(message(&all[2]).2, Some(2 * SECOND));
    let data = r#"[1,"${{ run.id }}"]"#.into();
    assert_eq!(all[3].kind, StepKind::Emit { kind: "eval.finished".into(), data, templated: true });
    let none = StepKind::Emit { kind: "done".into(), data: "null".into(), templated: false };
    assert_eq!(all[4].kind, none);
}

#[test]
fn mistakes_of_messages_and_events() {
    check_steps(
        "- { id: a, message: { type: x } }",
        &["3:21 missing-field `message` needs a `component`, or `broadcast: true`"],
    );
    check_steps(
        "- { id: a, message: { component: 'A B', broadcast: false } }",
        &[
            "3:21 missing-field `message` needs `type`",
            "3:34 bad-value `A B` is not a component id ([a-z0-9][a-z0-9._-]{0,62})",
        ],
    );
    check_steps(
        "- { id: a, message: { component: a, broadcast: true, type: x } }",
        &["3:34 conflict a message goes to a `component` or is a `broadcast`, not both"],
    );
    check_steps("- { id: a, emit: { data: 1 } }", &["3:18 missing-field `emit` needs `type`"]);
    check_steps(
        "- { id: a, emit: { type: error } }",
        &["3:26 bad-value `error` looks like a built-in event: begin with another word than `error`"],
    );
    check_steps(
        "- { id: a, emit: { type: 'my event' }, outputs: { x: output } }",
        &[
            "3:26 bad-value an event's type is made of letters, digits, `_` and `-` with dots between, at most 128 bytes",
            "3:40 conflict `outputs` does not apply to a step of type `emit`",
        ],
    );
}

#[test]
fn agents_compile() {
    let agent = step(
        "- { id: a, agent: { provider: claude-code, prompt: 'Look at ${{ inputs.x }}', allowedTools: [Read], maxTurns: 3 }, timeout: 1s, retry: 1, labels: { gpu: true } }",
    );
    let config = json!({"provider": "claude-code", "prompt": "Look at ${{ inputs.x }}", "allowedTools": ["Read"], "maxTurns": 3});
    assert_eq!(task(&agent), ("agent", config, true));
    assert_eq!((agent.timeout, agent.retry.limit, agent.labels.len()), (SECOND, 1, 1));
}

#[test]
fn mistakes_of_agents() {
    check_steps(
        "- { id: a, agent: { prompt: p, tools: [Read], outputSchema: x } }",
        &[
            "3:19 missing-field `agent` needs `provider`",
            "3:32 unknown-field unknown field `tools`",
            "3:61 wrong-type `outputSchema` must be a JSON Schema, a map, this is a text",
        ],
    );
}

#[test]
fn steps_shape_their_outputs() {
    let shaped =
        step("- { id: a, run: echo, outputs: { rows: output.rows, ok: \"output.rows > inputs.min\" } }");
    let expected: [(Text, Text); 2] =
        [("rows".into(), "output.rows".into()), ("ok".into(), "output.rows > inputs.min".into())];
    assert_eq!(shaped.outputs, expected);
    check_steps(
        "- { id: a, delay: 1s, outputs: { x: output } }",
        &["3:23 conflict `outputs` does not apply to a step of type `delay`"],
    );
    check_steps(
        "- { id: a, run: echo, outputs: [x] }",
        &["3:32 wrong-type `outputs` must be a map of names and expressions, this is a list"],
    );
}

#[test]
fn concurrency_compiles() {
    let concurrency = |text: &str| {
        compiled(&format!("name: W\nconcurrency: {text}\nsteps: [{{ id: a }}]"))
            .definition
            .concurrency
            .clone()
    };
    let expected = Concurrency { group: None, limit: 1, on_conflict: OnConflict::Queue };
    assert_eq!(concurrency("{}"), Some(expected));
    let expected = Concurrency {
        group: Some("pr-${{ inputs.pr }}".into()),
        limit: 3,
        on_conflict: OnConflict::CancelRunning,
    };
    assert_eq!(
        concurrency("{ group: 'pr-${{ inputs.pr }}', limit: 3, onConflict: cancelRunning }"),
        Some(expected)
    );
    assert_eq!(compiled("name: W\nsteps: [{ id: a }]").definition.concurrency, None);
}

#[test]
fn mistakes_of_concurrency() {
    check(
        "name: W\nconcurrency: { group: '${{ steps.a.outputs.x }}', limit: 0, onConflict: wait, max: 1 }\nsteps: [{ id: a }]",
        &[
            "2:23 not-before the group of a run is found before it starts: there is no `steps` yet, name `inputs` or `trigger`",
            "2:58 bad-value `limit` must be a whole number from 1 to 100000, not 0",
            "2:73 bad-value `onConflict` must be `queue`, `cancelRunning` or `reject`, not `wait`",
            "2:79 unknown-field unknown field `max`",
        ],
    );
    check(
        "name: W\ninputs: { pr: integer }\nconcurrency: { group: '${{ inputs.pull }}' }\nsteps: [{ id: a }]",
        &["3:23 unknown-input the expression names unknown input `pull`"],
    );
}
