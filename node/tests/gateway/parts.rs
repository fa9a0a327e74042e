//! What a run has in it and around it: its steps, its graph, signals, children, approvals; and its end at once.

use serde_json::json;

use crate::{
    hands::{Hand, ended, start_run},
    node::shared,
};

#[tokio::test]
async fn a_terminated_run_ends_at_once_whatever_its_attempts_do() {
    let node = shared().await;
    let hand = Hand::new(&node, "stubborn", &["stubborn"]).await;
    let definition = json!({"name": "stubborn", "steps": [
        {"id": "work", "type": "task", "config": {"action": "stubborn"}}]});
    let run = start_run(&node, &definition).await;
    let task = hand.take().await;
    let changed = node.post(&format!("/runs/{run}/terminate"), r#"{"reason":"stuck"}"#).await.ok(200);
    assert_eq!(changed["status"], "cancelled", "no grace: the attempt still runs");
    let view = node.read(&format!("/runs/{run}")).await.ok(200);
    assert_eq!((&view["error"]["code"], &view["error"]["message"]), (&json!("TERMINATED"), &json!("stuck")));
    let result = json!({"token": task["token"]}).to_string();
    let path = format!("/tasks/{}/complete", task["taskId"].as_str().expect("an id"));
    node.post(&path, &result).await.problem(409, "STALE_ATTEMPT");
    node.post(&format!("/runs/{run}/terminate"), "").await.problem(409, "INVALID_TRANSITION");
}

#[tokio::test]
async fn a_signal_is_kept_until_a_step_awaits_it() {
    let node = shared().await;
    let definition =
        json!({"name": "signalled", "steps": [{"name": "Wait", "type": "delay", "delay": 600_000}]});
    let run = start_run(&node, &definition).await;
    assert_eq!(node.read(&format!("/runs/{run}")).await.ok(200)["signals"], 0);
    node.post(&format!("/runs/{run}/signals/go"), r#"{"version":"1.2"}"#).await.ok(200);
    node.post(&format!("/runs/{run}/signals/go"), "").await.ok(200);
    assert_eq!(node.read(&format!("/runs/{run}")).await.ok(200)["signals"], 2);
    node.post(&format!("/runs/{run}/signals/go"), "{").await.problem(400, "BAD_REQUEST");
    let long = format!("\"{}\"", "x".repeat(256 * 1024));
    node.post(&format!("/runs/{run}/signals/go"), &long).await.problem(413, "PAYLOAD_TOO_LARGE");
    node.post(&format!("/runs/{run}/terminate"), "").await.ok(200);
    node.post(&format!("/runs/{run}/signals/go"), "").await.problem(409, "INVALID_TRANSITION");
}

#[tokio::test]
async fn one_step_and_the_graph_of_a_run_can_be_read() {
    let node = shared().await;
    let definition = json!({"name": "parts", "steps": [
        {"id": "wait", "type": "delay", "delay": 600_000},
        {"id": "report", "type": "task", "needs": ["wait"]}]});
    let run = start_run(&node, &definition).await;
    let step = node.read(&format!("/runs/{run}/steps/wait")).await.ok(200);
    assert_eq!(
        (&step["id"], &step["type"], &step["status"]),
        (&json!("wait"), &json!("delay"), &json!("waiting"))
    );
    let graph = node.read(&format!("/runs/{run}/graph")).await.ok(200);
    assert_eq!(graph["edges"], json!([{"from": "wait", "to": "report"}]));
    assert_eq!(
        (&graph["nodes"][1]["id"], &graph["nodes"][1]["status"]),
        (&json!("report"), &json!("pending"))
    );
    assert_eq!(node.read(&format!("/runs/{run}/children")).await.ok(200), json!({"items": []}));
    node.read(&format!("/runs/{run}/steps/nothing")).await.problem(404, "NOT_FOUND");
    node.read(&format!("/runs/{run}/steps/wait/items")).await.problem(404, "NOT_FOUND");
    node.post(&format!("/runs/{run}/terminate"), "").await.ok(200);
    assert_eq!(ended(&node, &run).await["conclusion"], "cancelled");
}

#[tokio::test]
async fn what_awaits_no_decision_cannot_be_decided() {
    let node = shared().await;
    let definition =
        json!({"name": "undecided", "steps": [{"name": "Wait", "type": "delay", "delay": 600_000}]});
    let run = start_run(&node, &definition).await;
    let id = format!("{}-0", run.replace("run_", "appr_"));
    node.post(&format!("/approvals/{id}/approve"), "").await.problem(409, "INVALID_TRANSITION");
    node.post(&format!("/approvals/{id}/reject"), r#"{"who":"me"}"#).await.problem(400, "BAD_REQUEST");
    node.post("/approvals/appr_1/approve", "").await.problem(404, "NOT_FOUND");
    let unknown = "appr_00000000000000000000000000-0";
    node.post(&format!("/approvals/{unknown}/approve"), "").await.problem(404, "NOT_FOUND");
    node.read("/approvals?cursor=x").await.problem(400, "BAD_REQUEST");
    node.post(&format!("/runs/{run}/terminate"), "").await.ok(200);
}

#[tokio::test]
async fn a_group_can_be_named_only_where_the_workflow_has_groups() {
    let node = shared().await;
    let body = json!({"definition": {"name": "ungrouped", "steps": [{"name": "a", "type": "task"}]},
        "concurrencyKey": "prod"});
    let problem = node.post("/runs", &body.to_string()).await.problem(422, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/concurrencyKey");
}
