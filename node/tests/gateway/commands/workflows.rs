//! Workflows: checked and drawn from files, kept in versions, paused and forgotten.

use serde_json::json;
use tempfile::tempdir;

use super::{beside, documents, ended, fed, file, has, json, orc, refused, text};
use crate::{hands, node::shared};

fn document(name: &str, condition: &str) -> String {
    format!("name: {name}\nsteps:\n- {{ id: check, condition: '{condition}' }}\n")
}

#[tokio::test]
async fn a_workflow_is_kept_in_versions_that_are_shown_and_compared() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let first = file(&folder, "one.yaml", &document("CMD Kept Twice", "1 == 1"));
    let second = file(&folder, "two.yaml", &document("CMD Kept Twice", "2 == 2"));
    assert_eq!(orc(&node, &["workflow", "apply", &first]).await, "Workflow cmd-kept-twice@1 is applied");
    assert_eq!(orc(&node, &["workflow", "apply", &first]).await, "Workflow cmd-kept-twice@1 is unchanged");
    let conflict = refused(&node, 6, &["workflow", "apply", &second, "--if-version", "4"]).await;
    has(&conflict, &["VERSION_CONFLICT", "hint:"]);
    refused(&node, 6, &["workflow", "apply", &second, "--if-version", "0"]).await;
    let applied = json(&node, &["workflow", "apply", &second, "--if-version", "1"]).await;
    assert_eq!((&applied["version"], &applied["created"]), (&json!(2), &json!(true)));

    let shown = orc(&node, &["workflow", "get", "cmd-kept-twice"]).await;
    has(&shown, &["# cmd-kept-twice@2, applied ", "name: CMD Kept Twice", "2 == 2"]);
    has(&orc(&node, &["workflow", "get", "cmd-kept-twice@1"]).await, &["1 == 1"]);
    let shown = json(&node, &["workflow", "get", "cmd-kept-twice@1"]).await;
    assert_eq!(shown["definition"]["steps"][0]["condition"], "1 == 1");
    let versions = ["workflow", "versions", "cmd-kept-twice"];
    has(&orc(&node, &versions).await, &["VERSION", "DIGEST"]);
    assert_eq!(orc(&node, &[&versions[..], &["-q"]].concat()).await, "2\n1");
    let hint = beside(&node, &[&versions[..], &["--limit", "1"]].concat()).await;
    let (_, cursor) = hint.split_once("next: --cursor ").unwrap_or_else(|| panic!("{hint}"));
    assert_eq!(orc(&node, &[&versions[..], &["-q", "--cursor", cursor]].concat()).await, "1");
    let diff = orc(&node, &["workflow", "diff", "cmd-kept-twice", "1", "2"]).await;
    has(&diff, &["--- cmd-kept-twice@1", "+++ cmd-kept-twice@2", "1 == 1", "2 == 2"]);
    assert_eq!(orc(&node, &["workflow", "diff", "cmd-kept-twice", "1", "1"]).await, "no difference");
    assert_eq!(json(&node, &["workflow", "diff", "cmd-kept-twice", "1", "2"]).await["same"], false);

    refused(&node, 5, &["workflow", "get", "cmd-kept-twice@3"]).await;
    refused(&node, 5, &["workflow", "diff", "cmd-kept-twice", "1", "3"]).await;
    has(&refused(&node, 2, &["workflow", "get", "cmd-kept-twice@new"]).await, &["NAME@3"]);
    for verb in ["get", "versions", "graph", "pause", "resume"] {
        has(&refused(&node, 5, &["workflow", verb, "nobody-kept-this"]).await, &["nobody-kept-this"]);
    }
}

