//! Backups as a user meets them: a file from a running node, and a new node made of it; both by the command line.
//! Knows nothing of what is in the file.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::node::{Answer, Node, coverage, server, start, until};

fn orc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
    command.args(arguments).env_clear().envs(coverage()).output().expect("the binary starts")
}

#[track_caller]
fn check(arguments: &[&str], code: i32, on_stderr: &str) -> Output {
    let output = orc(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "orc {arguments:?}: {stderr}");
    assert!(stderr.contains(on_stderr), "orc {arguments:?}: {on_stderr:?} is not in {stderr}");
    output
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON document")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A node of its own, with something in its state.
async fn lively(data: &Path) -> Node {
    let mut command = server(1, Some(data));
    command.arg("--bootstrap");
    let node = start(command).await;
    let asked = node.ask();
    for number in 0..50 {
        let body = json!({ "value": "x".repeat(10_000), "number": number }).to_string();
        asked.put(&format!("/state/keys/backed.{number}"), &body).await;
    }
    asked.put("/state/keys/backed.last", r#"{"value": "kept"}"#).await.ok(200);
    node
}

/// Letters that do not compress well.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed + 1;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from((state >> 33) % 58).expect("less than 58"))
    };
    (0..length).map(|_| letter()).collect()
}

#[tokio::test]
async fn a_backup_by_the_command_line_becomes_a_new_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let node = lively(&folder.path().join("old")).await;
    let address = format!("http://{}", node.address);
    let file = path("orc.backup");
    let backup = ["--addr", &address, "cluster", "backup", &file, "-o", "json"];
    let written = document(&check(&backup, 0, ""));
    let old = node.ask().read("/cluster").await.ok(200);
    assert_eq!(written["clusterId"], old["clusterId"]);
    assert_eq!(
        (&written["rev"], &written["stateHash"]),
        (&old["nodes"][0]["applied"], &old["nodes"][0]["stateHash"])
    );
    assert_eq!(written["bytes"], std::fs::metadata(&file).expect("a file").len());
    assert_eq!(names(folder.path()), ["old", "orc.backup"], "nothing else is left");

    check(&backup, 2, "--yes");
    node.ask().put("/state/keys/backed.later", r#"{"value": 1}"#).await.ok(200);
    let again = document(&check(&[&backup[..], &["--yes", "--stale"]].concat(), 0, ""));
    assert!(again["rev"].as_u64() > written["rev"].as_u64(), "{again}");
    check(&["--addr", &address, "cluster", "backup", &path("")], 2, "is a folder");
    check(&["--addr", &address, "cluster", "backup", &path("none/x")], 2, "none/x");

    check(&["cluster", "restore", &file, "--data-dir", &path("old")], 2, "is not empty");
    check(&["cluster", "restore", &path("nothing"), "--data-dir", &path("new")], 2, "nothing");
    let mut bytes = std::fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path("flipped"), &bytes).expect("written");
    check(&["cluster", "restore", &path("flipped"), "--data-dir", &path("new")], 74, "is damaged at");
    std::fs::write(path("short"), &bytes[..middle]).expect("written");
    check(&["cluster", "restore", &path("short"), "--data-dir", &path("new")], 74, "is cut off");
    assert!(!folder.path().join("new").exists(), "nothing is left of a try");

    let restore = ["cluster", "restore", &file, "--data-dir", &path("new"), "--node-id", "4", "-o", "json"];
    let made = document(&check(&restore, 0, ""));
    assert_eq!((&made["rev"], &made["stateHash"]), (&again["rev"], &again["stateHash"]));
    drop(node);
    let new = start(server(4, Some(&folder.path().join("new")))).await;
    let cluster = new.ask().read("/cluster").await.ok(200);
    assert_eq!((&cluster["clusterId"], &cluster["leader"]), (&made["newClusterId"], &json!("node-4")));
    assert_ne!(cluster["clusterId"], again["clusterId"]);
    let kept = new.ask().read("/state/keys/backed.last").await.ok(200);
    assert_eq!((&kept["value"], &kept["version"]), (&json!("kept"), &json!(1)));
    let events = new.ask().read("/events?since=0&limit=1").await.ok(200);
    assert_eq!(events["firstSeq"], 1, "the history came along");
    // Addresses are of the new node, which nobody told the backup.
    until(|| async {
        let cluster = new.ask().read("/cluster").await.ok(200);
        cluster["nodes"][0]["httpAddr"].as_str().filter(|at| at.ends_with(&new.address)).map(drop)
    })
    .await;
    new.ask().put("/state/keys/backed.last", r#"{"value": "goes on"}"#).await.ok(200);
}

#[tokio::test]
async fn a_backup_is_a_stream_with_its_length_and_its_rev() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = lively(&folder.path().join("data")).await;
    // More than what lies between a node and a reader that does not read.
    for number in 0..80 {
        let body = json!({ "value": noise(number, 240_000) }).to_string();
        node.ask().put(&format!("/state/keys/noise.{number}"), &body).await.ok(200);
    }
    let answer = node.ask().get("/api/v1/cluster/backup").await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().expect("ASCII").to_owned();
    let (rev, length) = (header("orc-index"), header("content-length"));
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("content-disposition"), format!("attachment; filename=\"orc-{rev}.backup\""));
    // Two are under way, one of which nobody reads: a third has to wait.
    let second = node.ask().get("/api/v1/cluster/backup").await;
    let third = Answer::of(node.ask().get("/api/v1/cluster/backup").await).await;
    third.problem(429, "LIMIT_EXCEEDED");
    assert_eq!(third.header("retry-after"), "5");
    let bytes = answer.bytes().await.expect("all of it");
    assert_eq!(bytes.len().to_string(), length);
    drop(second);
    until(|| async {
        names(&folder.path().join("data/group-0"))
            .iter()
            .all(|name| !name.starts_with("backup-"))
            .then_some(())
    })
    .await;
    let wrong = node.ask().read("/cluster/backup?consistency=maybe").await;
    wrong.problem(400, "BAD_REQUEST");
    let client = orc_client::Client::builder().nodes([&node.address]).build().expect("a node");
    let mut backup = client.cluster().backup().await.expect("it begins, by a request of its own");
    let mut file = Vec::new();
    assert_eq!(backup.write_to(&mut file).await.expect("all of it"), backup.size());
    assert_eq!(file.len() as u64, backup.size());
    assert!(backup.rev() >= rev.parse().expect("a log index"));
}
