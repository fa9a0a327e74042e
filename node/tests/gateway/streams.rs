//! Event streams: they go on where a reader stopped, without a gap or a double, and end with what happens now.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::node::{Asked, PATIENCE, server, shared, start, until};

/// A stream, read event by event.
struct Reader {
    response: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Reader {
    async fn open(node: &Asked, path: &str, last: Option<u64>) -> Reader {
        let mut request =
            node.request(Method::GET, &format!("/api/v1{path}")).timeout(Duration::from_secs(120));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response: Response = request.send().await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().expect("a value"))
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        Reader { response: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next event: its id and its data.
    async fn next(&mut self) -> (u64, Value) {
        let found = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let field = |name: &str| {
                        event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                    };
                    let (id, data) = (field("id: "), field("data: "));
                    self.text = rest.to_owned();
                    if let (Some(id), Some(data)) = (id, data) {
                        return (id.parse().expect("a number"), serde_json::from_str(&data).expect("JSON"));
                    }
                }
                let piece = self.response.next().await.expect("the stream goes on").expect("a piece");
                self.text.push_str(std::str::from_utf8(&piece).expect("UTF-8"));
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("an event in time")
    }
}

async fn set(node: &Asked, key: &str, value: u32) {
    node.put(&format!("/state/keys/{key}"), &json!({ "value": value }).to_string()).await.ok(200);
}

#[tokio::test]
async fn a_stream_resumes_without_a_gap_or_a_double() {
    let node = shared().await;
    let since = node.read("/events?limit=1").await.ok(200)["lastSeq"].as_u64().expect("a number");
    for value in 0..3 {
        set(&node, "stream.a", value).await;
        set(&node, "elsewhere", value).await;
    }
    let path = format!("/events/stream?types=state.*&key=stream.*&since={since}");
    let mut reader = Reader::open(&node, &path, None).await;
    let mut seen = Vec::new();
    for expected in 0..3 {
        let (id, event) = reader.next().await;
        assert_eq!(
            (&event["type"], &event["subject"], &event["seq"]),
            (&json!("state.changed"), &json!("stream.a"), &json!(id))
        );
        assert_eq!(event["data"]["newValue"], expected);
        seen.push(id);
    }
    set(&node, "stream.a", 3).await;
    let (live, event) = reader.next().await;
    assert_eq!(event["data"], json!({"key": "stream.a", "oldValue": 2, "newValue": 3, "version": 4}));
    drop(reader);

    let mut resumed = Reader::open(&node, &path, Some(seen[1])).await;
    assert_eq!(resumed.next().await.0, seen[2], "Last-Event-ID wins over since");
    assert_eq!(resumed.next().await.0, live);
}

#[tokio::test]
async fn a_watch_begins_now_and_a_run_has_a_stream_of_its_own() {
    let node = shared().await;
    let mut watch = Reader::open(&node, "/state/watch?pattern=watched.**", None).await;
    set(&node, "watched.deep.key", 1).await;
    assert_eq!(watch.next().await.1["data"]["version"], 1);
    node.read("/state/watch?pattern=a..b").await.problem(400, "BAD_REQUEST");

    let body = r#"{"definition":{"name":"told","steps":[{"name":"Wait","type":"delay","delay":1}]}}"#;
    let run = node.post("/runs", body).await.ok(201)["runId"].as_str().expect("an id").to_owned();
    let mut told = Reader::open(&node, &format!("/events/stream?since=0&run={run}"), None).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "workflow.completed") {
        let (_, event) = told.next().await;
        assert_eq!(event["data"]["runId"], json!(run));
        kinds.push(event["type"].as_str().expect("a name").to_owned());
    }
    assert_eq!(
        kinds,
        ["workflow.created", "workflow.started", "step.started", "step.completed", "workflow.completed"]
    );
}

#[tokio::test]
async fn a_watch_begins_at_any_rev_that_is_kept_or_still_to_come() {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing", "--set", "events.count=100"]);
    let started = start(command).await;
    let node = started.ask();
    let mut revs = Vec::new();
    let first_kept = until(|| async {
        for value in 0..50 {
            set(&node, "revved", value).await;
        }
        let page = node.read("/events?limit=1").await.ok(200);
        page["firstSeq"].as_u64().filter(|first| *first > 1).map(|_| page["items"][0]["rev"].clone())
    });
    let first_kept = first_kept.await.as_u64().expect("a number");
    let read = async |rev: u64| {
        let mut watch = Reader::open(&node, &format!("/state/watch?pattern=revved&rev={rev}"), None).await;
        watch.next().await.1["rev"].as_u64().expect("a number")
    };
    for value in 0..3 {
        let told = node.put("/state/keys/revved", &json!({ "value": value }).to_string()).await;
        revs.push(told.header("orc-index").parse::<u64>().expect("a rev"));
    }
    assert_eq!(read(revs[0]).await, revs[1]);
    assert_eq!(read(revs[0] - 1).await, revs[0]);
    let problem = node.read(&format!("/state/watch?pattern=revved&rev={}", first_kept - 2)).await;
    problem.problem(410, "EVENTS_COMPACTED");
    node.read("/state/watch?pattern=revved&rev=1&since=1").await.problem(400, "BAD_REQUEST");

    let path = format!("/state/watch?pattern=revved&rev={}", revs[2] + 1);
    let mut future = Reader::open(&node, &path, None).await;
    for value in 7..10 {
        set(&node, "revved", value).await;
    }
    let (id, change) = future.next().await;
    assert!(change["rev"].as_u64() > Some(revs[2] + 1), "{change}");
    let (next, _) = future.next().await;
    let mut resumed = Reader::open(&node, &path, Some(id)).await;
    assert_eq!(resumed.next().await.0, next, "Last-Event-ID wins over rev");
}

#[tokio::test]
async fn pages_of_events_have_no_gap() {
    let node = shared().await;
    let since = node.read("/events?limit=1").await.ok(200)["lastSeq"].as_u64().expect("a number");
    for value in 0..5 {
        set(&node, "paged", value).await;
    }
    let (mut after, mut values) = (since, Vec::new());
    while values.len() < 5 {
        let page =
            node.read(&format!("/events?since={after}&types=state.changed&key=paged&limit=2")).await.ok(200);
        let items = page["items"].as_array().expect("a list");
        assert!(!items.is_empty() && items.len() <= 2);
        values.extend(items.iter().map(|event| event["data"]["newValue"].clone()));
        after = items.last().expect("one")["seq"].as_u64().expect("a number");
    }
    assert_eq!(values, [0, 1, 2, 3, 4]);
}
