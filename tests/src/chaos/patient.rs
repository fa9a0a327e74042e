//! Clients that do not give up: each call is made again under its `Idempotency-Key`, through one node after another, until it
//! is answered with success or has taken too long. Knows nothing of faults.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use orc_check::history::{Answer, Call, Outcome, Started};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{
    asker::{Asker, outcome},
    registers::{KEYS, key},
    scene::Scene,
};
use crate::load::three_echo_steps;

const PAUSE: Duration = Duration::from_millis(20);
const BEFORE_AGAIN: Duration = Duration::from_millis(50);
/// A call that has not succeeded after this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the calls of such clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// All of them.
    pub made: u64,
    /// Those that did not succeed.
    pub failed: u64,
    /// The longest from the first attempt to the answer.
    pub slowest: Duration,
}

impl Calls {
    /// Counts those of another client, too.
    pub fn add(&mut self, other: Calls) {
        self.made += other.made;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// A client with a name of its own.
pub struct Client {
    scene: Arc<Scene>,
    name: String,
    asker: Asker,
    rng: Rng,
    calls: Calls,
}

impl Client {
    /// One that has done nothing yet.
    pub fn new(scene: Arc<Scene>, name: String, rng: Rng) -> Result<Self> {
        Ok(Client { scene, name, asker: Asker::new()?, rng, calls: Calls::default() })
    }

    /// Writes keys and starts runs until the load ends.
    pub async fn work(mut self) -> Result<Calls> {
        while self.scene.goes_on().await {
            self.calls.made += 1;
            let own = format!("{}-{}", self.name, self.calls.made);
            let call = match self.rng.u32(..10) {
                0 => Call::Start { what: Started::Run, idempotency_key: own.clone() },
                _ => Call::Write { key: key(&self.scene, self.rng.u64(..KEYS)), value: json!(own) },
            };
            self.finish(&own, call).await?;
            sleep(PAUSE).await;
        }
        Ok(self.calls)
    }

    /// One operation of the history, however many attempts it takes.
    async fn finish(&mut self, own: &str, call: Call) -> Result<()> {
        let began = Instant::now();
        let first = self.rng.usize(..self.scene.urls.len());
        let node = Scene::node(first);
        let attempts = self.until_done(own, &call, first, began + PATIENCE);
        let me = (self.name.as_str(), self.calls.made);
        let outcome = self.scene.recorded(me, (&node, call.clone()), attempts).await?;
        if !matches!(outcome, Outcome::Ok(_)) {
            self.calls.failed += 1;
            eprintln!("{own} failed after {:?}: {outcome:?}", began.elapsed());
        }
        self.calls.slowest = self.calls.slowest.max(began.elapsed());
        Ok(())
    }

    async fn until_done(&self, own: &str, call: &Call, first: usize, deadline: Instant) -> Outcome {
        let mut place = first;
        loop {
            let request = self.request(own, call, place);
            let answered = outcome(request, false, |answer: Answer, body: &Value| Answer {
                version: body["version"].as_u64(),
                id: body["runId"].as_str().map(str::to_owned),
                ..answer
            });
            let answered = answered.await;
            if matches!(answered, Outcome::Ok(_)) || Instant::now() > deadline {
                // An earlier attempt may have had an effect, whatever the last one says.
                let is_ok = matches!(answered, Outcome::Ok(_));
                return if is_ok { answered } else { Outcome::Unknown };
            }
            place = (place + 1) % self.scene.urls.len();
            sleep(BEFORE_AGAIN).await;
        }
    }

    fn request(&self, own: &str, call: &Call, place: usize) -> RequestBuilder {
        let url = &self.scene.urls[place];
        let request = match call.key() {
            Some(key) => {
                let request = self.asker.request(Method::PUT, url, &format!("/state/keys/{key}"));
                request.json(&json!({"value": call.written()}))
            }
            None => {
                let request = self.asker.request(Method::POST, url, "/runs");
                request.json(&json!({"definition": three_echo_steps(), "labels": {"key": own}}))
            }
        };
        request.header("idempotency-key", own)
    }
}
