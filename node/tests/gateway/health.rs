//! The health of a node as its callers see it: what is checked, what a failed check leads to, and its end.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Answer, server, shared, start, until};

const CHECKS: [&str; 12] = [
    "applyLag",
    "componentCoordinator",
    "diskLatency",
    "diskSpace",
    "heartbeats",
    "leader",
    "memory",
    "nodes",
    "proposer",
    "stateManager",
    "taskScheduler",
    "workflowManager",
];

fn check<'a>(status: &'a Value, name: &str) -> &'a Value {
    let checks = status["health"]["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}: {status}"))
}

#[tokio::test]
async fn every_check_has_a_number_and_a_sentence() {
    let node = shared().await;
    let status = node.read("/status").await.ok(200);
    let checks = status["health"]["checks"].as_array().expect("a list");
    let names: BTreeSet<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, CHECKS.into());
    for check in checks {
        assert_eq!(check["status"], "ok", "{check}");
        assert!(
            check["measured"].is_u64() && check["limit"].is_u64() && check["unit"].is_string(),
            "{check}"
        );
        assert!(check["message"].as_str().is_some_and(|text| text.len() > 10), "{check}");
    }
    assert!(check(&status, "diskSpace")["measured"].as_u64() > Some(0));
    assert!(check(&status, "diskLatency")["measured"].as_u64() > Some(0));
    assert_eq!(
        (&status["health"]["healthy"], &status["health"]["unhealthyComponents"]),
        (&json!(true), &json!([]))
    );
    assert!(status["health"]["checkedAt"].is_string());
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_makes_the_node_unready_until_it_can() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(1, Some(folder.path()));
    command.args(["--bootstrap", "--set", "cluster.healthCheckInterval=100ms"]);
    let node = start(command).await;
    let asked = node.ask();
    let healthy = || async { asked.read("/status").await.ok(200)["healthy"] == true };
    assert!(healthy().await);

    // A folder in the place of the file that checks write.
    let probe = folder.path().join("health.probe");
    until(|| async {
        // A check may write it again in between.
        let _ = std::fs::remove_file(&probe);
        std::fs::create_dir(&probe).ok()
    })
    .await;
    until(|| async { (!healthy().await).then_some(()) }).await;
    let status = asked.read("/status").await.ok(200);
    assert_eq!(status["health"]["unhealthyComponents"], json!(["diskLatency"]));
    let found = check(&status, "diskLatency");
    assert_eq!((&found["status"], found.get("measured")), (&json!("unhealthy"), None));
    let answer = Answer::of(asked.get("/readyz").await).await;
    let problem = answer.problem(503, "NOT_READY");
    assert!(problem["detail"].as_str().is_some_and(|text| text.starts_with("diskLatency: ")), "{problem}");

    std::fs::remove_dir(&probe).expect("it is there");
    until(|| async { (asked.get("/readyz").await.status() == 200).then_some(()) }).await;
    assert!(healthy().await);
}

#[tokio::test]
async fn a_node_that_has_little_memory_left_takes_no_new_work_and_everything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(1, Some(folder.path()));
    command.args(["--bootstrap", "--set", "memory.max=200MiB", "--set", "cluster.healthCheckInterval=100ms"]);
    let node = start(command).await;
    let asked = node.ask();
    let value = json!({ "value": "v".repeat(1_000_000) }).to_string();
    assert_eq!(asked.put("/state/keys/first", &value).await.status, 200);
    let mut refused = None;
    for number in 0..500 {
        let answer = asked.put(&format!("/state/keys/more.{number}"), &value).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let problem = refused.expect("500 MB do not fit into 200 MiB").problem(507, "INSUFFICIENT_STORAGE");
    assert!(
        problem["detail"].as_str().is_some_and(|text| text.contains("of 200 MiB are in use")),
        "{problem}"
    );
    asked.read("/state/keys/first").await.ok(200);
    let deleted = asked.call(Method::DELETE, "/state/keys/first", "").await;
    assert!((200..300).contains(&deleted.status), "{}", deleted.text);
    // What was given back meanwhile is taken again.
    until(|| async {
        asked.put("/state/keys/again", &value).await;
        let status = asked.read("/status").await.ok(200);
        (check(&status, "memory")["status"] == "unhealthy").then_some(())
    })
    .await;
    assert_eq!(asked.get("/readyz").await.status(), 200, "what is there is served");
}
