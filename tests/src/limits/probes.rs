//! Ordinary calls, one of each kind at a time, and how long those that were admitted took.
//! Knows nothing of whether there is pressure.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::scene::{Scene, answer};
use crate::chaos::figures::Times;

/// Between two calls of one kind.
const EACH: Duration = Duration::from_millis(50);
const WRITE: &str = "write of a key";
/// Admitted where a run has ended since the queue was full.
const START: &str = "start of a run";
/// The key that is written and read.
pub const KEY: &str = "probe";
/// A component that replies.
pub const PAL: &str = "pal";

/// An ordinary call: its name, path and body.
struct Kind {
    name: &'static str,
    method: Method,
    path: fn(&Scene) -> Option<String>,
    body: fn(usize) -> Option<Value>,
}

const KINDS: [Kind; 7] = [
    Kind { name: WRITE, method: Method::PUT, path: |_| key(), body: |turn| Some(json!({"value": turn})) },
    Kind { name: "read of a key", method: Method::GET, path: |_| key(), body: |_| None },
    Kind {
        name: START,
        method: Method::POST,
        path: |_| Some("/runs".to_owned()),
        body: |_| Some(json!({"workflow": "short"})),
    },
    Kind {
        name: "look at a run",
        method: Method::GET,
        path: |scene| Some(format!("/runs/{}", scene.runs.last()?)),
        body: |_| None,
    },
    Kind {
        name: "list of runs",
        method: Method::GET,
        path: |_| Some("/runs?limit=20".to_owned()),
        body: |_| None,
    },
    Kind {
        name: "view of the cluster",
        method: Method::GET,
        path: |_| Some("/cluster".to_owned()),
        body: |_| None,
    },
    Kind {
        name: "message and its reply",
        method: Method::POST,
        path: |_| Some(format!("/components/{PAL}/messages")),
        body: |turn| Some(json!({"type": "hello", "payload": turn})),
    },
];

fn key() -> Option<String> {
    Some(format!("/state/keys/{KEY}"))
}

/// Times of admitted calls by kind.
pub type Taken = BTreeMap<&'static str, Vec<Duration>>;

/// What the probes have seen.
#[derive(Default)]
pub struct Seen {
    taken: Mutex<Taken>,
    /// Writes that were acknowledged.
    pub written: AtomicU64,
}

impl Seen {
    /// The times since the last call of this.
    pub fn take(&self) -> Taken {
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, kind: &'static str, took: Duration) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().push(took);
    }
}

/// The names of the kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// Percentiles of one kind.
pub fn times(taken: &Taken, kind: &str) -> Times {
    Times::new(taken.get(kind).cloned().unwrap_or_default())
}

/// Begins to call.
pub fn start(scene: &Arc<Scene>, tasks: &mut JoinSet<()>) -> Result<Arc<Seen>> {
    let seen = Arc::new(Seen::default());
    for kind in &KINDS {
        // Clients of their own: the connections of the pressure are not theirs.
        let own = Arc::new(Scene::new(scene.urls.clone())?);
        tasks.spawn(call(scene.clone(), own, kind, seen.clone()));
    }
    Ok(seen)
}

async fn call(scene: Arc<Scene>, own: Arc<Scene>, kind: &'static Kind, seen: Arc<Seen>) {
    let mut ticks = interval(EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0.. {
        ticks.tick().await;
        let Some(path) = (kind.path)(&scene) else { continue };
        let mut request = own.request(kind.method.clone(), turn, &path);
        if let Some(body) = (kind.body)(turn) {
            request = request.json(&body);
        }
        let began = Instant::now();
        let (told, body) = answer(request).await;
        if !told.starts_with('2') {
            scene.tally.count(kind.name, told);
            continue;
        }
        seen.add(kind.name, began.elapsed());
        match kind.name {
            WRITE => drop(seen.written.fetch_add(1, Ordering::Relaxed)),
            START => {
                if let Some(id) = body["runId"].as_str() {
                    scene.runs.add(id.to_owned());
                }
            }
            _ => {}
        }
    }
}
