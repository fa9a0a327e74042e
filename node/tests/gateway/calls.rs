//! Call channels: the same calls as by plain requests, many at once over one WebSocket.
//! Knows nothing of what the calls do.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use orc_client::{
    Client, Workflow,
    wire::calls::{AnswerHead, CALLS_MAX, CallHead, join, split},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, http::header::CONTENT_TYPE},
};

use crate::node::{Asked, shared};

type Channel = WebSocketStream<TcpStream>;

async fn open(node: &Asked) -> Channel {
    let address = node.base.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.expect("the node listens");
    let (channel, _) =
        client_async(format!("ws://{address}/api/v1/calls"), stream).await.expect("it upgrades");
    channel
}

fn call(id: u64, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Message {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let head = CallHead { id, method: method.into(), target: target.into(), headers };
    Message::Binary(join(&head, body.as_bytes()))
}

async fn answer(channel: &mut Channel) -> (AnswerHead<'static>, Value) {
    let Some(Ok(Message::Binary(message))) = channel.next().await else { panic!("no answer") };
    let (head, body): (AnswerHead<'static>, Bytes) = split(&message).expect("a head");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    (head, body)
}

fn header<'a>(head: &'a AnswerHead<'_>, name: &str) -> Option<&'a str> {
    head.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}

#[tokio::test]
async fn a_channel_answers_as_plain_requests_are_answered() {
    let node = shared().await;
    let mut channel = open(&node).await;
    let key = [("idempotency-key", "calls-both-ways"), ("if-none-match", "*")];
    let target = "/api/v1/state/keys/calls.a";
    channel.send(call(7, "PUT", target, &key, "{\n \"value\": [1]\n}")).await.expect("sent");
    let (head, body) = answer(&mut channel).await;
    assert_eq!((head.id, head.status, &body["version"]), (7, 200, &json!(1)));
    assert_eq!(header(&head, "etag"), Some("\"1\""));
    assert_eq!(header(&head, "orc-index"), Some(&*body["rev"].to_string()));

    let same =
        node.call_with("PUT".parse().unwrap(), "/state/keys/calls.a", "{\n \"value\": [1]\n}", &key).await;
    assert_eq!(same.header("idempotent-replayed"), "true", "one call, whichever way it came");
    assert_eq!(same.ok(200), body);

    for (method, target) in [
        ("GET", "/api/v1/state/keys/calls.a?consistency=stale"),
        ("GET", "/api/v1/state/keys/calls.none"),
        ("GET", "/api/v1/state/keys?prefix=calls.a&limit=0"),
        ("DELETE", "/api/v1/runs"),
        ("GET", "/nowhere"),
    ] {
        channel.send(call(8, method, target, &[("x-request-id", "same")], "")).await.expect("sent");
        let (head, said) = answer(&mut channel).await;
        let plain = node.request(method.parse().unwrap(), target).header("x-request-id", "same");
        let plain = plain.send().await.expect("an answer");
        assert_eq!((head.id, head.status), (8, plain.status().as_u16()), "{target}");
        let media_type = header(&head, CONTENT_TYPE.as_str()).unwrap_or("application/json").to_owned();
        assert_eq!(plain.headers()["content-type"], *media_type, "{target}");
        assert_eq!(plain.json::<Value>().await.expect("JSON"), said, "{target}");
    }
}

#[tokio::test]
async fn answers_come_when_they_are_there_and_calls_that_do_not_fit_are_refused() {
    let node = shared().await;
    let mut channel = open(&node).await;
    let slow =
        json!({"definition": {"name": "slow", "steps": [{"name": "a", "type": "delay", "delay": "1h"}]}});
    channel.send(call(0, "POST", "/api/v1/runs", &[], &slow.to_string())).await.expect("sent");
    let run = answer(&mut channel).await.1["runId"].as_str().expect("an id").to_owned();
    let wait = format!("/api/v1/runs/{run}/wait?timeout=60000");
    for id in 1..CALLS_MAX as u64 {
        channel.feed(call(id, "GET", &wait, &[], "")).await.expect("taken");
    }
    for id in 10_000..10_100 {
        channel.send(call(id, "GET", "/api/v1/info", &[], "")).await.expect("sent");
        let (head, _) = answer(&mut channel).await;
        assert_eq!((head.id, head.status), (id, 200), "waiting calls keep none back");
    }
    channel.feed(call(CALLS_MAX as u64, "GET", &wait, &[], "")).await.expect("taken");
    channel.send(call(20_000, "GET", "/api/v1/info", &[], "")).await.expect("sent");
    let (head, problem) = answer(&mut channel).await;
    assert_eq!((head.id, head.status, &problem["code"]), (20_000, 429, &json!("OVERLOADED")), "{problem}");
    assert_eq!(header(&head, "retry-after"), Some("1"));

    let cancelled = node.call("POST".parse().unwrap(), &format!("/runs/{run}/cancel"), "{}").await;
    cancelled.ok(200);
    let mut answered = Vec::new();
    for _ in 1..=CALLS_MAX {
        let (head, _) = answer(&mut channel).await;
        assert_eq!(head.status, 200);
        answered.push(head.id);
    }
    answered.sort_unstable();
    assert_eq!(answered, (1..=CALLS_MAX as u64).collect::<Vec<_>>());
    channel.send(call(20_001, "GET", "/api/v1/info", &[], "")).await.expect("sent");
    assert_eq!(answer(&mut channel).await.0.status, 200, "there is room again");
}

#[tokio::test]
async fn what_a_channel_does_not_carry_is_said() {
    let node = shared().await;
    let mut channel = open(&node).await;
    for target in ["/api/v1/events/stream", "/api/v1/calls"] {
        channel.send(call(1, "GET", target, &[], "")).await.expect("sent");
        let (head, problem) = answer(&mut channel).await;
        assert!(matches!(head.status, 400 | 426), "{target}: {problem}");
    }
    let long = format!("{{\"value\": \"{}\"}}", "v".repeat(1 << 20));
    channel.send(call(2, "PUT", "/api/v1/state/keys/calls.long", &[], &long)).await.expect("sent");
    assert_eq!(answer(&mut channel).await.0.status, 413);
    channel.send(Message::Binary(Bytes::from_static(b"{\"id\":3}"))).await.expect("sent");
    assert!(
        !matches!(channel.next().await, Some(Ok(Message::Binary(_)))),
        "what is no call ends the channel"
    );

    let refused = node.read("/calls").await;
    assert_eq!((refused.status, refused.header("upgrade")), (426, "websocket"));
}

#[tokio::test]
async fn a_run_can_be_started_and_waited_for_in_one_call() {
    let node = shared().await;
    let definition = json!({"name": "at once", "steps": [{"name": "a", "type": "delay", "delay": 20}]});
    for client in [Client::builder(), Client::builder().plain_http()] {
        let client = client.nodes([&node.base]).build().expect("an address");
        let started = client.runs().start(Workflow::definition(&definition)).idempotency_key("calls-one-run");
        let ended = started.wait().await.expect("it ends");
        assert_eq!(ended.view().status.as_str(), "completed");
    }
    let runs = node.read("/runs?workflow=at%20once").await.ok(200);
    assert_eq!(
        runs["items"].as_array().map(Vec::len),
        Some(1),
        "the key stands for one run, either way: {runs}"
    );
}
