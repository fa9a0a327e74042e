//! Each kind of step and what holds runs together, as a user meets it: conditions, children, waits, state, messages, events,
//! handlers, limits.

use std::time::{SystemTime, UNIX_EPOCH};

use orc_client::wire::Timestamp;
use serde_json::{Value, json};

use crate::{
    hands::{Hand, ended, start_run, start_with},
    node::{Asked, shared, until},
};

pub fn workflow(name: &str, steps: Value) -> Value {
    json!({ "name": name, "steps": steps })
}

pub async fn at_its_end(node: &Asked, definition: &Value) -> Value {
    let run = start_run(node, definition).await;
    ended(node, &run).await
}

pub fn step<'v>(run: &'v Value, id: &str) -> &'v Value {
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id}: {run}"))
}

#[track_caller]
pub fn check(run: &Value, status: &str, statuses: &[(&str, &str)]) {
    assert_eq!(run["status"], status, "{run}");
    for (id, status) in statuses {
        assert_eq!(step(run, id)["status"], *status, "{id} of {run}");
    }
}

/// Names of the users' own events since a place, in order.
async fn told(node: &Asked, since: &Value) -> Vec<String> {
    let events = node.read(&format!("/events?since={since}&types=undo.*&limit=500")).await.ok(200);
    let events = events["items"].as_array().expect("a list").iter();
    events.map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The place of the latest event.
async fn now(node: &Asked) -> Value {
    node.read("/events?limit=1").await.ok(200)["lastSeq"].clone()
}

#[tokio::test]
async fn names_mean_outputs_then_inputs_and_an_unknown_one_fails_with_what_there_is() {
    let node = shared().await;
    let hand = Hand::new(&node, "namer", &["name-it"]).await;
    let mut definition = workflow(
        "names",
        json!([{"id": "a", "action": "name-it", "outputs": {"twice": "output.n * 2"}},
               {"id": "b", "condition": "twice == 14 && n == 3"},
               {"id": "c", "action": "name-it", "config": {"number": "${{ twice }}", "text": "n is ${{ n }}"}}]),
    );
    definition["inputs"] = json!({"n": {"type": "integer", "default": 3}});
    definition["outputs"] = json!({"sum": "twice + inputs.n"});
    let run = start_run(&node, &definition).await;
    hand.complete(json!({"n": 7})).await;
    let task = hand.complete(json!({})).await;
    assert_eq!(task["payload"], json!({"number": 14, "text": "n is 3"}));
    let view = ended(&node, &run).await;
    assert_eq!((&step(&view, "a")["output"], &view["outputs"]), (&json!({"twice": 14}), &json!({"sum": 17})));

    let unknown = workflow(
        "unknown",
        json!([{"id": "a", "action": "name-it"}, {"id": "b", "condition": "accurcy > 1"}]),
    );
    let run = start_run(&node, &unknown).await;
    hand.complete(json!({"accuracy": 1, "loss": 2})).await;
    let view = ended(&node, &run).await;
    let message = step(&view, "b")["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("accurcy") && message.contains("accuracy, loss"), "{message}");
}

#[tokio::test]
async fn children_of_a_group_run_at_once() {
    let node = shared().await;
    let hand = Hand::new(&node, "twins", &["twin"]).await;
    let definition = workflow(
        "group",
        json!([{"id": "both", "parallel": [{"id": "one", "action": "twin"},
                    {"id": "more", "parallel": [{"id": "two", "action": "twin"}]}]}, {"id": "after", "delay": "1ms"}]),
    );
    let run = start_run(&node, &definition).await;
    let (first, second) = (hand.take().await, hand.take().await);
    hand.finish(&first, json!({})).await;
    hand.finish(&second, json!({})).await;
    check(
        &ended(&node, &run).await,
        "completed",
        &[("both", "completed"), ("more", "completed"), ("after", "completed")],
    );
}

#[tokio::test]
async fn delays_and_times_are_not_early() {
    let node = shared().await;
    let mut definition = workflow(
        "times",
        json!([{"id": "pause", "delay": "150ms"}, {"id": "until", "wait": {"until": "timestamp(inputs.at)"}},
               {"id": "past", "wait": {"until": "2020-01-01T00:00:00Z"}}]),
    );
    definition["inputs"] = json!({"at": {"type": "string"}});
    let view = at_its_end(&node, &workflow("times", json!([{"id": "pause", "delay": "150ms"}]))).await;
    assert!(step(&view, "pause")["durationMs"].as_u64().expect("a time") >= 150, "{view}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let at = Timestamp(u64::try_from(now.as_millis()).expect("it fits") + 600);
    let run = start_with(&node, &json!({"definition": definition, "inputs": {"at": at}})).await;
    let view = ended(&node, &run).await;
    let ended_at = serde_json::from_value::<Timestamp>(step(&view, "until")["endedAt"].clone());
    assert!(ended_at.expect("it ended") >= at, "{view}");
    check(&view, "completed", &[("past", "completed")]);
}

#[tokio::test]
async fn keys_are_written_and_read_by_steps_and_in_expressions() {
    let node = shared().await;
    let definition = workflow(
        "keys",
        json!([{"id": "write", "state": {"set": {"steps.keys.a": {"n": 1}, "steps.keys.b": "${{ run.workflow }}"}}},
               {"id": "read", "state": {"get": ["steps.keys.a", "steps.keys.none"]}},
               {"id": "gate", "condition": "state('steps.keys.b') == 'keys'", "onFalse": "fail"},
               {"id": "clash", "state": {"set": {"steps.keys.a": 2}, "ifVersion": 77}}]),
    );
    let view = at_its_end(&node, &definition).await;
    check(&view, "failed", &[("write", "completed"), ("gate", "completed"), ("clash", "failed")]);
    let values = &step(&view, "read")["output"]["values"];
    assert_eq!((&values["steps.keys.a"], &values["steps.keys.none"]), (&json!({"n": 1}), &Value::Null));
    assert_eq!(node.read("/state/keys/steps.keys.a").await.ok(200)["value"], json!({"n": 1}));
}

#[tokio::test]
async fn a_step_asks_a_component_and_others_hear_of_events() {
    let node = shared().await;
    node.put("/components/oracle", r#"{"capabilities":["nothing"],"slots":1}"#).await.ok(200);
    node.post("/components/oracle/poll", r#"{"wait":1}"#).await.ok(200);
    let definition = workflow(
        "asking",
        json!([{"id": "ask", "message": {"component": "oracle", "type": "what", "payload": {"of": "${{ run.id }}"}}},
               {"id": "tell", "emit": {"type": "told.answer", "data": {"it": "${{ steps.ask.outputs.is }}"}}}]),
    );
    let run = start_run(&node, &definition).await;
    let message = until(|| async {
        let polled = node.post("/components/oracle/poll", r#"{"wait":1000}"#).await.ok(200);
        let message = polled["messages"][0].clone();
        message.is_object().then_some(message)
    })
    .await;
    assert_eq!((&message["messageType"], &message["payload"]), (&json!("what"), &json!({"of": run})));
    let reply = format!("/messages/{}/reply", message["messageId"].as_str().expect("an id"));
    let answer = node.post(&reply, r#"{"payload":{"is":42}}"#).await;
    assert!(answer.status < 300, "{}", answer.text);
    check(&ended(&node, &run).await, "completed", &[("ask", "completed")]);
    let events = node.read(&format!("/events?run={run}&types=told.answer")).await.ok(200);
    assert_eq!(events["items"][0]["data"]["data"], json!({"it": 42}), "{events}");
}

#[tokio::test]
async fn what_is_undone_and_told_after_a_failure_and_a_cancel_comes_in_order() {
    let node = shared().await;
    let hand = Hand::new(&node, "handler", &["undo-it"]).await;
    let tell = |what: &str| json!({"id": what, "emit": {"type": format!("undo.{what}")}});
    let undone = |id: &str| {
        let (key, told) = (format!("steps.undone.{id}"), format!("undo.undo-{id}"));
        json!({"id": id, "state": {"set": {key: 1}}, "compensate": {"emit": {"type": told}}})
    };
    let mut definition =
        workflow("handled", json!([undone("one"), undone("two"), {"id": "last", "action": "undo-it"}]));
    definition["onFailure"] = json!([tell("failed")]);
    definition["onCancel"] = json!([tell("cancelled")]);
    definition["finally"] = json!([tell("over")]);
    let since = now(&node).await;
    let run = start_run(&node, &definition).await;
    hand.fail().await;
    check(&ended(&node, &run).await, "failed", &[]);
    assert_eq!(told(&node, &since).await, ["undo.undo-two", "undo.undo-one", "undo.failed", "undo.over"]);

    let since = now(&node).await;
    let run = start_run(&node, &definition).await;
    let task = hand.take().await;
    node.post(&format!("/runs/{run}/cancel"), r#"{"reason":"enough"}"#).await.ok(200);
    hand.finish(&task, json!({})).await;
    check(&ended(&node, &run).await, "cancelled", &[]);
    assert_eq!(told(&node, &since).await, ["undo.undo-two", "undo.undo-one", "undo.cancelled", "undo.over"]);
    let handlers = node.read(&format!("/runs/{run}")).await.ok(200)["handlers"].clone();
    assert_eq!(handlers.as_array().map(Vec::len), Some(4), "{handlers}");
}

#[tokio::test]
async fn a_pause_holds_items_back_and_a_cancel_reaches_them() {
    let node = shared().await;
    let hand = Hand::new(&node, "pauser", &["pause-it"]).await;
    let definition = workflow(
        "paused",
        json!([{"id": "each", "action": "pause-it", "foreach": {"items": [1, 2, 3], "maxParallel": 1}}]),
    );
    let run = start_run(&node, &definition).await;
    let first = hand.take().await;
    assert_eq!(node.post(&format!("/runs/{run}/pause"), "").await.ok(200)["status"], "paused");
    hand.finish(&first, json!(1)).await;
    let held = node.post("/components/pauser/poll", r#"{"wait":300}"#).await.ok(200);
    assert_eq!(held["tasks"], json!([]), "nothing starts while it is paused");
    node.post(&format!("/runs/{run}/resume"), "").await.ok(200);
    let second = hand.take().await;
    node.post(&format!("/runs/{run}/cancel"), "").await.ok(200);
    let cancel = until(|| async {
        let polled = node.post("/components/pauser/poll", r#"{"wait":1000}"#).await.ok(200);
        let cancel = polled["cancels"][0].clone();
        cancel.is_object().then_some(cancel)
    })
    .await;
    assert_eq!(cancel["taskId"], second["taskId"]);
    hand.finish(&second, json!(2)).await;
    check(&ended(&node, &run).await, "cancelled", &[("each", "cancelled")]);
}

#[tokio::test]
async fn the_first_failed_item_ends_the_others_where_failing_is_fast() {
    let node = shared().await;
    let hand = Hand::new(&node, "failer", &["fail-it"]).await;
    let fan = |fast: bool| {
        workflow(
            "fast",
            json!([{"id": "each", "action": "fail-it", "continueOnError": true,
                                 "foreach": {"items": [1, 2, 3], "maxParallel": 1, "failFast": fast}}]),
        )
    };
    let run = start_run(&node, &fan(true)).await;
    hand.fail().await;
    let view = ended(&node, &run).await;
    let counts = &step(&view, "each")["items"];
    assert_eq!((&counts["ended"], &counts["failed"]), (&json!(1), &json!(1)), "{view}");
    let run = start_run(&node, &fan(false)).await;
    hand.complete(json!("a")).await;
    hand.fail().await;
    hand.complete(json!("c")).await;
    let view = ended(&node, &run).await;
    let counts = &step(&view, "each")["items"];
    assert_eq!((&counts["ended"], &counts["failed"]), (&json!(3), &json!(1)), "{view}");
}

#[tokio::test]
async fn a_step_runs_a_workflow_that_is_kept_by_its_name() {
    let node = shared().await;
    let hand = Hand::new(&node, "caller", &["call-it"]).await;
    let called = json!({"id": "called", "name": "Called", "inputs": {"n": {"type": "integer", "required": true}},
        "steps": [{"id": "work", "action": "call-it", "config": {"n": "${{ inputs.n }}"}}],
        "outputs": {"got": "steps.work.outputs.x"}});
    node.put("/workflows/called", &called.to_string()).await.ok(201);
    let calling = |name: &str, inputs: Value, detach: bool| {
        workflow("calling", json!([{"id": "call", "workflow": name, "inputs": inputs, "detach": detach}]))
    };
    let run = start_run(&node, &calling("called@1", json!({"n": 5}), false)).await;
    let task = hand.complete(json!({"x": 9})).await;
    assert_eq!(task["payload"], json!({"n": 5}));
    let view = ended(&node, &run).await;
    assert_eq!(step(&view, "call")["output"], json!({"got": 9}));
    let child = step(&view, "call")["childRunId"].as_str().expect("a child").to_owned();
    let child = node.read(&format!("/runs/{child}")).await.ok(200);
    assert_eq!((&child["workflowVersion"], &child["startedBy"]), (&json!("called@1"), &json!("workflow")));

    for (name, inputs, code) in [
        ("nobody-kept-this", json!({}), "WORKFLOW_UNKNOWN"),
        ("called@9", json!({"n": 1}), "WORKFLOW_UNKNOWN"),
        ("called", json!({"n": "five"}), "INPUTS_INVALID"),
    ] {
        let view = at_its_end(&node, &calling(name, inputs, false)).await;
        assert_eq!(step(&view, "call")["error"]["code"], code, "{view}");
    }

    let run = start_run(&node, &calling("called", json!({"n": 1}), false)).await;
    let task = hand.take().await;
    node.post(&format!("/runs/{run}/cancel"), "").await.ok(200);
    hand.finish(&task, json!({"x": 1})).await;
    check(&ended(&node, &run).await, "cancelled", &[("call", "cancelled")]);

    let view = at_its_end(&node, &calling("called", json!({"n": 2}), true)).await;
    let other = step(&view, "call")["output"]["runId"].as_str().expect("a run").to_owned();
    hand.complete(json!({"x": 2})).await;
    assert_eq!(ended(&node, &other).await["outputs"], json!({"got": 2}));
}

#[tokio::test]
async fn runs_and_steps_have_limits_of_time() {
    let node = shared().await;
    let mut definition = workflow("hasty", json!([{"id": "wait", "delay": "1h"}]));
    definition["timeout"] = json!("200ms");
    let view = at_its_end(&node, &definition).await;
    check(&view, "timed_out", &[]);
    assert!(view["durationMs"].as_u64().expect("a time") >= 200, "{view}");
    let hand = Hand::new(&node, "dawdler", &["dawdle"]).await;
    let steps = json!([{"id": "work", "action": "dawdle", "timeout": "150ms", "retry": {"limit": 1}}]);
    let run = start_run(&node, &workflow("hasty", steps)).await;
    hand.take().await;
    check(&ended(&node, &run).await, "failed", &[("work", "timed_out")]);
    let steps = json!([{"id": "wait", "wait": {"signal": "never"}, "timeout": "100ms"}]);
    let view = at_its_end(&node, &workflow("hasty", steps)).await;
    check(&view, "failed", &[("wait", "timed_out")]);
}

#[tokio::test]
async fn a_component_sets_the_pause_and_a_lost_attempt_may_be_the_last() {
    let node = shared().await;
    let hand = Hand::new(&node, "lender", &["lend-it"]).await;
    let retrying =
        workflow("later", json!([{"id": "a", "action": "lend-it", "retry": {"limit": 2, "delay": "1ms"}}]));
    let run = start_run(&node, &retrying).await;
    let task = hand.take().await;
    let fail = json!({"token": task["token"], "error": {"code": "BUSY", "message": "later", "retryable": true}, "retryAfter": 400});
    let path = format!("/tasks/{}/fail", task["taskId"].as_str().expect("an id"));
    let answer = node.post(&path, &fail.to_string()).await;
    assert!(answer.status < 300, "{}", answer.text);
    hand.complete(json!({})).await;
    let view = ended(&node, &run).await;
    assert!(view["durationMs"].as_u64().expect("a time") >= 400, "{view}");

    let once =
        workflow("once", json!([{"id": "a", "action": "lend-it", "retry": {"limit": 1, "maxLost": 0}}]));
    let run = start_run(&node, &once).await;
    hand.take().await;
    node.call(reqwest::Method::DELETE, "/components/lender", "").await;
    let view = ended(&node, &run).await;
    assert_eq!((&view["status"], &step(&view, "a")["attempts"]), (&json!("failed"), &json!(1)), "{view}");
}
