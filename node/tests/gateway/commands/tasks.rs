//! Tasks: what waits and what gave up.

use super::{has, json, orc, refused};
use crate::{
    node::shared,
    queue::{dead, offer},
};

#[tokio::test]
async fn the_command_line_explains_prefers_pauses_and_requeues() {
    let node = shared().await;
    offer(&node, "commanded", "commanded").await;
    let id = dead(&node, "commanded", "commanded").await;
    let told = orc(&node, &["task", "explain", &id]).await;
    has(&told, &["it failed after 1 attempt: BROKEN: it broke", "attempt on commanded", "orc task retry"]);
    assert_eq!(orc(&node, &["task", "dead", "list", "--action", "commanded", "-q"]).await, id);
    assert!(orc(&node, &["task", "get", &id]).await.contains("on the dead-letter list"));

    orc(&node, &["task", "backlog", "pause", "commanded"]).await;
    let new = orc(&node, &["task", "retry", &id, "-q"]).await;
    assert!(orc(&node, &["task", "priority", &new, "urgent"]).await.ends_with("queued"));
    let backlog = json(&node, &["task", "backlog"]).await;
    let rows = backlog["items"].as_array().expect("a list");
    assert!(
        rows.iter().any(|row| row["action"] == "commanded" && row["paused"] == true && row["queued"] == 1)
    );
    orc(&node, &["task", "cancel", &new]).await;
    orc(&node, &["task", "backlog", "resume", "commanded"]).await;

    let again = dead(&node, "commanded", "commanded").await;
    let requeued = orc(&node, &["task", "dead", "requeue", "--action", "commanded"]).await;
    assert!(requeued.contains(&format!("in place of {again}")), "{requeued}");
    assert_eq!(orc(&node, &["task", "dead", "drop", "--action", "commanded", "--yes", "-q"]).await, "0");
    let later = [
        "task",
        "schedule",
        "later",
        "--at",
        "1h",
        "--total-timeout",
        "2h",
        "--heartbeat-timeout",
        "5s",
        "-q",
    ];
    let later = orc(&node, &later).await;
    assert!(orc(&node, &["task", "explain", &later]).await.contains("it goes on by itself at"));
}

#[tokio::test]
async fn a_task_that_is_not_there_is_told_so() {
    let node = shared().await;
    let told = refused(&node, 5, &["task", "get", "task_00000000000000000000000000"]).await;
    assert!(told.contains("task_00000000000000000000000000"), "{told}");
}
