//! Calls that are not answered for long, as many as one component and one channel take, and a few more.
//! Knows nothing of what else goes on.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use orc_client::{Client, wire::RegisterComponent};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::scene::{Scene, refusal};

/// Components that take messages and do not reply: the first has more than it may, the others fill a channel.
const MUTE: [&str; 6] = ["mute", "mute-1", "mute-2", "mute-3", "mute-4", "mute-5"];
/// `components.maxQueueSize`, and some that are too many.
const MESSAGES: usize = 1_000 + 8;
/// What a channel takes, and some that are too many.
const CALLS: usize = 4_096 + 8;
/// How long a call waits, in seconds: not all end at once.
const WAITS: std::ops::Range<u64> = 100..290;
const PAUSE: Duration = Duration::from_secs(5);

/// The limits of this file and what they answer.
pub const EXPECTED: [(&str, &str); 2] =
    [("messages without a reply", "429 QUEUE_FULL"), ("calls of a channel", "429 OVERLOADED")];

/// Makes all of them.
pub async fn hold(scene: &Arc<Scene>, tasks: &mut JoinSet<()>) -> Result<()> {
    let client = scene.client()?;
    for mute in MUTE {
        client.components().register(mute, &RegisterComponent::default()).await?;
        let polling = client.clone();
        tasks.spawn(async move {
            loop {
                if polling.components().poll(mute, 1_000, Duration::from_secs(10)).await.is_err() {
                    sleep(PAUSE).await;
                }
            }
        });
    }
    // They are connected by their first poll.
    sleep(Duration::from_secs(1)).await;
    for _ in 0..MESSAGES {
        tasks.spawn(send(scene.clone(), client.clone(), MUTE[0], EXPECTED[0].0));
    }
    // One node and one channel: all calls share it.
    let long = Duration::from_secs(400);
    let builder = Client::builder().nodes([scene.url(0)]).timeout(long).attempt_timeout(long);
    let channel = builder.without_retries().build()?;
    for number in 0..CALLS {
        let mute = MUTE[1 + number % (MUTE.len() - 1)];
        tasks.spawn(send(scene.clone(), channel.clone(), mute, EXPECTED[1].0));
    }
    Ok(())
}

/// Sends again and again, and counts what is refused. That nobody replies is no refusal.
async fn send(scene: Arc<Scene>, client: Client, mute: &'static str, limit: &'static str) {
    loop {
        let patience = Duration::from_secs(fastrand::u64(WAITS));
        let sent = client.components().send(mute, "hm", json!({"so": "what"})).timeout(patience).await;
        if let Err(error) = sent {
            match error.problem() {
                Some(problem) if problem.status == 504 => continue,
                Some(_) | None => scene.tally.count(limit, refusal(&error)),
            }
        }
        sleep(PAUSE).await;
    }
}
