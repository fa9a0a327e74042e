//! Calls that have to be refused, again and again: each is beyond one limit. Knows nothing of how often all of them may be.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    fill::{INBOX, LATER},
    scene::{Scene, answer},
};

/// Between two calls of one kind.
const EACH: Duration = Duration::from_secs(2);
const KIB: usize = 1 << 10;

/// A call beyond a limit.
pub struct Beyond {
    /// The limit.
    pub limit: &'static str,
    /// What has to be answered.
    pub expected: &'static str,
    call: fn(&Scene, usize) -> Option<RequestBuilder>,
}

/// Each limit that one call can exceed, and those that [`super::fill`] has reached.
pub const BEYOND: [Beyond; 19] = [
    Beyond { limit: "live runs", expected: "429 LIMIT_EXCEEDED", call: start },
    Beyond { limit: "live tasks", expected: "429 LIMIT_EXCEEDED", call: task },
    Beyond { limit: "durable messages", expected: "429 QUEUE_FULL", call: durable },
    Beyond { limit: "signals of a run", expected: "429 LIMIT_EXCEEDED", call: signal },
    Beyond { limit: "paused actions", expected: "429 LIMIT_EXCEEDED", call: pause },
    Beyond { limit: "workflows", expected: "429 LIMIT_EXCEEDED", call: workflow },
    Beyond { limit: "versions of a workflow", expected: "429 LIMIT_EXCEEDED", call: version },
    Beyond { limit: "schedules", expected: "429 LIMIT_EXCEEDED", call: schedule },
    Beyond { limit: "snapshots", expected: "429 LIMIT_EXCEEDED", call: snapshot },
    Beyond { limit: "body", expected: "413 PAYLOAD_TOO_LARGE", call: body },
    Beyond { limit: "payload", expected: "413 PAYLOAD_TOO_LARGE", call: payload },
    Beyond { limit: "result", expected: "413 PAYLOAD_TOO_LARGE", call: result },
    Beyond { limit: "definition", expected: "422 VALIDATION_FAILED", call: definition },
    Beyond { limit: "steps", expected: "422 VALIDATION_FAILED", call: steps },
    Beyond { limit: "depth of JSON", expected: "422 VALIDATION_FAILED", call: depth },
    Beyond { limit: "expression", expected: "422 VALIDATION_FAILED", call: expression },
    Beyond { limit: "key", expected: "400 BAD_REQUEST", call: key },
    Beyond { limit: "one idempotency key, two bodies", expected: "422 IDEMPOTENCY_KEY_REUSED", call: reused },
    Beyond { limit: "kept events", expected: "410 EVENTS_COMPACTED", call: old_event },
];

/// Makes a call again and again, to one node after the other.
pub async fn again_and_again(scene: Arc<Scene>, beyond: &'static Beyond) {
    let mut ticks = interval(EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0.. {
        ticks.tick().await;
        let Some(request) = (beyond.call)(&scene, turn) else { continue };
        let (told, body) = answer(request).await;
        let id = |name: &str| body[name].as_str().map(str::to_owned);
        match (told.starts_with('2'), beyond.limit) {
            (false, _) => scene.tally.count(beyond.limit, told),
            // Some have ended meanwhile: then there is room.
            (true, "live runs") => id("runId").into_iter().for_each(|id| scene.runs.add(id)),
            (true, "live tasks") => id("taskId").into_iter().for_each(|id| scene.tasks.add(id)),
            (true, _) => scene.tally.count(beyond.limit, told),
        }
    }
}

fn post(scene: &Scene, turn: usize, path: &str, body: &Value) -> RequestBuilder {
    scene.request(Method::POST, turn, path).json(body)
}

fn start(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/runs", &json!({"workflow": "short"})))
}

fn task(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/tasks", &json!({"name": "waits", "action": LATER, "queueTimeout": 86_400_000})))
}

fn durable(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let body = json!({"type": "note", "durable": true, "payload": turn});
    Some(post(scene, turn, &format!("/components/{INBOX}/messages"), &body))
}

fn signal(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    // One that waits in the queue to the end takes none.
    let run = scene.queued.get()?;
    Some(post(scene, turn, &format!("/runs/{run}/signals/go"), &json!({"data": 1})))
}

fn pause(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(scene.request(Method::POST, turn, &format!("/actions/more-{turn}/pause")))
}

fn one_step(name: &str, text: &str) -> Value {
    json!({"name": name, "steps": [{"name": "one", "type": "task", "config": {"action": "echo", "text": text}}]})
}

fn workflow(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/workflows", &one_step(&format!("more-{turn}"), "x")))
}

fn version(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/workflows", &one_step("changed", &format!("more {turn}"))))
}

fn schedule(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let body = json!({"id": format!("more-{turn}"), "workflow": "short", "cron": "0 0 29 2 *"});
    Some(post(scene, turn, "/schedules", &body))
}

fn snapshot(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/state/snapshots", &json!({})))
}

fn body(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let body = json!({"value": "x".repeat(KIB * KIB)});
    Some(scene.request(Method::PUT, turn, "/state/keys/beyond").json(&body))
}

fn payload(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/tasks", &json!({"name": "large", "payload": "x".repeat(256 * KIB)})))
}

fn result(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let task = scene.tasks.last()?;
    let body = json!({"token": 1, "output": "x".repeat(256 * KIB)});
    Some(post(scene, turn, &format!("/tasks/{task}/complete"), &body))
}

fn definition(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(post(scene, turn, "/runs", &json!({"definition": one_step("long", &"x".repeat(256 * KIB))})))
}

fn steps(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let steps: Vec<Value> =
        (0..1_001).map(|number| json!({"name": format!("s{number}"), "run": "echo"})).collect();
    Some(post(scene, turn, "/runs", &json!({"definition": {"name": "many", "steps": steps}})))
}

fn depth(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let text = format!("{{\"value\":{}{}}}", "[".repeat(500_000), "]".repeat(500_000));
    let request = scene.request(Method::PUT, turn, "/state/keys/beyond");
    Some(request.header("content-type", "application/json").body(text))
}

fn expression(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let step =
        json!({"name": "one", "type": "condition", "if": format!("1 < {}", "1 + ".repeat(1_024) + "1")});
    let condition = json!({"name": "two", "type": "condition", "condition": "1 < 2"});
    Some(post(scene, turn, "/runs", &json!({"definition": {"name": "long", "steps": [step, condition]}})))
}

fn key(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let path = format!("/state/keys/{}", "k".repeat(513));
    Some(scene.request(Method::PUT, turn, &path).json(&json!({"value": 1})))
}

fn reused(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    let request = scene.request(Method::PUT, turn, "/state/keys/reused").header("idempotency-key", "reused");
    Some(request.json(&json!({"value": turn})))
}

fn old_event(scene: &Scene, turn: usize) -> Option<RequestBuilder> {
    Some(scene.request(Method::GET, turn, "/events/1"))
}
