//! State keys: written, read, compared, brought back, carried elsewhere and watched.

use serde_json::{Value, json};

use super::{NOBODY, UnderWay, json, orc, orc_fed, refused, stored};
use crate::node::{Asked, shared, until};

#[tokio::test]
async fn a_key_is_set_read_listed_and_deleted() {
    let node = shared().await;
    assert_eq!(orc(&node, &["state", "set", "cli.number", "20"]).await, "cli.number is at version 1");
    orc(&node, &["state", "set", "cli.text", "not JSON"]).await;
    assert_eq!((stored(&node, "cli.number").await, stored(&node, "cli.text").await), {
        (Some(json!(20)), Some(json!("not JSON")))
    });
    assert_eq!(orc(&node, &["state", "get", "cli.text"]).await, "\"not JSON\"");
    let entry = json(&node, &["state", "get", "cli.number"]).await;
    assert_eq!((&entry["key"], &entry["version"]), (&json!("cli.number"), &json!(1)));
    let set = orc(&node, &["state", "set", "cli.ttl", "1", "--ttl", "1h", "-o", "yaml"]).await;
    assert!(set.contains("key: cli.ttl") && set.contains("expiresAt: "), "{set}");

    let listed = orc(&node, &["state", "list", "cli."]).await;
    assert!(listed.starts_with("KEY") && listed.contains("cli.number") && listed.contains("20"), "{listed}");
    let names = orc(&node, &["state", "ls", "cli.", "-o", "name"]).await;
    assert_eq!(names, "cli.number\ncli.text\ncli.ttl");
    let bare = orc(&node, &["state", "ls", "cli.", "--no-headers"]).await;
    assert!(bare.starts_with("cli.number"), "{bare}");
    let lines = orc(&node, &["state", "ls", "cli.", "-o", "jsonl"]).await;
    let keys: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((keys.len(), &keys[1]["value"]), (3, &json!("not JSON")));
    let page = json(&node, &["state", "ls", "cli.", "--limit", "1"]).await;
    let cursor = page["nextCursor"].as_str().expect("more").to_owned();
    let rest = orc(&node, &["state", "ls", "cli.", "--cursor", &cursor, "-q"]).await;
    assert_eq!(rest, "cli.text\ncli.ttl");

    let deleted = orc(&node, &["state", "rm", "cli.number"]).await;
    assert_eq!(deleted, "cli.number is deleted (version 2)");
    assert_eq!(stored(&node, "cli.number").await, None);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_told_and_changes_nothing() {
    let node = shared().await;
    orc(&node, &["state", "set", "cond.key", "1", "--if-absent"]).await;
    let told = refused(&node, 6, &["state", "set", "cond.key", "2", "--if-absent"]).await;
    assert!(told.contains("error[STATE_VERSION_CONFLICT]: cond.key is at version 1"), "{told}");
    assert!(told.contains("request id req_"), "{told}");
    let told = refused(&node, 6, &["state", "set", "cond.key", "2", "--if-version", "7"]).await;
    assert!(told.contains("you expected 7") && told.contains("hint: "), "{told}");
    refused(&node, 6, &["state", "delete", "cond.key", "--if-version", "7"]).await;
    assert_eq!(stored(&node, "cond.key").await, Some(json!(1)));
    let told = refused(&node, 6, &["state", "set", "cond.key", "2", "--if-version", "7", "-o", "json"]).await;
    let problem: Value = serde_json::from_str(&told).expect("the problem as it came");
    assert_eq!((&problem["status"], &problem["code"]), (&json!(412), &json!("STATE_VERSION_CONFLICT")));

    orc(&node, &["state", "set", "cond.key", "2", "--if-version", "1"]).await;
    let once = ["state", "set", "cond.key", "3", "--idempotency-key", "cond-once", "-o", "json"];
    assert_eq!(orc(&node, &once).await, orc(&node, &once).await, "it is written once");
    assert_eq!(orc(&node, &["state", "delete", "cond.key", "--if-version", "3", "-q"]).await, "cond.key");
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_is_told_so() {
    let node = shared().await;
    let told = refused(&node, 5, &["state", "get", "no.such.key"]).await;
    assert!(told.contains("error[NOT_FOUND]") && told.contains("no.such.key"), "{told}");
    for arguments in [
        &["state", "delete", "no.such.key"][..],
        &["state", "versions", "no.such.key"],
        &["state", "restore", "no.such.key", "1"],
        &["state", "diff", "no.such.key", "1", "2"],
    ] {
        let told = refused(&node, 5, arguments).await;
        assert!(told.contains("no.such.key"), "orc {arguments:?}: {told}");
    }
    for arguments in [
        &["state", "set", "a", "1", "--if-version", "x"][..],
        &["state", "set", "a", "1", "--if-version", "1", "--if-absent"],
        &["state", "set", "a", "1", "--ttl", "soon"],
        &["state", "list", "--limit", "501"],
        &["state", "watch", "a..b"],
        &["state", "import", "/no/such/file.jsonl"],
    ] {
        refused(&node, 2, arguments).await;
    }
    assert!(refused(&node, 2, &["state", "set", "a", "1", "--ttl", "soon"]).await.contains("--ttl"));
    let told = refused(&node, 2, &["state", "set", "two..dots", "1"]).await;
    assert!(told.contains("`two..dots` is not a state key"), "{told}");
    let nobody = Asked::at(NOBODY);
    for arguments in [&["state", "set", "a", "1"][..], &["state", "watch", "**"], &["state", "export"]] {
        let told = refused(&nobody, 7, &[arguments, &["--timeout", "1s"]].concat()).await;
        assert!(told.contains("error[UNREACHABLE]") && told.contains("hint: "), "{told}");
    }
}

#[tokio::test]
async fn versions_are_listed_compared_and_brought_back() {
    let node = shared().await;
    orc(&node, &["state", "set", "aged", r#"{"a": 1, "b": 2}"#]).await;
    orc(&node, &["state", "set", "aged", r#"{"a": 1, "b": 3}"#]).await;
    orc(&node, &["state", "delete", "aged"]).await;
    orc(&node, &["state", "set", "aged", "null"]).await;
    let table = orc(&node, &["state", "versions", "aged", "--utc"]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("VERSION") && rows[0].contains("WRITTEN"), "{table}");
    assert!(rows[1].starts_with('4') && !rows[1].contains("(deleted)"), "null is a value: {table}");
    assert!(rows[2].starts_with('3') && rows[2].ends_with("(deleted)"), "{table}");
    assert!(rows[4].contains(r#"{"a":1,"b":2}"#), "{table}");
    assert_eq!(orc(&node, &["state", "versions", "aged", "-o", "name"]).await, "4\n3\n2\n1");
    let document = json(&node, &["state", "versions", "aged"]).await;
    let found = |row: usize| document["items"][row].get("value");
    assert_eq!((found(0), found(1)), (Some(&Value::Null), None), "{document}");
    let lines = orc(&node, &["state", "versions", "aged", "-o", "jsonl"]).await;
    assert_eq!(lines.lines().count(), 4, "a line each: {lines}");

    let diff = orc(&node, &["state", "diff", "aged", "1", "2"]).await;
    assert!(diff.contains("-  \"b\": 2") && diff.contains("+  \"b\": 3"), "{diff}");
    assert_eq!(json(&node, &["state", "diff", "aged", "1", "2"]).await["same"], false);
    let back = orc(&node, &["state", "restore", "aged", "1"]).await;
    assert_eq!(back, "aged has the value of version 1 again, as version 5");
    assert_eq!(stored(&node, "aged").await, Some(json!({"a": 1, "b": 2})));
    let same = orc(&node, &["state", "diff", "aged", "1", "5"]).await;
    assert_eq!(same, "Versions 1 and 5 of aged have the same value");
    let told = refused(&node, 5, &["state", "restore", "aged", "99"]).await;
    assert!(told.contains("99"), "{told}");
}

#[tokio::test]
async fn an_export_is_imported_whole_without_what_is_over() {
    let node = shared().await;
    for (key, value) in [("carry.a", "1"), ("carry.b", "null"), ("carry.c", r#"{"deep": [1, "ü"]}"#)] {
        orc(&node, &["state", "set", key, value]).await;
    }
    orc(&node, &["state", "set", "carry.d", "1", "--ttl", "1h"]).await;
    let exported = orc(&node, &["state", "export", "carry."]).await;
    assert_eq!(exported.lines().count(), 4, "{exported}");
    let over = r#"{"key": "moved.over", "value": 1, "expiresAt": "2020-01-01T00:00:00.000Z"}"#;
    let moved = format!("{}\n{over}\n", exported.replace("carry.", "moved."));
    assert_eq!(orc_fed(&node, &moved, &["state", "import", "-"]).await, "4 keys are set");
    for (name, expected) in [("a", json!(1)), ("b", Value::Null), ("c", json!({"deep": [1, "ü"]}))] {
        assert_eq!(stored(&node, &format!("moved.{name}")).await, Some(expected), "{name}");
    }
    assert!(json(&node, &["state", "get", "moved.d"]).await["expiresAt"].is_string());
    assert_eq!(stored(&node, "moved.over").await, None);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.jsonl");
    let path = file.to_str().expect("UTF-8");
    let many: Vec<String> =
        (0..501).map(|at| json!({"key": format!("many.{at}"), "value": at}).to_string()).collect();
    std::fs::write(&file, many.join("\n")).expect("it is written");
    assert_eq!(orc(&node, &["state", "import", path, "-q"]).await, "501");
    assert_eq!(stored(&node, "many.500").await, Some(json!(500)));
    std::fs::write(&file, "{\"key\": \"good.line\", \"value\": 1}\nnot JSON\n").expect("it is written");
    let told = refused(&node, 2, &["state", "import", path]).await;
    assert!(told.contains("keys.jsonl:2: ") && told.contains("0 keys are written"), "{told}");
    assert_eq!(stored(&node, "good.line").await, None, "what is told is so");
}

#[tokio::test]
async fn a_watch_prints_each_change_until_it_is_interrupted() {
    let node = shared().await;
    let mut people = UnderWay::new(&node, &["state", "watch", "seen.*"]);
    let mut programs = UnderWay::new(&node, &["state", "watch", "seen.key", "-o", "jsonl"]);
    // Each begins with what happens once it is connected.
    let ticking = until(|| async {
        node.put("/state/keys/seen.key", r#"{"value": 1}"#).await.ok(200);
        None::<()>
    });
    tokio::select! {
        (line, document) = async { (people.line().await, programs.json().await) } => {
            assert!(line.starts_with("seen.key = 1 (version "), "{line}");
            assert_eq!((&document["key"], &document["newValue"]), (&json!("seen.key"), &json!(1)));
        }
        () = ticking => {}
    }
    orc(&node, &["state", "set", "seen.other", "[2]"]).await;
    orc(&node, &["state", "set", "seen.other", "null"]).await;
    orc(&node, &["state", "delete", "seen.other"]).await;
    orc(&node, &["state", "delete", "seen.key"]).await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.starts_with("seen.key deleted")) {
        let line = people.line().await;
        if !line.starts_with("seen.key = 1") {
            lines.push(line);
        }
    }
    let expected =
        ["seen.other = [2] (version 1)", "seen.other = null (version 2)", "seen.other deleted (version 3)"];
    assert_eq!(lines[..3], expected);
    let mut document = programs.json().await;
    while document.get("newValue").is_some() {
        document = programs.json().await;
    }
    assert_eq!((&document["key"], &document["oldValue"]), (&json!("seen.key"), &json!(1)), "{document}");
    people.stop().await;
    programs.stop().await;

    let first = json(&node, &["state", "set", "seen.past", "1"]).await;
    orc(&node, &["state", "set", "seen.past", "2"]).await;
    let rev = first["rev"].to_string();
    let mut after = UnderWay::new(&node, &["state", "watch", "seen.past", "--rev", &rev]);
    assert_eq!(after.line().await, "seen.past = 2 (version 2)");
    after.stop().await;
}
