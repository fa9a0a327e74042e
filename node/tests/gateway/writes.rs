//! Writes: compared, repeated, refused by the rules.

use reqwest::Method;
use serde_json::json;

use crate::node::shared;

#[tokio::test]
async fn a_state_key_is_compared_and_set() {
    let node = shared().await;
    let first = node.put("/state/keys/cas.key", "{\"value\": {\"n\" : 1}}").await;
    let entry = first.ok(200);
    assert_eq!((&entry["key"], &entry["version"]), (&json!("cas.key"), &json!(1)));
    assert_eq!(
        (first.header("etag"), first.header("orc-index")),
        ("\"1\"", entry["rev"].to_string().as_str())
    );

    let path = "/state/keys/cas.key";
    let stale = node.call_with(Method::PUT, path, r#"{"value":2}"#, &[("if-match", "\"7\"")]).await;
    let problem = stale.problem(412, "STATE_VERSION_CONFLICT");
    assert_eq!(problem["detail"], "cas.key is at version 1, you expected 7");
    assert_eq!(stale.header("etag"), "\"1\"");
    node.call_with(Method::PUT, path, r#"{"value":2}"#, &[("if-none-match", "*")])
        .await
        .problem(412, "STATE_VERSION_CONFLICT");
    node.call_with(Method::PUT, path, r#"{"value":2}"#, &[("if-match", "\"1\"")]).await.ok(200);

    let read = node.read(path).await;
    assert_eq!((read.ok(200)["value"].clone(), read.header("etag")), (json!(2), "\"2\""));
    let known = node.call_with(Method::GET, path, "", &[("if-none-match", "\"2\"")]).await;
    assert_eq!((known.status, known.text.as_str()), (304, ""));

    let deleted = node.call(Method::DELETE, path, "").await.ok(200);
    assert_eq!(deleted["version"], 3);
    node.read(path).await.problem(404, "NOT_FOUND");
    node.call(Method::DELETE, path, "").await.problem(404, "NOT_FOUND");
    let versions = node.read("/state/keys/cas.key/versions").await.ok(200);
    let numbers: Vec<_> =
        versions["items"].as_array().expect("a list").iter().map(|item| item["version"].clone()).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(node.read("/state/keys/cas.key/versions/1").await.ok(200)["value"], json!({"n": 1}));
    node.read("/state/keys/cas.key/versions/9").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_repeated_call_gets_the_first_answer() {
    let node = shared().await;
    let body = r#"{"name":"once","action":"nobody-does-this"}"#;
    let key = [("idempotency-key", "once-and-only-once")];
    let first = node.call_with(Method::POST, "/tasks", body, &key).await;
    let again = node.call_with(Method::POST, "/tasks", body, &key).await;
    assert_eq!((first.status, again.status, &first.text), (201, 201, &again.text));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(first.header("orc-index"), again.header("orc-index"));
    let other = node.call_with(Method::POST, "/tasks", r#"{"name":"other"}"#, &key).await;
    other.problem(422, "IDEMPOTENCY_KEY_REUSED");

    let (path, value) = ("/state/keys/replayed", r#"{"value":1}"#);
    let key = [("idempotency-key", "a-write")];
    let first = node.call_with(Method::PUT, path, value, &key).await;
    node.put(path, r#"{"value":2}"#).await.ok(200);
    let again = node.call_with(Method::PUT, path, value, &key).await;
    assert_eq!(first.text, again.text);
    assert_eq!(node.read(path).await.ok(200)["value"], 2, "the replay changed nothing");
}

#[tokio::test]
async fn a_refusal_after_an_accepted_command_does_not_say_that_nothing_happened() {
    let node = shared().await;
    let key = [("idempotency-key", "a-snapshot-that-goes")];
    let make = || node.call_with(Method::POST, "/state/snapshots", r#"{"name":"goes"}"#, &key);
    let id = make().await.ok(201)["id"].as_str().expect("an id").to_owned();
    node.call(Method::DELETE, &format!("/state/snapshots/{id}"), "").await;
    let refused = make().await.problem(404, "NOT_FOUND");
    assert_eq!(refused.get("executed"), None, "the first call with this key made it");

    node.put("/components/leaves", r#"{"name":"leaves","type":"test","slots":1}"#).await.ok(200);
    let key = [("idempotency-key", "a-component-that-leaves")];
    let drain = || node.call_with(Method::POST, "/components/leaves/drain", "", &key);
    drain().await.ok(200);
    node.call(Method::DELETE, "/components/leaves", "").await;
    assert_eq!(drain().await.problem(404, "NOT_FOUND").get("executed"), None);
    let other = node.post("/components/leaves/drain", "").await.problem(404, "NOT_FOUND");
    assert_eq!(other["executed"], false, "a command that the rules refuse has no effect");
}

#[tokio::test]
async fn what_has_ended_does_not_change() {
    let node = shared().await;
    let run = node.post(
        "/runs",
        r#"{"definition":{"name":"ends","steps":[{"name":"Wait","type":"delay","delay":600000}]}}"#,
    );
    let run = run.await.ok(201)["runId"].as_str().expect("an id").to_owned();
    let waiting = node.read(&format!("/runs/{run}")).await.ok(200);
    assert_eq!((&waiting["status"], &waiting["waitingFor"]["reason"]), (&json!("waiting"), &json!("timer")));
    node.post(&format!("/runs/{run}/resume"), "").await.problem(409, "INVALID_TRANSITION");
    let cancelled = node.post(&format!("/runs/{run}/cancel"), r#"{"reason":"enough"}"#).await.ok(200);
    assert_eq!(cancelled["status"], "cancelled");
    for wish in ["cancel", "pause", "resume"] {
        let problem = node.post(&format!("/runs/{run}/{wish}"), "").await.problem(409, "INVALID_TRANSITION");
        assert_eq!(problem["executed"], false);
    }
    node.post("/runs/run_00000000000000000000000000/cancel", "").await.problem(404, "NOT_FOUND");
    node.post("/tasks/task_00000000000000000000000000/cancel", "").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn settings_are_merged_and_checked() {
    let node = shared().await;
    assert_eq!(
        node.read("/cluster/config").await.ok(200)["maxConcurrentWorkflows"],
        5,
        "the preset founded the cluster"
    );
    let problem = node.put("/cluster/config", r#"{"maxConcurentTasks":3,"retryAttempts":0}"#).await;
    let problem = problem.problem(422, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/maxConcurentTasks");
    node.put("/cluster/config", r#"{"state":{"maxVersions":11}}"#).await.ok(200);
    let config = node.read("/cluster/config").await.ok(200);
    assert_eq!((&config["state"]["maxVersions"], &config["maxConcurrentWorkflows"]), (&json!(11), &json!(5)));
}

#[tokio::test]
async fn a_batch_is_ordered_and_cycles_are_refused() {
    let node = shared().await;
    let batch = r#"[{"name":"b","ref":"b","action":"nobody","dependencies":["a"]},{"name":"a","ref":"a","action":"nobody"}]"#;
    let made = node.post("/tasks", batch).await.ok(201);
    assert_eq!(
        (&made["tasks"][0]["status"], &made["tasks"][1]["status"]),
        (&json!("blocked"), &json!("queued"))
    );
    let cycle =
        r#"[{"name":"b","ref":"b","dependencies":["a"]},{"name":"a","ref":"a","dependencies":["b"]}]"#;
    let problem = node.post("/tasks", cycle).await.problem(422, "VALIDATION_FAILED");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("b → a → b")));
    let unknown = r#"{"name":"x","dependencies":["task_00000000000000000000000000"]}"#;
    let problem = node.post("/tasks", unknown).await.problem(422, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/dependencies/0");
}
