//! Components: registered, listed, sent messages, drained and forgotten.

use orc_client::{Client, TaskError, Worker, WorkerError};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{NOBODY, UnderWay, json, orc, own, refused};
use crate::node::{Asked, shared, until};

/// A connected component that answers `greet` and fails at `fail`; it goes on until it is aborted.
async fn answering(node: &Asked, id: &'static str) -> JoinHandle<Result<(), WorkerError>> {
    let client = Client::builder().nodes([node.base.clone()]).build().expect("a client");
    let worker = Worker::new(client)
        .id(id)
        .slots(1)
        .on_message("greet", |name: Value| async move { Ok::<_, TaskError>(json!({ "hello": name })) })
        .on_message("fail", |_: Value| async move { Err::<(), _>(TaskError::new("BROKEN", "it broke")) });
    let running = tokio::spawn(worker.run(std::future::pending()));
    until(|| async {
        let read = node.read(&format!("/components/{id}")).await;
        (read.status == 200 && read.json()["status"] == "connected").then_some(())
    })
    .await;
    running
}

#[tokio::test]
async fn a_component_is_registered_listed_drained_and_forgotten() {
    let node = shared().await;
    let register =
        ["component", "register", "cli-processor", "--name", "Data Processing", "--type", "processor"];
    let more =
        ["--version", "1.2.0", "--capability", "cli-validate,cli-transform", "--capability", "cli-third"];
    let rest = ["--label", "zone=a", "--label", "gpu=true", "--slots", "3"];
    let told = orc(&node, &[&register[..], &more, &rest].concat()).await;
    for part in
        ["cli-processor", "Data Processing", "type processor · version 1.2.0 · slots 0/3", "  offers cli-"]
    {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    assert_eq!(orc(&node, &["component", "get", "cli-processor"]).await, told);
    let view = json(&node, &["component", "get", "cli-processor"]).await;
    assert_eq!((&view["type"], &view["labels"]), (&json!("processor"), &json!({"zone": "a", "gpu": "true"})));
    assert_eq!(view["capabilities"].as_array().map(Vec::len), Some(3), "{view}");

    let list = ["component", "list", "--capability", "cli-transform"];
    let table = orc(&node, &list).await;
    assert!(
        table.starts_with("STATUS") && table.contains("cli-processor") && table.contains("0/3"),
        "{table}"
    );
    assert!(!table.contains("LABELS"), "{table}");
    let wide = orc(&node, &[&list[..], &["-o", "wide"]].concat()).await;
    assert!(wide.contains("LABELS") && wide.contains("gpu=true,zone=a"), "{wide}");
    assert_eq!(orc(&node, &[&list[..], &["-q"]].concat()).await, "cli-processor");
    let page = json(&node, &list).await;
    assert_eq!(page["items"][0]["id"], "cli-processor");

    node.post("/components/cli-processor/poll", r#"{"wait": 0}"#).await.ok(200);
    let drained = orc(&node, &["component", "drain", "cli-processor", "--deadline", "5m"]).await;
    assert_eq!(drained, "Component cli-processor gets no new tasks");
    assert_eq!(node.read("/components/cli-processor").await.ok(200)["status"], "draining");
    let told = refused(&node, 2, &["component", "deregister", "cli-processor"]).await;
    assert!(told.contains("Forget component cli-processor?") && told.contains("--yes"), "{told}");
    let forgotten = orc(&node, &["component", "rm", "cli-processor", "--yes"]).await;
    assert_eq!(forgotten, "Component cli-processor is forgotten");
    node.read("/components/cli-processor").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_message_brings_its_reply_or_why_there_is_none() {
    let node = shared().await;
    let running = answering(&node, "cli-greeter").await;
    let reply = orc(&node, &["component", "send", "cli-greeter", "greet", r#"{"who": "ann"}"#]).await;
    assert_eq!(serde_json::from_str::<Value>(&reply).ok(), Some(json!({"hello": {"who": "ann"}})));
    let reply = json(&node, &["component", "send", "cli-greeter", "greet", "bob"]).await;
    assert_eq!(reply, json!({"hello": "bob"}), "what is no JSON is text");
    let yaml = orc(&node, &["component", "send", "cli-greeter", "greet", "-o", "yaml"]).await;
    assert_eq!(yaml, "hello: null");
    let told = refused(&node, 1, &["component", "send", "cli-greeter", "fail"]).await;
    assert!(told.contains("cli-greeter") && told.contains("BROKEN") && told.contains("it broke"), "{told}");
    running.abort();

    node.put("/components/cli-silent", "{}").await.ok(200);
    let told = refused(&node, 6, &["component", "send", "cli-silent", "greet"]).await;
    assert!(told.contains("cli-silent"), "{told}");
    node.post("/components/cli-silent/poll", r#"{"wait": 0}"#).await.ok(200);
    let told =
        refused(&node, 124, &["component", "send", "cli-silent", "greet", "--reply-timeout", "200ms"]).await;
    assert!(told.contains("cli-silent"), "{told}");
}

#[tokio::test]
async fn a_broadcast_reaches_every_component() {
    let own = own().await;
    let node = own.ask();
    let (first, second) = (answering(&node, "first").await, answering(&node, "second").await);
    let replies = json(&node, &["component", "broadcast", "greet", "1"]).await;
    let replies = replies["responses"].as_array().expect("a list").clone();
    let expected = |id: &str| json!({"componentId": id, "payload": {"hello": 1}});
    assert!(replies.len() == 2 && replies.contains(&expected("first")), "{replies:?}");
    let failed = json(&node, &["component", "broadcast", "fail", "--reply-timeout", "5s"]).await;
    assert_eq!(failed["responses"][0]["error"]["code"], "BROKEN");
    first.abort();
    second.abort();

    node.put("/components/mute", "{}").await.ok(200);
    let sent = json(&node, &["component", "broadcast", "later", "[2]", "--durable"]).await;
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(3), "{sent}");
    let queue = json(&node, &["component", "queue", "mute"]).await;
    assert_eq!((&queue["items"][0]["type"], &queue["items"][0]["payload"]), (&json!("later"), &json!([2])));
}

#[tokio::test]
async fn durable_messages_wait_and_are_given_up_requeued_and_dropped() {
    let node = shared().await;
    node.put("/components/cli-mailer", "{}").await.ok(200);
    let send = ["component", "send", "cli-mailer", "note", "\"hello\"", "--durable"];
    assert!(orc(&node, &send).await.ends_with(" is in the queue of cli-mailer"));
    let second = orc(&node, &[&send[..], &["-q"]].concat()).await;
    assert!(second.starts_with("msg_"), "{second}");
    let queue = ["component", "queue", "cli-mailer"];
    let table = orc(&node, &queue).await;
    assert!(table.starts_with("STATUS") && table.contains(&second) && table.contains("\"hello\""), "{table}");
    let page = json(&node, &[&queue[..], &["--limit", "1"]].concat()).await;
    let cursor = page["nextCursor"].as_str().expect("another page");
    assert_eq!(orc(&node, &[&queue[..], &["--cursor", cursor, "-q"]].concat()).await, second);
    let waiting = orc(&node, &[&queue[..], &["-q"]].concat()).await;

    orc(&node, &["component", "deregister", "cli-mailer", "--yes"]).await;
    let dead = ["component", "dead", "list", "--component", "cli-mailer"];
    let table = orc(&node, &dead).await;
    assert!(table.contains("COMPONENT_DEREGISTERED") && table.contains(&second), "{table}");
    assert_eq!(json(&node, &dead).await["items"].as_array().map(Vec::len), Some(2));
    orc(&node, &["component", "register", "cli-mailer"]).await;
    let requeued = orc(&node, &["component", "dead", "requeue", &second]).await;
    assert_eq!(requeued, "1 messages are in their queues again");
    assert_eq!(orc(&node, &[&queue[..], &["-q"]].concat()).await, second);
    let told = refused(&node, 2, &["component", "dead", "drop", "--component", "cli-mailer"]).await;
    assert!(told.contains("cannot be requeued any more") && told.contains("--yes"), "{told}");
    let dropped = ["component", "dead", "drop", "--component", "cli-mailer", "--yes", "-q"];
    assert_eq!(orc(&node, &dropped).await, "1");
    let left = orc(&node, &[&dead[..], &["-q"]].concat()).await;
    assert!(left.is_empty() && waiting.contains(&second), "{left}");
    refused(&node, 2, &["component", "dead", "requeue"]).await;
    refused(&node, 2, &["component", "dead", "requeue", "--all", "--component", "cli-mailer"]).await;
    refused(&node, 6, &["component", "dead", "requeue", waiting.lines().next().expect("one")]).await;
}

#[tokio::test]
async fn what_happens_to_a_component_is_shown_as_it_happens() {
    let node = shared().await;
    orc(&node, &["component", "register", "cli-tailed", "--capability", "tailed"]).await;
    let mut tail = UnderWay::new(&node, &["component", "tail", "cli-tailed", "--since", "10m"]);
    let line = tail.line().await;
    assert!(line.contains("component.registered  cli-tailed") && line.contains("\"tailed\""), "{line}");
    let only = ["component", "tail", "cli-tailed", "--since", "0", "--type", "message.*", "-o", "jsonl"];
    let mut messages = UnderWay::new(&node, &only);
    orc(&node, &["component", "send", "cli-tailed", "note", "7", "--durable"]).await;
    let line = tail.line().await;
    assert!(line.contains("message.queued") && line.contains("\"payload\":7"), "{line}");
    let event = messages.json().await;
    assert_eq!((&event["type"], &event["data"]["payload"]), (&json!("message.queued"), &json!(7)));
    tail.stop().await;
    messages.stop().await;
}

#[tokio::test]
async fn a_component_that_is_not_there_is_told_so() {
    let node = shared().await;
    for arguments in [
        &["get", "nobody-here"][..],
        &["drain", "nobody-here"],
        &["deregister", "nobody-here", "--yes"],
        &["send", "nobody-here", "greet"],
        &["send", "nobody-here", "greet", "--durable"],
        &["queue", "nobody-here"],
    ] {
        let told = refused(&node, 5, &[&["component"], arguments].concat()).await;
        assert!(told.contains("error[NOT_FOUND]") && told.contains("nobody-here"), "{arguments:?}: {told}");
    }
    let told = refused(&node, 6, &["component", "dead", "requeue", "msg_00000000000000000000000000"]).await;
    assert!(told.contains("is not on the dead-letter list"), "{told}");
    refused(&node, 2, &["component", "register", "a", "--label", "zone"]).await;
    refused(&node, 2, &["component", "tail", "a", "--since", "yesterday"]).await;
    let told = refused(&node, 2, &["component", "register", "No Such Id!"]).await;
    assert!(told.contains("`No Such Id!` is not a component id"), "{told}");
    let nobody = Asked::at(NOBODY);
    for arguments in [&["component", "list"][..], &["component", "tail", "a"]] {
        refused(&nobody, 7, &[arguments, &["--timeout", "1s"]].concat()).await;
    }
}
