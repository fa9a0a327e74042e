//! Whoever operates a simulated cluster: once a node that joins votes, another one is removed for good.
//! Knows nothing of faults.

use std::{rc::Rc, time::Duration};

use anyhow::{Result, ensure};
use fastrand::Rng;
use hyper::Method;
use tokio::time::{Instant, sleep};

use crate::{
    http::{Ask, Http},
    scene::{Order, Phase, Scene},
    script::{status, voters},
};

const LOOK: Duration = Duration::from_millis(200);
/// So long after the faults everything is done that was asked for.
const DONE_WITHIN: Duration = Duration::from_secs(60);

/// Does what it is asked for, until nothing goes wrong any more.
pub async fn operate(scene: Rc<Scene>, mut rng: Rng) -> Result<()> {
    while scene.phase() <= Phase::Calm {
        if let Some(order) = scene.order.take() {
            let old = change(&scene, order, &mut rng).await;
            scene.removed.set(Some(old));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until the cluster has as many nodes as before.
pub async fn done(scene: &Scene) -> Result<()> {
    let deadline = Instant::now() + DONE_WITHIN;
    while scene.is_changing() {
        ensure!(
            Instant::now() < deadline,
            "P24: the members still change {DONE_WITHIN:?} after the last fault"
        );
        sleep(LOOK).await;
    }
    Ok(())
}

/// Who was removed.
async fn change(scene: &Scene, order: Order, rng: &mut Rng) -> u64 {
    let (mut http, new) = (Http::default(), Scene::node(order.new));
    loop {
        sleep(LOOK).await;
        let Some(seen) = status(&mut http, scene.any(rng)).await else { continue };
        let voters = voters(&seen);
        let Some(leader) = seen["leader"].as_str().filter(|_| voters.contains(&new)) else { continue };
        let others: Vec<&String> = voters.iter().filter(|node| **node != leader && **node != new).collect();
        let old = if order.removes_leader { Some(leader) } else { rng.choice(others).map(String::as_str) };
        let Some(old) = old.and_then(Scene::number) else { continue };
        remove(scene, &mut http, old, rng).await;
        return old;
    }
}

async fn remove(scene: &Scene, http: &mut Http, old: u64, rng: &mut Rng) {
    let path = format!("/cluster/nodes/{}", Scene::node(old));
    loop {
        let asked = Scene::http(scene.any(rng));
        if let Ok(reply) = http.ask(&asked, Ask::new(Method::DELETE, &path)).await {
            tracing::info!(old, status = %reply.status, "its removal was asked for");
            if reply.status.is_success() || reply.status == hyper::StatusCode::NOT_FOUND {
                return;
            }
        }
        sleep(LOOK).await;
    }
}
