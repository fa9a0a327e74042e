//! Whoever interrupts simulated runs: some are cancelled, some paused for a while.
//! Knows nothing of what the runs do.

use std::{rc::Rc, time::Duration};

use anyhow::Result;
use fastrand::Rng;
use hyper::Method;
use tokio::time::{Instant, sleep};

use crate::{
    http::{Ask, Http},
    scene::{Phase, Scene},
};

/// Only so many of the latest runs: others have ended.
const LATEST: usize = 4;
const LOOK: Duration = Duration::from_millis(300);

struct Paused {
    run: String,
    until: Instant,
    /// Whether it is so; a pause of which nobody knows may still come.
    known: bool,
}

/// Interrupts runs until the faults are over, and lets none stay paused.
pub async fn interrupt(scene: Rc<Scene>, mut rng: Rng) -> Result<()> {
    let (mut http, mut paused): (Http, Vec<Paused>) = (Http::default(), Vec::new());
    while scene.phase() <= Phase::Ending {
        sleep(LOOK).await;
        let latest: Vec<String> = scene.started.borrow().iter().rev().take(LATEST).cloned().collect();
        if scene.phase() <= Phase::Calm
            && rng.u32(..4) == 0
            && let Some(run) = rng.choice(latest)
        {
            let until = Instant::now() + Duration::from_millis(rng.u64(100..2000));
            let cancels = rng.bool();
            let what = if cancels { "cancel" } else { "pause" };
            let done = order(&scene, &mut http, &run, what, &mut rng).await;
            if !cancels && done != Some(false) {
                paused.push(Paused { run, until, known: done == Some(true) });
            }
        }
        for place in (0..paused.len()).rev() {
            let Paused { run, until, known } = &paused[place];
            if *until <= Instant::now() {
                let done = order(&scene, &mut http, run, "resume", &mut rng).await;
                if done == Some(true) || done == Some(false) && *known {
                    paused.swap_remove(place);
                }
            }
        }
    }
    Ok(())
}

/// Whether it was done; none: nobody knows.
async fn order(scene: &Scene, http: &mut Http, run: &str, what: &str, rng: &mut Rng) -> Option<bool> {
    let path = format!("/runs/{run}/{what}");
    let ask = Ask::new(Method::POST, &path).json(serde_json::json!({}));
    let reply = http.ask(&Scene::http(scene.any(rng)), ask).await.ok()?;
    let refused = reply.status.is_client_error() && reply.body["executed"] == false;
    if reply.status.is_success() { Some(true) } else { refused.then_some(false) }
}
