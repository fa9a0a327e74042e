//! Watched runs: what is told on the way, how a run ended, and what becomes of a run whose watcher leaves.

use serde_json::json;
use tempfile::tempdir;

use super::{UnderWay, documents, ended, file, has, orc, refused, text};
use crate::{
    hands::{self, Hand, start_run},
    lists::run,
    node::{server_at, shared, start, until},
};

#[tokio::test]
async fn a_watched_run_tells_each_step_and_its_result() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let hand = Hand::new(&node, "cmd-watched", &["cmd-watch"]).await;
    let steps = json!([{"id": "train", "name": "Model Training", "action": "cmd-watch", "retry": {"limit": 2, "delay": 0}},
        {"id": "check", "condition": "accuracy > 0.85"}, {"id": "go", "wait": {"signal": "go"}}]);
    let document = json!({"name": "CMD Watched", "steps": steps, "outputs": {"accuracy": "steps.train.outputs.accuracy"}});
    let path = file(&folder, "watched.json", &document.to_string());
    let mut watching = UnderWay::new(&node, &["run", &path, "--watch"]);
    watching.says("of CMD Watched").await;
    let task = hand.take().await;
    watching.says("worker cmd-watched").await;
    let fail =
        json!({"token": task["token"], "error": {"code": "BUSY", "message": "later", "retryable": true}});
    let path = format!("/tasks/{}/fail", task["taskId"].as_str().expect("an id"));
    node.post(&path, &fail.to_string()).await.ok(200);
    let second = hand.take().await;
    watching.says("attempt 2").await;
    hand.finish(&second, json!({"accuracy": 0.91, "weights": [1, 2]})).await;
    for part in ["accuracy=0.91", "→ true", "run is waiting"] {
        watching.says(part).await;
    }
    orc(&node, &["runs", "signal", task["runId"].as_str().expect("a run"), "go"]).await;
    let (code, result, _) = watching.end().await;
    assert_eq!(code, Some(0), "{result}");
    has(&result, &["✓ Completed in ", r#"outputs {"accuracy":0.91}"#]);
}

#[tokio::test]
async fn a_watched_run_that_fails_is_3_unless_that_is_not_asked_for() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let text_of_file = "name: CMD Fails\nsteps:\n- { id: gate, condition: 'false', onFalse: fail }\n";
    let path = file(&folder, "fails.yaml", text_of_file);
    let output = ended(&node, &["run", &path, "-w"]).await;
    assert_eq!(output.status.code(), Some(3));
    has(&text(&output.stdout), &["✕ Failed in ", "CONDITION_FALSE: "]);
    has(&text(&output.stderr), &["✕ gate", "CONDITION_FALSE"]);
    let run = orc(&node, &["run", &path, "-w", "--no-exit-status", "-q"]).await;
    assert_eq!(text(&ended(&node, &["runs", "watch", &run, "-q"]).await.stdout), run);
    refused(&node, 3, &["runs", "watch", &run]).await;
    has(&orc(&node, &["runs", "watch", &run, "--no-exit-status"]).await, &["Failed"]);
    let output = ended(&node, &["runs", "watch", &run, "-o", "json"]).await;
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(3), ""));
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!((&view["id"], &view["status"]), (&json!(run), &json!("failed")));
}

#[tokio::test]
async fn a_watched_run_that_is_cancelled_or_late_has_not_completed() {
    let node = shared().await;
    let id = run(&node, "cmd-cancelled", json!({})).await;
    orc(&node, &["runs", "pause", &id]).await;
    let mut watching = UnderWay::new(&node, &["runs", "watch", &id]);
    watching.says("run is paused").await;
    orc(&node, &["runs", "cancel", &id, "--reason", "enough"]).await;
    let (code, result, _) = watching.end().await;
    assert_eq!(code, Some(3));
    has(&result, &["○ Cancelled", "enough"]);
    let late = json!({"name": "cmd-late", "timeout": "1ms", "steps": [{"id": "wait", "delay": "1h"}]});
    let late = start_run(&node, &late).await;
    let output = ended(&node, &["runs", "watch", &late]).await;
    assert_eq!(output.status.code(), Some(3));
    has(&text(&output.stdout), &["✕ Timed out in "]);
}