#[tokio::test]
async fn several_files_are_checked_before_the_first_is_kept() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let one = file(&folder, "one.yaml", &document("CMD Several One", "true"));
    let two = file(&folder, "two.yaml", &document("CMD Several Two", "true"));
    let bad = file(&folder, "bad.yaml", "name: Bad\nsteps:\n- { id: a, typ: task }\n");
    has(&refused(&node, 8, &["workflow", "apply", &one, &bad]).await, &["bad.yaml:3:", "typ"]);
    refused(&node, 5, &["workflow", "get", "cmd-several-one"]).await;
    refused(&node, 2, &["workflow", "apply", &one, &format!("{one}.yaml")]).await;
    let told = orc(&node, &["workflow", "apply", &one, &two]).await;
    has(&told, &["Workflow cmd-several-one@1 is applied", "Workflow cmd-several-two@1 is applied"]);
    let both = json(&node, &["workflow", "apply", &one, &two]).await;
    assert_eq!(
        (&both["items"][1]["name"], &both["items"][1]["created"]),
        (&json!("cmd-several-two"), &json!(false))
    );
    let both = orc(&node, &["workflow", "apply", &one, &two, "-o", "jsonl"]).await;
    assert_eq!(documents(&both).len(), 2);
    let of_stdin = fed(&node, &document("CMD Of Stdin", "true"), &["workflow", "apply", "-", "-q"]).await;
    assert_eq!(text(&of_stdin.stdout), "cmd-of-stdin");

    let list = ["workflow", "list", "--limit", "500"];
    has(&orc(&node, &list).await, &["WORKFLOW", "STEPS", "cmd-several-one", "active"]);
    has(&orc(&node, &[&list[..], &["-o", "wide"]].concat()).await, &["TITLE", "CMD Several One", "DIGEST"]);
    let names = orc(&node, &[&list[..], &["-q"]].concat()).await;
    assert!(names.lines().is_sorted() && names.lines().any(|name| name == "cmd-of-stdin"), "{names}");
    has(&beside(&node, &["workflow", "ls", "--limit", "1"]).await, &["next: --cursor "]);
    let items = json(&node, &list).await["items"].as_array().expect("a list").len();
    assert!(items >= 3);
}

#[tokio::test]
async fn a_paused_workflow_starts_nothing_and_a_forgotten_one_is_gone() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let path = file(&folder, "resting.yaml", &document("CMD Resting", "true"));
    orc(&node, &["workflow", "apply", &path]).await;
    assert_eq!(orc(&node, &["workflow", "pause", "cmd-resting"]).await, "Workflow cmd-resting is paused");
    has(&orc(&node, &["workflow", "get", "cmd-resting"]).await, &["# cmd-resting@1, paused, applied"]);
    has(&refused(&node, 6, &["run", "cmd-resting"]).await, &["INVALID_TRANSITION", "hint:", "resume"]);
    assert_eq!(json(&node, &["workflow", "resume", "cmd-resting"]).await["paused"], false);
    let run = orc(&node, &["run", "cmd-resting", "-q"]).await;
    hands::ended(&node, &run).await;
    let told = refused(&node, 2, &["workflow", "delete", "cmd-resting"]).await;
    has(&told, &["cmd-resting", "--yes"]);
    let told = orc(&node, &["workflow", "rm", "cmd-resting", "--yes"]).await;
    assert_eq!(told, "Workflow cmd-resting is deleted");
    refused(&node, 5, &["workflow", "get", "cmd-resting"]).await;
    refused(&node, 5, &["workflow", "delete", "cmd-resting", "--yes"]).await;
    has(&orc(&node, &["runs", "get", &run]).await, &["Completed"]);
}

const DRAWN: &str = "name: CMD Drawn
steps:
- { id: fetch, http: { url: 'https://example.test' } }
- id: each
  needs: [fetch]
  foreach: { items: '[1, 2]', maxParallel: 2 }
  action: work
  compensate: { action: undo }
