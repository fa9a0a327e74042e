//! Clients that start runs of three steps, each start under a key of its own and called several times through several nodes.
//! Knows nothing of who does the steps.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use futures::future::try_join_all;
use orc_check::history::{Answer, Call, Outcome, Started};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    asker::{Asker, outcome},
    scene::Scene,
};
use crate::load::three_echo_steps;

const PAUSE: Duration = Duration::from_millis(50);

/// Starts runs until the load ends.
pub async fn work(scene: Arc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let askers: Vec<Asker> = (0..3).map(|_| Asker::new()).collect::<Result<_>>()?;
    let mut number = 0u64;
    while scene.goes_on().await {
        number += 1;
        let key = format!("{name}-{number}");
        let places: Vec<usize> =
            (0..rng.usize(1..=askers.len())).map(|_| rng.usize(..scene.urls.len())).collect();
        let calls = askers.iter().zip(places).enumerate();
        let calls = calls.map(|(caller, (asker, place))| {
            start(&scene, asker, (format!("{name}.{caller}"), number), (place, &key))
        });
        try_join_all(calls).await?;
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn start(
    scene: &Scene,
    asker: &Asker,
    (process, op): (String, u64),
    (place, key): (usize, &str),
) -> Result<Outcome> {
    let body = json!({"definition": three_echo_steps(), "labels": {"key": key}});
    let request = asker.request(Method::POST, &scene.urls[place], "/runs");
    let request = request.header("idempotency-key", key).json(&body);
    let answer =
        |answer: Answer, body: &Value| Answer { id: body["runId"].as_str().map(str::to_owned), ..answer };
    let call = Call::Start { what: Started::Run, idempotency_key: key.to_owned() };
    scene.recorded((&process, op), (&Scene::node(place), call), outcome(request, false, answer)).await
}
