//! Schedules: made, shown, changed, triggered, forgotten.

use serde_json::json;

use super::{beside, documents, has, json, orc, refused};
use crate::{
    hands::ended,
    node::shared,
    schedules::{apply, planned},
};

#[tokio::test]
async fn a_schedule_is_made_shown_triggered_and_forgotten() {
    let node = shared().await;
    apply(&node, "CMD Scheduled", json!({})).await;
    let create = ["schedule", "create", "cmd-yearly", "--workflow", "cmd-scheduled", "--cron", "0 0 1 1 *"];
    let more = ["--timezone", "Europe/Berlin", "--catch-up", "1h", "--jitter", "5s", "-i", "n=7"];
    let told = orc(&node, &[&create[..], &more].concat()).await;
    assert_eq!(told, "Schedule cmd-yearly of cmd-scheduled is active");
    let next = planned(&node, "cmd-yearly").await["next"].as_str().expect("a time").to_owned();
    let get = ["schedule", "get", "cmd-yearly"];
    let table = orc(&node, &get).await;
    has(&table, &["SCHEDULE", "cmd-yearly", "cmd-scheduled", "active", "0 0 1 1 *", "Europe/Berlin", &next]);
    assert!(!table.contains("OVERLAP"), "{table}");
    has(&orc(&node, &["schedule", "get", "cmd-yearly", "-o", "wide"]).await, &["OVERLAP", "skip"]);
    let view = json(&node, &get).await;
    assert_eq!(
        (&view["catchUp"], &view["jitter"], &view["inputs"]),
        (&json!(3_600_000), &json!(5_000), &json!({"n": 7}))
    );
    let times = orc(&node, &["schedule", "next", "cmd-yearly", "-n", "3"]).await;
    assert!(times.lines().count() == 3 && times.starts_with(&next), "{times}");
    let times = json(&node, &["schedule", "next", "cmd-yearly"]).await;
    assert_eq!((&times["items"][0], times["items"].as_array().map(Vec::len)), (&json!(next), Some(5)));

    let told = orc(&node, &["schedule", "trigger", "cmd-yearly"]).await;
    has(&told, &["Run run_", "of schedule cmd-yearly is"]);
    let run = orc(&node, &["schedule", "trigger", "cmd-yearly", "-q"]).await;
    let view = ended(&node, &run).await;
    assert_eq!((&view["startedBy"], &view["conclusion"]), (&json!("cron"), &json!("success")), "{view}");
    has(&orc(&node, &get).await, &["ago"]);
    assert_eq!(json(&node, &["schedule", "pause", "cmd-yearly"]).await["paused"], true);
    has(&orc(&node, &get).await, &["paused"]);
    has(&orc(&node, &["schedule", "resume", "cmd-yearly"]).await, &["is active"]);
    let told = refused(&node, 2, &["schedule", "delete", "cmd-yearly"]).await;
    assert!(told.contains("Delete schedule cmd-yearly?") && told.contains("--yes"), "{told}");
    let gone = orc(&node, &["schedule", "delete", "cmd-yearly", "--yes"]).await;
    assert_eq!(gone, "Schedule cmd-yearly is deleted");
    has(&refused(&node, 5, &get).await, &["NOT_FOUND", "cmd-yearly"]);
}

#[tokio::test]
async fn schedules_are_listed_in_every_form_and_replaced() {
    let node = shared().await;
    apply(&node, "CMD Listed Schedules", json!({"cron": {"id": "weekly", "schedule": "0 12 * * 0"}})).await;
    let of = ["--workflow", "cmd-listed-schedules"];
    let create = [&["schedule", "create", "cmd-a", "--cron", "0 3 * * *"][..], &of].concat();
    assert_eq!(orc(&node, &[&create[..], &["-q"]].concat()).await, "cmd-a");
    let list = [&["schedule", "list"][..], &of].concat();
    has(&orc(&node, &list).await, &["SCHEDULE", "cmd-a", "cmd-listed-schedules.weekly", "0 12 * * 0"]);
    assert_eq!(
        orc(&node, &[&list[..], &["-o", "name"]].concat()).await,
        "cmd-a\ncmd-listed-schedules.weekly"
    );
    assert_eq!(json(&node, &list).await["items"][1]["ofFile"], true);
    assert_eq!(documents(&orc(&node, &[&list[..], &["-o", "jsonl"]].concat()).await).len(), 2);
    let hint = beside(&node, &[&list[..], &["--limit", "1"]].concat()).await;
    let (_, cursor) = hint.split_once("next: --cursor ").unwrap_or_else(|| panic!("{hint}"));
    let second = orc(&node, &[&list[..], &["-q", "--cursor", cursor]].concat()).await;
    assert_eq!(second, "cmd-listed-schedules.weekly");

    has(&refused(&node, 6, &create).await, &["VERSION_CONFLICT", "cmd-a"]);
    let changed = [&create[..], &["--overlap", "cancelRunning", "--replace"]].concat();
    assert_eq!(json(&node, &changed).await["overlap"], "cancelRunning");
    let of_file = refused(&node, 6, &["schedule", "delete", "cmd-listed-schedules.weekly", "--yes"]).await;
    has(&of_file, &["INVALID_TRANSITION"]);
    let gone = json(&node, &["schedule", "rm", "cmd-a", "--yes"]).await;
    assert_eq!(gone, json!({"id": "cmd-a", "deleted": true}));
    orc(&node, &["workflow", "delete", "cmd-listed-schedules", "--yes"]).await;
    assert_eq!(orc(&node, &list).await.lines().count(), 1);
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_told_with_its_place() {
    let node = shared().await;
    apply(&node, "CMD Unscheduled", json!({})).await;
    let create = async |code: i32, workflow: &str, cron: &str, more: &[&str]| {
        let words = ["schedule", "create", "cmd-un", "--workflow", workflow, "--cron", cron];
        refused(&node, code, &[&words[..], more].concat()).await
    };
    has(&create(2, "cmd-unscheduled", "0 3 * *", &[]).await, &["VALIDATION_FAILED", "/cron"]);
    has(&create(2, "cmd-unscheduled", "0 3 * * *", &["--timezone", "Berlin"]).await, &["/timezone"]);
    has(&create(2, "cmd-unscheduled", "0 3 * * *", &["--overlap", "skp"]).await, &["/overlap"]);
    has(&create(2, "cmd-unscheduled", "0 3 * * *", &["-i", "n=x"]).await, &["/inputs/n"]);
    has(&create(2, "cmd-unscheduled", "0 3 * * *", &["--jitter", "soon"]).await, &["--jitter"]);
    has(&create(5, "nobody-kept-this", "0 3 * * *", &[]).await, &["nobody-kept-this"]);
    for verb in ["get", "pause", "resume", "trigger", "next", "delete --yes"] {
        let arguments: Vec<&str> =
            ["schedule"].into_iter().chain(verb.split(' ')).chain(["cmd-un"]).collect();
        has(&refused(&node, 5, &arguments).await, &["NOT_FOUND", "cmd-un"]);
    }
}
