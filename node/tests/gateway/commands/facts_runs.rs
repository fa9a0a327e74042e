//! Every kind of fact about runs, workflows and schedules, as [`super::facts`] tells the others.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    facts::{check, happened},
    orc, own,
};
use crate::hands::{Hand, ended, id_of, start_run, start_with};

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
