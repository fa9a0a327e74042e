//! Every kind of fact as events tell it: made to happen, and found with its subject and its data.
//! Knows the public names of `semantics`, section 6; each test has a node of its own, whose events are all its own.

use orc_client::{Client, Worker};
use reqwest::Method;
use serde_json::{Value, json};

use super::{json, orc, own};
use crate::{
    hands::{Hand, ended, id_of, start_run, start_with},
    node::{Asked, until},
    queue::{attempt, fail, schedule},
};

/// What events of some types must be there: the type, the subject (`*`: any) and a part of the data.
async fn check(node: &Asked, types: &str, expected: &[(&str, &str, Value)]) {
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
async fn happened(node: &Asked, kind: &str) {
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

#[tokio::test]
async fn what_a_run_does_and_waits_for_is_told() {
    let own = own().await;
    let node = own.ask();
    let hand = Hand::new(&node, "box", &["pack"]).await;
    let steps = json!([
        {"id": "each", "foreach": {"items": "[1, 2]", "maxParallel": 1}, "action": "pack", "outputs": {"all": "output"}},
        {"id": "tell", "emit": {"type": "facts.emitted", "data": {"n": 1}}},
        {"id": "await", "wait": {"signal": "go"}},
        {"id": "gate", "approval": {"prompt": "Deploy?"}},
        {"id": "ask", "message": {"component": "nobody", "type": "hello"}}]);
    let last = json!([{"id": "tidy", "delay": "1ms"}]);
    let definition = json!({"name": "Facts", "labels": {"team": "ml"}, "steps": steps, "finally": last});
    let run = start_run(&node, &definition).await;
    hand.complete(json!("a")).await;
    hand.complete(json!("b")).await;
    happened(&node, "step.signalAwaited").await;
    node.post(&format!("/runs/{run}/signals/go"), r#"{"n": 2}"#).await.ok(200);
    happened(&node, "step.approvalAwaited").await;
    let view = node.read(&format!("/runs/{run}")).await.ok(200);
    let approval = view["steps"][3]["approvalId"].as_str().expect("it waits").to_owned();
    let path = format!("/approvals/{approval}/approve");
    node.post(&path, r#"{"by": "ann", "comment": "go"}"#).await.ok(200);
    assert_eq!(ended(&node, &run).await["status"], "failed");

    let id = run.as_str();
    let child = json!({"parentRunId": run, "parentStep": 0, "index": 0});
    let ended = json!({"status": "failed", "conclusion": "failure", "error": {"code": "*", "message": "*"}});
    let expected = [
        ("workflow.defined", "*", json!({"workflow": "Facts", "steps": "*"})),
        (
            "workflow.created",
            id,
            json!({"runId": run, "inputs": {}, "priority": 2, "labels": {"team": "ml"}}),
        ),
        ("workflow.started", id, json!({"runId": run, "workflow": "*"})),
        ("step.started", id, json!({"step": 0, "stepId": "each"})),
        ("step.itemsStarted", id, json!({"stepId": "each", "items": 2})),
        ("workflow.childCreated", "*", child.clone()),
        ("workflow.childCompleted", "*", child),
        ("step.itemEnded", id, json!({"stepId": "each", "index": 0, "output": "a"})),
        ("step.returned", id, json!({"stepId": "each", "output": ["a", "b"]})),
        ("step.evaluating", id, json!({"stepId": "each"})),
        ("step.completed", id, json!({"stepId": "each", "output": {"all": ["a", "b"]}})),
        ("facts.emitted", id, json!({"stepId": "tell", "data": {"n": 1}})),
        ("step.signalAwaited", id, json!({"stepId": "await", "name": "go"})),
        ("workflow.signalled", id, json!({"name": "go", "data": {"n": 2}})),
        ("workflow.signalTaken", id, json!({"name": "go"})),
        ("step.completed", id, json!({"stepId": "await", "output": {"n": 2}})),
        ("step.approvalAwaited", id, json!({"stepId": "gate", "request": {"prompt": "Deploy?"}})),
        ("step.approvalDecided", id, json!({"approved": true, "by": "ann", "comment": "go"})),
        ("step.messageAwaited", id, json!({"stepId": "ask", "request": {"component": "nobody"}})),
        ("step.failed", id, json!({"stepId": "ask", "error": {"code": "*"}})),
        ("workflow.concluding", id, json!({"conclusion": "failure", "handlers": ["finally"]})),
        ("workflow.childCreated", "*", json!({"parentRunId": run, "handler": "finally"})),
        ("workflow.handlerEnded", id, json!({"handler": "finally", "status": "completed"})),
        ("workflow.failed", id, ended),
    ];
    check(&node, "workflow.*,step.*,facts.*", &expected).await;
}

#[tokio::test]
async fn how_runs_end_and_what_they_leave_out_is_told() {
    let own = own().await;
    let node = own.ask();
    let hand = Hand::new(&node, "box", &["pack"]).await;
    let of =
        |name: &str, step: Value| json!({"name": name, "steps": [step, {"id": "after", "delay": "1ms"}]});
    let gated = start_run(&node, &of("gated", json!({"id": "gate", "condition": "1 > 2"}))).await;
    ended(&node, &gated).await;
    let mut limited = of("limited", json!({"id": "long", "delay": "1h"}));
    let stopped = start_run(&node, &limited).await;
    limited["timeout"] = json!("300ms");
    let late = start_run(&node, &limited).await;
    ended(&node, &late).await;
    for how in ["pause", "resume"] {
        node.post(&format!("/runs/{stopped}/{how}"), "").await.ok(200);
    }
    node.post(&format!("/runs/{stopped}/cancel"), r#"{"reason": "enough"}"#).await.ok(200);
    ended(&node, &stopped).await;
    assert_eq!(node.call(Method::DELETE, &format!("/runs/{stopped}"), "").await.status, 204);
    let deaf = start_run(&node, &of("deaf", json!({"id": "hear", "wait": {"event": "facts.never"}}))).await;
    happened(&node, "step.eventAwaited").await;
    let idle =
        start_run(&node, &of("idle", json!({"id": "nap", "wait": {"until": "2099-01-01T00:00:00Z"}}))).await;
    happened(&node, "step.timeAwaited").await;
    let each = json!({"items": "[1, 2]", "maxParallel": 1, "failFast": false});
    let partly =
        start_run(&node, &of("partly", json!({"id": "each", "foreach": each, "action": "pack"}))).await;
    hand.fail().await;
    hand.complete(json!("b")).await;
    ended(&node, &partly).await;
    let cache = json!({"key": "${{ 'same' }}", "maxAge": "1h"});
    let cached =
        json!({"definition": of("cached", json!({"id": "build", "action": "pack", "cache": cache}))});
    let first = start_with(&node, &cached).await;
    hand.complete(json!("built")).await;
    ended(&node, &first).await;
    let second = start_with(&node, &cached).await;
    ended(&node, &second).await;

    let (late, stopped) = (late.as_str(), stopped.as_str());
    let expected = [
        ("step.decided", &*gated, json!({"stepId": "gate", "value": false})),
        ("step.skipped", &gated, json!({"stepId": "after", "why": "gated", "reason": "*"})),
        ("workflow.completed", &gated, json!({"status": "completed", "conclusion": "gated"})),
        ("workflow.timingOut", late, json!({ "runId": late })),
        ("workflow.timedOut", late, json!({"status": "timed_out", "error": {"code": "*"}})),
        ("workflow.paused", stopped, json!({ "runId": stopped })),
        ("workflow.resumed", stopped, json!({ "runId": stopped })),
        ("workflow.cancelling", stopped, json!({"reason": "enough"})),
        ("step.cancelled", stopped, json!({"reason": "*"})),
        ("workflow.cancelled", stopped, json!({"status": "cancelled", "conclusion": "cancelled"})),
        ("workflow.deleted", stopped, json!({"runIds": [stopped]})),
        ("step.eventAwaited", &deaf, json!({"stepId": "hear", "event": "facts.never"})),
        (
            "workflow.childFailed",
            "*",
            json!({"parentRunId": partly, "index": 0, "error": {"code": "BROKEN"}}),
        ),
        ("step.itemEnded", &partly, json!({"index": 0, "error": {"code": "BROKEN"}})),
        ("step.itemsCollected", &partly, json!({"output": [null, "b"]})),
        ("step.timeAwaited", &idle, json!({"stepId": "nap", "until": "2099-01-01T00:00:00.000Z"})),
        ("step.cacheMissed", &first, json!({"stepId": "build", "key": "*"})),
        ("step.outputKept", &first, json!({"stepId": "build", "key": "*"})),
        ("step.cacheHit", &second, json!({ "fromRunId": first })),
    ];
    check(&node, "workflow.*,step.*", &expected).await;
}

#[tokio::test]
async fn what_happens_to_workflows_and_schedules_is_told() {
    let own = own().await;
    let node = own.ask();
    let triggers = json!({"cron": [{"id": "yearly", "schedule": "0 0 1 1 *", "timezone": "Europe/Berlin"}],
                          "event": {"id": "heard", "type": "facts.heard", "filter": "trigger.event.data.data.n > 1"}});
    let document = json!({"name": "Kept", "triggers": triggers, "steps": [{"id": "it", "delay": "1ms"}]});
    node.post("/workflows", &document.to_string()).await.ok(201);
    happened(&node, "schedule.planned").await;
    orc(&node, &["event", "post", "facts.heard", "{}"]).await;
    happened(&node, "trigger.skipped").await;
    let run = id_of(&node.post("/schedules/kept.yearly/trigger", "").await.ok(201));
    for how in ["pause", "resume"] {
        orc(&node, &["schedule", how, "kept.yearly"]).await;
        orc(&node, &["workflow", how, "kept"]).await;
    }
    orc(&node, &["workflow", "delete", "kept", "--yes"]).await;

    let set = json!({"workflow": "kept", "cron": "0 0 1 1 *", "timezone": "Europe/Berlin", "ofFile": true});
    let skipped =
        json!({"workflow": "kept", "trigger": "heard", "cause": "filterFailed", "detail": "*", "count": 1});
    let id = "kept.yearly";
    let expected = [
        ("definition.applied", "kept", json!({"workflow": "kept", "version": 1, "digest": "*"})),
        ("definition.paused", "kept", json!({"workflow": "kept"})),
        ("definition.resumed", "kept", json!({"workflow": "kept"})),
        ("definition.deleted", "kept", json!({"workflow": "kept"})),
        ("schedule.set", id, set),
        ("schedule.planned", id, json!({"schedule": id, "instant": "*"})),
        ("schedule.fired", id, json!({"manual": true, "runId": run, "instant": "*"})),
        ("schedule.paused", id, json!({ "schedule": id })),
        ("schedule.resumed", id, json!({ "schedule": id })),
        ("schedule.deleted", id, json!({ "schedule": id })),
        ("trigger.skipped", "kept", skipped),
    ];
    check(&node, "definition.*,schedule.*,trigger.*", &expected).await;
}
