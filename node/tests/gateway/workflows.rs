//! Workflows kept by name: versions, conditions, runs by name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Answer, Asked, shared};

async fn apply(node: &Asked, document: &Value) -> Answer {
    node.post("/workflows", &document.to_string()).await
}

/// A workflow that ends by itself: its one step only looks.
fn checking(name: &str, condition: &str) -> Value {
    json!({"name": name, "steps": [{"name": "Check", "type": "condition", "condition": condition}]})
}

#[tokio::test]
async fn the_same_content_is_the_same_version() {
    let node = shared().await;
    let first = apply(&node, &checking("Versions Count", "true")).await;
    let body = first.ok(201);
    assert_eq!((&body["name"], &body["version"]), (&json!("versions-count"), &json!(1)));
    assert_eq!(
        (first.header("location"), first.header("etag")),
        ("/api/v1/workflows/versions-count", "\"1\"")
    );
    let yaml = "name: Versions Count\nsteps:\n- { name: Check, type: condition, condition: 'true' }\n";
    let request = node.request(Method::POST, "/api/v1/workflows").header("content-type", "application/yaml");
    let again = Answer::of(request.body(yaml).send().await.expect("an answer")).await;
    assert_eq!((&again.ok(200)["version"], &again.ok(200)["created"]), (&json!(1), &json!(false)));
    assert_eq!(again.ok(200)["digest"], body["digest"]);

    apply(&node, &checking("Versions Count", "false")).await.ok(201);
    let read = node.read("/workflows/versions-count").await;
    assert_eq!(read.header("etag"), "\"2\"");
    assert_eq!(read.ok(200)["definition"]["steps"][0]["condition"], "false");
    let versions = node.read("/workflows/versions-count/versions?limit=1").await.ok(200);
    assert_eq!((&versions["items"][0]["version"], &versions["nextCursor"]), (&json!(2), &json!("2")));
    let older = node.read("/workflows/versions-count/versions?cursor=2").await.ok(200);
    assert_eq!(
        (older["items"].as_array().map(Vec::len), &older["items"][0]["version"]),
        (Some(1), &json!(1))
    );
    let one = node.read("/workflows/versions-count/versions/1").await;
    assert_eq!(one.ok(200)["definition"]["steps"][0]["condition"], "true");
    let known = [("if-none-match", "\"1\"")];
    let known = node.call_with(Method::GET, "/workflows/versions-count/versions/1", "", &known).await;
    assert_eq!(known.status, 304);
    node.read("/workflows/versions-count/versions/3").await.problem(404, "NOT_FOUND");
    let diff = node.read("/workflows/versions-count/versions/1/diff/2").await.ok(200);
    let text = diff["diff"].as_str().expect("a text");
    assert!(text.contains("--- versions-count@1") && text.contains("+++ versions-count@2"), "{text}");
    assert!(text.lines().any(|line| line.starts_with('-') && line.contains("true")), "{text}");
}

