//! How a node begins and ends: its health, its metrics, a graceful stop, a data folder it must not touch.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::node::{Answer, Asked, Node, server, server_at, shared, start, until};

#[tokio::test]
async fn health_status_and_metrics_are_told() {
    let node = shared().await;
    assert_eq!(node.get("/healthz").await.status(), 200);
    assert_eq!(node.get("/readyz").await.status(), 200);
    node.put("/state/keys/metrics.key", r#"{"value":1}"#).await.ok(200);
    let text = node.get("/metrics").await.text().await.expect("text");
    for name in [
        "orc_raft_is_leader 1",
        "orc_http_requests_total{method=\"PUT\",route=\"/api/v1/state/keys/{key}\",status=\"200\"}",
        "orc_state_keys ",
        "orc_raft_proposal_seconds_count ",
        "orc_build_info{version=",
        "process_resident_memory_bytes ",
        "orc_raft_leader_changes_total 1",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    assert!(!text.contains("metrics.key"), "ids are no labels");
    let status = node.read("/status").await.ok(200);
    assert_eq!((&status["initialized"], &status["healthy"]), (&json!(true), &json!(true)), "{status}");
    let cluster = node.read("/cluster").await.ok(200);
    assert_eq!((&cluster["leader"], &cluster["nodes"][0]["role"]), (&json!("node-1"), &json!("leader")));
    assert!(cluster["nodes"][0]["stateHash"].is_string());
}

#[tokio::test]
async fn a_node_that_waits_to_be_admitted_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port");
    let mut command = server_at(&free.to_string(), 2, Some(folder.path()));
    // Nobody listens at port 1.
    command.args(["--join", "127.0.0.1:1"]);
    let mut child = command.spawn().expect("it starts");
    let node = Node { address: free.to_string(), _stdin: child.stdin.take(), child };
    let asked = Asked::at(&node.address);
    let health = asked.request(reqwest::Method::GET, "/healthz");
    let health = || health.try_clone().expect("no body").send();
    until(|| async { health().await.ok().filter(|answer| answer.status() == 200).map(|_| ()) }).await;
    let answer = Answer::of(asked.get("/readyz").await).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (503, Some("NO_LEADER")));
    assert_eq!(terminate(node).await, Some(0));
}

async fn terminate(mut node: Node) -> Option<i32> {
    let told =
        Command::new("kill").args(["-TERM", &node.child.id().to_string()]).status().expect("kill is there");
    assert!(told.success());
    for _ in 0..1_500 {
        if let Some(ended) = node.child.try_wait().expect("a child") {
            return ended.code();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the node does not end");
}

#[tokio::test]
async fn a_stopped_node_keeps_its_data_and_gives_it_to_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(1, Some(folder.path()));
    command.arg("--bootstrap");
    let node = start(command).await;
    node.ask().put("/state/keys/kept", r#"{"value":"x"}"#).await.ok(200);
    assert_eq!(terminate(node).await, Some(0));

    let again = start(server(1, Some(folder.path()))).await;
    let entry = again.ask().read("/state/keys/kept").await.ok(200);
    assert_eq!((&entry["value"], &entry["version"]), (&json!("x"), &json!(1)));
    assert_eq!(terminate(again).await, Some(0));

    let mut foreign = server(2, Some(folder.path()));
    let mut foreign = foreign.stderr(Stdio::piped()).spawn().expect("it starts");
    let _open = foreign.stdin.take();
    let output = foreign.wait_with_output().expect("it ends by itself");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{told}");
    assert!(told.contains("belongs to node-1") && told.contains("--node-id 1"), "{told}");
}

#[tokio::test]
async fn a_stopping_node_says_goodbye() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(1, Some(folder.path()));
    command.arg("--bootstrap");
    let node = start(command).await;
    let asked = node.ask();
    let body = r#"{"definition":{"name":"long","steps":[{"name":"Wait","type":"delay","delay":600000}]}}"#;
    let run = asked.post("/runs", body).await.ok(201)["runId"].as_str().expect("an id").to_owned();
    let waiting = tokio::spawn({
        let (asked, run) = (asked.clone(), run.clone());
        async move { asked.read(&format!("/runs/{run}/wait?timeout=250000")).await }
    });
    let route = "route=\"/api/v1/runs/{id}\",status=\"200\"";
    asked.read(&format!("/runs/{run}")).await.ok(200);
    until(|| async { asked.get("/metrics").await.text().await.ok()?.contains(route).then_some(()) }).await;
    assert_eq!(terminate(node).await, Some(0));
    // The wait was answered, as the run stood, or its connection was refused; it did not hang.
    let answered = waiting.await;
    if let Ok(answer) = answered {
        assert!(answer.status == 200 || answer.status == 503, "{answer:?}");
    }
}
