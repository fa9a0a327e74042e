//! Work done by components: over long polls, and over a session of the Rust worker.

use std::time::Duration;

use orc_client::{Client, TaskError, Worker};
use serde_json::{Value, json};

use crate::node::{Asked, shared, until};

async fn start_run(node: &Asked, definition: &Value) -> String {
    let body = json!({ "definition": definition }).to_string();
    node.post("/runs", &body).await.ok(201)["runId"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_polling_worker_completes_a_run() {
    let node = shared().await;
    let definition = json!({"name": "polled", "steps": [
        {"name": "Double It", "type": "task", "config": {"action": "double", "n": 21}},
        {"name": "Check", "type": "condition", "condition": "result == 42"}
    ]});
    let run = start_run(&node, &definition).await;
    let waiting = node.read(&format!("/runs/{run}")).await.ok(200);
    assert_eq!(
        (&waiting["steps"][0]["status"], &waiting["waitingFor"]["reason"]),
        (&json!("ready"), &json!("component"))
    );

    node.put("/components/doubler", r#"{"capabilities":["double"],"slots":1}"#).await.ok(200);
    let polled = node.post("/components/doubler/poll", r#"{"max":4,"wait":20000}"#).await.ok(200);
    let task = &polled["tasks"][0];
    assert_eq!(
        (&task["action"], &task["stepId"], &task["payload"]["n"]),
        (&json!("double"), &json!("double_it"), &json!(21))
    );
    let (id, token) = (task["taskId"].as_str().expect("an id"), task["token"].as_u64().expect("a token"));
    let pulse =
        node.post(&format!("/tasks/{id}/heartbeat"), &json!({ "token": token }).to_string()).await.ok(200);
    assert_eq!(pulse["cancelRequested"], false);

    let wait = tokio::spawn({
        let (node, run) = (node.clone(), run.clone());
        async move { node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200) }
    });
    let result = |token: u64| json!({"token": token, "output": {"result": 42}}).to_string();
    node.post(&format!("/tasks/{id}/complete"), &result(token + 1)).await.problem(409, "STALE_ATTEMPT");
    node.post(&format!("/tasks/{id}/complete"), &result(token)).await.ok(200);
    let ended = wait.await.expect("the wait ends");
    assert_eq!((&ended["status"], &ended["conclusion"]), (&json!("completed"), &json!("success")), "{ended}");
    assert_eq!((&ended["steps"][0]["attempts"], &ended["steps"][1]["decision"]), (&json!(1), &json!(true)));
    node.post(&format!("/tasks/{id}/complete"), &result(token)).await.problem(409, "STALE_ATTEMPT");
    node.post(&format!("/runs/{run}/cancel"), "").await.problem(409, "INVALID_TRANSITION");
}

#[tokio::test]
async fn a_task_may_depend_on_one_that_ended_long_ago() {
    let node = shared().await;
    node.put("/components/archivist", r#"{"capabilities":["archive"],"slots":1}"#).await.ok(200);
    let first = node.post("/tasks", r#"{"name":"first","action":"archive"}"#).await.ok(201);
    let first = first["taskId"].as_str().expect("an id").to_owned();
    let polled = node.post("/components/archivist/poll", r#"{"wait":20000}"#).await.ok(200);
    let token = polled["tasks"][0]["token"].as_u64().expect("a token");
    node.post(&format!("/tasks/{first}/complete"), &json!({ "token": token }).to_string()).await.ok(200);
    assert_eq!(node.read(&format!("/tasks/{first}/wait")).await.ok(200)["status"], "completed");
    let body = json!({"name": "second", "action": "nobody", "dependencies": [first]}).to_string();
    assert_eq!(node.post("/tasks", &body).await.ok(201)["status"], "queued");
    node.post(&format!("/tasks/{first}/cancel"), "").await.problem(409, "INVALID_TRANSITION");
}

#[tokio::test]
async fn a_session_carries_tasks_messages_and_drains() {
    let node = shared().await;
    let client = || Client::builder().nodes([node.base.clone()]).build().expect("a client");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::new(client()).id("session-worker").slots(2).task_fn(
        "sum",
        |_, numbers: Vec<i64>| async move { Ok::<_, TaskError>(numbers.iter().sum::<i64>()) },
    );
    let running = tokio::spawn(worker.run(async move {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    }));
    // The line break in the payload must not break the line of the session.
    let task = node
        .post("/tasks", "{\"name\":\"sum\",\"action\":\"sum\",\"payload\":[1,\n 2,\r\n 3]}")
        .await
        .ok(201);
    let id = task["taskId"].as_str().expect("an id");
    let ended = node.read(&format!("/tasks/{id}/wait?timeout=20000")).await.ok(200);
    assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!(6)), "{ended}");

    let replies =
        node.post("/components/broadcast?timeout=5000", r#"{"type":"nobody-handles-this"}"#).await.ok(200);
    let replies = replies["responses"].as_array().expect("a list").clone();
    assert!(
        replies.iter().any(|reply| reply["componentId"] == "session-worker" && reply["error"].is_object())
    );
    node.post("/components/nobody/messages", r#"{"type":"ping"}"#).await.problem(404, "NOT_FOUND");

    drop(stop);
    tokio::time::timeout(Duration::from_secs(20), running)
        .await
        .expect("it drains")
        .expect("no panic")
        .expect("no error");
    until(|| async {
        let component = node.read("/components/session-worker").await.ok(200);
        (component["status"] == "disconnected").then_some(())
    })
    .await;
}
