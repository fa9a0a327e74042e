//! Snapshots of the state keys: made, compared, brought back and forgotten.

use serde_json::{Value, json};

use super::{json, orc, refused, stored};
use crate::node::{Asked, shared};

/// A snapshot of two keys, one of which is another now and one of which is gone; a third one is new.
async fn changed_since(node: &Asked, name: &str) -> String {
    let key = |part: &str| format!("{name}.{part}");
    for part in ["changed", "gone"] {
        orc(node, &["state", "set", &key(part), "\"old\""]).await;
    }
    let made = ["state", "snapshot", "create", name, "--description", "Before it changed", "-q"];
    let id = orc(node, &made).await;
    orc(node, &["state", "set", &key("changed"), "\"new\""]).await;
    orc(node, &["state", "delete", &key("gone")]).await;
    orc(node, &["state", "set", &key("added"), "1"]).await;
    id
}

#[tokio::test]
async fn a_snapshot_is_made_listed_compared_and_forgotten() {
    let node = shared().await;
    let id = changed_since(&node, "kept-one").await;
    assert!(id.starts_with("snap_"), "{id}");
    let listed = orc(&node, &["state", "snapshot", "ls"]).await;
    let row = listed.lines().find(|line| line.starts_with(&id)).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains("kept-one") && row.contains("Before it changed"), "{row}");
    assert!(orc(&node, &["state", "snapshot", "list", "-o", "name"]).await.contains(&id));
    let view = json(&node, &["state", "snapshot", "get", "kept-one"]).await;
    assert_eq!((&view["id"], &view["metadata"]["description"]), (&json!(id), &json!("Before it changed")));
    assert!(orc(&node, &["state", "snapshot", "get", &id]).await.contains("kept-one"));
    let made = orc(&node, &["state", "snapshot", "create"]).await;
    assert!(made.starts_with("snap_") && made.contains(" holds ") && made.contains(" keys (rev "), "{made}");

    let diff = ["state", "snapshot", "diff", "kept-one", "--prefix", "kept-one."];
    let table = orc(&node, &diff).await;
    assert!(table.starts_with("CHANGE") && table.contains("\"old\"") && table.contains("\"new\""), "{table}");
    let document = json(&node, &diff).await;
    let changes: Vec<(&Value, &Value)> = document["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["change"], &one["key"]))
        .collect();
    let expected =
        json!([["added", "kept-one.added"], ["changed", "kept-one.changed"], ["removed", "kept-one.gone"]]);
    assert_eq!(json!(changes), expected);
    let names = orc(&node, &[&diff[..], &["-o", "name"]].concat()).await;
    assert_eq!(names, "kept-one.added\nkept-one.changed\nkept-one.gone");
    let lines = orc(&node, &[&diff[..], &["-o", "jsonl"]].concat()).await;
    assert_eq!(lines.lines().count(), 3, "a line each: {lines}");
    let later = orc(&node, &["state", "snapshot", "create", "kept-later", "-q"]).await;
    let between = ["state", "snapshot", "diff", &id, &later, "--prefix", "kept-one.", "-q"];
    assert_eq!(orc(&node, &between).await, names);

    let exported = orc(&node, &["state", "export", "kept-one.", "--snapshot", "kept-one"]).await;
    assert!(exported.contains("kept-one.gone") && !exported.contains("added"), "{exported}");
    let told = refused(&node, 2, &["state", "snapshot", "delete", "kept-one"]).await;
    assert!(told.contains("Forget snapshot kept-one?") && told.contains("--yes"), "{told}");
    let forgotten = orc(&node, &["state", "snapshot", "rm", "kept-one", "--yes"]).await;
    assert_eq!(forgotten, "Snapshot kept-one is forgotten");
    assert!(refused(&node, 5, &["state", "snapshot", "get", "kept-one"]).await.contains("kept-one"));
}

#[tokio::test]
async fn a_restore_shows_first_what_it_would_change() {
    let node = shared().await;
    let id = changed_since(&node, "back-one").await;
    let restore = ["state", "snapshot", "restore", "back-one", "--prefix", "back-one."];
    let told = refused(&node, 2, &restore).await;
    assert!(told.contains("Bring keys back-one.* back to what they were in back-one?"), "{told}");
    let dry = orc(&node, &[&restore[..], &["--dry-run"]].concat()).await;
    assert!(dry.starts_with("3 keys would change") && dry.contains("back-one.gone"), "{dry}");
    let document = json(&node, &[&restore[..], &["--dry-run"]].concat()).await;
    assert_eq!((&document["dryRun"], &document["keys"]), (&json!(true), &json!(3)));
    assert_eq!(stored(&node, "back-one.changed").await, Some(json!("new")), "a dry run changes nothing");

    let done = orc(&node, &[&restore[..], &["--keep-new", "--yes"]].concat()).await;
    assert_eq!(done, "2 keys are as they were in back-one");
    let now = (stored(&node, "back-one.changed").await, stored(&node, "back-one.gone").await);
    assert_eq!(now, (Some(json!("old")), Some(json!("old"))));
    assert_eq!(stored(&node, "back-one.added").await, Some(json!(1)));
    assert_eq!(orc(&node, &[&restore[..], &["--yes", "-q"]].concat()).await, id);
    assert_eq!(stored(&node, "back-one.added").await, None);
}

#[tokio::test]
async fn a_snapshot_that_is_not_there_is_told_so() {
    let node = shared().await;
    for arguments in [
        &["get", "no-snapshot"][..],
        &["diff", "no-snapshot"],
        &["restore", "no-snapshot", "--yes"],
        &["restore", "no-snapshot", "--dry-run"],
        &["delete", "no-snapshot", "--yes"],
    ] {
        let told = refused(&node, 5, &[&["state", "snapshot"], arguments].concat()).await;
        assert!(told.contains("error[NOT_FOUND]") && told.contains("no-snapshot"), "{arguments:?}: {told}");
    }
    refused(&node, 5, &["state", "export", "--snapshot", "no-snapshot"]).await;
    orc(&node, &["state", "snapshot", "create", "taken-name"]).await;
    let told = refused(&node, 6, &["state", "snapshot", "create", "taken-name"]).await;
    assert!(told.contains("taken-name"), "{told}");
}
