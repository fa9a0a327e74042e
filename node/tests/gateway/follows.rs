//! What happens in the cluster starts runs and reaches steps that wait for it: each event once, and without an end.

use serde_json::{Value, json};

use crate::{
    hands::{ended, start_run, start_with},
    node::{Asked, shared, until},
};

async fn apply(node: &Asked, document: &Value) {
    node.post("/workflows", &document.to_string()).await.ok(201);
}

/// A workflow of one step that says at once what set it off.
fn listener(name: &str, triggers: &Value) -> Value {
    json!({"name": name, "triggers": triggers, "steps": [{"id": "seen", "delay": "1ms"}]})
}

/// Has a run make an event; the run.
async fn emit(node: &Asked, kind: &str, data: Value) -> Value {
    let tell = json!([{"id": "tell", "emit": {"type": kind, "data": data}}]);
    let run = start_run(node, &json!({"name": "Teller", "steps": tell})).await;
    ended(node, &run).await
}

/// The runs of a workflow once there are so many, the first one first.
async fn runs_of(node: &Asked, workflow: &str, count: usize) -> Vec<Value> {
    let listed = until(|| async {
        let page = node.read(&format!("/runs?workflow={workflow}&limit=500")).await.ok(200);
        let items = page["items"].as_array().expect("a list").clone();
        (items.len() >= count).then_some(items)
    })
    .await;
    assert_eq!(listed.len(), count, "{listed:?}");
    let mut whole = Vec::new();
    for run in listed.iter().rev() {
        whole.push(ended(node, run["id"].as_str().expect("an id")).await);
    }
    whole
}

/// What was told of a workflow's triggers that started nothing, once there is some.
async fn skipped(node: &Asked, workflow: &str) -> Value {
    until(|| async {
        let events = node.read("/events?types=trigger.skipped&limit=500").await.ok(200);
        let events = events["items"].as_array().expect("a list").clone();
        events.into_iter().find(|event| event["subject"] == workflow)
    })
    .await
}

