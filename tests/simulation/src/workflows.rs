//! Workflows that simulated clients start: every kind of step whose outcome a fault could spoil.
//! Knows nothing of who does the steps.

use fastrand::Rng;
use serde_json::{Value, json};

/// Any of them.
pub fn any(rng: &mut Rng) -> Value {
    match rng.u32(..6) {
        0 => json!({"name": "chain", "steps": [task("one"), task("two"), task("three")]}),
        1 => json!({"name": "graph", "steps": [
            task("root"),
            needs(task("left"), &["root"]),
            needs(task("right"), &["root"]),
            needs(task("join"), &["left", "right"]),
        ]}),
        2 => {
            let wait = rng.u64(50..3000);
            let timed = |id: &str| {
                let mut step = task(id);
                step["config"]["wait"] = json!(wait);
                step
            };
            let pause = json!({"id": "pause", "wait": format!("{wait}ms")});
            json!({"name": "timers", "steps": [timed("before"), pause, timed("after")]})
        }
        3 => {
            json!({"name": "decision", "inputs": {"score": {"type": "number", "default": rng.f64()}}, "steps": [
                {"id": "check", "condition": "inputs.score > 0.5", "onFalse": {"goto": "report"}},
                task("deploy"),
                {"id": "report", "state": {"set": {"models.last": "${{ inputs.score }}"}}},
            ]})
        }
        4 => {
            json!({"name": "group", "concurrency": {"group": "one", "limit": 1, "onConflict": "queue"}, "steps": [
                task("alone"),
            ]})
        }
        _ => json!({"name": "each", "steps": [
            {"id": "all", "foreach": {"items": "[1, 2, 3, 4, 5]", "as": "item", "maxParallel": 2}, "action": "work",
             "with": {"item": "${{ item }}"}, "timeout": "5s", "retry": {"limit": 50, "delay": "200ms", "maxLost": 50}},
        ]}),
    }
}

fn task(id: &str) -> Value {
    json!({"id": id, "action": "work", "config": {"say": id}, "timeout": "5s",
           "retry": {"limit": 50, "delay": "200ms", "backoff": 1, "maxLost": 50}})
}

fn needs(mut step: Value, others: &[&str]) -> Value {
    step["needs"] = json!(others);
    step
}
