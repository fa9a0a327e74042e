//! What tasks log: handed in by session or by HTTP, read by page or as a stream, kept over a restart.

use futures::StreamExt;
use orc_client::{
    Client, TaskCtx, TaskError, Worker,
    wire::{LogEntry, LogPage, LogStream, LogsQuery},
};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::node::{Answer, Asked, PATIENCE, server, shared, start, until};

fn client(node: &Asked) -> Client {
    Client::builder().nodes([node.base.clone()]).build().expect("a client")
}

async fn start_run(node: &Asked, steps: Value) -> String {
    let body = json!({ "definition": { "name": "logging", "steps": steps } }).to_string();
    node.post("/runs", &body).await.ok(201)["runId"].as_str().expect("an id").to_owned()
}

pub async fn post_lines(node: &Asked, task: &str, token: u64, lines: &str) -> Answer {
    let request = node.request(reqwest::Method::POST, &format!("/api/v1/tasks/{task}/logs?token={token}"));
    let request = request.header("content-type", "application/x-ndjson").body(lines.to_owned());
    Answer::of(request.send().await.expect("an answer")).await
}

/// A component that polls, and the attempt that it was given.
pub async fn polled(node: &Asked, component: &str, action: &str) -> (String, u64) {
    let body = json!({ "capabilities": [action], "slots": 1 }).to_string();
    node.put(&format!("/components/{component}"), &body).await.ok(200);
    let polled = node.post(&format!("/components/{component}/poll"), r#"{"wait":20000}"#).await.ok(200);
    let task = &polled["tasks"][0];
    (task["taskId"].as_str().expect("an id").to_owned(), task["token"].as_u64().expect("a token"))
}

fn texts(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("lines").iter().map(|line| line["text"].as_str().expect("text")).collect()
}

#[tokio::test]
async fn lines_handed_in_by_http_say_where_they_come_from() {
    let node = shared().await;
    let steps = json!([
        {"name": "Load", "type": "task", "config": {"action": "log-load"}},
        {"name": "Train", "type": "task", "config": {"action": "log-train"}}
    ]);
    let run = start_run(&node, steps).await;
    let (task, token) = polled(&node, "log-loader", "log-load").await;
    let lines = "{\"text\":\"one\",\"at\":\"2026-01-01T00:00:00.250Z\"}\n\n{\"text\":\"two\",\"stream\":\"stderr\"}\n";
    assert_eq!(post_lines(&node, &task, token, lines).await.status, 204);
    let page = node.read(&format!("/runs/{run}/logs")).await.ok(200);
    let (first, second) = (&page["items"][0], &page["items"][1]);
    let next = page["next"].as_str().expect("a place");
    assert_eq!(
        first,
        &json!({"at": "2026-01-01T00:00:00.250Z", "node": "node-1", "taskId": task, "runId": run,
            "stepId": "load", "attempt": 1, "stream": "stdout", "text": "one"})
    );
    assert_eq!((&second["stream"], &second["text"]), (&json!("stderr"), &json!("two")));
    assert_eq!((&page["more"], &page["ended"]), (&json!(false), &json!(false)));

    let stale = post_lines(&node, &task, token + 1, "{\"text\":\"x\"}").await;
    stale.problem(409, "STALE_ATTEMPT");
    let wrong = post_lines(&node, &task, token, "{\"text\":\"x\"}\n{\"txt\":\"x\"}").await;
    assert!(
        wrong.problem(400, "BAD_REQUEST")["detail"].as_str().is_some_and(|text| text.starts_with("line 2:"))
    );
    let as_json = node.post(&format!("/tasks/{task}/logs?token={token}"), r#"{"text":"x"}"#).await;
    as_json.problem(415, "UNSUPPORTED_MEDIA_TYPE");

    node.post(&format!("/tasks/{task}/complete"), &json!({ "token": token }).to_string()).await.ok(200);
    post_lines(&node, &task, token, "{\"text\":\"late\"}").await.problem(409, "STALE_ATTEMPT");
    let (train, token) = polled(&node, "log-trainer", "log-train").await;
    let three = [LogEntry { text: "three".into(), stream: Some(LogStream::Stdout), at: None }];
    client(&node).tasks().log(&train, token, &three).await.expect("taken");
    let failure =
        json!({"token": token, "error": {"code": "X", "message": "x", "retryable": false}}).to_string();
    node.post(&format!("/tasks/{train}/fail"), &failure).await.ok(200);
    node.read(&format!("/runs/{run}/wait")).await.ok(200);

    let of_run = async |query: &str| node.read(&format!("/runs/{run}/logs?{query}")).await.ok(200);
    assert_eq!(texts(&of_run("").await), ["one", "two", "three"]);
    assert_eq!(texts(&of_run("step=load").await), ["one", "two"]);
    assert_eq!(texts(&of_run("failed=true").await), ["three"]);
    assert_eq!(texts(&of_run("tail=2").await), ["two", "three"]);
    assert_eq!(texts(&of_run("q=o").await), ["one", "two"]);
    let rest = of_run(&format!("from={next}")).await;
    assert_eq!((texts(&rest), &rest["ended"]), (vec!["three"], &json!(true)));
    let first = of_run("limit=1").await;
    assert_eq!((texts(&first), &first["more"], &first["ended"]), (vec!["one"], &json!(true), &json!(false)));
    let of_task = node.read(&format!("/tasks/{train}/logs")).await.ok(200);
    assert_eq!(
        (texts(&of_task), &of_task["ended"]),
        (vec!["three"], &json!(true)),
        "its row is gone, its lines are not"
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let node = shared().await;
    let run = start_run(&node, json!([{"name": "Wait", "type": "delay", "delay": 1}])).await;
    for query in ["limit=0", "tail=5001", "tail=1&limit=1", "from=x", "stepp=a", "step=wayt"] {
        node.read(&format!("/runs/{run}/logs?{query}")).await.problem(400, "BAD_REQUEST");
    }
    let unknown = node.read(&format!("/runs/{run}/logs?step=wayt")).await.problem(400, "BAD_REQUEST");
    assert!(unknown["detail"].as_str().is_some_and(|text| text.contains("did you mean `wait`")), "{unknown}");
    node.read(&format!("/runs/{run}/logs/stream?failed=true")).await.problem(400, "BAD_REQUEST");
    let task = run.replace("run_", "task_");
    node.read(&format!("/tasks/{task}-7/logs")).await.problem(404, "NOT_FOUND");
    node.read(&format!("/tasks/{task}-0/logs?step=wait")).await.problem(400, "BAD_REQUEST");
    node.read("/runs/run_00000000000000000000000000/logs").await.problem(404, "NOT_FOUND");
}

/// A worker whose action logs as many lines as it is told, waits for `gate` if there is one, and logs a last one.
pub fn worker(node: &Asked, action: &str, gate: Option<oneshot::Receiver<()>>) -> JoinHandle<()> {
    let gate = std::sync::Arc::new(tokio::sync::Mutex::new(gate));
    let worker =
        Worker::new(client(node)).id(action).slots(1).task_fn(action, move |ctx: TaskCtx, input: Value| {
            let gate = gate.clone();
            async move {
                for number in 0..input["lines"].as_u64().unwrap_or(0) {
                    ctx.log(format!("line {number}"));
                }
                if let Some(gate) = gate.lock().await.take() {
                    // Opened by dropping the sender.
                    let _ = gate.await;
                }
                ctx.log_to(&LogStream::Stderr, "the last");
                Ok::<_, TaskError>(json!({}))
            }
        });
    tokio::spawn(async move {
        // The test's end is the worker's.
        let _ = worker.run(std::future::pending()).await;
    })
}

#[tokio::test]
async fn all_that_a_worker_logged_is_there_when_its_run_has_ended() {
    let node = shared().await;
    let _worker = worker(&node, "log-much", None);
    let run =
        start_run(&node, json!([{"name": "Talk", "action": "log-much", "config": {"lines": 3000}}])).await;
    node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200);
    let page = node.read(&format!("/runs/{run}/logs?limit=5000")).await.ok(200);
    assert_eq!((texts(&page).len(), &page["ended"]), (3001, &json!(true)));
    assert_eq!(texts(&page)[2999..], ["line 2999", "the last"]);
}

#[tokio::test]
async fn a_stream_follows_a_run_to_its_end_and_resumes() {
    let node = shared().await;
    let (open, gate) = oneshot::channel();
    let _worker = worker(&node, "log-follow", Some(gate));
    let run =
        start_run(&node, json!([{"name": "Talk", "action": "log-follow", "config": {"lines": 3}}])).await;
    let handle = client(&node).runs().handle(&run);
    let mut pages = handle.follow_logs(&LogsQuery::default());
    let next = async |pages: &mut orc_client::LogFollower| -> LogPage {
        let page = tokio::time::timeout(PATIENCE, pages.next()).await.expect("in time");
        page.expect("it goes on").expect("a page")
    };
    let mut lines = Vec::new();
    let mut place = String::new();
    while lines.len() < 3 {
        let page = next(&mut pages).await;
        assert!(!page.ended);
        place = page.next;
        lines.extend(page.items.into_iter().map(|line| line.text));
    }
    assert_eq!(lines, ["line 0", "line 1", "line 2"]);
    let mut tail = handle.follow_logs(&LogsQuery { tail: Some(1), ..LogsQuery::default() });
    assert_eq!(next(&mut tail).await.items[0].text, "line 2");

    drop(open);
    let mut last = Vec::new();
    for pages in [&mut pages, &mut tail] {
        loop {
            let page = next(pages).await;
            last.extend(page.items.iter().map(|line| (line.stream.clone(), line.text.clone())));
            assert_eq!(page.missing, [""; 0]);
            if page.ended {
                break;
            }
        }
        assert!(pages.next().await.is_none(), "nothing comes after the end");
    }
    assert_eq!(last, vec![(LogStream::Stderr, "the last".to_owned()); 2]);
    let rest = LogsQuery { from: Some(place), ..LogsQuery::default() };
    let page = next(&mut handle.follow_logs(&rest)).await;
    assert_eq!((page.items.len(), page.items[0].text.as_str(), page.ended), (1, "the last", true));
}

#[tokio::test]
async fn logs_outlive_a_kill_of_the_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = server(1, Some(folder.path()));
    command.arg("--bootstrap");
    let node = start(command).await;
    let asked = node.ask();
    let task = asked.post("/tasks", r#"{"name":"t","action":"log-keep"}"#).await.ok(201);
    let (id, token) = polled(&asked, "log-keeper", "log-keep").await;
    assert_eq!(task["taskId"], json!(id));
    assert_eq!(post_lines(&asked, &id, token, "{\"text\":\"kept\"}").await.status, 204);
    let path = format!("/tasks/{id}/logs");
    assert_eq!(texts(&asked.read(&path).await.ok(200)), ["kept"]);
    drop(node);
    let node = start(server(1, Some(folder.path()))).await;
    let asked = node.ask();
    let page = until(|| async { Some(asked.read(&path).await).filter(|answer| answer.status == 200) }).await;
    assert_eq!(texts(&page.json()), ["kept"]);
    assert_eq!(page.json()["items"][0]["taskId"], json!(id));
}
