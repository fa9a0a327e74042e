//! Bursts: more connections than a node takes in all, and more headers than it reads; and what readers of streams get to read.
//! Knows nothing of who holds connections meanwhile.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use futures::future::join_all;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{
    holders::{BIG, SMALL_KEYS},
    scene::{Scene, address, answer},
    sockets::{self, connect},
};

/// Connections of a burst: beyond what the others leave.
const BURST: usize = 90;
const BETWEEN_BURSTS: Duration = Duration::from_secs(10);
const PEER: u8 = 13;
const KEYS: usize = 32;
/// Just below what a request may have.
const VALUE: usize = 1_040_000;
const BETWEEN_BIG: Duration = Duration::from_secs(15);
const BETWEEN_SMALL: Duration = Duration::from_millis(500);

/// The limits of this file and what they answer.
pub const EXPECTED: [(&str, &str); 2] = [("connections in all", "503 OVERLOADED"), ("headers", "431")];

/// Opens many connections at once, again and again, to one node after the other.
pub async fn connections(scene: Arc<Scene>) {
    for node in 0.. {
        sleep(BETWEEN_BURSTS).await;
        let url = scene.url(node);
        let opened: Vec<Result<_>> = join_all((0..BURST).map(|_| connect(url, address(PEER), 4 << 10))).await;
        let looks = opened.into_iter().filter_map(Result::ok).map(|mut stream| async move {
            // Whoever got a place hears nothing; the place is given back at once.
            timeout(Duration::from_millis(500), sockets::answer(&mut stream)).await.ok()?.ok()
        });
        join_all(looks).await.into_iter().flatten().for_each(|told| scene.tally.count(EXPECTED[0].0, told));
    }
}

/// Requests with more headers than a node takes.
pub async fn headers(scene: Arc<Scene>) {
    for turn in 0.. {
        sleep(Duration::from_secs(2)).await;
        let mut request = scene.request(reqwest::Method::GET, turn, "/cluster");
        for number in 0..80 {
            request = request.header(format!("x-{number}"), "y");
        }
        scene.tally.count(EXPECTED[1].0, answer(request).await.0);
    }
}

/// Great values, one after another.
pub async fn big_writes(scene: Arc<Scene>) {
    let body = json!({"value": "v".repeat(VALUE)});
    let mut ticks = interval(BETWEEN_BIG);
    for turn in 0.. {
        ticks.tick().await;
        let path = format!("/state/keys/{BIG}.{}", turn % KEYS);
        write(&scene, "great values", turn, &path, &body).await;
    }
}

/// Small ones, for those who keep up.
pub async fn small_writes(scene: Arc<Scene>) {
    let mut ticks = interval(BETWEEN_SMALL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0.. {
        ticks.tick().await;
        let path = format!("/state/keys/{SMALL_KEYS}.{}", turn % KEYS);
        write(&scene, "small values", turn, &path, &json!({"value": turn})).await;
    }
}

async fn write(scene: &Scene, what: &'static str, turn: usize, path: &str, body: &serde_json::Value) {
    let (told, _) = answer(scene.request(reqwest::Method::PUT, turn, path).json(body)).await;
    if !told.starts_with('2') {
        scene.tally.count(what, told);
    }
}
