//! Clients that start runs and tasks, each start under a key of its own, called several times through several nodes, and again
//! where nobody can say what became of it. Knows nothing of who does the work.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use futures::future::try_join_all;
use orc_check::{
    automaton::{Plans, StepPlan},
    history::{Answer, Call, Outcome, Started},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::{
    asker::{Asker, outcome},
    scene::Scene,
    workers,
};
use crate::load::three_echo_steps;

const PAUSE: Duration = Duration::from_millis(50);
const BEFORE_AGAIN: Duration = Duration::from_millis(100);
/// Calls of one start after those that nobody answered.
const AGAIN_MAX: u32 = 10;
/// Attempts that may fail, and attempts that may be lost: more than ever are.
const ATTEMPTS_MAX: u64 = 100;
const WORKFLOW: &str = "two judged steps";

/// What is started.
#[derive(Clone, Copy)]
enum Work {
    /// A run of three steps that workers do well.
    Echo,
    /// A run of two steps for those who do not.
    Judged,
    /// A task of its own for them.
    Task,
}

impl Work {
    fn started(self) -> Started {
        match self {
            Work::Echo | Work::Judged => Started::Run,
            Work::Task => Started::Task,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Work::Echo | Work::Judged => "/runs",
            Work::Task => "/tasks",
        }
    }

    fn body(self, key: &str) -> Value {
        match self {
            Work::Echo => json!({"definition": three_echo_steps(), "labels": {"key": key}}),
            Work::Judged => json!({"definition": two_judged_steps(), "labels": {"key": key}}),
            Work::Task => json!({
                "name": key, "action": workers::ACTION, "timeout": workers::ATTEMPT_MS, "retry": retry(),
            }),
        }
    }
}

fn retry() -> Value {
    json!({"limit": ATTEMPTS_MAX, "delay": 50, "backoff": 1, "jitter": false, "maxLost": ATTEMPTS_MAX})
}

fn two_judged_steps() -> Value {
    let step = |name: &str| {
        let config = json!({"action": workers::ACTION});
        json!({"name": name, "type": "task", "config": config, "timeout": workers::ATTEMPT_MS, "retry": retry()})
    };
    json!({"name": WORKFLOW, "steps": [step("one"), step("two")]})
}

/// What no event tells of the steps.
pub fn plans() -> Plans {
    let step = |needs: &[&str]| StepPlan {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        attempts_max: Some(ATTEMPTS_MAX),
        lost_max: Some(ATTEMPTS_MAX),
    };
    let steps = [("one".to_owned(), step(&[])), ("two".to_owned(), step(&["one"]))];
    [(WORKFLOW.to_owned(), steps.into())].into()
}

/// Starts one after another until the load ends.
pub async fn work(scene: Arc<Scene>, name: String, mut rng: Rng) -> Result<()> {
    let askers: Vec<Asker> = (0..3).map(|_| Asker::new()).collect::<Result<_>>()?;
    let (mut number, mut op) = (0u64, 0);
    while scene.goes_on().await {
        number += 1;
        let key = format!("{name}-{number}");
        let work = [Work::Echo, Work::Judged, Work::Task][rng.usize(..3)];
        let places: Vec<usize> =
            (0..rng.usize(1..=askers.len())).map(|_| rng.usize(..scene.urls.len())).collect();
        op += 1;
        let calls = askers.iter().zip(places).enumerate();
        let calls = calls.map(|(caller, (asker, place))| {
            start(&scene, asker, (format!("{name}.{caller}"), op), (place, work, &key))
        });
        let mut outcomes = try_join_all(calls).await?;
        // Whoever cannot know whether there is a run calls again with the same key.
        for _ in 0..AGAIN_MAX {
            if outcomes.iter().all(|outcome| *outcome != Outcome::Unknown) {
                break;
            }
            sleep(BEFORE_AGAIN).await;
            op += 1;
            let place = rng.usize(..scene.urls.len());
            let again = start(&scene, &askers[0], (format!("{name}.0"), op), (place, work, &key));
            outcomes = vec![again.await?];
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn start(
    scene: &Scene,
    asker: &Asker,
    (process, op): (String, u64),
    (place, work, key): (usize, Work, &str),
) -> Result<Outcome> {
    let request = asker.request(Method::POST, &scene.urls[place], work.path());
    let request = request.header("idempotency-key", key).json(&work.body(key));
    let answer = |answer: Answer, body: &Value| {
        let id = [&body["runId"], &body["taskId"]].into_iter().find_map(Value::as_str);
        Answer { id: id.map(str::to_owned), ..answer }
    };
    let call = Call::Start { what: work.started(), idempotency_key: key.to_owned() };
    scene.recorded((&process, op), (&Scene::node(place), call), outcome(request, false, answer)).await
}
