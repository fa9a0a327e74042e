//! Runs: how they are listed, shown and steered.

use serde_json::{Value, json};

use super::{beside, documents, ended, has, json, orc, refused, text};
use crate::{
    hands::{Hand, start_run, start_with},
    lists::{alone, run},
    node::{Asked, shared},
    people::waiting,
};

/// A full id of which there is nothing.
const NOBODY: &str = "run_00000000000000000000000000";

async fn status(node: &Asked, run: &str) -> Value {
    node.read(&format!("/runs/{run}")).await.ok(200)["status"].clone()
}

#[tokio::test]
async fn a_list_of_runs_has_the_form_that_is_asked_for() {
    let node = shared().await;
    let older = run(&node, "cmd-listed", json!({"team": "ml"})).await;
    let newer = run(&node, "cmd-listed", json!({})).await;
    let list = ["runs", "list", "--workflow", "cmd-listed"];
    let with = |more: &'static [&'static str]| [&list[..], more].concat();
    let table = orc(&node, &list).await;
    has(&table, &["STATUS", "TRIGGER", &older, &newer, "cmd-listed", "waiting", "0/1", "ago"]);
    assert!(table.find(&newer) < table.find(&older) && !table.contains("LABELS"), "{table}");
    has(&orc(&node, &with(&["-o", "wide"])).await, &["PRIORITY", "LABELS", "team=ml"]);
    let bare = orc(&node, &with(&["--no-headers", "--utc"])).await;
    assert!(bare.lines().count() == 2 && !bare.contains("STATUS") && !bare.contains("ago"), "{bare}");

    let page = json(&node, &list).await;
    assert_eq!((&page["total"], &page["items"][1]["id"]), (&json!(2), &json!(older)));
    has(&bare, &[page["items"][0]["startedAt"].as_str().expect("a time")]);
    let lines = documents(&orc(&node, &with(&["-o", "jsonl"])).await);
    assert_eq!((lines.len(), &lines[0]["id"]), (2, &json!(newer)));
    has(&orc(&node, &with(&["-o", "yaml"])).await, &["items:", &format!("id: {newer}")]);
    for form in [&["-q"][..], &["-o", "name"]] {
        assert_eq!(orc(&node, &[&list, form].concat()).await, format!("{newer}\n{older}"));
    }
    for run in [&older, &newer] {
        orc(&node, &["runs", "terminate", run]).await;
    }
}

#[tokio::test]
async fn a_list_of_runs_is_filtered_sorted_and_paged() {
    let node = shared().await;
    let mut runs = Vec::new();
    for team in ["a", "b", "c"] {
        runs.push(run(&node, "cmd-paged", json!({ "team": team })).await);
    }
    orc(&node, &["runs", "cancel", &runs[2]]).await;
    let list = async |more: &[&str]| {
        orc(&node, &[&["runs", "ls", "--workflow", "cmd-paged", "-q"], more].concat()).await
    };
    assert_eq!(list(&["--status", "cancelled"]).await, runs[2]);
    assert_eq!(list(&["--label", "team:a,team:b", "--sort=createdAt"]).await, runs[..2].join("\n"));
    assert_eq!(list(&["--search", &runs[1]]).await, runs[1]);
    assert_eq!(list(&["--since", "1h", "--until", "1h"]).await, "");
    assert_eq!(list(&["--all", "--limit", "1", "--sort", "createdAt"]).await, runs.join("\n"));

    let first = ["runs", "ls", "--workflow", "cmd-paged", "--limit", "2"];
    let hint = beside(&node, &first).await;
    let cursor = hint.strip_prefix("2 of 3 · next: --cursor ").unwrap_or_else(|| panic!("{hint}"));
    assert_eq!(list(&["--limit", "2", "--cursor", cursor]).await, runs[0]);
    assert_eq!(beside(&node, &[&first[..], &["-q"]].concat()).await, "");
    has(&refused(&node, 2, &["runs", "ls", "--status", "runing"]).await, &["error[", "runing"]);
    has(&refused(&node, 2, &["runs", "ls", "--cursor", "x"]).await, &["cursor", "request id"]);
    let problem = refused(&node, 2, &["runs", "ls", "--status", "runing", "-o", "json"]).await;
    assert_eq!(documents(&problem)[0]["status"], 400, "{problem}");
    orc(&node, &["runs", "terminate", &runs[0]]).await;
    orc(&node, &["runs", "terminate", &runs[1]]).await;
}

