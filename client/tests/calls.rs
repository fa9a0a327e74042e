//! How calls are tried: which failures are tried again, where, with which key, and what the caller learns.
//! Knows nothing of a real node's rules.

mod support;

use std::time::Duration;

use orc_client::{Client, Error, Workflow};
use serde_json::{Value, json};
use support::http::{Act, FakeHttp};
use support::soon;
use tokio::net::TcpListener;

fn client(nodes: &[&FakeHttp]) -> Client {
    let nodes = nodes.iter().map(|node| node.url.clone());
    Client::builder().nodes(nodes).timeout(Duration::from_secs(2)).build().expect("nodes")
}

fn problem(status: u16, code: &str, executed: Value) -> Act {
    Act::Answer(status, "", json!({ "status": status, "code": code, "executed": executed }).to_string())
}

fn entry() -> Act {
    Act::Answer(
        200,
        "orc-index: 42\r\n",
        json!({ "key": "k", "value": 1, "version": 3, "rev": 42 }).to_string(),
    )
}

#[tokio::test]
async fn a_mutation_is_tried_on_all_nodes_with_the_same_key() {
    let first =
        FakeHttp::start([Act::Drop, Act::Answer(503, "retry-after: 0\r\n", "no json".into()), entry()]).await;
    let second =
        FakeHttp::start([problem(503, "NO_LEADER", json!(false)), problem(429, "QUEUE_FULL", json!(false))])
            .await;
    let client = client(&[&first, &second]);
    let set = soon("the answer", async { client.state().set("a/b", 1).if_version(2).await })
        .await
        .expect("third time lucky");
    assert_eq!((set.version, set.rev), (3, 42));

    let requests = first.requests();
    assert_eq!((requests.len(), second.requests().len()), (3, 2));
    assert_eq!(
        (requests[0].line.as_str(), requests[0].body.as_str()),
        ("PUT /api/v1/state/keys/a%2Fb", r#"{"value":1}"#)
    );
    assert_eq!(requests[0].headers.get("if-match").map(String::as_str), Some("\"2\""));
    let mut keys = [first.header("idempotency-key"), second.header("idempotency-key")].concat();
    keys.dedup();
    assert!(keys.len() == 1 && keys[0].is_some(), "{keys:?}");

    client.state().get("k").await.expect("the node that worked last");
    assert_eq!(first.requests().len(), 4);
    assert_eq!(first.header("orc-min-index")[3].as_deref(), Some("42"), "a read is as new as the last write");
}

#[tokio::test]
async fn what_is_final_is_not_tried_again() {
    let node = FakeHttp::start([
        problem(412, "STATE_VERSION_CONFLICT", json!(false)),
        problem(504, "COMPONENT_TIMEOUT", Value::Null),
        problem(404, "NOT_FOUND", json!(false)),
    ])
    .await;
    let client = client(&[&node]);
    let conflict = client.state().set("k", 1).idempotency_key("mine").await.expect_err("a conflict");
    assert_eq!(
        (conflict.code(), conflict.is_retryable(), conflict.executed()),
        ("STATE_VERSION_CONFLICT", false, Some(false))
    );
    assert_eq!(node.header("idempotency-key"), [Some("mine".to_owned())]);
    let silent = client
        .components()
        .send("c", "sync", ())
        .timeout(Duration::from_millis(5))
        .await
        .expect_err("a time-out");
    assert_eq!(silent.code(), "COMPONENT_TIMEOUT");
    assert_eq!(node.requests()[1].line, "POST /api/v1/components/c/messages?timeout=5");
    assert!(client.state().get("k").await.expect("no key is no error").is_none());
    assert_eq!(node.requests().len(), 3);
}

#[tokio::test]
async fn without_retries_a_refusal_is_told_at_once() {
    let node = FakeHttp::start([problem(429, "OVERLOADED", json!(false)), entry()]).await;
    let client = Client::builder().nodes([&node.url]).without_retries().build().expect("a node");
    let refusal = client.state().set("k", 1).await.expect_err("a refusal");
    assert_eq!((refusal.code(), refusal.is_retryable(), node.requests().len()), ("OVERLOADED", true, 1));
}

#[tokio::test]
async fn a_message_is_sent_again_only_if_it_certainly_reached_nobody() {
    let ok = Act::Answer(200, "", json!({ "componentId": "c", "payload": [1] }).to_string());
    let node = FakeHttp::start([problem(503, "SHUTTING_DOWN", json!(false)), ok, Act::Drop]).await;
    let client = client(&[&node]);
    assert_eq!(client.components().send("c", "sync", 1).await.expect("second time lucky"), json!([1]));
    let lost = client.components().send("c", "sync", 1).await.expect_err("nobody knows");
    assert!(matches!(lost, Error::Unreachable { attempts: 1, executed: None, .. }), "{lost:?}");
}

#[tokio::test]
async fn the_deadline_tells_what_was_in_the_way() {
    let node = FakeHttp::start([problem(503, "NO_LEADER", json!(false))]).await;
    let client =
        Client::builder().nodes([&node.url]).timeout(Duration::from_millis(300)).build().expect("a node");
    let error = client.state().set("k", 1).await.expect_err("no leader");
    assert!(matches!(error, Error::DeadlineExceeded { attempts: 2.., .. }), "{error:?}");
    assert_eq!((error.code(), error.executed(), error.is_retryable()), ("NO_LEADER", Some(false), true));

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let client =
        Client::builder().nodes([nobody]).timeout(Duration::from_millis(300)).build().expect("an address");
    let error = client.state().set("k", 1).await.expect_err("nobody there");
    assert_eq!((error.code(), error.executed()), ("UNREACHABLE", Some(false)));
}

#[tokio::test]
async fn a_run_is_started_and_waited_for() {
    let run = |status: &str| {
        let run = json!({ "id": "run_1", "workflow": "w", "status": status, "createdAt": "2026-01-01T00:00:00.000Z",
            "outputs": { "accuracy": 0.9 }, "steps": [{ "id": "s", "type": "task", "status": "completed" }] });
        Act::Answer(200, "", run.to_string())
    };
    let started = Act::Answer(
        201,
        "",
        json!({ "runId": "run_1", "workflowId": "run_1", "status": "running" }).to_string(),
    );
    let node = FakeHttp::start([started, run("running"), run("completed"), run("running")]).await;
    let client = client(&[&node]);
    let workflow = Workflow::definition(json!({ "name": "w", "steps": [] }));
    let handle =
        client.runs().start(workflow).input("epochs", 3).label("team", "ml").send().await.expect("started");
    assert_eq!(handle.id(), "run_1");
    let body: Value = serde_json::from_str(&node.requests()[0].body).expect("JSON");
    let expected = json!({ "definition": { "name": "w", "steps": [] }, "inputs": { "epochs": 3 }, "labels": { "team": "ml" } });
    assert_eq!(body, expected);

    let result = handle.wait().timeout(Duration::from_secs(5)).await.expect("completed");
    assert_eq!(result.output::<Value>().expect("outputs"), json!({ "accuracy": 0.9 }));
    assert_eq!(result.steps().len(), 1);
    let error = handle.wait().timeout(Duration::from_millis(1)).await.expect_err("still running");
    assert_eq!(error.code(), "DEADLINE_EXCEEDED");
}
