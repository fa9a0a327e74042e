//! Batches: one action on every run that filters find.

use serde_json::json;

use super::{documents, has, json, orc, refused};
use crate::{
    lists::run,
    node::{Asked, shared},
};

/// How many runs of a workflow have a status.
async fn count(node: &Asked, workflow: &str, status: &str) -> usize {
    let told = orc(node, &["runs", "ls", "--workflow", workflow, "--status", status, "-q"]).await;
    told.lines().count()
}

#[tokio::test]
async fn a_batch_is_counted_confirmed_done_and_told() {
    let node = shared().await;
    for team in ["a", "a", "b"] {
        run(&node, "cmd-batched", json!({ "team": team })).await;
    }
    let cancel = ["runs", "cancel", "--workflow", "cmd-batched", "--label", "team:a", "--all-matching"];
    let with = |more: &'static [&'static str]| [&cancel[..], more].concat();
    assert_eq!(orc(&node, &with(&["--dry-run"])).await, "2 runs match");
    assert_eq!(json(&node, &with(&["--dry-run"])).await, json!({"matched": 2, "more": false}));
    has(&refused(&node, 2, &cancel).await, &["Cancel 2 runs?", "--yes"]);
    assert_eq!(count(&node, "cmd-batched", "cancelled").await, 0);
    let done = json(&node, &with(&["--yes", "--reason", "because"])).await;
    assert_eq!((&done["status"], &done["changed"]), (&json!("completed"), &json!(2)), "{done}");
    assert_eq!(count(&node, "cmd-batched", "cancelled").await, 2);
    let cancelled = orc(&node, &["runs", "ls", "--workflow", "cmd-batched", "--label", "team:a", "-q"]).await;
    has(&orc(&node, &["runs", "get", cancelled.lines().next().expect("a run")]).await, &["because"]);
    assert_eq!(orc(&node, &with(&["--yes", "--status", "failed"])).await, "0 runs match");

    let id = done["id"].as_str().expect("an id");
    let told = orc(&node, &["batch", "get", id]).await;
    assert_eq!(told, format!("✓ completed  {id} 2 of 2 changed, 0 refused, 0 failed"));
    has(&orc(&node, &["batch", "list"]).await, &["BATCH", "ACTION", id, "cancel"]);
    has(&orc(&node, &["batch", "ls", "-o", "wide"]).await, &["STARTED", "ago"]);
    assert!(orc(&node, &["batch", "ls", "-q"]).await.lines().any(|line| line == id));
    let lines = documents(&orc(&node, &["batch", "ls", "-o", "jsonl"]).await);
    assert!(lines.iter().any(|batch| batch["id"] == *id && batch["matched"] == 2));
    has(&orc(&node, &["batch", "get", id, "-o", "yaml"]).await, &["action: cancel", "status: completed"]);
    assert_eq!(orc(&node, &["batch", "cancel", id, "-q"]).await, id);
    let gone = ["runs", "rm", "--label", "team:a", "--workflow", "cmd-batched", "--all-matching", "--yes"];
    has(&orc(&node, &gone).await, &["2 of 2 changed"]);
    orc(&node, &["runs", "terminate", "--workflow", "cmd-batched", "--all-matching", "--yes"]).await;
    assert_eq!(count(&node, "cmd-batched", "waiting").await, 0);
}

#[tokio::test]
async fn runs_are_paused_resumed_and_retried_together() {
    let node = shared().await;
    for _ in 0..2 {
        run(&node, "cmd-together", json!({})).await;
    }
    let all = async |verb: &str| {
        let workflow = if verb == "retry" { "cmd-broken" } else { "cmd-together" };
        orc(&node, &["runs", verb, "--workflow", workflow, "--all-matching", "-y"]).await
    };
    has(&all("pause").await, &["2 of 2 changed"]);
    assert_eq!(count(&node, "cmd-together", "paused").await, 2);
    has(&all("resume").await, &["2 of 2 changed"]);
    assert_eq!(count(&node, "cmd-together", "paused").await, 0);
    all("terminate").await;

    let gate = json!([{"id": "gate", "condition": "false", "onFalse": "fail"}]);
    let broken = json!({"definition": {"name": "cmd-broken", "steps": gate}}).to_string();
    node.post("/runs?wait=20000", &broken).await.ok(201);
    has(&all("retry").await, &["1 of 1 changed"]);
    let newest = orc(&node, &["runs", "ls", "--workflow", "cmd-broken", "--limit", "1", "-q"]).await;
    has(&orc(&node, &["runs", "get", &newest]).await, &["retry of run_"]);
}

#[tokio::test]
async fn a_batch_that_cannot_be_meant_is_refused() {
    let node = shared().await;
    let id = run(&node, "cmd-unbatched", json!({})).await;
    has(&refused(&node, 2, &["runs", "cancel", &id, "--dry-run"]).await, &["--all-matching", "not both"]);
    has(&refused(&node, 2, &["runs", "cancel", &id, "--status", "failed"]).await, &["not both"]);
    refused(&node, 2, &["runs", "cancel", &id, "--all-matching"]).await;
    refused(&node, 2, &["runs", "cancel", "--workflow", "cmd-unbatched"]).await;
    refused(&node, 2, &["runs", "retry", "--workflow", "cmd-unbatched", "--all-matching", "--all"]).await;
    let all = refused(&node, 2, &["runs", "cancel", "--all-matching", "--yes"]).await;
    has(&all, &["VALIDATION_FAILED", "filter"]);
    assert_eq!(node.read(&format!("/runs/{id}")).await.ok(200)["status"], "waiting");
    for verb in ["get", "cancel"] {
        has(&refused(&node, 5, &["batch", verb, "bat_0-7"]).await, &["NOT_FOUND", "hint:", "node-7"]);
    }
    orc(&node, &["runs", "terminate", &id]).await;
}
