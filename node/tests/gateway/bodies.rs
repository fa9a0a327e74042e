//! Requests that cannot be meant: each is refused with its place and what to do, and changes nothing.

use reqwest::{Body, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node::{Answer, PATIENCE, shared};

#[tokio::test]
async fn malformed_json_is_refused_with_its_place() {
    let node = shared().await;
    let problem =
        node.post("/tasks", "{\"name\": \"a\",\n \"priority\": }").await.problem(400, "BAD_REQUEST");
    assert_eq!((&problem["errors"][0]["line"], problem["executed"].as_bool()), (&2.into(), Some(false)));

    let problem = node.post("/tasks", r#"{"name":"a","typ":"echo"}"#).await.problem(400, "BAD_REQUEST");
    assert_eq!(problem["errors"][0]["pointer"], "/typ");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("did you mean `type`?")));

    let problem =
        node.post("/tasks", r#"{"name":"a","labels":{"gpu":1}}"#).await.problem(422, "VALIDATION_FAILED");
    assert_eq!(problem["errors"][0]["pointer"], "/labels/gpu");

    let deep = format!("{{\"value\":{}{}}}", "[".repeat(80), "]".repeat(80));
    node.put("/state/keys/deep", &deep).await.problem(422, "VALIDATION_FAILED");
    node.read("/state/keys/deep").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
    let node = shared().await;
    let long = format!("{{\"value\":\"{}\"}}", "a".repeat(1024 * 1024));
    node.put("/state/keys/long", &long).await.problem(413, "PAYLOAD_TOO_LARGE");

    let pieces: Vec<Result<String, std::io::Error>> = (0..20).map(|_| Ok("a".repeat(64 * 1024))).collect();
    let request =
        node.request(Method::PUT, "/api/v1/state/keys/long").header("content-type", "application/json");
    let chunked =
        request.body(Body::wrap_stream(futures::stream::iter(pieces))).send().await.expect("an answer");
    Answer::of(chunked).await.problem(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn only_plain_json_is_read() {
    let node = shared().await;
    let gzip = node.call_with(Method::POST, "/tasks", "{}", &[("content-encoding", "gzip")]).await;
    gzip.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    let form = node
        .request(Method::POST, "/api/v1/tasks")
        .header("content-type", "application/x-www-form-urlencoded");
    Answer::of(form.body("name=a").send().await.expect("an answer"))
        .await
        .problem(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn paths_methods_and_queries_are_exact() {
    let node = shared().await;
    let wrong = node.call_with(Method::DELETE, "/runs", "", &[("x-request-id", "my-own:1")]).await;
    wrong.problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!((wrong.header("allow"), wrong.header("x-request-id")), ("GET, POST", "my-own:1"));
    for path in ["/nothing", "/runs/", "//runs", "/runs/run_1/nothing"] {
        node.read(path).await.problem(404, "NOT_FOUND");
    }
    node.read("/runs/run_1").await.problem(404, "NOT_FOUND");
    let problem = node.read("/runs?stat=failed").await.problem(400, "BAD_REQUEST");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("did you mean `status`?")));
    node.read("/runs?limit=501").await.problem(400, "BAD_REQUEST");
}

#[tokio::test]
async fn a_broken_workflow_gets_every_mistake_with_its_place() {
    let node = shared().await;
    let body = "{\"definition\": {\n  \"name\": \"broken\",\n  \"steps\": [\n    \
                {\"name\": \"One\", \"typ\": \"task\"},\n    {\"name\": \"Two\", \"needs\": [\"won\"]}]}}";
    let problem = node.post("/runs", body).await.problem(422, "VALIDATION_FAILED");
    let errors = problem["errors"].as_array().expect("a list");
    let has = |pointer: &str, line: u32, words: &str| {
        let found = errors.iter().any(|error| {
            error["pointer"] == pointer
                && error["line"] == line
                && error["detail"].as_str().is_some_and(|d| d.contains(words))
        });
        assert!(found, "{pointer} at line {line} is not in {errors:#?}");
    };
    has("/definition/steps/0/typ", 4, "did you mean `type`?");
    has("/definition/steps/1/needs/0", 5, "unknown step `won`");

    let yaml = "name: x\nsteps:\n  - name: a\n    typ: task\n";
    let request =
        node.request(Method::POST, "/api/v1/workflows/validate").header("content-type", "application/yaml");
    let told = Answer::of(request.body(yaml).send().await.expect("an answer")).await.ok(200);
    assert_eq!((&told["valid"], &told["errors"][0]["line"]), (&false.into(), &4.into()));
}

#[tokio::test]
async fn a_checked_workflow_shows_what_is_inside_its_steps_and_its_handlers() {
    let node = shared().await;
    let text = "name: x\nsteps:\n- { id: a, foreach: { items: [1, 2] }, run: echo, compensate: { run: undo } }\n\
                finally: [{ emit: { type: my.end } }]\n";
    let request =
        node.request(Method::POST, "/api/v1/workflows/validate").header("content-type", "application/yaml");
    let told = Answer::of(request.body(text).send().await.expect("an answer")).await.ok(200);
    let step = &told["graph"][0];
    assert_eq!((&step["type"], &step["each"][0]["type"]), (&"foreach".into(), &"task".into()));
    assert_eq!(step["compensate"][0]["id"], "compensate_a");
    assert_eq!(told["handlers"]["finally"][0]["type"], "emit");
    assert!(
        told["handlers"]["onFailure"].is_null() && step["each"][0]["each"].is_null(),
        "only what is there"
    );
}

#[tokio::test]
async fn half_a_request_is_not_waited_for() {
    let node = shared().await;
    let address = node.base.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("it is taken");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the node closes the connection");
}
