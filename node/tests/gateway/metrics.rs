//! The metrics of a node that has something to tell: each name, and the numbers that a known piece of work leads to.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use orc_client::{Client, TaskError, Worker};
use serde_json::{Value, json};

use crate::{
    exposition::Exposition,
    hands::{ended, start_run},
    node::{Asked, server, start, until},
};

/// Only a leader with followers has it.
const ABSENT_ALONE: &str = "orc_raft_replication_lag";

async fn told(node: &Asked) -> Exposition {
    let answer = node.get("/metrics").await;
    let kind = answer.headers()["content-type"].to_str().expect("ASCII").to_owned();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    Exposition::read(&answer.text().await.expect("text"))
}

/// A worker whose `fit` fails once and then works, whose `break` never works, and that answers `ping`.
fn worker(node: &Asked) -> Worker {
    let client = Client::builder().nodes([node.base.clone()]).build().expect("a client");
    let tried = Arc::new(AtomicBool::new(false));
    let fit = move |_, _: Value| {
        let first = !tried.swap(true, Ordering::AcqRel);
        async move { if first { Err(TaskError::new("FLAKY", "the first time")) } else { Ok(json!(1)) } }
    };
    let broken = |_, _: Value| async { Err::<Value, _>(TaskError::permanent("BROKEN", "never")) };
    let pong = |_: Value| async { Ok::<_, TaskError>(json!("pong")) };
    let worker = Worker::new(client).id("learner").slots(3);
    worker.task_fn("fit", fit).task_fn("break", broken).on_message("ping", pong)
}

/// A run with a retry, a task that gives up, one that waits, a message, state writes.
async fn work(node: &Asked) {
    let definition = json!({"name": "metered \"x\"", "steps": [
        {"id": "fit", "type": "task", "config": {"action": "fit"}, "retry": {"limit": 3, "delay": 10}},
        {"id": "pause", "type": "delay", "delay": 20}]});
    let run = start_run(node, &definition).await;
    let run = ended(node, &run).await;
    assert_eq!((&run["status"], &run["steps"][0]["attempts"]), (&json!("completed"), &json!(2)), "{run}");
    let task = node.post("/tasks", r#"{"name":"broken","action":"break"}"#).await.ok(201);
    let path = format!("/tasks/{}/wait?timeout=20000", task["taskId"].as_str().expect("an id"));
    assert_eq!(node.read(&path).await.ok(200)["status"], "failed");
    node.post("/tasks", r#"{"name":"idle","action":"nobody","priority":"HIGH"}"#).await.ok(201);
    let reply = node.post("/components/learner/messages?timeout=20000", r#"{"type":"ping"}"#).await.ok(200);
    assert_eq!(reply["payload"], "pong", "{reply}");
    for value in 0..3 {
        let body = json!({ "value": value }).to_string();
        node.put("/state/keys/metered.key", &body).await.ok(200);
    }
}

#[tokio::test]
async fn the_metrics_of_a_known_piece_of_work_are_what_it_was() {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing"]);
    let node = start(command).await;
    let node = &node.ask();
    let before = told(node).await;
    assert_eq!((before.sum("orc_workflow_runs_total"), before.sum("orc_state_writes_total")), (0.0, 0.0));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker(node).run(async move {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    }));
    work(node).await;
    // The last thing done, of what is heard in order and of what is counted only ten times a second.
    let is_done = |told: &Exposition| {
        told.sum("orc_state_writes_total") > 2.0
            && told.sum("orc_tasks_dead") + told.sum("orc_state_keys") > 1.0
    };
    let all_heard = || async { Some(told(node).await).filter(is_done) };
    let now = until(all_heard).await;
    let expected = [
        ("orc_workflow_runs_total", &[("workflow", "metered \"x\""), ("status", "completed")][..], 1.0),
        ("orc_workflow_runs_active", &[], 0.0),
        ("orc_workflow_run_duration_seconds_count", &[], 1.0),
        ("orc_step_duration_seconds_count", &[("type", "task")], 1.0),
        ("orc_step_duration_seconds_count", &[("type", "delay")], 1.0),
        ("orc_tasks_queued", &[("action", "nobody"), ("priority", "HIGH")], 1.0),
        ("orc_tasks_total", &[("status", "failed")], 1.0),
        ("orc_task_queue_wait_seconds_count", &[("action", "fit")], 2.0),
        ("orc_task_duration_seconds_count", &[("action", "fit")], 2.0),
        ("orc_task_duration_seconds_count", &[("action", "break")], 1.0),
        ("orc_task_retries_total", &[], 1.0),
        ("orc_tasks_dead", &[], 1.0),
        ("orc_error_recoveries_total", &[("result", "recovered")], 1.0),
        ("orc_error_recoveries_total", &[("result", "failed")], 1.0),
        ("orc_components_connected", &[], 1.0),
        ("orc_component_slots", &[("state", "free")], 3.0),
        ("orc_component_slots", &[("state", "used")], 0.0),
        ("orc_component_response_seconds_count", &[("component", "learner")], 1.0),
        ("orc_message_queue_depth", &[("component", "learner")], 0.0),
        ("orc_state_keys", &[], 1.0),
        ("orc_state_writes_total", &[], 3.0),
        ("orc_raft_is_leader", &[], 1.0),
        ("orc_raft_leader_changes_total", &[], 1.0),
        ("orc_health_check_ok", &[("check", "diskLatency")], 1.0),
        ("orc_metrics_entries_missed_total", &[], 0.0),
        ("orc_sse_clients", &[], 0.0),
    ];
    for (name, labels, value) in expected {
        assert_eq!(now.get(name, labels), Some(value), "{name} {labels:?}");
    }
    let pause = now.get("orc_step_duration_seconds_sum", &[("type", "delay")]);
    assert!(pause.is_some_and(|seconds| (0.02..20.0).contains(&seconds)), "{pause:?}");
    let applied = now.get("orc_raft_applied_index", &[]);
    assert!(applied > Some(1.0) && applied <= now.get("orc_raft_commit_index", &[]));
    for name in ["orc_storage_bytes", "process_resident_memory_bytes", "process_start_time_seconds"] {
        assert!(now.get(name, &[]) > Some(1_000.0), "{name}");
    }
    every_metric_is_documented(&now);
    drop(stop);
    running.await.expect("no panic").expect("it drains");
}

fn every_metric_is_documented(told: &Exposition) {
    let rows = include_str!("../../../docs/metrics.md").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        Some((cells.next()?.trim().strip_suffix('`')?, cells.next()?.trim()))
    });
    let documented: BTreeSet<(&str, &str)> = rows.filter(|(name, _)| *name != ABSENT_ALONE).collect();
    let told: BTreeSet<(&str, &str)> =
        told.0.iter().map(|(name, family)| (name.as_str(), family.kind.as_str())).collect();
    assert_eq!(told, documented);
}