- { id: both, needs: [fetch], parallel: [{ id: pause, delay: 1s }, { id: until, wait: { until: 'timestamp(\"2030-01-01T00:00:00Z\")' } }] }
- { id: ask, needs: [each], approval: { prompt: 'Go?', approvers: [ann] } }
- { id: anybody, needs: [each], approval: { prompt: 'Go?' } }
- { id: call, needs: [each], workflow: other@2 }
- { id: keep, needs: [each], state: { set: { 'cmd.drawn': 1 }, get: ['cmd.other'] } }
- { id: tell, needs: [each], message: { component: bot, type: ping } }
- { id: hear, needs: [each], wait: { event: 'build.*' } }
- { id: go, needs: [each], wait: { signal: go } }
- { id: emit, needs: [each], emit: { type: drawn.done } }
onFailure:
- { id: alarm, message: { broadcast: true, type: alarm } }
";

#[tokio::test]
async fn a_graph_is_drawn_of_a_file_as_of_what_is_kept() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let path = file(&folder, "drawn.yaml", DRAWN);
    orc(&node, &["workflow", "apply", &path]).await;
    for format in ["text", "mermaid", "dot"] {
        let of_file = orc(&node, &["workflow", "graph", &path, "--format", format]).await;
        let kept = orc(&node, &["workflow", "graph", "cmd-drawn", "--format", format]).await;
        assert_eq!(of_file, kept);
        has(&kept, &["fetch", "each", "alarm"]);
    }
    has(&orc(&node, &["workflow", "graph", "cmd-drawn@1"]).await, &["each  (", "after fetch"]);
    for of in ["cmd-drawn", &path] {
        let graph = json(&node, &["workflow", "graph", of]).await;
        assert_eq!(
            (&graph["nodes"][1]["id"], &graph["nodes"][1]["needs"]),
            (&json!("each"), &json!(["fetch"]))
        );
    }
    refused(&node, 2, &["workflow", "graph", &path, "--format", "svg"]).await;
}

#[tokio::test]
async fn a_plan_says_what_every_kind_of_step_does() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let path = file(&folder, "drawn.yaml", DRAWN);
    let plan = orc(&node, &["run", &path, "--dry-run"]).await;
    has(
        &plan,
        &["each of [1, 2], 2 at once", "compensate", "undo", "2 children at once", "until timestamp("],
    );
    has(&plan, &["approval of ann", "anybody's approval", "other@2", "set cmd.drawn, get cmd.other"]);
    has(&plan, &["ping to bot", "alarm to all components", "event build.*", "signal go", "drawn.done"]);
}

#[tokio::test]
async fn files_are_validated_without_a_node() {
    let (node, folder) = (shared().await, tempdir().expect("a folder"));
    let good = file(&folder, "good.yaml", &document("CMD Valid", "true"));
    let bad = file(&folder, "bad.yaml", "name: Bad\nsteps:\n- { id: a, needs: [b], typ: task }\n");
    has(&orc(&node, &["workflow", "validate", &good]).await, &["good.yaml: valid, 1 steps, sequence"]);
    let both = ended(&node, &["workflow", "validate", &good, &bad]).await;
    assert_eq!(both.status.code(), Some(8));
    has(&text(&both.stdout), &["good.yaml: valid"]);
    has(&text(&both.stderr), &["bad.yaml:3:", "error:", "typ"]);
    let one = json(&node, &["workflow", "validate", &good]).await;
    assert_eq!((&one["valid"], &one["workflow"]), (&json!(true), &json!("cmd-valid")));
    let told = ended(&node, &["workflow", "validate", &good, &bad, "-o", "json"]).await;
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).expect("one document");
    assert_eq!((&told[0]["valid"], &told[1]["errors"][0]["line"]), (&json!(true), &json!(3)), "{told}");
    let lines = ended(&node, &["workflow", "validate", &good, &bad, "-o", "jsonl"]).await;
    assert_eq!(documents(&text(&lines.stdout))[1]["valid"], false, "a line for each file");
    let of_stdin = fed(&node, &document("CMD Valid", "true"), &["workflow", "validate", "-"]).await;
    has(&text(&of_stdin.stdout), &["-: valid"]);
    let schema = orc(&node, &["workflow", "schema"]).await;
    let kept = node.read("/schemas/workflow.json").await.ok(200);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&schema).expect("JSON"), kept);
}
