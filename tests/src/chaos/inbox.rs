//! Durable messages: clients that send them, each call under a key of its own and again until it is answered, and components
//! that note what they get before anything else, and now and then give a message back. Knows nothing of what is right.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use orc_check::{
    history::{Answer, Call, Outcome},
    receipts::Got,
};
use orc_client::{Client, TaskError, Worker, wire::MessagesQuery};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    asker::{Asker, outcome},
    scene::Scene,
};

const PAUSE: Duration = Duration::from_millis(40);
const AFTER_TROUBLE: Duration = Duration::from_millis(100);
/// Calls of one message, until it is known to be sent.
const CALLS_MAX: u64 = 20;
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// The components.
pub const INBOXES: [&str; 2] = ["inbox-0", "inbox-1"];

/// Makes the components known.
pub async fn register(client: &Client) -> Result<()> {
    for name in INBOXES {
        client.components().register(name, &Default::default()).await?;
    }
    Ok(())
}

/// Sends until the load ends.
pub async fn send(scene: Arc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let (asker, mut number) = (Asker::new()?, 0u64);
    while scene.goes_on().await {
        number += 1;
        let mark = format!("{name}-{number}");
        let component = INBOXES[rng.usize(..INBOXES.len())].to_owned();
        let path = format!("/components/{component}/messages");
        for call in 0..CALLS_MAX {
            let place = rng.usize(..scene.urls.len());
            let request = asker.request(Method::POST, &scene.urls[place], &path);
            let body = json!({"type": "n", "payload": mark, "durable": true});
            let request = request.header("idempotency-key", &mark).json(&body);
            let answer = |answer: Answer, body: &Value| Answer {
                id: body["messageId"].as_str().map(str::to_owned),
                ..answer
            };
            let sent = Call::Send { component: component.clone(), mark: mark.clone() };
            let asked = outcome(request, false, answer);
            let op = (&*name, number * CALLS_MAX + call);
            if let Outcome::Ok(_) = scene.recorded(op, (&Scene::node(place), sent), asked).await? {
                break;
            }
            sleep(AFTER_TROUBLE).await;
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Gets messages, one after another, until the scene is closed.
pub async fn receive(scene: Arc<Scene>, client: Client, name: &'static str, rng: Rng) -> Result<()> {
    let (noted, dice) = (scene.clone(), Arc::new(std::sync::Mutex::new(rng)));
    let handle = move |mark: String| {
        let got = noted.got(name, Got::Message { mark: mark.clone() });
        let gives_back = dice.lock().is_ok_and(|mut dice| dice.u32(..50) == 0);
        async move {
            match got {
                Ok(()) if !gives_back => Ok(()),
                Ok(()) => Err(TaskError::new("NO_LUCK", mark)),
                Err(error) => Err(TaskError::new("NOT_NOTED", error.to_string())),
            }
        }
    };
    let worker = Worker::new(client).id(name).slots(0).on_message("n", handle);
    worker.run(async move { scene.closed().await }).await.context("a component that gets messages")
}

/// Waits until every message was taken or given up.
pub async fn all_taken(client: &Client) -> Result<()> {
    let deadline = Instant::now() + TAKEN_WITHIN;
    let query = MessagesQuery { limit: Some(1), ..MessagesQuery::default() };
    for name in INBOXES {
        while let Some(left) = client.components().queue(name, &query).await?.items.first() {
            ensure!(Instant::now() < deadline, "not taken after {TAKEN_WITHIN:?}: {left:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
