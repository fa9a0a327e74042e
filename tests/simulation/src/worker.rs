//! Simulated components that poll for attempts over HTTP: most do them, some fail, some come too late, some report twice.
//! Knows nothing of workflows.

use std::{rc::Rc, time::Duration};

use anyhow::Result;
use fastrand::Rng;
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    http::{Ask, Http},
    scene::{Phase, Scene},
    system,
};

const SLOTS: u32 = 8;
/// One step of the clock, and one part in 2,000 of the longest wait.
const EARLY_MAX: Duration = Duration::from_millis(102);
const AFTER_TROUBLE: Duration = Duration::from_millis(200);
/// Longer than an attempt may take, in milliseconds: its result comes while the next one may be under way.
const TOO_LONG: std::ops::Range<u64> = 5_100..6_200;

/// Takes attempts until all nodes are there.
pub async fn work(scene: Rc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let (mut http, mut registered) = (Http::default(), false);
    let component = format!("/components/{name}");
    let path = format!("{component}/poll");
    while scene.phase() <= Phase::Ending {
        let node = Scene::http(scene.any(&mut rng));
        if !registered {
            // A name is for people; it makes nobody somebody else.
            let body =
                json!({"type": "worker", "name": "impostor", "capabilities": ["work"], "slots": SLOTS});
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
                scene.given(&name, (task.clone(), token))?;
                let pause = Pause::of(order);
                pause.check(&scene);
                tokio::task::spawn_local(attempt(scene.clone(), (task, token), pause, rng.fork()));
            }
            if rng.u32(..50) == 0 {
                break;
            }
        }
        sleep(AFTER_TROUBLE).await;
    }
    Ok(())
}

/// A step before or after a wait, of which the time is taken by a clock that no fault touches.
struct Pause {
    run: String,
    say: String,
    lasts: Duration,
}

impl Pause {
    fn of(order: &Value) -> Pause {
        let payload = &order["payload"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lasts = Duration::from_millis(payload["wait"].as_u64().unwrap_or(0));
        Pause { run: text(&order["runId"]), say: text(&payload["say"]), lasts }
    }

    /// The wait begins with the result that is reported now, or with an earlier one.
    fn begin(&self, scene: &Scene) {
        if self.say == "before" {
            scene.paused.borrow_mut().entry(self.run.clone()).or_insert_with(system::elapsed);
        }
    }

    /// The step after the wait must not begin before it is over (P14).
    fn check(&self, scene: &Scene) {
        if scene.time_lost.get() {
            return;
        }
        if let Some(began) = scene.paused.borrow().get(&self.run).filter(|_| self.say == "after") {
            let took = system::elapsed() - *began;
            if took + EARLY_MAX < self.lasts {
                let Pause { run, lasts, .. } = self;
                let seen = format!("P14: the wait of {lasts:?} of {run} was over after {took:?}");
                scene.seen.borrow_mut().push(seen);
            }
        }
    }
}

/// Does an attempt and reports until a node says what became of it.
async fn attempt(scene: Rc<Scene>, (task, token): (String, u64), pause: Pause, mut rng: Rng) {
    let takes = match rng.u32(..100) {
        0..5 => rng.u64(TOO_LONG),
        5..15 => rng.u64(500..1500),
        _ => rng.u64(1..300),
    };
    sleep(Duration::from_millis(takes)).await;
    let (mut http, fails) = (Http::default(), rng.u32(..100) < 5);
    let (path, body) = if fails {
        (
            format!("/tasks/{task}/fail"),
            json!({"token": token, "error": {"code": "NO_LUCK", "message": "no luck"}}),
        )
    } else {
        (format!("/tasks/{task}/complete"), json!({"token": token, "output": {"token": token}}))
    };
    if !fails {
        pause.begin(&scene);
    }
    let mut reports = if rng.u32(..100) < 5 { 2 } else { 1 };
    while reports > 0 && scene.phase() <= Phase::Ending {
        let node = Scene::http(scene.any(&mut rng));
        let answered = http.ask(&node, Ask::new(Method::POST, &path).json(body.clone())).await;
        match answered {
            Ok(reply) if !reply.status.is_server_error() => reports -= 1,
            Ok(_) | Err(_) => sleep(AFTER_TROUBLE).await,
        }
    }
}
