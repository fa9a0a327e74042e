//! State keys over time and durable messages, over HTTP and a worker's session.
//! Knows nothing of how they are kept.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use orc_client::{Client, TaskError, Worker};
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Asked, shared, until};

async fn set(node: &Asked, key: &str, value: Value) {
    node.put(&format!("/state/keys/{key}"), &json!({ "value": value }).to_string()).await.ok(200);
}

async fn value(node: &Asked, key: &str) -> Option<Value> {
    let read = node.read(&format!("/state/keys/{key}")).await;
    (read.status == 200).then(|| read.ok(200)["value"].clone())
}

#[tokio::test]
async fn a_transaction_is_one_entry_or_nothing() {
    let node = shared().await;
    set(&node, "txn.a", json!(1)).await;
    let body = |version: u64| {
        json!({
            "compare": [{"key": "txn.a", "version": version}, {"key": "txn.none", "exists": false}],
            "ops": [{"op": "set", "key": "txn.b", "value": {"x": 1}}, {"op": "delete", "key": "txn.a"}],
        })
        .to_string()
    };
    node.post("/state/txn", &body(7)).await.problem(412, "STATE_VERSION_CONFLICT");
    assert_eq!((value(&node, "txn.a").await, value(&node, "txn.b").await), (Some(json!(1)), None));
    let written = node.post("/state/txn", &body(1)).await.ok(200);
    assert_eq!(written["versions"], json!({"txn.a": 2, "txn.b": 1}));
    assert_eq!((value(&node, "txn.a").await, value(&node, "txn.b").await), (None, Some(json!({"x": 1}))));
    for (ops, pointer) in [
        (json!([{"op": "set", "key": "txn.b"}]), "/ops/0/value"),
        (json!([{"op": "delete", "key": "txn.b", "value": 1}]), "/ops/0"),
        (json!([{"op": "delete", "key": "a..b"}]), "/ops/0/key"),
    ] {
        let refused = node.post("/state/txn", &json!({ "ops": ops }).to_string()).await;
        assert_eq!(refused.problem(422, "VALIDATION_FAILED")["errors"][0]["pointer"], pointer);
    }
    node.post("/state/txn", r#"{"ops": []}"#).await.problem(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_value_may_have_a_time_to_live_and_a_version_may_come_back() {
    let node = shared().await;
    let made = node.put("/state/keys/ttl.key", r#"{"value": 1, "ttl": "300ms"}"#).await.ok(200);
    assert!(made["expiresAt"].is_string(), "{made}");
    until(|| async { value(&node, "ttl.key").await.is_none().then_some(()) }).await;
    let back = node.post("/state/keys/ttl.key/versions/1/restore", "").await.ok(200);
    assert_eq!((&back["value"], &back["version"]), (&json!(1), &json!(3)), "two was its end");
    let versions = node.read("/state/keys/ttl.key/versions").await.ok(200);
    assert_eq!(versions["items"][0]["restoredFrom"], "1");
    node.post("/state/keys/ttl.key/versions/2/restore", "").await.problem(422, "VALIDATION_FAILED");
    node.post("/state/keys/ttl.key/versions/9/restore", "").await.problem(404, "NOT_FOUND");
    set(&node, "ttl.key", json!({"a": 1, "b": [2]})).await;
    let diff = node.read("/state/keys/ttl.key/diff?from=3&to=4").await.ok(200);
    assert!(diff["diff"].as_str().is_some_and(|diff| diff.contains("-1\n+{")), "{diff}");
}

#[tokio::test]
async fn a_snapshot_is_compared_and_restored_whole_or_in_part() {
    let node = shared().await;
    set(&node, "snap.a", json!("old")).await;
    set(&node, "snap.b", json!("old")).await;
    let body = r#"{"name": "before-update", "metadata": {"description": "Before major update"}}"#;
    let made = node.post("/state/snapshots", body).await;
    let snapshot = made.ok(201);
    let id = snapshot["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/state/snapshots/{id}"));
    node.post("/state/snapshots", body).await.problem(409, "INVALID_TRANSITION");
    set(&node, "snap.a", json!("new")).await;
    set(&node, "snap.c", json!("made since")).await;
    node.call(Method::DELETE, "/state/keys/snap.b", "").await.ok(200);

    let diff = node.read("/state/snapshots/before-update/diff?prefix=snap.").await.ok(200);
    let changes: Vec<(&Value, &Value)> =
        diff["items"].as_array().expect("a list").iter().map(|one| (&one["key"], &one["change"])).collect();
    let expected = [("snap.a", "changed"), ("snap.b", "removed"), ("snap.c", "added")];
    assert_eq!(json!(changes), json!(expected));
    let held = node.read(&format!("/state/snapshots/{id}/keys?prefix=snap.")).await.ok(200);
    let held: Vec<&Value> =
        held["items"].as_array().expect("a list").iter().map(|one| &one["value"]).collect();
    assert_eq!(json!(held), json!(["old", "old"]));

    let restore = |body: Value| {
        let (node, path) = (node.clone(), format!("/state/snapshots/{id}/restore"));
        async move { node.post(&path, &body.to_string()).await.ok(200) }
    };
    let dry = restore(json!({"prefix": "snap.", "dryRun": true})).await;
    assert_eq!((&dry["keys"], dry["changes"].as_array().map(Vec::len)), (&json!(3), Some(3)), "{dry}");
    assert_eq!(value(&node, "snap.a").await, Some(json!("new")), "a dry run changes nothing");
    assert_eq!(restore(json!({"prefix": "snap.a"})).await["keys"], 1);
    assert_eq!((value(&node, "snap.a").await, value(&node, "snap.b").await), (Some(json!("old")), None));
    assert_eq!(restore(json!({"prefix": "snap.", "keepNew": true})).await["keys"], 1);
    assert_eq!(value(&node, "snap.c").await, Some(json!("made since")));
    let versions = node.read("/state/keys/snap.b/versions").await.ok(200);
    assert_eq!(versions["items"][0]["restoredFrom"], json!(id));

    let exported = node.read(&format!("/state/export?prefix=snap.&snapshot={id}")).await;
    let lines: Vec<Value> =
        exported.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let keys: Vec<(&Value, &Value)> = lines.iter().map(|line| (&line["key"], &line["value"])).collect();
    assert_eq!(json!(keys), json!([["snap.a", "old"], ["snap.b", "old"]]));
    node.call(Method::DELETE, "/state/snapshots/before-update", "").await;
    node.read(&format!("/state/snapshots/{id}")).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn durable_messages_wait_come_in_order_and_are_given_up_with_a_reason() {
    let node = shared().await;
    node.put("/components/inbox", r#"{"capabilities": [], "slots": 0}"#).await.ok(200);
    let send = |number: u64| {
        let body = json!({"type": "note", "payload": number, "durable": true}).to_string();
        let node = node.clone();
        async move { node.post("/components/inbox/messages", &body).await }
    };
    let first = send(1).await;
    let id = first.ok(202)["messageId"].as_str().expect("an id").to_owned();
    assert_eq!(first.header("location"), format!("/api/v1/messages/{id}"));
    send(2).await.ok(202);
    assert_eq!(node.read(&format!("/messages/{id}")).await.ok(200)["status"], "queued");

    let polled = node.post("/components/inbox/poll", r#"{"wait": 20000}"#).await.ok(200);
    let came = polled["durable"].as_array().expect("a list").clone();
    let payloads: Vec<&Value> = came.iter().map(|message| &message["payload"]).collect();
    assert_eq!(json!(payloads), json!([1, 2]));
    let token = came[0]["token"].as_u64().expect("a token");
    let answer = |what: &str, token: u64| {
        let body = match what {
            "ack" => json!({"token": token}),
            _ => json!({"token": token, "error": {"code": "BUSY", "message": "not now"}, "retryAfter": 0}),
        };
        let (node, path) = (node.clone(), format!("/messages/{id}/{what}"));
        async move { node.post(&path, &body.to_string()).await }
    };
    answer("ack", token + 99).await.problem(409, "STALE_ATTEMPT");
    let mut token = token;
    for _ in 0..4 {
        assert_eq!(answer("nack", token).await.status, 204);
        let polled = node.post("/components/inbox/poll", r#"{"wait": 20000}"#).await.ok(200);
        assert_eq!(polled["durable"][0]["messageId"], json!(id), "again, in its place: {polled}");
        token = polled["durable"][0]["token"].as_u64().expect("a token");
    }
    assert_eq!(answer("nack", token).await.status, 204);
    let dead = node.read(&format!("/messages/{id}")).await.ok(200);
    assert_eq!(
        (&dead["status"], &dead["error"]["code"], &dead["deliveries"]),
        (&json!("dead"), &json!("BUSY"), &json!(5))
    );
    let listed = node.read("/messages/dead?component=inbox").await.ok(200);
    assert_eq!(listed["items"][0]["id"], json!(id));
    let moved = node.post("/messages/dead/requeue", &json!({"ids": [id]}).to_string()).await.ok(200);
    assert_eq!(moved["count"], 1);
    let queue = node.read("/components/inbox/messages").await.ok(200);
    let queue: Vec<&Value> =
        queue["items"].as_array().expect("a list").iter().map(|one| &one["payload"]).collect();
    assert_eq!(json!(queue), json!([2, 1]), "at the end of its queue");
}

#[tokio::test]
async fn a_worker_handles_durable_messages_one_after_another() {
    let node = shared().await;
    let client = Client::builder().nodes([node.base.clone()]).build().expect("a client");
    client
        .components()
        .register("mailer", &orc_client::wire::RegisterComponent::default())
        .await
        .expect("registered");
    for number in 0..200_u32 {
        client.components().send_durable("mailer", "note", number).await.expect("queued");
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, failing) = (seen.clone(), Arc::new(Mutex::new(vec![7_u32, 70])));
    let worker = Worker::new(client.clone()).id("mailer").slots(0).on_message("note", move |number: u32| {
        let (noted, failing) = (noted.clone(), failing.clone());
        async move {
            let mut failing = failing.lock().expect("nobody panics with it");
            if let Some(place) = failing.iter().position(|one| *one == number) {
                failing.remove(place);
                return Err(TaskError::new("ONCE", "the first time it fails"));
            }
            noted.lock().expect("nobody panics with it").push(number);
            Ok(())
        }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run(async move {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    }));
    until(|| async {
        let queue = node.read("/components/mailer/messages").await.ok(200);
        queue["items"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    assert_eq!(*seen.lock().expect("nobody panics with it"), (0..200).collect::<Vec<u32>>());
    drop(stop);
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("it drains").expect("no panic").ok();
}

#[tokio::test]
async fn a_full_queue_refuses_and_drops_nothing() {
    let node = shared().await;
    node.put("/components/full", "{}").await.ok(200);
    let body = |number: u64| json!({"type": "note", "payload": number, "durable": true}).to_string();
    for number in 0..1_000 {
        node.post("/components/full/messages", &body(number)).await.ok(202);
    }
    let refused = node.post("/components/full/messages", &body(1_000)).await;
    refused.problem(429, "QUEUE_FULL");
    assert_eq!(refused.header("retry-after"), "1");
    node.call(Method::DELETE, "/components/full", "").await;
    let dead = node.read("/messages/dead?component=full&limit=500").await.ok(200);
    assert_eq!(dead["items"][0]["error"]["code"], "COMPONENT_DEREGISTERED");
    let dropped = node.post("/messages/dead/drop", r#"{"component": "full"}"#).await.ok(200);
    assert_eq!(dropped["count"], 1_000, "none is lost");
}

#[tokio::test]
async fn an_event_of_ones_own_is_posted_read_and_starts_a_run() {
    let node = shared().await;
    let listener = json!({"name": "posted-listener", "triggers": {"event": {"type": "release.approved"}},
                          "steps": [{"name": "it", "delay": "1ms"}]});
    node.post("/workflows", &listener.to_string()).await.ok(201);
    let posted =
        node.post("/events", r#"{"type": "release.approved", "data": {"version": "2.0.0"}}"#).await.ok(202);
    let page = node.read("/events?types=release.*").await.ok(200);
    let event = page["items"].as_array().and_then(|items| items.last()).expect("it is there").clone();
    assert_eq!((&event["rev"], &event["data"]["data"]["version"]), (&posted["rev"], &json!("2.0.0")));
    let same = node.read(&format!("/events/{}", event["seq"])).await.ok(200);
    assert_eq!(same, event);
    let run = until(|| async {
        let runs = node.read("/runs?workflow=posted-listener").await.ok(200);
        runs["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let events = node.read(&format!("/runs/{run}/events")).await.ok(200);
    assert_eq!(events["items"][0]["type"], "workflow.created");
    node.post("/events", r#"{"type": "workflow.created"}"#).await.problem(422, "VALIDATION_FAILED");
    node.read("/events/999999999").await.problem(404, "NOT_FOUND");
}
