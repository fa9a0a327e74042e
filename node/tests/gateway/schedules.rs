//! Schedules: those of files and those of their own, as far as no minute has to pass.

use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Asked, shared, until};

/// Keeps a workflow that is happy with being started by hand and with 7.
pub async fn apply(node: &Asked, name: &str, triggers: Value) {
    let document = json!({"name": name, "triggers": triggers, "inputs": {"n": {"type": "integer", "default": 1}},
                          "steps": [{"name": "Check", "type": "condition", "condition": "trigger.manual && n == 7"}]});
    node.post("/workflows", &document.to_string()).await.ok(201);
}

/// Once a leader has computed it.
pub async fn planned(node: &Asked, id: &str) -> Value {
    let path = format!("/schedules/{id}");
    until(|| async {
        let schedule = node.read(&path).await.ok(200);
        schedule["next"].is_string().then_some(schedule)
    })
    .await
}

#[tokio::test]
async fn a_schedule_is_made_changed_triggered_and_forgotten() {
    let node = shared().await;
    apply(&node, "Scheduled", json!({})).await;
    let body = json!({"id": "yearly", "workflow": "scheduled", "cron": "0 0 1 1 *", "timezone": "Europe/Berlin",
                      "catchUp": "1h", "inputs": {"n": 7}});
    let made = node.post("/schedules", &body.to_string()).await;
    assert_eq!((made.ok(201)["catchUp"].clone(), made.header("etag")), (json!(3_600_000), "\"1\""));
    assert_eq!(made.header("location"), "/api/v1/schedules/yearly");
    node.post("/schedules", &body.to_string()).await.problem(412, "VERSION_CONFLICT");
    let schedule = planned(&node, "yearly").await;
    assert!(
        schedule["next"].as_str().is_some_and(|next| next.contains("-12-31T23:00:00.000Z")),
        "{schedule}"
    );
    let next = node.read("/schedules/yearly/next?n=3").await.ok(200);
    assert_eq!((&next["items"][0], next["items"].as_array().map(Vec::len)), (&schedule["next"], Some(3)));

    let started = node.post("/schedules/yearly/trigger", "").await.ok(201);
    let run = started["runId"].as_str().expect("an id");
    let run = node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200);
    assert_eq!((&run["conclusion"], &run["startedBy"]), (&json!("success"), &json!("cron")), "{run}");
    assert_eq!(
        (&run["workflowVersion"], &run["trigger"]["schedule"]),
        (&json!("scheduled@1"), &json!("yearly"))
    );

    assert_eq!(node.post("/schedules/yearly/pause", "").await.ok(200)["next"], Value::Null);
    node.post("/schedules/yearly/resume", "").await.ok(200);
    let schedule = planned(&node, "yearly").await;
    assert_eq!(
        (&schedule["started"], &schedule["version"], &schedule["running"]),
        (&json!(1), &json!(3), &json!([]))
    );
    let changed = json!({"workflow": "scheduled", "cron": "30 6 * * 1", "overlap": "queue"}).to_string();
    let path = "/schedules/yearly";
    let stale = node.call_with(Method::PUT, path, &changed, &[("if-match", "\"1\"")]).await;
    stale.problem(412, "VERSION_CONFLICT");
    node.call_with(Method::PUT, path, &changed, &[("if-match", "\"3\"")]).await.ok(200);
    assert!(
        planned(&node, "yearly").await["next"].as_str().is_some_and(|next| next.ends_with("T06:30:00.000Z"))
    );
    let listed = node.read("/schedules?workflow=scheduled").await.ok(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(node.call(Method::DELETE, path, "").await.status, 204);
    node.read(path).await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn schedules_of_a_file_follow_it() {
    let node = shared().await;
    let cron = json!([{"schedule": "0 0 1 1 *"}, {"id": "weekly", "schedule": "0 0 * * 0"}]);
    apply(&node, "With Cron", json!({ "cron": cron })).await;
    let first = planned(&node, "with-cron.cron-1").await;
    assert_eq!((&first["ofFile"], &first["workflow"]), (&json!(true), &json!("with-cron")));
    planned(&node, "with-cron.weekly").await;
    let refused = node.call(Method::DELETE, "/schedules/with-cron.weekly", "").await;
    refused.problem(409, "INVALID_TRANSITION");
    apply(&node, "With Cron", json!({"cron": {"id": "weekly", "schedule": "0 12 * * 0"}})).await;
    node.read("/schedules/with-cron.cron-1").await.problem(404, "NOT_FOUND");
    let weekly = planned(&node, "with-cron.weekly").await;
    assert!(weekly["next"].as_str().is_some_and(|next| next.ends_with("T12:00:00.000Z")), "{weekly}");
    node.call(Method::DELETE, "/workflows/with-cron", "").await;
    node.read("/schedules/with-cron.weekly").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_with_its_place() {
    let node = shared().await;
    apply(&node, "Refused Schedules", json!({})).await;
    let good = json!({"id": "s", "workflow": "refused-schedules", "cron": "0 3 * * *"});
    for (field, value, pointer) in [
        ("cron", json!("0 3 * *"), "/cron"),
        ("cron", json!("0 0 30 2 *"), "/cron"),
        ("timezone", json!("Berlin"), "/timezone"),
        ("overlap", json!("skp"), "/overlap"),
        ("inputs", json!({"n": "x"}), "/inputs/n"),
        ("id", json!("A b"), "/id"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let problem = node.post("/schedules", &body.to_string()).await.problem(422, "VALIDATION_FAILED");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    let mut hasty = good.clone();
    hasty["catchUp"] = json!(0);
    node.post("/schedules", &hasty.to_string()).await.problem(422, "VALIDATION_FAILED");
    let mut lost = good;
    lost["workflow"] = json!("nobody-applied-this");
    node.post("/schedules", &lost.to_string()).await.problem(404, "NOT_FOUND");
    node.read("/schedules/s/next").await.problem(404, "NOT_FOUND");
}