#[tokio::test]
async fn an_event_starts_a_run_once_if_the_filter_lets_it_through() {
    let node = shared().await;
    emit(&node, "pipe.early", json!({"n": 9})).await;
    let filter = "trigger.event.data.data.n > 1";
    apply(&node, &listener("Piped", &json!({"event": {"type": "pipe.*", "filter": filter}}))).await;
    emit(&node, "pipe.one", json!({"n": 1})).await;
    emit(&node, "pipe.unfit", json!({})).await;
    let teller = emit(&node, "pipe.two", json!({"n": 2})).await;
    let [run] = runs_of(&node, "piped", 1).await.try_into().expect("one run");
    assert_eq!((&run["startedBy"], &run["workflowVersion"]), (&json!("event"), &json!("piped@1")));
    let (trigger, event) = (&run["trigger"], &run["trigger"]["event"]);
    assert_eq!(
        (&trigger["type"], &trigger["id"], &trigger["chain"]),
        (&json!("event"), &json!("event-1"), &json!([]))
    );
    assert_eq!((&event["type"], &event["subject"]), (&json!("pipe.two"), &teller["id"]));
    assert_eq!(event["data"]["data"], json!({"n": 2}));
    assert!(event["seq"].is_u64() && event["at"].is_string(), "{event}");
    let unfit = skipped(&node, "piped").await;
    assert_eq!(unfit["data"]["cause"], "filterFailed", "{unfit}");
    assert!(
        unfit["data"]["detail"].as_str().is_some_and(|detail| detail.contains("trigger.event.data.data.n"))
    );

    // Another version listens to something else; the runs of the first one stay one.
    let document = listener(
        "Piped",
        &json!({"event": {"id": "keys", "type": "state.changed",
                                                       "filter": "trigger.event.subject == 'piped.key'"}}),
    );
    apply(&node, &document).await;
    emit(&node, "pipe.three", json!({"n": 3})).await;
    node.put("/state/keys/piped.key", r#"{"value":7}"#).await.ok(200);
    let [_, second] = runs_of(&node, "piped", 2).await.try_into().expect("two runs");
    let seen = &second["trigger"];
    assert_eq!((&seen["id"], &seen["event"]["data"]["newValue"]), (&json!("keys"), &json!(7)));
}

#[tokio::test]
async fn the_end_of_a_run_starts_a_run_of_another_workflow() {
    let node = shared().await;
    let steps = json!([{"id": "gate", "condition": "good", "onFalse": "fail"}]);
    let first = json!({"name": "Upstream", "inputs": {"good": {"type": "boolean", "default": true}}, "steps": steps,
                       "outputs": {"answer": "42"}});
    apply(&node, &first).await;
    apply(&node, &listener("Downstream", &json!({"workflow": {"name": "upstream"}}))).await;
    let on = json!(["failed", "timed_out"]);
    apply(&node, &listener("Alarm", &json!({"workflow": {"id": "bad", "name": "upstream", "on": on}}))).await;
    let good = start_with(&node, &json!({"workflow": "upstream"})).await;
    let [run] = runs_of(&node, "downstream", 1).await.try_into().expect("one run");
    assert_eq!(run["startedBy"], "after");
    let expected = json!({"type": "workflow", "id": "workflow-1", "workflow": "upstream", "version": 1, "run": good,
                          "status": "completed", "conclusion": "success", "outputs": {"answer": 42}, "error": null,
                          "chain": ["upstream"]});
    assert_eq!(run["trigger"], expected);
    let bad = start_with(&node, &json!({"workflow": "upstream", "inputs": {"good": false}})).await;
    let [alarm] = runs_of(&node, "alarm", 1).await.try_into().expect("one run");
    let seen = &alarm["trigger"];
    assert_eq!((&seen["run"], &seen["error"]["code"]), (&json!(bad), &json!("CONDITION_FALSE")));
    // The same workflow as part of another run, whose own items are no runs of it.
    let each = json!([{"id": "each", "foreach": {"items": "[1, 2]"}, "workflow": "upstream"}]);
    start_run(&node, &json!({"name": "Caller", "steps": each})).await;
    runs_of(&node, "downstream", 3).await;
    runs_of(&node, "alarm", 1).await;
}

#[tokio::test]
async fn a_step_waits_for_an_event_that_happens_after_the_wait_began() {
    let node = shared().await;
    emit(&node, "build.done", json!({"id": 7})).await;
    let wait =
        json!({"event": "build.*", "filter": "has(event.data.data.id) && event.data.data.id == inputs.id"});
    let steps = json!([{"id": "built", "wait": wait, "outputs": {"at": "output.at", "id": "output.data.data.id"}},
                       {"id": "after", "condition": "steps.built.outputs.id == inputs.id"}]);
    let run =
        start_with(&node, &json!({"definition": {"name": "Waits", "steps": steps}, "inputs": {"id": 7}}))
            .await;
    let waiting = until(|| async {
        let view = node.read(&format!("/runs/{run}")).await.ok(200);
        (view["status"] == "waiting").then_some(view)
    })
    .await;
    let step = &waiting["steps"][0];
    assert_eq!(
        (&step["event"], &step["waitingFor"]["reason"]),
        (&json!("build.*"), &json!("event")),
        "{step}"
    );
    for other in [json!({"id": 8}), json!({})] {
        emit(&node, "build.done", other).await;
    }
    assert_eq!(node.read(&format!("/runs/{run}")).await.ok(200)["status"], "waiting");
    emit(&node, "build.done", json!({"id": 7})).await;
    let done = ended(&node, &run).await;
    assert_eq!(
        (&done["status"], &done["steps"][0]["output"]["id"]),
        (&json!("completed"), &json!(7)),
        "{done}"
    );
    assert!(done["steps"][0]["output"]["at"].is_string());
}

#[tokio::test]
async fn a_wait_for_an_event_ends_in_time_and_with_a_filter_that_does_not_work() {
    let node = shared().await;
    let waits = |wait: Value| json!({"name": "Waits", "steps": [{"id": "it", "wait": wait}]});
    let late = start_run(&node, &waits(json!({"event": "never.comes", "timeout": "50ms"}))).await;
    let late = ended(&node, &late).await;
    assert_eq!(
        (&late["error"]["code"], &late["steps"][0]["status"]),
        (&json!("EVENT_TIMEOUT"), &json!("timed_out"))
    );
    let broken =
        start_run(&node, &waits(json!({"event": "unfit.told", "filter": "event.data.nothing == 1"}))).await;
    until(|| async {
        let view = node.read(&format!("/runs/{broken}")).await.ok(200);
        (view["status"] == "waiting").then_some(())
    })
    .await;
    emit(&node, "unfit.told", json!({})).await;
    let broken = ended(&node, &broken).await;
    assert_eq!(broken["error"]["code"], "UNKNOWN_NAME", "{broken}");
}

#[tokio::test]
async fn runs_that_start_each_other_come_to_an_end() {
    let node = shared().await;
    // By events of their own: so many in a row.
    let echo = json!({"name": "Again", "triggers": {"event": {"type": "again.told"}},
                      "steps": [{"id": "tell", "emit": {"type": "again.told"}}]});
    apply(&node, &echo).await;
    start_with(&node, &json!({"workflow": "again"})).await;
    let runs = runs_of(&node, "again", 16).await;
    assert_eq!(runs[15]["trigger"]["chain"], json!(vec!["again"; 15]));
    assert_eq!(skipped(&node, "again").await["data"]["cause"], "chainTooLong");
    // By what they do, a run of the same workflow never.
    let wide = json!({"name": "Wide", "triggers": {"event": {"type": "**",
        "filter": "trigger.event.type == 'state.changed' ? trigger.event.subject == 'wide.key'
                   : has(trigger.event.data.workflow) && trigger.event.data.workflow == 'Wide'"}},
        "steps": [{"id": "write", "state": {"set": {"wide.key": 1, "wide.more": 2}}}]});
    apply(&node, &wide).await;
    node.put("/state/keys/wide.key", r#"{"value":0}"#).await.ok(200);
    runs_of(&node, "wide", 1).await;
    // By their ends: the second one led to by the first does not start that again.
    apply(&node, &listener("Ping", &json!({"workflow": {"name": "pong"}}))).await;
    apply(&node, &listener("Pong", &json!({"workflow": {"name": "ping"}}))).await;
    start_with(&node, &json!({"workflow": "ping"})).await;
    assert_eq!(skipped(&node, "ping").await["data"]["cause"], "circle");
    runs_of(&node, "ping", 1).await;
    runs_of(&node, "pong", 1).await;
    runs_of(&node, "wide", 1).await;
}

#[tokio::test]
async fn a_workflow_that_is_paused_is_not_started_and_that_is_told() {
    let node = shared().await;
    apply(&node, &listener("Resting", &json!({"event": {"type": "rest.*"}}))).await;
    node.post("/workflows/resting/pause", "").await.ok(200);
    emit(&node, "rest.one", json!(1)).await;
    let told = skipped(&node, "resting").await["data"].clone();
    assert_eq!(
        (&told["cause"], &told["trigger"], &told["count"]),
        (&json!("workflowPaused"), &json!("event-1"), &json!(1))
    );
    node.post("/workflows/resting/resume", "").await.ok(200);
    emit(&node, "rest.two", json!(2)).await;
    let [run] = runs_of(&node, "resting", 1).await.try_into().expect("one run");
    assert_eq!(run["trigger"]["event"]["data"]["data"], 2);
}
