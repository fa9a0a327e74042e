//! Simulated components that poll for attempts over HTTP: most do them, some fail, some come too late, some report twice.
//! Knows nothing of workflows.

use std::{rc::Rc, time::Duration};

use anyhow::Result;
use fastrand::Rng;
use hyper::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    http::{Ask, Http},
    scene::{Phase, Scene},
};

const SLOTS: u32 = 8;
const AFTER_TROUBLE: Duration = Duration::from_millis(200);
/// Longer than an attempt may take.
const TOO_LONG: Duration = Duration::from_secs(8);

/// Takes attempts until all nodes are there.
pub async fn work(scene: Rc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let (mut http, mut registered) = (Http::default(), false);
    let component = format!("/components/{name}");
    let path = format!("{component}/poll");
    while scene.phase() <= Phase::Ending {
        let node = Scene::http(rng.usize(..scene.nodes));
        if !registered {
            let body = json!({"type": "worker", "capabilities": ["work"], "slots": SLOTS});
            let asked = http.ask(&node, Ask::new(Method::PUT, &component).json(body)).await;
            registered = asked.is_ok_and(|reply| reply.status.is_success());
        }
        // With a node until it fails: a session is worth keeping.
        while registered && scene.phase() <= Phase::Ending {
            let Ok(reply) = http.ask(&node, Ask::new(Method::POST, &path).json(json!({"wait": "1s"}))).await
            else {
                break;
            };
            if !reply.status.is_success() {
                registered = reply.status != hyper::StatusCode::NOT_FOUND;
                break;
            }
            for order in reply.body["tasks"].as_array().into_iter().flatten() {
                let task = order["taskId"].as_str().unwrap_or_default().to_owned();
                let token = order["token"].as_u64().unwrap_or_default();
                tokio::task::spawn_local(attempt(scene.clone(), task, token, rng.fork()));
            }
            if rng.u32(..50) == 0 {
                break;
            }
        }
        sleep(AFTER_TROUBLE).await;
    }
    Ok(())
}

/// Does an attempt and reports until a node says what became of it.
async fn attempt(scene: Rc<Scene>, task: String, token: u64, mut rng: Rng) {
    let late = rng.u32(..100) < 2;
    sleep(if late { TOO_LONG } else { Duration::from_millis(rng.u64(1..300)) }).await;
    let (mut http, fails) = (Http::default(), rng.u32(..100) < 5);
    let (path, body) = if fails {
        (
            format!("/tasks/{task}/fail"),
            json!({"token": token, "error": {"code": "NO_LUCK", "message": "no luck"}}),
        )
    } else {
        (format!("/tasks/{task}/complete"), json!({"token": token, "output": {"token": token}}))
    };
    let mut reports = if rng.u32(..100) < 5 { 2 } else { 1 };
    while reports > 0 && scene.phase() <= Phase::Ending {
        let node = Scene::http(rng.usize(..scene.nodes));
        let answered = http.ask(&node, Ask::new(Method::POST, &path).json(body.clone())).await;
        match answered {
            Ok(reply) if !reply.status.is_server_error() => reports -= 1,
            Ok(_) | Err(_) => sleep(AFTER_TROUBLE).await,
        }
    }
}
