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

/// Writes 100 keys at one rev.
async fn set_many(node: &Asked) -> u64 {
    let ops = (0..100).map(|key| json!({"op": "set", "key": format!("revved.k{key}"), "value": key}));
    let body = json!({ "ops": ops.collect::<Vec<_>>() }).to_string();
    let told = node.post("/state/txn", &body).await;
    told.ok(200);
    told.header("orc-index").parse().expect("a rev")
}

#[tokio::test]
async fn a_watch_begins_at_any_rev_that_is_kept_or_still_to_come() {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing", "--set", "events.count=1000"]);
    let started = start(command).await;
    let node = started.ask();
    let path = |rev: u64| format!("/state/watch?pattern=revved.*&rev={rev}");
    let oldest = until(|| async {
        set_many(&node).await;
        let page = node.read("/events?limit=1").await.ok(200);
        page["firstSeq"].as_u64().filter(|first| *first > 1).and_then(|_| page["items"][0]["rev"].as_u64())
    });
    let oldest = oldest.await;
    for rev in [1, oldest - 1] {
        node.read(&path(rev)).await.problem(410, "EVENTS_COMPACTED");
    }
    let both = format!("{}&since=1", path(1));
    node.read(&both).await.problem(400, "BAD_REQUEST");

    let revs = [set_many(&node).await, set_many(&node).await];
    for (after, first) in [(revs[0] - 1, revs[0]), (revs[0], revs[1])] {
        let mut watch = Reader::open(&node, &path(after), None).await;
        for key in 0..100 {
            let change = watch.next().await.1;
            assert_eq!(change["rev"], first, "{change}");
            assert_eq!(change["data"]["key"], format!("revved.k{key}"));
        }
    }
    assert_eq!(node.get(&format!("/api/v1{}", path(u64::MAX))).await.status(), 200);

    let to_come = revs[1] + 1;
    let mut future = Reader::open(&node, &path(to_come), None).await;
    let later = [set_many(&node).await, set_many(&node).await];
    let first = later.into_iter().find(|rev| *rev > to_come).expect("the second is");
    let (id, change) = future.next().await;
    assert_eq!(change["rev"], first);
    let (next, _) = future.next().await;
    let mut resumed = Reader::open(&node, &path(to_come), Some(id)).await;
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
