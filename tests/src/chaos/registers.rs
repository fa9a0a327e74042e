//! Clients that read, write, compare and delete a few state keys, each value only once: some stay with one node, some roam.
//! Knows nothing of faults.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use orc_check::history::{Answer, Call, Outcome};
use reqwest::{
    Method,
    header::{IF_MATCH, IF_NONE_MATCH},
};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    asker::{Asker, outcome},
    scene::Scene,
    watchers::LAST_KEY,
};

/// Keys in use at a time.
pub const KEYS: u64 = 10;
/// Half of them are replaced by others so often: the search for an order looks at a few thousand operations of a key only.
const KEYS_TURN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
const AFTER_TROUBLE: Duration = Duration::from_millis(100);

/// A client with a name of its own.
pub struct Client {
    scene: Arc<Scene>,
    name: String,
    /// The node it stays with; none: it roams.
    home: Option<usize>,
    asker: Asker,
    rng: Rng,
    op: u64,
}

impl Client {
    /// One that has done nothing yet.
    pub fn new(scene: Arc<Scene>, name: String, home: Option<usize>, rng: Rng) -> Result<Self> {
        Ok(Client { scene, name, home, asker: Asker::new()?, rng, op: 0 })
    }

    /// Calls one after another until the load ends.
    pub async fn work(mut self) -> Result<()> {
        while self.scene.goes_on().await {
            let place = self.home.unwrap_or_else(|| self.rng.usize(..self.scene.urls.len()));
            let call = self.any_call();
            let done = self.ask(place, call).await?;
            sleep(if matches!(done, Outcome::Ok(_)) { PAUSE } else { AFTER_TROUBLE }).await;
        }
        Ok(())
    }

    /// The last change of all, then one read on the node at each of these addresses; all have to succeed.
    pub async fn visit_all(mut self, urls: &[String]) -> Result<()> {
        for url in urls {
            let place = self.scene.place(url)?;
            let last = Call::Write { key: LAST_KEY.to_owned(), value: json!(format!("last-{place}")) };
            if matches!(self.ask(place, last).await?, Outcome::Ok(_)) {
                break;
            }
        }
        for url in urls {
            let place = self.scene.place(url)?;
            self.ask(place, Call::Read { key: LAST_KEY.to_owned() }).await?;
        }
        Ok(())
    }

    fn any_call(&mut self) -> Call {
        let key = key(&self.scene, self.rng.u64(..KEYS));
        let value = json!(format!("{}-{}", self.name, self.op));
        match self.rng.u32(..100) {
            0..40 => Call::Read { key },
            40..75 => Call::Write { key, value },
            75..95 => Call::CompareAndSet { key, version: self.rng.u64(..4), value },
            _ => Call::Delete { key },
        }
    }

    async fn ask(&mut self, place: usize, mut call: Call) -> Result<Outcome> {
        if let Call::CompareAndSet { key, version, .. } = &mut call
            && *version > 0
            && let Some(current) = self.version(place, key).await
        {
            *version = current;
        }
        let path = format!("/state/keys/{}", call.key().unwrap_or_default());
        let url = &self.scene.urls[place];
        let request = |method| self.asker.request(method, url, &path);
        let request = match &call {
            Call::Delete { .. } => request(Method::DELETE),
            Call::Write { value, .. } => request(Method::PUT).json(&json!({"value": value})),
            Call::CompareAndSet { value, version: 0, .. } => {
                request(Method::PUT).header(IF_NONE_MATCH, "*").json(&json!({"value": value}))
            }
            Call::CompareAndSet { value, version, .. } => {
                let tag = format!("\"{version}\"");
                request(Method::PUT).header(IF_MATCH, tag).json(&json!({"value": value}))
            }
            _ => request(Method::GET),
        };
        let reads = call.is_read();
        let request = request.header("idempotency-key", format!("{}-{}", self.name, self.op));
        let answer = move |answer: Answer, body: &Value| {
            let value = body.get("value").filter(|_| reads).cloned();
            Answer { version: body["version"].as_u64(), value, ..answer }
        };
        self.op += 1;
        let (scene, me) = (self.scene.clone(), (self.name.as_str(), self.op));
        scene.recorded(me, (&Scene::node(place), call), outcome(request, reads, answer)).await
    }

    /// The version of a key, to compare with; no part of the history.
    async fn version(&self, place: usize, key: &str) -> Option<u64> {
        let path = format!("/state/keys/{key}?consistency=stale");
        let request = self.asker.request(Method::GET, &self.scene.urls[place], &path);
        let version = |answer, body: &Value| Answer { version: body["version"].as_u64(), ..answer };
        match outcome(request, true, version).await {
            Outcome::Ok(answer) => answer.version,
            Outcome::Rejected { .. } | Outcome::Unknown => None,
        }
    }
}

/// The name of a key that is in use now.
pub fn key(scene: &Scene, number: u64) -> String {
    let turn = scene.now() / KEYS_TURN.as_nanos() as u64;
    format!("hot.k{}", turn * KEYS / 2 + number)
}
