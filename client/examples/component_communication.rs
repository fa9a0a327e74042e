//! Components that talk: one is registered and asked, all are told, and one that is away finds its messages in order
//! when it comes back.
//!
//! `cargo run -p orc-client --example component_communication`; `ORC_ADDR` names the nodes, else it is the one on this
//! machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use orc_client::wire::{ComponentStatus, MessagesQuery, RegisterComponent};
use orc_client::{Client, TaskError, Worker};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PROCESSOR: &str = "example-data-processor";
const NOTIFIER: &str = "example-notifier";
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;

    // Registered, it is known: what it is, what it can do. It is connected once its program is.
    let registration = RegisterComponent {
        name: Some("Data Processing Service".into()),
        kind: Some("processor".into()),
        version: Some("2.1.0".into()),
        capabilities: ["validate", "transform", "enrich"].map(str::to_owned).into(),
        ..RegisterComponent::default()
    };
    let known = orc.components().register(PROCESSOR, &registration).await?;
    println!("{} ({}) is {}, it can {}", known.name, known.kind, known.status, known.capabilities.join(", "));
    ensure!(known.status != ComponentStatus::Connected, "nobody has connected yet");

    let (noted, mut notes) = mpsc::channel(16);
    let processor = processor(&orc).start().connected().await?;
    let notifier = notifier(&orc, noted.clone()).start().connected().await?;

    // One is asked. The answer comes back through whatever node it is connected to.
    let question = json!({ "data": [3, 1, 2], "operation": "normalize" });
    let answer = orc.components().send(PROCESSOR, "process", question).timeout(PATIENCE).await?;
    println!("{PROCESSOR} answers {answer}");
    ensure!(answer == json!([1, 2, 3]), "normalized");

    // What a component refuses is told as it said it.
    let refused = orc.components().send(PROCESSOR, "process", json!({ "operation": "divide" })).await;
    let refused = refused.err().context("it cannot divide")?;
    println!("{PROCESSOR} refuses: {refused}");
    ensure!(refused.code() == "UNKNOWN_OPERATION", "its own code comes back");

    // All are told. Each is an entry: what it said, or why it said nothing.
    let news = json!({ "version": "2.0.0" });
    let replies = orc.components().broadcast("system-update", news, PATIENCE).await?;
    for reply in &replies {
        let said = reply.payload.as_deref().map(ToString::to_string);
        let why_not = reply.error.as_ref().map(|error| error.code.clone());
        println!("  {}: {}", reply.component_id, said.or(why_not).unwrap_or_default());
    }
    for id in [PROCESSOR, NOTIFIER] {
        let own = replies.iter().find(|reply| reply.component_id == id);
        ensure!(own.is_some_and(|reply| reply.payload.is_some()), "{id} has answered");
    }

    // A durable message is in the replicated log: it waits for whoever is away.
    notifier.stop().await?;
    for number in 1..=3 {
        orc.components().send_durable(NOTIFIER, "note", number).await?;
    }
    let waiting = orc.components().queue(NOTIFIER, &MessagesQuery::default()).await?.items;
    println!("{} messages wait for {NOTIFIER}", waiting.len());
    ensure!(waiting.len() == 3, "all of them");

    let notifier = self::notifier(&orc, noted).start();
    for expected in 1..=3 {
        let note = timeout(PATIENCE, notes.recv()).await?.context("the notifier lives")?;
        println!("{NOTIFIER} is back and hears {note}");
        ensure!(note == expected, "in the order they were sent");
    }
    notifier.stop().await?;
    processor.stop().await?;
    for id in [PROCESSOR, NOTIFIER] {
        orc.components().deregister(id).await?;
    }
    Ok(())
}

fn processor(orc: &Client) -> Worker {
    Worker::new(orc.clone())
        .id(PROCESSOR)
        .name("Data Processing Service")
        .kind("processor")
        .version("2.1.0")
        .slots(0)
        .on_message("process", |order: Value| async move {
            let mut data: Vec<i64> =
                order["data"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            if order["operation"] != "normalize" {
                let text = format!("there is no operation {}", order["operation"]);
                return Err(TaskError::permanent("UNKNOWN_OPERATION", text));
            }
            data.sort_unstable();
            Ok(data)
        })
        .on_message(
            "system-update",
            |news: Value| async move { Ok(format!("ready for {}", news["version"])) },
        )
}

fn notifier(orc: &Client, noted: mpsc::Sender<u64>) -> Worker {
    Worker::new(orc.clone())
        .id(NOTIFIER)
        .slots(0)
        .on_message("system-update", |_: Value| async { Ok("noted") })
        .on_message("note", move |number: u64| {
            let noted = noted.clone();
            async move { noted.send(number).await.map_err(|_| TaskError::new("CLOSED", "nobody reads the notes")) }
        })
}
