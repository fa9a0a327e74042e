//! Approvals: the inbox, and decisions by id and by run.

use serde_json::{Value, json};

use super::{beside, documents, has, json, orc, refused};
use crate::{
    hands::{ended, start_run},
    node::{Asked, shared},
    people::{gate, waiting},
};

/// A run that waits for a decision, and the id of that.
async fn gated(node: &Asked, name: &str) -> (String, String) {
    let run = start_run(node, &gate(name)).await;
    let view = waiting(node, &run).await;
    let id = view["steps"][0]["approvalId"].as_str().expect("it waits").to_owned();
    (run, id)
}

#[tokio::test]
async fn an_approval_is_listed_and_granted_by_those_who_may() {
    let node = shared().await;
    let (run, id) = gated(&node, "cmd-gated").await;
    let (other, _) = gated(&node, "cmd-gated").await;
    let list = ["approval", "list", "--limit", "500"];
    has(&orc(&node, &list).await, &["APPROVAL", "REQUEST", &id, "cmd-gated", "gate", "ann,bob", "Deploy?"]);
    has(&orc(&node, &["approval", "ls", "--limit", "500", "-o", "wide"]).await, &["RUN", &run]);
    assert!(orc(&node, &[&list[..], &["-q"]].concat()).await.lines().any(|line| line == id));
    let lines = documents(&orc(&node, &[&list[..], &["-o", "jsonl"]].concat()).await);
    assert!(lines.iter().any(|one| one["id"] == *id && one["runId"] == *run));
    let hint = beside(&node, &["approval", "list", "--limit", "1"]).await;
    let (_, cursor) = hint.split_once("next: --cursor ").unwrap_or_else(|| panic!("{hint}"));
    assert!(!orc(&node, &["approval", "list", "--cursor", cursor, "-q"]).await.is_empty());

    let approve = ["approval", "approve", &id, "--comment", "go"];
    let with = |more: &'static [&'static str]| [&approve[..], more].concat();
    let nobody = with(&["--data", r#"{"version": "1.2"}"#]);
    has(&refused(&node, 4, &nobody).await, &["error[FORBIDDEN]"]);
    let wrong = refused(&node, 2, &with(&["--by", "ann", "--data", r#"{"version": 7}"#])).await;
    has(&wrong, &["VALIDATION_FAILED", "/data/version"]);
    let told = orc(&node, &with(&["--by", "ann", "--data", r#"{"version": "1.2"}"#])).await;
    has(&told, &["approved by ann", &run]);
    let output = ended(&node, &run).await["steps"][0]["output"].clone();
    assert_eq!((&output["comment"], &output["data"]), (&json!("go"), &json!({"version": "1.2"})));
    has(&refused(&node, 6, &with(&["--by", "bob"])).await, &["INVALID_TRANSITION"]);
    has(
        &refused(&node, 5, &["approval", "reject", "appr_00000000000000000000000000-0"]).await,
        &["NOT_FOUND"],
    );
    orc(&node, &["runs", "terminate", &other]).await;
}

#[tokio::test]
async fn what_is_rejected_fails_with_the_reason() {
    let node = shared().await;
    let (run, id) = gated(&node, "cmd-rejected").await;
    let no = ["--by", "bob", "--comment", "not on a Friday"];
    let decided = json(&node, &[&["approval", "reject", &id][..], &no].concat()).await;
    assert_eq!((&decided["approved"], &decided["by"]), (&json!(false), &json!("bob")), "{decided}");
    refused(&node, 3, &["runs", "watch", &run]).await;
    has(&orc(&node, &["runs", "get", &run]).await, &["APPROVAL_REJECTED", "not on a Friday"]);
    let (run, _) = gated(&node, "cmd-rejected").await;
    let told = orc(&node, &[&["runs", "reject", &run, "gate"][..], &no].concat()).await;
    has(&told, &["rejected by bob", &run]);
    assert_eq!(ended(&node, &run).await["error"]["code"], "APPROVAL_REJECTED");
}

#[tokio::test]
async fn a_decision_is_found_by_its_run_and_by_its_step_where_several_wait() {
    let node = shared().await;
    let ask = |id: &str| json!({"id": id, "approval": {"prompt": format!("{id}?")}});
    let both = json!([{"id": "both", "parallel": [ask("left"), ask("right")]}]);
    let run = start_run(&node, &json!({"name": "cmd-both", "steps": both})).await;
    let view = waiting(&node, &run).await;
    let open = |view: &Value| {
        let steps = view["steps"].as_array().expect("steps").clone();
        steps.into_iter().filter(|step| step["approvalId"].is_string()).count()
    };
    assert_eq!(open(&view), 2, "{view}");
    has(&refused(&node, 2, &["runs", "approve", &run]).await, &["several steps wait", "left", "right"]);
    let none = refused(&node, 6, &["runs", "approve", &run, "middle"]).await;
    has(&none, &["awaits", "orc approval list"]);
    assert_eq!(
        orc(&node, &["runs", "approve", &run, "left", "-q"]).await.split_once('_').map(|id| id.0),
        Some("appr")
    );
    has(&orc(&node, &["runs", "approve", &run]).await, &["approved by", &run]);
    assert_eq!(ended(&node, &run).await["status"], "completed");
    has(&refused(&node, 6, &["runs", "approve", &run]).await, &[&run, "awaits"]);
}