#[tokio::test]
async fn a_workflow_is_replaced_only_where_it_is_expected() {
    let node = shared().await;
    let path = "/workflows/replaced";
    let put = async |condition: &str, headers: &[(&str, &str)]| {
        node.call_with(Method::PUT, path, &checking("Replaced", condition).to_string(), headers).await
    };
    put("true", &[("if-match", "\"1\"")]).await.problem(412, "VERSION_CONFLICT");
    put("true", &[("if-none-match", "*")]).await.ok(201);
    let conflict = put("false", &[("if-match", "\"2\"")]).await;
    assert!(
        conflict.problem(412, "VERSION_CONFLICT")["hint"].as_str().is_some_and(|hint| hint.contains("\"1\""))
    );
    put("false", &[("if-match", "\"1\"")]).await.ok(201);
    let other = node.put("/workflows/another", &checking("Replaced", "true").to_string()).await;
    assert_eq!(other.problem(422, "VALIDATION_FAILED")["errors"][0]["pointer"], "/id");
    let stale = node.call_with(Method::DELETE, path, "", &[("if-match", "\"1\"")]).await;
    stale.problem(412, "VERSION_CONFLICT");
    let deleted = node.call_with(Method::DELETE, path, "", &[("if-match", "\"2\"")]).await;
    assert_eq!(deleted.status, 204);
    node.read(path).await.problem(404, "NOT_FOUND");
    node.call(Method::DELETE, path, "").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn runs_start_by_name_and_version() {
    let node = shared().await;
    let document = |default: u64| {
        json!({"name": "By Name", "labels": {"team": "ml"}, "inputs": {"n": {"type": "integer", "default": default}},
               "steps": [{"name": "Check", "type": "condition", "condition": "n == 2"}]})
    };
    apply(&node, &document(1)).await.ok(201);
    apply(&node, &document(2)).await.ok(201);
    let start = async |body: Value| node.post("/runs?wait=20000", &body.to_string()).await;
    let latest = start(json!({"workflow": "by-name"})).await.ok(201);
    assert_eq!((&latest["workflowVersion"], &latest["conclusion"]), (&json!("by-name@2"), &json!("success")));
    assert_eq!((&latest["startedBy"], &latest["labels"]["team"]), (&json!("api"), &json!("ml")));
    let first = start(json!({"workflow": "by-name", "version": 1, "startedBy": "cli"})).await.ok(201);
    assert_eq!((&first["workflowVersion"], &first["conclusion"]), (&json!("by-name@1"), &json!("gated")));
    assert_eq!(first["startedBy"], "cli");
    let given = start(json!({"workflow": "by-name", "version": 1, "inputs": {"n": 2}})).await.ok(201);
    assert_eq!(given["conclusion"], "success");
    let listed = node.read("/runs?workflow=by-name").await.ok(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(3));

    start(json!({"workflow": "by-name", "version": 9})).await.problem(404, "NOT_FOUND");
    start(json!({"workflow": "nobody-applied-this"})).await.problem(404, "NOT_FOUND");
    start(json!({})).await.problem(422, "VALIDATION_FAILED");
    start(json!({"workflow": "by-name", "definition": document(1)})).await.problem(422, "VALIDATION_FAILED");
    let wrong = start(json!({"workflow": "by-name", "inputs": {"m": 2}})).await;
    assert_eq!(wrong.problem(422, "VALIDATION_FAILED")["errors"][0]["pointer"], "/inputs/m");

    let paused = node.post("/workflows/by-name/pause", "").await.ok(200);
    assert_eq!(paused["paused"], true);
    let refused = start(json!({"workflow": "by-name"})).await.problem(409, "INVALID_TRANSITION");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("/workflows/by-name/resume")));
    start(json!({"definition": document(2)})).await.ok(201);
    node.post("/workflows/by-name/resume", "").await.ok(200);
    start(json!({"workflow": "by-name"})).await.ok(201);
}

#[tokio::test]
async fn graphs_lists_and_the_schema_are_read() {
    let node = shared().await;
    let document =
        json!({"name": "Drawn", "steps": [{"id": "a"}, {"id": "b", "needs": ["a"], "condition": "true"}]});
    apply(&node, &document).await.ok(201);
    let graph = node.read("/workflows/drawn/graph").await.ok(200);
    assert_eq!((&graph["version"], &graph["nodes"][1]["needs"]), (&json!(1), &json!(["a"])));
    let mermaid = node.read("/workflows/drawn/graph?format=mermaid").await;
    assert!(
        mermaid.text.starts_with("flowchart TD") && mermaid.text.contains("s0 --> s1"),
        "{}",
        mermaid.text
    );
    assert!(node.read("/workflows/drawn/graph?format=dot").await.text.starts_with("digraph"));
    assert!(node.read("/workflows/drawn/graph?format=text").await.text.contains("after a"));
    node.read("/workflows/drawn/graph?format=svg").await.problem(400, "BAD_REQUEST");
    let list = node.read("/workflows?limit=500").await.ok(200);
    let names: Vec<&str> =
        list["items"].as_array().expect("a list").iter().filter_map(|item| item["name"].as_str()).collect();
    assert!(names.contains(&"drawn") && names.is_sorted(), "{names:?}");
    let schema = node.read("/schemas/workflow.json").await;
    assert_eq!(schema.ok(200)["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema.header("content-type"), "application/schema+json");
}

#[tokio::test]
async fn mistakes_of_a_document_have_their_place() {
    let node = shared().await;
    let text = "name: W\nsteps:\n- { id: a, typ: task }\n";
    let request = node.request(Method::POST, "/api/v1/workflows").header("content-type", "application/yaml");
    let answer = Answer::of(request.body(text).send().await.expect("an answer")).await;
    let problem = answer.problem(422, "VALIDATION_FAILED");
    assert_eq!(
        (&problem["errors"][0]["line"], &problem["errors"][0]["pointer"]),
        (&json!(3), &json!("/steps/0/typ"))
    );
    let request = node.request(Method::POST, "/api/v1/workflows").header("content-type", "text/html");
    let answer = Answer::of(request.body(text).send().await.expect("an answer")).await;
    answer.problem(415, "UNSUPPORTED_MEDIA_TYPE");
}
