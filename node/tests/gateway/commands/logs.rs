//! Logs: lines of runs and of tasks, page by page and as they come.

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{UnderWay, documents, has, json, orc, refused};
use crate::{
    hands::{Hand, ended, start_run},
    logs::{post_lines, worker},
    node::{Asked, shared},
};

async fn say(node: &Asked, task: &Value, lines: &str) {
    let (id, token) = (task["taskId"].as_str().expect("an id"), task["token"].as_u64().expect("a token"));
    assert_eq!(post_lines(node, id, token, lines).await.status, 204);
}

#[tokio::test]
async fn lines_are_shown_in_every_form_and_chosen() {
    let node = shared().await;
    let hand = Hand::new(&node, "cmd-logger", &["cmd-log"]).await;
    let steps = json!([{"id": "load", "action": "cmd-log"}, {"id": "train", "action": "cmd-log"}]);
    let run = start_run(&node, &json!({"name": "cmd-logged", "steps": steps})).await;
    let load = hand.take().await;
    say(
        &node,
        &load,
        "{\"text\":\"one\",\"at\":\"2026-01-01T00:00:00.250Z\"}\n{\"text\":\"\"}\n{\"text\":\"two\"}\n",
    )
    .await;
    hand.finish(&load, json!({})).await;
    let train = hand.take().await;
    say(&node, &train, "{\"text\":\"three\",\"stream\":\"stderr\"}\n").await;
    let error = json!({"code": "BROKEN", "message": "it broke", "retryable": false});
    let path = format!("/tasks/{}/fail", train["taskId"].as_str().expect("an id"));
    node.post(&path, &json!({"token": train["token"], "error": error}).to_string()).await.ok(200);
    ended(&node, &run).await;

    let of = ["runs", "logs", &run];
    let with = |more: &'static [&'static str]| [&of[..], more].concat();
    let text = orc(&node, &of).await;
    has(&text, &["[load attempt 1] 2026-01-01T00:00:00Z  one\n", "[train attempt 1] ", "  three"]);
    assert_eq!(orc(&node, &with(&["-q"])).await, "one\n\ntwo\nthree");
    assert_eq!(orc(&node, &with(&["-q", "--tail", "2"])).await, "two\nthree");
    assert_eq!(orc(&node, &with(&["-q", "--grep", "t"])).await, "two\nthree");
    assert_eq!(orc(&node, &with(&["-q", "--step", "load", "--grep", "o"])).await, "one\ntwo");
    assert_eq!(orc(&node, &with(&["-q", "--failed"])).await, "three");
    let page = json(&node, &of).await;
    assert_eq!((&page["items"][3]["stream"], &page["ended"]), (&json!("stderr"), &json!(true)));
    has(&orc(&node, &with(&["-o", "yaml"])).await, &["items:", "text: three"]);
    let lines = documents(&orc(&node, &with(&["-o", "jsonl"])).await);
    assert_eq!((lines.len(), &lines[0]["stepId"]), (4, &json!("load")));
    let id = train["taskId"].as_str().expect("an id");
    assert_eq!(orc(&node, &["task", "logs", id, "-q"]).await, "three");
    assert_eq!(documents(&orc(&node, &with(&["-f", "-o", "jsonl"])).await).len(), 4, "its end is known");

    has(&refused(&node, 2, &with(&["--step", "lode"])).await, &["`lode`", "hint: its steps are load, train"]);
    refused(&node, 2, &with(&["--failed", "-f"])).await;
    refused(&node, 2, &with(&["--tail", "5001"])).await;
    let nobody = "task_00000000000000000000000000-0";
    for verb in [&["task", "logs", nobody][..], &["task", "logs", nobody, "-f"]] {
        has(&refused(&node, 5, verb).await, &["NOT_FOUND"]);
    }
}

#[tokio::test]
async fn all_pages_of_a_long_log_are_shown() {
    let node = shared().await;
    let _worker = worker(&node, "cmd-log-much", None);
    let steps = json!([{"id": "talk", "action": "cmd-log-much", "config": {"lines": 6000}}]);
    let run = start_run(&node, &json!({"name": "cmd-long", "steps": steps})).await;
    ended(&node, &run).await;
    let lines = orc(&node, &["runs", "logs", &run, "-q"]).await;
    assert_eq!((lines.lines().count(), lines.lines().nth(5999)), (6001, Some("line 5999")));
    let page = json(&node, &["runs", "logs", &run]).await;
    assert_eq!((page["items"].as_array().map(Vec::len), &page["more"]), (Some(6001), &json!(false)));
}

#[tokio::test]
async fn lines_are_followed_to_the_end_of_a_run_or_until_that_is_enough() {
    let node = shared().await;
    let (open, gate) = oneshot::channel();
    let _worker = worker(&node, "cmd-log-follow", Some(gate));
    let steps = json!([{"id": "talk", "action": "cmd-log-follow", "config": {"lines": 3}}]);
    let run = start_run(&node, &json!({"name": "cmd-followed", "steps": steps})).await;
    let follow = ["runs", "logs", &run, "-f", "-q"];
    let lines = tokio::spawn({
        let (node, run) = (node.clone(), run.clone());
        async move { orc(&node, &["runs", "logs", &run, "--follow"]).await }
    });
    let mut stopped = UnderWay::new(&node, &follow);
    stopped.prints("line 2").await;
    stopped.interrupt().await;
    assert_eq!(stopped.end().await.0, Some(130));
    has(&refused(&node, 124, &[&follow[..], &["--timeout", "1s"]].concat()).await, &["error[TIMEOUT]"]);
    drop(open);
    has(&lines.await.expect("no panic"), &["[talk attempt 1] ", "line 0", "line 2", "the last"]);
    assert_eq!(ended(&node, &run).await["status"], "completed");
    assert_eq!(orc(&node, &[&follow[..], &["--tail", "1"]].concat()).await, "the last");
}
