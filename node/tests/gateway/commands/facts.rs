//! Every kind of fact as events tell it: made to happen, and found with its subject and its data.
//! Knows the public names of `semantics`, section 6; each test has a node of its own, whose events are all its own.

use orc_client::{Client, Worker};
use serde_json::{Value, json};

use super::{json, orc, own};
use crate::{
    hands::Hand,
    node::{Asked, until},
    queue::{attempt, fail, schedule},
};

/// What events of some types must be there: the type, the subject (`*`: any) and a part of the data.
pub(super) async fn check(node: &Asked, types: &str, expected: &[(&str, &str, Value)]) {
    let page = json(node, &["event", "list", "--type", types, "--limit", "500"]).await;
    let events = page["items"].as_array().expect("a list");
    let mut missing = Vec::new();
    for (kind, subject, part) in expected {
        let of_kind: Vec<&Value> = events.iter().filter(|event| event["type"] == *kind).collect();
        let fits = |event: &&&Value| holds(&event["subject"], &json!(subject)) && holds(&event["data"], part);
        let Some(found) = of_kind.iter().find(fits) else {
            missing.push(format!("no {kind} of {subject} with {part} in {of_kind:?}"));
            continue;
        };
        let line = orc(node, &["event", "get", &found["seq"].to_string()]).await;
        assert!(line.contains(kind), "{line}");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Whether a value has a part; `"*"` is anything.
fn holds(value: &Value, part: &Value) -> bool {
    match part {
        Value::Object(part) => {
            part.iter().all(|(name, part)| value.get(name).is_some_and(|value| holds(value, part)))
        }
        part => part == "*" || part == value,
    }
}

/// Waits for an event of this type.
pub(super) async fn happened(node: &Asked, kind: &str) {
    until(|| async {
        let page = node.read(&format!("/events?types={kind}")).await.ok(200);
        page["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_happens_to_state_keys_and_snapshots_is_told() {
    let own = own().await;
    let node = own.ask();
    for value in ["1", "2"] {
        orc(&node, &["state", "set", "facts.key", value]).await;
    }
    orc(&node, &["state", "restore", "facts.key", "1"]).await;
    let create = ["state", "snapshot", "create", "facts", "--description", "why", "-q"];
    let snapshot = orc(&node, &create).await;
    orc(&node, &["state", "set", "facts.key", "5"]).await;
    let restore = ["state", "snapshot", "restore", "facts", "--prefix", "facts.", "--keep-new", "--yes"];
    orc(&node, &restore).await;
    orc(&node, &["state", "snapshot", "delete", "facts", "--yes"]).await;
    orc(&node, &["state", "set", "facts.ttl", "1", "--ttl", "300ms"]).await;
    until(|| async { (node.read("/state/keys/facts.ttl").await.status == 404).then_some(()) }).await;
    orc(&node, &["cluster", "config", "--set", "maxConcurrentTasks=9"]).await;
    orc(&node, &["event", "post", "facts.posted", r#"{"n": 1}"#]).await;

    let id = snapshot.as_str();
    let expected = [
        ("state.changed", "facts.key", json!({"key": "facts.key", "newValue": 1, "version": 1})),
        ("state.changed", "facts.key", json!({"oldValue": 1, "newValue": 2, "version": 2})),
        ("state.changed", "facts.key", json!({"restoredFrom": 1, "newValue": 1, "version": 3})),
        ("state.changed", "facts.key", json!({"restoredFrom": id, "oldValue": 5, "newValue": 1})),
        ("state.changed", "facts.ttl", json!({"newValue": 1, "expiresAt": "*"})),
        ("state.changed", "facts.ttl", json!({"oldValue": 1, "expired": true, "version": 2})),
        ("snapshot.created", id, json!({"snapshotId": id, "name": "facts", "keys": 1, "automatic": false})),
        ("snapshot.created", id, json!({"metadata": {"description": "why"}})),
        ("snapshot.restored", id, json!({"prefix": "facts.", "keepNew": true, "keys": 1})),
        ("snapshot.deleted", id, json!({"snapshotId": id, "overflow": false})),
        ("cluster.configured", "cluster", json!({"config": {"maxConcurrentTasks": 9}})),
        ("facts.posted", "facts.posted", json!({"data": {"n": 1}})),
    ];
    check(&node, "state.*,snapshot.*,cluster.*,facts.*", &expected).await;
}

#[tokio::test]
async fn what_happens_to_components_and_their_messages_is_told() {
    let own = own().await;
    let node = own.ask();
    let info = r#"{"name": "In", "type": "box", "version": "2", "capabilities": ["pack"], "slots": 2}"#;
    node.put("/components/box", info).await.ok(200);
    orc(&node, &["cluster", "config", "--set", "components.maxDeliveries=2"]).await;
    let message = orc(&node, &["component", "send", "box", "note", "7", "--durable", "-q"]).await;
    for _ in 0..2 {
        let order = next_message(&node).await;
        let error = json!({"code": "BUSY", "message": "not now"});
        let body = json!({"token": order["token"], "error": error, "retryAfter": 1}).to_string();
        assert_eq!(node.post(&format!("/messages/{message}/nack"), &body).await.status, 204);
    }
    orc(&node, &["component", "dead", "requeue", &message]).await;
    let order = next_message(&node).await;
    let body = json!({ "token": order["token"] }).to_string();
    assert_eq!(node.post(&format!("/messages/{message}/ack"), &body).await.status, 204);
    let dropped = orc(&node, &["component", "send", "box", "note", "8", "--durable", "-q"]).await;
    orc(&node, &["task", "schedule", "held", "--action", "pack"]).await;
    attempt(&node, "box").await;
    orc(&node, &["component", "drain", "box", "--deadline", "200ms"]).await;
    happened(&node, "component.drainTimedOut").await;
    orc(&node, &["component", "deregister", "box", "--yes"]).await;
    orc(&node, &["component", "dead", "drop", &dropped]).await;

    let (id, place) = (message.as_str(), json!({"messageId": message, "componentId": "box"}));
    let returned = json!({"messageId": message, "retryAt": "*", "error": {"code": "BUSY"}});
    let given_up = json!({"componentId": "box", "error": {"code": "COMPONENT_DEREGISTERED"}});
    let registered = json!({"componentId": "box", "name": "In", "type": "box", "version": "2", "slots": 2});
    let expected = [
        ("component.registered", "box", registered),
        ("component.draining", "box", json!({"until": "*"})),
        ("component.drainTimedOut", "box", json!({"componentId": "box"})),
        ("component.deregistered", "box", json!({"componentId": "box"})),
        ("message.queued", id, json!({"componentId": "box", "messageType": "note", "payload": 7})),
        ("message.delivered", id, json!({"messageId": message, "token": "*", "number": "*"})),
        ("message.returned", id, returned),
        ("message.ready", id, place.clone()),
        ("message.deadLettered", id, json!({"componentId": "box", "error": {"code": "BUSY"}})),
        ("message.requeued", id, json!({ "messageId": message })),
        ("message.acknowledged", id, place),
        ("message.deadLettered", &dropped, given_up),
        ("message.dropped", "cluster", json!({"messageIds": [dropped], "overflow": false})),
    ];
    check(&node, "component.*,message.*", &expected).await;
}

/// The next durable message for a component that polls.
async fn next_message(node: &Asked) -> Value {
    until(|| async {
        let polled = node.post("/components/box/poll", r#"{"wait": 2000}"#).await.ok(200);
        Some(polled["durable"][0].clone()).filter(Value::is_object)
    })
    .await
}

#[tokio::test]
async fn the_life_of_a_session_is_told() {
    let own = own().await;
    let node = own.ask();
    let client = Client::builder().nodes([node.base.clone()]).build().expect("a client");
    let worker = || Worker::new(client.clone()).id("caller").slots(1);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker().run(async move {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    }));
    happened(&node, "component.connected").await;
    drop(stop);
    running.await.expect("no panic").expect("it drains");
    happened(&node, "component.closed").await;
    let running = tokio::spawn(worker().run(std::future::pending()));
    until(|| async {
        (node.read("/components/caller").await.ok(200)["status"] == "connected").then_some(())
    })
    .await;
    running.abort();
    happened(&node, "component.lost").await;
    let expected = [
        ("component.connected", "caller", json!({"componentId": "caller", "node": "*", "held": 0})),
        ("component.closed", "caller", json!({"componentId": "caller", "session": "*"})),
        ("component.lost", "caller", json!({"componentId": "caller", "session": "*", "until": "*"})),
    ];
    check(&node, "component.*", &expected).await;
}

#[tokio::test]
async fn what_happens_to_tasks_is_told() {
    let own = own().await;
    let node = own.ask();
    let hand = Hand::new(&node, "box", &["pack"]).await;
    let done = schedule(&node, json!({"name": "done", "action": "pack", "priority": 4})).await;
    let after = json!({"name": "after", "action": "nobody", "dependencies": [done]});
    let after = schedule(&node, after).await;
    hand.complete(json!("packed")).await;
    let dead = schedule(&node, json!({"name": "dead", "action": "pack"})).await;
    hand.fail().await;
    let again = orc(&node, &["task", "retry", &dead, "-q"]).await;
    let retry = json!({"limit": 2, "delay": 0});
    hand.fail().await;
    orc(&node, &["task", "dead", "drop", "--all", "--yes"]).await;
    let saved = schedule(&node, json!({"name": "saved", "action": "pack", "retry": retry})).await;
    fail(&node, &attempt(&node, "box").await, "FIRST").await;
    hand.complete(json!("at last")).await;
    let lost = schedule(&node, json!({"name": "lost", "action": "pack", "retry": retry})).await;
    fail(&node, &attempt(&node, "box").await, "FIRST").await;
    fail(&node, &attempt(&node, "box").await, "SECOND").await;
    let stopped = schedule(&node, json!({"name": "stopped", "action": "pack"})).await;
    attempt(&node, "box").await;
    node.post(&format!("/tasks/{stopped}/cancel"), r#"{"reason": "enough"}"#).await.ok(200);
    orc(&node, &["task", "priority", &after, "urgent"]).await;
    node.post(&format!("/tasks/{after}/cancel"), r#"{"reason": "no use"}"#).await.ok(200);
    let late = schedule(&node, json!({"name": "late", "action": "nobody", "totalTimeout": 1})).await;
    node.read(&format!("/tasks/{late}/wait?timeout=20000")).await.ok(200);
    orc(&node, &["task", "backlog", "pause", "pack"]).await;
    orc(&node, &["task", "backlog", "resume", "pack"]).await;

    let broken = json!({"code": "BROKEN", "message": "it broke"});
    let errors =
        json!({"originalError": {"code": "FIRST"}, "recoveryError": {"code": "SECOND"}, "attempts": 2});
    let created =
        json!({"taskId": done, "name": "done", "action": "pack", "priority": 4, "status": "queued"});
    let expected = [
        ("task.created", &*done, created),
        ("task.created", &after, json!({"dependencies": [done], "status": "blocked"})),
        ("task.assigned", &done, json!({"componentId": "box", "token": "*", "deadline": "*"})),
        ("task.completed", &done, json!({"output": "packed"})),
        ("task.dependencyCompleted", &after, json!({ "dependency": done })),
        ("task.attemptFailed", &dead, json!({"token": "*", "lost": false, "error": broken})),
        ("task.attemptFailed", &saved, json!({"retryAt": "*", "error": {"code": "FIRST"}})),
        ("task.failed", &dead, json!({ "error": broken })),
        ("task.deadLettered", &dead, json!({"action": "pack"})),
        ("task.requeued", &dead, json!({ "requeuedAs": again })),
        ("task.deadDropped", "cluster", json!({"taskIds": [again], "overflow": false})),
        ("error", &dead, json!({"code": "TASK_FAILED", "message": "BROKEN: it broke", "count": 1})),
        ("error.recovered", &saved, json!({"code": "FIRST", "attempts": 2})),
        ("error.recoveryFailed", &lost, errors),
        ("task.cancelling", &stopped, json!({"reason": "*", "deadline": "*"})),
        ("task.priorityChanged", &after, json!({"taskId": after, "priority": 5})),
        ("task.cancelled", &after, json!({"reason": "*"})),
        ("task.timedOut", &late, json!({"error": {"code": "TOTAL_TIMEOUT"}})),
        ("action.paused", "pack", json!({"action": "pack"})),
        ("action.resumed", "pack", json!({"action": "pack"})),
    ];
    check(&node, "task.*,error,error.*,action.*", &expected).await;
}