#[tokio::test]
async fn the_items_of_a_step_are_counted_on_the_way() {
    let node = shared().await;
    let hand = Hand::new(&node, "cmd-fanned", &["cmd-fan"]).await;
    let steps = json!([{"id": "each", "foreach": {"items": "[1, 2, 3]"}, "action": "cmd-fan"},
                       {"id": "many", "delay": "1ms"}]);
    let run = start_run(&node, &json!({"name": "cmd-fanned", "steps": steps})).await;
    let first = hand.take().await;
    let mut watching = UnderWay::new(&node, &["runs", "watch", &run]);
    watching.says("0/3 items, ").await;
    has(&orc(&node, &["runs", "get", &run]).await, &["0/3 items, ", "at work"]);
    hand.finish(&first, json!({})).await;
    hand.complete(json!({})).await;
    hand.complete(json!({})).await;
    let (code, result, told) = watching.end().await;
    assert_eq!(code, Some(0), "{told}");
    has(&told, &["✓ each", "✓ many"]);
    has(&result, &["✓ Completed"]);
}

#[tokio::test]
async fn a_run_goes_on_without_its_watcher() {
    let node = shared().await;
    let id = run(&node, "cmd-left", json!({})).await;
    let told = refused(&node, 124, &["runs", "watch", &id, "--timeout", "1s"]).await;
    has(
        &told,
        &["the run goes on: orc runs watch", &format!("orc runs cancel {id}"), "error[TIMEOUT]", "1s"],
    );
    let mut watching = UnderWay::new(&node, &["runs", "watch", &id]);
    watching.says("run is waiting").await;
    watching.interrupt().await;
    let (code, result, told) = watching.end().await;
    assert_eq!((code, result.as_str()), (Some(130), ""), "{told}");
    has(&told, &["the run goes on", &id]);
    assert_eq!(node.read(&format!("/runs/{id}")).await.ok(200)["status"], "waiting");
    orc(&node, &["runs", "terminate", &id]).await;
}

#[tokio::test]
async fn a_watcher_outlives_the_loss_of_the_node() {
    let folder = tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("a free port").to_string();
    let mut command = server_at(&address, 1, Some(folder.path()));
    command.arg("--bootstrap");
    let first = start(command).await;
    let node = first.ask();
    let steps = json!([{"id": "go", "wait": {"signal": "go"}}]);
    let run = start_run(&node, &json!({"name": "cmd-outlived", "steps": steps})).await;
    let mut watching = UnderWay::new(&node, &["runs", "watch", &run]);
    watching.says("run is waiting").await;
    drop(first);
    let unreachable = refused(&node, 7, &["runs", "get", &run, "--timeout", "1s"]).await;
    has(&unreachable, &["error[UNREACHABLE]", "hint:", "orc dev"]);
    let _second = start(server_at(&address, 1, Some(folder.path()))).await;
    until(|| async { (node.read(&format!("/runs/{run}")).await.status == 200).then_some(()) }).await;
    orc(&node, &["runs", "signal", &run, "go"]).await;
    assert_eq!(hands::ended(&node, &run).await["status"], "completed");
    let (code, result, told) = watching.end().await;
    assert_eq!(code, Some(0), "{told}");
    has(&result, &["✓ Completed"]);
    assert_eq!(documents(&orc(&node, &["runs", "ls", "-o", "jsonl"]).await).len(), 1);
}

#[tokio::test]
async fn on_a_terminal_a_run_is_redrawn_in_place() {
    let node = shared().await;
    let steps = json!([{"id": "check", "condition": "true"}, {"id": "go", "wait": {"signal": "go"}},
                       {"id": "gate", "condition": "false", "onFalse": "fail"}]);
    let run = start_run(&node, &json!({"name": "cmd-drawn", "steps": steps})).await;
    let mut watching = UnderWay::on_terminal(&node, &["runs", "watch", &run]);
    has(&watching.shows("1/3").await, &["✓", "check", "→ true"]);
    has(&watching.shows("waiting: ").await, &["go", "\u{1b}["]);
    orc(&node, &["runs", "signal", &run, "go"]).await;
    let (code, screen, _) = watching.end().await;
    assert_eq!(code, Some(3), "{screen}");
    has(&screen, &["gate", "\u{1b}[31mCONDITION_FALSE: ", "Failed in "]);

    let id = crate::lists::run(&node, "cmd-drawn", json!({})).await;
    let mut left = UnderWay::on_terminal(&node, &["--color", "never", "runs", "watch", &id]);
    assert!(!left.shows("0/1").await.contains("\u{1b}[3"));
    orc(&node, &["runs", "terminate", &id]).await;
    assert_eq!(left.end().await.0, Some(3));
}
