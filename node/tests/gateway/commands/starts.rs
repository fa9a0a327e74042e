//! Starting runs: of files, of what is kept, with inputs; and what is checked before anything is started.

use serde_json::json;
use tempfile::tempdir;

use super::{documents, ended, fed, file, has, json, orc, refused, text};
use crate::{hands, node::shared, people::waiting};

const COUNTED: &str = "name: CMD Counted
labels: { team: ml }
inputs:
  n: { type: integer, default: 1 }
  word: { type: string, default: none }
steps:
- { id: check, condition: n == 7 }
outputs: { got: inputs.word }
finally:
- { id: after, delay: 1ms }
";

#[tokio::test]
async fn a_file_is_run_with_inputs_labels_and_a_priority() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let path = file(&folder, "counted.yaml", COUNTED);
    let inputs = file(&folder, "inputs.json", r#"{"n": 2, "word": "file"}"#);
    let of_file = ["run", &path, "--input-file", &inputs];
    let more = ["-i", "n=7", "--label", "cmd=counted", "--label", "team=x", "--priority", "high"];
    let started = json(&node, &[&of_file[..], &more].concat()).await;
    let run = started["runId"].as_str().expect("an id");
    let view = hands::ended(&node, run).await;
    assert_eq!((&view["conclusion"], &view["outputs"]), (&json!("success"), &json!({"got": "file"})));
    assert_eq!((&view["labels"], &view["priority"]), (&json!({"cmd": "counted", "team": "x"}), &json!(3)));
    assert_eq!(view["startedBy"], "cli");

    let told = orc(&node, &["run", &path, "--detach"]).await;
    has(&told, &["Run run_", "of CMD Counted is"]);
    let by_name = ended(&node, &["run", &path, "--input", r#"{"word": "all"}"#]).await;
    has(&text(&by_name.stderr), &["watch it: orc runs watch run_"]);
    let of_stdin = text(&fed(&node, COUNTED, &["run", "-", "-q"]).await.stdout);
    assert_eq!(hands::ended(&node, &of_stdin).await["conclusion"], "gated");
    let of_stdin = text(&fed(&node, r#"{"n": 7}"#, &["run", &path, "--input-file", "-", "-q"]).await.stdout);
    assert_eq!(hands::ended(&node, &of_stdin).await["conclusion"], "success");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_or_its_inputs_is_told_before_anything_starts() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let path = file(&folder, "counted.yaml", &COUNTED.replace("Counted", "Uncounted"));
    let bad = file(&folder, "bad.yaml", "name: Bad\nsteps:\n- { id: a, typ: task }\n");
    has(&refused(&node, 8, &["run", &bad]).await, &["bad.yaml:3:", "typ", "did you mean"]);
    has(&refused(&node, 8, &["run", &path, "-i", "n=x"]).await, &["error[INPUT]", "n"]);
    has(&refused(&node, 8, &["run", &path, "-i", "m=1", "--dry-run"]).await, &["m"]);
    let nowhere = format!("{path}.yaml");
    has(&refused(&node, 2, &["run", &nowhere]).await, &["error[USAGE]", &nowhere]);
    has(&refused(&node, 2, &["run", &path, "-i", "n"]).await, &["KEY=VALUE"]);
    has(&refused(&node, 2, &["run", &path, "--input", "[1]"]).await, &["--input: ", "JSON object"]);
    has(&refused(&node, 2, &["run", &path, "--input-file", &path]).await, &["--input-file: "]);
    has(&refused(&node, 2, &["run", &path, "--priority", "hgih"]).await, &["--priority"]);
    refused(&node, 2, &["run", &path, "--watch", "--detach"]).await;

    let plan = ended(&node, &["run", &path, "--dry-run"]).await;
    has(&text(&plan.stdout), &["STEP", "check", "condition", "n == 7", "finally", "after", "delay"]);
    has(&text(&plan.stderr), &["CMD Uncounted: 1 steps, sequence, finally"]);
    let plan = json(&node, &["run", &path, "--dry-run"]).await;
    assert_eq!((&plan["valid"], &plan["steps"][0]["id"]), (&json!(true), &json!("check")));
    assert_eq!(json(&node, &["runs", "ls", "--workflow", "cmd-uncounted"]).await["items"], json!([]));
}

#[tokio::test]
async fn what_is_kept_is_run_by_its_name_and_version() {
    let node = shared().await;
    for n in [7, 8] {
        let document = json!({"name": "CMD Kept", "inputs": {"n": {"type": "integer", "default": n}},
                              "steps": [{"id": "check", "condition": "n == 7"}]});
        node.post("/workflows", &document.to_string()).await.ok(201);
    }
    let latest = orc(&node, &["run", "cmd-kept", "-q"]).await;
    let view = hands::ended(&node, &latest).await;
    assert_eq!(
        (&view["workflowVersion"], &view["conclusion"]),
        (&json!("cmd-kept@2"), &json!("gated")),
        "{view}"
    );
    let first = orc(&node, &["run", "cmd-kept@1", "-q"]).await;
    assert_eq!(hands::ended(&node, &first).await["workflowVersion"], "cmd-kept@1");
    has(&orc(&node, &["runs", "get", &latest]).await, &["✓ Completed (gated) in ", "CMD Kept"]);
    has(&refused(&node, 5, &["run", "nobody-kept-this"]).await, &["NOT_FOUND", "nobody-kept-this"]);
    refused(&node, 5, &["run", "cmd-kept@9"]).await;
    has(&refused(&node, 2, &["run", "cmd-kept@new"]).await, &["`new` is not a version", "NAME@3"]);
    has(&refused(&node, 2, &["run", "cmd-kept", "--dry-run"]).await, &["orc workflow graph"]);
    let wrong = refused(&node, 8, &["run", "cmd-kept", "-i", "n=x", "-o", "json"]).await;
    assert_eq!(documents(&wrong)[0]["errors"][0]["pointer"], "/inputs/n");
}

#[tokio::test]
async fn a_run_is_started_once_by_its_key_or_its_word_and_waits_for_its_group() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let text = "name: CMD Once\nconcurrency: { group: all }\nsteps:\n- { id: go, wait: { signal: go } }\n";
    let path = file(&folder, "once.yaml", text);
    let run = async |more: &[&str]| orc(&node, &[&["run", &path, "-q"], more].concat()).await;
    let first = run(&["--idempotency-key", "cmd-once", "--dedupe", "cmd-once"]).await;
    assert_eq!(run(&["--idempotency-key", "cmd-once", "--dedupe", "cmd-once"]).await, first);
    assert_eq!(run(&["--dedupe", "cmd-once"]).await, first);
    let told = orc(&node, &["run", &path, "--dedupe", "cmd-once"]).await;
    has(&told, &[&first, "which lived already is"]);
    let told = json(&node, &["run", &path, "--dedupe", "cmd-once"]).await;
    assert_eq!((&told["runId"], &told["deduplicated"]), (&json!(first), &json!(true)));
    let long = "w".repeat(300);
    has(&refused(&node, 2, &["run", &path, "--dedupe", &long]).await, &["VALIDATION_FAILED", "/dedupe"]);
    let reused = ["run", &path, "--idempotency-key", "cmd-once", "--label", "other=1"];
    has(&refused(&node, 6, &reused).await, &["IDEMPOTENCY_KEY_REUSED"]);
    let other = run(&["--concurrency-key", "mine"]).await;
    assert_eq!(waiting(&node, &other).await["group"], "mine");
    let second = run(&[]).await;
    has(&orc(&node, &["runs", "get", &second]).await, &["queued", "concurrency group all", "waiting for"]);
    for run in [&second, &first, &other] {
        orc(&node, &["runs", "terminate", run]).await;
    }
}
