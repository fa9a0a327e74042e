//! Runs that repeat others.

use serde_json::json;

use super::{beside, has, json, orc, refused};
use crate::{
    hands::{Hand, ended, start_run},
    node::shared,
    repeats::chain,
};

#[tokio::test]
async fn a_run_is_retried_from_what_failed_or_whole() {
    let node = shared().await;
    let hand = Hand::new(&node, "cmd-retrier", &["cmd-retry"]).await;
    let run = start_run(&node, &chain("cmd-retried", "cmd-retry")).await;
    has(&refused(&node, 6, &["runs", "retry", &run]).await, &["INVALID_TRANSITION"]);
    hand.complete(json!({"v": 1})).await;
    hand.fail().await;
    ended(&node, &run).await;
    let told = orc(&node, &["runs", "retry", &run]).await;
    has(&told, &["Run run_", &format!("a retry of {run}")]);
    assert_eq!(hand.complete(json!({"v": 2})).await["payload"]["step"], "second");
    hand.complete(json!({"v": 3})).await;
    let newest = orc(&node, &["runs", "ls", "--workflow", "cmd-retried", "--limit", "1", "-q"]).await;
    assert_eq!(ended(&node, &newest).await["status"], "completed");
    has(&orc(&node, &["runs", "get", &newest]).await, &[&format!("retry of {run}")]);
    has(&refused(&node, 6, &["runs", "retry", &newest]).await, &["hint:", "rerun"]);

    let whole = orc(&node, &["runs", "retry", &run, "--all", "-q"]).await;
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "first");
    orc(&node, &["runs", "terminate", &whole]).await;
}

#[tokio::test]
async fn a_run_is_repeated_with_other_inputs_or_from_a_step() {
    let node = shared().await;
    let hand = Hand::new(&node, "cmd-rerunner", &["cmd-rerun"]).await;
    let run = start_run(&node, &chain("cmd-rerun", "cmd-rerun")).await;
    for v in 1..=3 {
        hand.complete(json!({ "v": v })).await;
    }
    ended(&node, &run).await;
    let of = ["runs", "rerun", &run];
    let from = ["--from-step", "third", "-i", "n=5", "--step-input", r#"{"step": "other"}"#];
    let started = json(&node, &[&of[..], &from].concat()).await;
    assert_eq!(started["origin"], json!({"runId": run, "how": "rerun"}));
    assert_eq!(hand.complete(json!({"v": 30})).await["payload"]["step"], "other");
    let view = ended(&node, started["runId"].as_str().expect("an id")).await;
    assert_eq!((&view["inputs"], &view["steps"][1]["output"]["v"]), (&json!({"n": 5}), &json!(2)));

    let wrong = refused(&node, 8, &[&of[..], &["--from-step", "thrid"]].concat()).await;
    has(&wrong, &["VALIDATION_FAILED", "/fromStep", "thrid"]);
    has(&refused(&node, 8, &[&of[..], &["-i", "n=x"]].concat()).await, &["/inputs/n"]);
    refused(&node, 2, &[&of[..], &["--step-input", "{}"]].concat()).await;
    let hint = beside(&node, &of).await;
    let again = hint.strip_prefix("watch it: orc runs watch ").unwrap_or_else(|| panic!("{hint}"));
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "first");
    orc(&node, &["runs", "terminate", again]).await;
}
