//! Runs that repeat others: retry, rerun, and runs that are not started twice.

use serde_json::{Value, json};

use crate::{
    hands::{Hand, ended, id_of, start_run, start_with},
    node::shared,
};

pub fn chain(name: &str, action: &str) -> Value {
    let step = |id: &str| json!({"id": id, "type": "task", "config": {"action": action, "step": id}});
    json!({"name": name, "inputs": {"n": {"type": "integer", "default": 1}},
        "steps": [step("first"), step("second"), step("third")]})
}

#[tokio::test]
async fn a_retry_goes_on_from_the_step_that_failed() {
    let node = shared().await;
    let hand = Hand::new(&node, "retrier", &["retried"]).await;
    let body = json!({"definition": chain("retried", "retried"), "inputs": {"n": 7},
        "labels": {"team": "x"}, "priority": "HIGH"});
    let run = start_with(&node, &body).await;
    let retry = format!("/runs/{run}/retry");
    node.post(&retry, "").await.problem(409, "INVALID_TRANSITION");
    hand.complete(json!({"v": 1})).await;
    hand.fail().await;
    assert_eq!(ended(&node, &run).await["status"], "failed");

    let answer = node.post(&retry, "").await;
    let started = answer.ok(201);
    assert_eq!(started["origin"], json!({"runId": run, "how": "retry"}));
    let second = id_of(&started);
    assert!(answer.header("location").ends_with(&second));
    assert_eq!(hand.complete(json!({"v": 2})).await["payload"]["step"], "second");
    assert_eq!(hand.complete(json!({"v": 3})).await["payload"]["step"], "third");
    let view = ended(&node, &second).await;
    assert_eq!((&view["status"], &view["outputs"]), (&json!("completed"), &json!({"v": 3})), "{view}");
    assert_eq!((&view["inputs"], &view["labels"]["team"]), (&json!({"n": 7}), &json!("x")));
    assert_eq!((&view["priority"], &view["origin"]["runId"]), (&json!(3), &json!(run)));
    assert_eq!(view["steps"][0]["output"], json!({"v": 1}), "it was taken over");
    let refused = node.post(&format!("/runs/{second}/retry"), "").await.problem(409, "INVALID_TRANSITION");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.ends_with("/rerun")), "{refused}");

    let third = id_of(&node.post(&retry, r#"{"failedOnly":false}"#).await.ok(201));
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "first", "everything anew");
    node.post(&format!("/runs/{third}/terminate"), "").await.ok(200);
}

#[tokio::test]
async fn a_rerun_begins_at_any_step_with_other_inputs_or_another_config() {
    let node = shared().await;
    let hand = Hand::new(&node, "rerunner", &["rerun"]).await;
    let run = start_run(&node, &chain("rerun", "rerun")).await;
    for v in 1..=3 {
        hand.complete(json!({ "v": v })).await;
    }
    assert_eq!(ended(&node, &run).await["status"], "completed");
    let path = format!("/runs/{run}/rerun");

    let body = json!({"fromStep": "second", "inputs": {"n": 5}, "stepInput": {"step": "${{ inputs.n }}"}});
    let started = node.post(&path, &body.to_string()).await.ok(201);
    assert_eq!(started["origin"], json!({"runId": run, "how": "rerun"}));
    assert_eq!(hand.complete(json!({"v": 20})).await["payload"], json!({"step": 5}));
    assert_eq!(hand.complete(json!({"v": 30})).await["payload"]["step"], "third");
    let view = ended(&node, &id_of(&started)).await;
    let outputs: Vec<&Value> = (0..3).map(|place| &view["steps"][place]["output"]["v"]).collect();
    assert_eq!(outputs, [1, 20, 30], "{view}");
    assert_eq!(view["inputs"], json!({"n": 5}));

    for (body, pointer) in [
        (json!({"fromStep": "secnd"}), "/fromStep"),
        (json!({"fromStep": "second[0]"}), "/fromStep"),
        (json!({"inputs": {"n": "x"}}), "/inputs/n"),
        (json!({"inputs": [1]}), "/inputs"),
        (json!({"stepInput": {}}), "/stepInput"),
    ] {
        let problem = node.post(&path, &body.to_string()).await.problem(422, "VALIDATION_FAILED");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    node.post(&path, r#"{"from":"second"}"#).await.problem(400, "BAD_REQUEST");

    let whole = id_of(&node.post(&path, "").await.ok(201));
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "first");
    node.post(&format!("/runs/{whole}/terminate"), "").await.ok(200);
}

#[tokio::test]
async fn a_run_with_the_same_word_is_not_started_twice() {
    let node = shared().await;
    let definition = json!({"name": "once", "steps": [{"name": "Wait", "type": "delay", "delay": 600_000}]});
    let body = json!({"definition": definition, "dedupe": "order-7"}).to_string();
    let run = id_of(&node.post("/runs", &body).await.ok(201));
    let key = [("idempotency-key", "once-and-again")];
    let again = node.call_with(reqwest::Method::POST, "/runs", &body, &key).await.ok(200);
    assert_eq!((&again["runId"], &again["deduplicated"]), (&json!(run), &json!(true)));
    let replayed = node.call_with(reqwest::Method::POST, "/runs", &body, &key).await;
    assert_eq!(replayed.ok(200), again, "the same key gets the same answer");
    assert_eq!(replayed.header("idempotent-replayed"), "true");
    assert_eq!(node.read(&format!("/runs/{run}")).await.ok(200)["dedupe"], "order-7");

    let other = json!({"definition": definition, "dedupe": "order-8"});
    let other = start_with(&node, &other).await;
    for run in [&run, &other] {
        node.post(&format!("/runs/{run}/cancel"), "").await.ok(200);
        ended(&node, run).await;
    }
    let fresh = node.post("/runs", &body).await.ok(201);
    assert!(fresh["runId"] != json!(run) && fresh.get("deduplicated").is_none(), "{fresh}");
    node.post(&format!("/runs/{}/cancel", id_of(&fresh)), "").await.ok(200);
    node.post("/runs", r#"{"definition":{"name":"once","steps":[{"name":"a","type":"task"}]},"dedupe":""}"#)
        .await
        .problem(422, "VALIDATION_FAILED");
}
