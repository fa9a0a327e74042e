//! Calls that are not answered for long, as many as one component and one channel take, and a few more.
//! Knows nothing of what else goes on.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use orc_client::wire::RegisterComponent;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::scene::{Scene, refusal};

/// A component that takes messages and does not reply.
const MUTE: &str = "mute";
/// `components.maxQueueSize`, and some that are too many.
const MESSAGES: usize = 1_000 + 8;
/// What a channel takes, and some that are too many.
const CALLS: usize = 4_096 + 8;
const LONG: Duration = Duration::from_secs(290);
const PAUSE: Duration = Duration::from_secs(5);

/// The limits of this file and what they answer.
pub const EXPECTED: [(&str, &str); 2] =
    [("messages without a reply", "429 QUEUE_FULL"), ("calls of a channel", "429 OVERLOADED")];

/// Makes all of them.
pub async fn hold(scene: &Arc<Scene>, tasks: &mut JoinSet<()>) -> Result<()> {
    let client = scene.client()?;
    client.components().register(MUTE, &RegisterComponent::default()).await?;
    let polling = client.clone();
    tasks.spawn(async move {
        loop {
            if polling.components().poll(MUTE, 1_000, Duration::from_secs(10)).await.is_err() {
                sleep(PAUSE).await;
            }
        }
    });
    for number in 0..MESSAGES {
        let (scene, client) = (scene.clone(), client.clone());
        tasks.spawn(async move {
            loop {
                let sent =
                    client.components().send(MUTE, "hm", json!({"number": number})).timeout(LONG).await;
                tell(&scene, EXPECTED[0].0, sent).await;
            }
        });
    }
    // One node and one channel: all calls share it.
    let run = scene.queued.get().context("a run that waits")?;
    let long = Duration::from_secs(400);
    let builder = orc_client::Client::builder().nodes([scene.url(0)]).timeout(long).attempt_timeout(long);
    let channel = builder.without_retries().build()?;
    for _ in 0..CALLS {
        let (scene, run) = (scene.clone(), channel.runs().handle(run.clone()));
        tasks.spawn(async move {
            loop {
                let ended = run.wait().timeout(LONG).await;
                tell(&scene, EXPECTED[1].0, ended).await;
            }
        });
    }
    Ok(())
}

/// Counts what was refused. A wait that was too short is none.
async fn tell<T>(scene: &Scene, limit: &'static str, result: Result<T, orc_client::Error>) {
    if let Err(error) = result {
        match error.problem() {
            Some(problem) if problem.status == 504 => {}
            Some(_) => scene.tally.count(limit, refusal(&error)),
            None => {}
        }
        sleep(PAUSE).await;
    }
}
