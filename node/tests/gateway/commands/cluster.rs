//! The cluster as a whole: its nodes, its settings, whether it is well.

use serde_json::json;

use super::{NOBODY, UnderWay, json, orc, orc_fed, own, refused};
use crate::node::{Asked, shared};

#[tokio::test]
async fn the_status_of_the_cluster_names_its_nodes_and_what_it_can_lose() {
    let node = shared().await;
    let told = orc(&node, &["cluster", "status"]).await;
    for part in
        ["1/1 voters up", "leader node-1", "seen by node-1", "STATE HASH", "Cannot lose another node."]
    {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(!told.contains("PEER"), "{told}");
    let wide = orc(&node, &["cluster", "status", "-o", "wide"]).await;
    assert!(wide.contains("PEER") && wide.contains(node.base.trim_start_matches("http://")), "{wide}");
    let document = json(&node, &["cluster", "status"]).await;
    assert_eq!((&document["leader"], &document["nodes"][0]["role"]), (&json!("node-1"), &json!("leader")));
    assert_eq!(orc(&node, &["cluster", "status", "-q"]).await, "node-1");
    let made = json(&node, &["cluster", "snapshot"]).await;
    assert!(made["snapshot"].as_u64().is_some_and(|index| index > 0), "{made}");
    assert!(orc(&node, &["cluster", "snapshot"]).await.starts_with("A snapshot at log index "));
}

#[tokio::test]
async fn a_member_that_does_not_fit_is_refused() {
    let node = shared().await;
    let told = refused(&node, 5, &["cluster", "promote", "node-9"]).await;
    assert!(told.contains("node-9"), "{told}");
    let told = refused(&node, 2, &["cluster", "remove", "node-9"]).await;
    assert!(told.contains("Remove node-9 for good?") && told.contains("--yes"), "{told}");
    refused(&node, 5, &["cluster", "remove", "node-9", "--yes"]).await;
    refused(&node, 2, &["cluster", "add", "node-9"]).await;
}

#[tokio::test]
async fn leadership_stays_if_nobody_else_can_lead() {
    let node = shared().await;
    for (to, code, part) in [
        (None, 6, "there is no other voter"),
        (Some("node-1"), 6, "node-1 leads already"),
        (Some("node-9"), 5, "node-9 is not a member"),
        (Some("me"), 2, "`me` is not a node such as node-3"),
    ] {
        let to = to.map(|to| ["--to", to]);
        let arguments = ["cluster", "transfer-leader"].into_iter().chain(to.into_iter().flatten());
        let told = refused(&node, code, &arguments.collect::<Vec<_>>()).await;
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(orc(&node, &["cluster", "status", "-q"]).await, "node-1");
}

#[tokio::test]
async fn settings_are_shown_and_changed_and_a_wrong_one_changes_nothing() {
    let own = own().await;
    let node = own.ask();
    let shown = json(&node, &["cluster", "config"]).await;
    assert_eq!(
        (&shown["maxConcurrentTasks"], &shown["state"]["enableVersioning"]),
        (&json!(10), &json!(true))
    );
    let yaml = orc(&node, &["cluster", "config", "-o", "yaml"]).await;
    assert!(yaml.contains("maxConcurrentTasks: 10"), "{yaml}");

    let set = ["cluster", "config", "--set", "maxConcurrentTasks=200", "--set", "state.maxVersions=20"];
    let set = [&set[..], &["--set", "state.maxSnapshots=70", "--set", "retryDelay=2s"]].concat();
    let answered = json(&node, &set).await;
    let shown = json(&node, &["cluster", "config"]).await;
    assert_eq!(shown["maxConcurrentTasks"], 200, "{answered}");
    assert_eq!((&shown["state"]["maxVersions"], &shown["state"]["maxSnapshots"]), (&json!(20), &json!(70)));
    assert_eq!(shown["retryDelay"], 2_000);
    let file = r#"{"maxConcurrentTasks": 5, "state": {"maxVersions": 3}}"#;
    orc_fed(&node, file, &["cluster", "config", "-", "--set", "state.maxVersions=4"]).await;
    let shown = json(&node, &["cluster", "config"]).await;
    assert_eq!((&shown["maxConcurrentTasks"], &shown["state"]["maxVersions"]), (&json!(5), &json!(4)));

    let told = refused(&node, 2, &["cluster", "config", "--set", "maxConcurentTasks=1"]).await;
    assert!(told.contains("did you mean `maxConcurrentTasks`?"), "{told}");
    let wrong = ["cluster", "config", "--set", "maxConcurrentTasks=9", "--set", "state.maxVersions=many"];
    let told = refused(&node, 2, &wrong).await;
    assert!(told.contains("/state/maxVersions") && told.contains("whole number"), "{told}");
    refused(&node, 2, &["cluster", "config", "--set", "maxConcurrentTasks"]).await;
    refused(&node, 2, &["cluster", "config", "/no/such/settings.json"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.json");
    for (text, part) in [("[1]", "must be a JSON object"), ("{", "settings.json: ")] {
        std::fs::write(&file, text).expect("it is written");
        let told = refused(&node, 2, &["cluster", "config", file.to_str().expect("UTF-8")]).await;
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(json(&node, &["cluster", "config"]).await, shown, "nothing of it is kept");
}

#[tokio::test]
async fn the_status_of_the_system_says_what_is_at_work() {
    let node = shared().await;
    orc(&node, &["task", "backlog", "pause", "status/paused"]).await;
    let told = orc(&node, &["status"]).await;
    for part in [
        "System      ",
        "ok, up ",
        "Runs        ",
        "Tasks       ",
        "Components  ",
        "State       ",
        "Paused      ",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert!(told.contains("status/paused") && told.contains("leader node-1"), "{told}");
    orc(&node, &["task", "backlog", "resume", "status/paused"]).await;
    let document = json(&node, &["status"]).await;
    assert_eq!((&document["healthy"], &document["initialized"]), (&json!(true), &json!(true)));
    assert!(document["components"]["stateManager"]["rev"].is_u64(), "{document}");
    assert_eq!(orc(&node, &["status", "-o", "name"]).await, "healthy");
    assert_eq!(orc(&node, &["healthcheck"]).await, "", "it says nothing when all is well");
}

#[tokio::test]
async fn a_watched_status_has_a_line_for_each_change() {
    let own = own().await;
    let node = own.ask();
    let mut cluster = UnderWay::new(&node, &["cluster", "status", "-w"]);
    let line = cluster.line().await;
    assert!(line.starts_with("term ") && line.contains("node-1 leader"), "{line}");
    let mut people = UnderWay::new(&node, &["status", "--watch"]);
    let mut programs = UnderWay::new(&node, &["status", "--watch", "-o", "jsonl"]);
    let line = people.line().await;
    assert!(line.starts_with("healthy · runs 0 active 0 queued · tasks 0 running 0 queued"), "{line}");
    assert_eq!(programs.json().await["components"]["taskScheduler"]["queuedTasks"], 0);
    node.post("/tasks", r#"{"name": "waits", "action": "nobody"}"#).await.ok(201);
    let line = people.line().await;
    assert!(line.contains("tasks 0 running 1 queued"), "{line}");
    assert_eq!(programs.json().await["components"]["taskScheduler"]["queuedTasks"], 1);
    for following in [cluster, people, programs] {
        following.stop().await;
    }
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_told_so() {
    let nobody = Asked::at(NOBODY);
    for arguments in [
        &["cluster", "status"][..],
        &["cluster", "status", "--watch"],
        &["cluster", "config"],
        &["cluster", "snapshot"],
        &["status", "--watch"],
    ] {
        let told = refused(&nobody, 7, &[arguments, &["--timeout", "1s"]].concat()).await;
        assert!(told.contains("error[UNREACHABLE]"), "orc {arguments:?}: {told}");
    }
    let told = refused(&nobody, 1, &["healthcheck"]).await;
    assert!(told.contains("error[NOT_READY]: 127.0.0.1:1"), "{told}");
}
