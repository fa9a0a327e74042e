//! `registerComponent`, `sendMessage`, `broadcastMessage`, and messages that wait in queues.
//! Knows nothing of tasks.

use anyhow::{Context, Result, ensure};
use orc_client::wire::MessagesQuery;
use orc_client::{TaskError, Worker};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::scene::{PATIENCE, Scene, call};

#[tokio::test(flavor = "multi_thread")]
async fn components_are_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("components").await?;
    keeps!(&scene;
        register_component_keeps_what_was_said_of_it,
        send_message_returns_the_response_through_any_node,
        send_message_to_a_silent_component_is_a_component_timeout,
        broadcast_message_returns_all_responses,
        messages_wait_in_a_queue_and_arrive_in_order,
    );
    Ok(())
}

fn processor(scene: &Scene, id: &str) -> Worker {
    let worker = scene.worker(id).slots(0);
    worker
        .on_message("process", |order: Value| async move { Ok(json!({ "done": order["operation"] })) })
        .on_message("system-update", |news: Value| async move { Ok(news["version"].clone()) })
        .on_message("silence", |_: Value| std::future::pending::<Result<(), TaskError>>())
}

async fn register_component_keeps_what_was_said_of_it(scene: &Scene) -> Result<()> {
    let info = json!({
        "name": "Data Processing Service",
        "type": "processor",
        "version": "2.1.0",
        "capabilities": ["validate", "transform", "enrich"]
    });
    let (status, _) = scene.put("/components/data-processor", info.clone()).await?;
    ensure!(status == 200, "{status}");
    let known = scene.get("/components/data-processor").await?;
    for field in ["name", "type", "version", "capabilities"] {
        let sorted = |value: &Value| match value.as_array() {
            Some(list) => {
                let mut words: Vec<String> = list.iter().map(Value::to_string).collect();
                words.sort();
                words.join(" ")
            }
            None => value.to_string(),
        };
        ensure!(sorted(&known[field]) == sorted(&info[field]), "{field}: {known}");
    }
    Ok(())
}

async fn send_message_returns_the_response_through_any_node(scene: &Scene) -> Result<()> {
    let _processor = processor(scene, "data-processor").start().connected().await?;
    for id in 1..=3 {
        let message = json!({ "type": "process", "payload": { "data": [1, 2], "operation": "normalize" } });
        let path = "/components/data-processor/messages";
        let (status, answer) = call(&scene.cluster.url(id), "POST", path, Some(message)).await?;
        ensure!(status == 200 && answer["payload"]["done"] == "normalize", "node {id}: {status} {answer}");
    }
    Ok(())
}

async fn send_message_to_a_silent_component_is_a_component_timeout(scene: &Scene) -> Result<()> {
    let _silent = processor(scene, "silent").start().connected().await?;
    let (status, answer) =
        scene.post("/components/silent/messages?timeout=100", json!({ "type": "silence" })).await?;
    ensure!(status == 504 && answer["code"] == "COMPONENT_TIMEOUT", "{status} {answer}");
    Ok(())
}

async fn broadcast_message_returns_all_responses(scene: &Scene) -> Result<()> {
    let ids = ["listener-1", "listener-2", "listener-3"];
    let mut listeners = Vec::new();
    for id in ids {
        listeners.push(processor(scene, id).start().connected().await?);
    }
    let news = json!({ "type": "system-update", "payload": { "version": "2.0.0" } });
    let (status, answer) = scene.post("/components/broadcast?timeout=5000", news).await?;
    ensure!(status == 200, "{status} {answer}");
    let responses = answer["responses"].as_array().context("a list")?;
    for id in ids {
        let own: Vec<&Value> = responses.iter().filter(|response| response["componentId"] == id).collect();
        ensure!(matches!(own[..], [one] if one["payload"] == "2.0.0"), "one of {id}: {answer}");
    }
    Ok(())
}

async fn messages_wait_in_a_queue_and_arrive_in_order(scene: &Scene) -> Result<()> {
    scene.put("/components/away", json!({})).await?;
    for number in 0..10 {
        scene.orc.components().send_durable("away", "note", number).await?;
    }
    let queue = scene.orc.components().queue("away", &MessagesQuery::default()).await?;
    ensure!(queue.items.len() == 10, "{queue:?}");
    let (noted, mut notes) = mpsc::channel(16);
    let worker = scene.worker("away").slots(0).on_message("note", move |number: u32| {
        let noted = noted.clone();
        async move { noted.send(number).await.map_err(|_| TaskError::new("GONE", "nobody listens")) }
    });
    let _worker = worker.start();
    for expected in 0..10 {
        let number = timeout(PATIENCE, notes.recv()).await?.context("the component lives")?;
        ensure!(number == expected, "{number} instead of {expected}");
    }
    Ok(())
}