#[tokio::test]
async fn a_run_is_found_by_the_beginning_of_its_id_and_as_the_last_one() {
    let own = alone().await;
    let node = own.ask();
    has(&refused(&node, 5, &["runs", "get", "@last"]).await, &["there is no run yet"]);
    let older = run(&node, "older", json!({})).await;
    let newer = run(&node, "newer", json!({})).await;
    assert_eq!(orc(&node, &["runs", "get", "@last", "-q"]).await, newer);
    let differ = older.chars().zip(newer.chars()).position(|(a, b)| a != b).expect("two ids") + 1;
    let beginning = older[4..differ].to_ascii_lowercase();
    assert_eq!(orc(&node, &["runs", "get", &beginning, "-q"]).await, older);
    let many = refused(&node, 2, &["runs", "get", &older[..differ - 1]]).await;
    has(&many, &["2 runs begin with", &older, &newer]);
    has(&refused(&node, 5, &["runs", "get", NOBODY]).await, &["error[NOT_FOUND]", NOBODY]);
    refused(&node, 5, &["runs", "get", "run_zzz"]).await;
    for verb in ["watch", "explain", "cancel", "logs", "retry", "rerun", "approve"] {
        has(&refused(&node, 5, &["runs", verb, NOBODY]).await, &[NOBODY]);
    }
    let problem = refused(&node, 5, &["runs", "get", NOBODY, "-o", "json"]).await;
    assert_eq!(documents(&problem)[0]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn a_run_is_shown_with_its_steps_and_what_ties_it_to_others() {
    let node = shared().await;
    let hand = Hand::new(&node, "cmd-shower", &["cmd-show"]).await;
    let child = json!({"id": "cmd-child", "name": "Child", "steps": [{"id": "work", "action": "cmd-show"}]});
    node.put("/workflows/cmd-child", &child.to_string()).await.ok(201);
    let definition = json!({"name": "cmd-shown", "concurrency": {"group": "cmd-shown"},
        "onFailure": [{"id": "undo", "delay": "1ms"}],
        "steps": [{"id": "check", "condition": "true"}, {"id": "call", "workflow": "cmd-child"}]});
    let run = start_run(&node, &definition).await;
    orc(&node, &["runs", "signal", &run, "later"]).await;
    let task = hand.take().await;
    let under_way = orc(&node, &["runs", "get", &run]).await;
    has(&under_way, &[&run, "cmd-shown", "concurrency group cmd-shown", "1 signals not taken yet"]);
    has(&under_way, &["STEP", "RESULT", "check", "condition", "true", "call", "workflow"]);
    let part = task["runId"].as_str().expect("a run");
    has(&orc(&node, &["runs", "get", part]).await, &[&format!("part of {run} (call)"), "cmd-shower"]);
    let error = json!({"code": "BROKEN", "message": "it broke\nbadly", "retryable": false});
    let path = format!("/tasks/{}/fail", task["taskId"].as_str().expect("an id"));
    node.post(&path, &json!({"token": task["token"], "error": error}).to_string()).await.ok(200);
    crate::hands::ended(&node, &run).await;

    let ended = orc(&node, &["runs", "get", &run]).await;
    has(&ended, &["✕ Failed in ", "BROKEN: it broke", "onFailure: run_"]);
    assert_eq!(json(&node, &["runs", "get", &run]).await["steps"][1]["childRunId"], part);
    has(&orc(&node, &["runs", "get", &run, "-o", "yaml"]).await, &["status: failed", "code: "]);
    let one = orc(&node, &["runs", "get", &run, "-o", "jsonl"]).await;
    assert_eq!(documents(&one)[0]["id"], run);
    let told = orc(&node, &["runs", "explain", &run]).await;
    has(&told, &[&run, "failed", "BROKEN"]);
    assert_eq!(json(&node, &["runs", "explain", &run]).await["status"], "failed");
}

#[tokio::test]
async fn a_run_is_paused_resumed_and_ended() {
    let node = shared().await;
    let id = run(&node, "cmd-steered", json!({})).await;
    assert_eq!(orc(&node, &["runs", "pause", &id]).await, format!("Run {id} is ‖ paused"));
    assert_eq!(status(&node, &id).await, "paused");
    has(&orc(&node, &["runs", "get", &id]).await, &["paused"]);
    assert_eq!(orc(&node, &["runs", "resume", &id, "-q"]).await, id);
    waiting(&node, &id).await;
    has(
        &orc(&node, &["runs", "explain", &id]).await,
        &["waiting", "its delay is not over", "it goes on by itself at"],
    );
    let told = refused(&node, 2, &["runs", "delete", &id]).await;
    has(&told, &["error[USAGE]", &id, "--yes"]);
    has(&refused(&node, 6, &["runs", "delete", &id, "--yes"]).await, &["INVALID_TRANSITION"]);
    let long = "w".repeat(5_000);
    has(&refused(&node, 2, &["runs", "cancel", &id, "--reason", &long]).await, &["/reason"]);
    assert_eq!(json(&node, &["runs", "cancel", &id, "--reason", "wrong inputs"]).await["id"], id);
    has(&orc(&node, &["runs", "get", &id]).await, &["○ Cancelled", "wrong inputs"]);
    for verb in ["cancel", "pause", "resume", "terminate", "signal"] {
        let name: &[&str] = if verb == "signal" { &["go"] } else { &[] };
        has(&refused(&node, 6, &[&["runs", verb, &id], name].concat()).await, &["INVALID_TRANSITION"]);
    }
    assert_eq!(orc(&node, &["runs", "rm", &id, "--yes"]).await, format!("Run {id} is deleted"));
    refused(&node, 5, &["runs", "get", &id]).await;

    let id = run(&node, "cmd-steered", json!({})).await;
    has(&orc(&node, &["runs", "terminate", &id, "--reason", "stuck"]).await, &["is ○ cancelled"]);
    has(&orc(&node, &["runs", "get", &id]).await, &["TERMINATED: stuck"]);
    assert_eq!(json(&node, &["runs", "delete", &id, "--yes"]).await, json!({"id": id, "deleted": true}));
}

#[tokio::test]
async fn a_signal_carries_json_text_or_nothing() {
    let node = shared().await;
    let wait = |name: &str| json!({"id": name, "wait": {"signal": name}});
    let steps = json!([wait("one"), wait("two"), wait("three")]);
    let run = start_with(&node, &json!({"definition": {"name": "cmd-signalled", "steps": steps}})).await;
    has(&orc(&node, &["runs", "signal", &run, "one", r#"{"version": "1.2"}"#]).await, &[&run]);
    orc(&node, &["runs", "signal", &run, "two", "go ahead"]).await;
    let last = ended(&node, &["runs", "signal", &run, "three", "-o", "json"]).await;
    assert_eq!(documents(&text(&last.stdout).replace('\n', ""))[0]["id"], run);
    let view = crate::hands::ended(&node, &run).await;
    let outputs: Vec<&Value> = (0..3).map(|place| &view["steps"][place]["output"]).collect();
    assert_eq!(outputs[..2], [&json!({"version": "1.2"}), &json!("go ahead")], "{view}");
    assert!(outputs[2].is_null(), "{view}");
}
