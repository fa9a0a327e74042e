//! What waits and what gave up: times, signs of life, the dead-letter list, priorities, pauses and explanations.

use std::time::Duration;

use orc_client::{Client, TaskCtx, TaskError, Worker};
use reqwest::Method;
use serde_json::{Value, json};

use crate::node::{Asked, server, shared, start, until};

pub(crate) async fn schedule(node: &Asked, task: Value) -> String {
    let made = node.post("/tasks", &task.to_string()).await.ok(201);
    made["taskId"].as_str().expect("an id").to_owned()
}

async fn task(node: &Asked, id: &str) -> Value {
    node.read(&format!("/tasks/{id}")).await.ok(200)
}

async fn waiting(node: &Asked, id: &str) -> Value {
    task(node, id).await["waitingFor"].clone()
}

/// Registers a component with one slot for one action.
pub(crate) async fn offer(node: &Asked, component: &str, action: &str) {
    let body = json!({"capabilities": [action], "slots": 1}).to_string();
    node.put(&format!("/components/{component}"), &body).await.ok(200);
}

/// The next attempt that a polling component is given.
pub(crate) async fn attempt(node: &Asked, component: &str) -> (String, u64) {
    let path = format!("/components/{component}/poll");
    let path = &path;
    let polled = until(|| async move {
        let polled = node.post(path, r#"{"wait":2000}"#).await.ok(200);
        polled["tasks"][0].is_object().then_some(polled)
    });
    let task = polled.await["tasks"][0].clone();
    (task["taskId"].as_str().expect("an id").to_owned(), task["token"].as_u64().expect("a token"))
}

pub(crate) async fn fail(node: &Asked, (id, token): &(String, u64), code: &str) -> Value {
    let body = json!({"token": token, "error": {"code": code, "message": "it broke"}}).to_string();
    node.post(&format!("/tasks/{id}/fail"), &body).await.ok(200)
}

/// A task that has used up its one attempt.
pub(crate) async fn dead(node: &Asked, component: &str, action: &str) -> String {
    let once = json!({"name": "dies", "action": action, "payload": [1], "retry": {"limit": 1}});
    let id = schedule(node, once).await;
    assert_eq!(fail(node, &attempt(node, component).await, "BROKEN").await["status"], "failed");
    id
}

#[tokio::test]
async fn a_task_does_not_start_before_a_time_or_a_duration_from_now() {
    let node = shared().await;
    let later = schedule(&node, json!({"name": "a", "action": "later", "runAt": "1h"})).await;
    let view = task(&node, &later).await;
    assert_eq!((&view["status"], &view["waitingFor"]["reason"]), (&json!("blocked"), &json!("timer")));
    assert_eq!(view["waitingFor"]["until"], view["runAt"], "{view}");
    let past = json!({"name": "b", "action": "later", "runAt": "2020-01-01T00:00:00Z"});
    assert_eq!(task(&node, &schedule(&node, past).await).await["status"], "queued");
    let soon = schedule(&node, json!({"name": "c", "action": "later", "runAt": 300})).await;
    until(|| async { (task(&node, &soon).await["status"] == "queued").then_some(()) }).await;
    let wrong = node.post("/tasks", r#"{"name":"d","runAt":"tomorrow"}"#).await;
    let problem = wrong.problem(422, "VALIDATION_FAILED");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("a duration from now")));
}

#[tokio::test]
async fn a_task_ends_when_its_total_time_is_up() {
    let node = shared().await;
    let id = schedule(&node, json!({"name": "a", "action": "never", "totalTimeout": 300})).await;
    let ended = node.read(&format!("/tasks/{id}/wait?timeout=20000")).await.ok(200);
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("timed_out"), &json!("TOTAL_TIMEOUT")));
    assert!(ended["deadAt"].is_string(), "{ended}");
    let zero = node.post("/tasks", r#"{"name":"b","totalTimeout":0}"#).await;
    assert_eq!(zero.problem(422, "VALIDATION_FAILED")["errors"][0]["pointer"], "/totalTimeout");
}

#[tokio::test]
async fn a_polling_component_that_gives_no_sign_of_life_loses_the_attempt() {
    let node = shared().await;
    offer(&node, "silent", "watched").await;
    let retry = json!({"delay": 0});
    let watched = json!({"name": "a", "action": "watched", "heartbeatTimeout": 1000, "retry": retry});
    let id = schedule(&node, watched).await;
    let (_, first) = attempt(&node, "silent").await;
    let beat = json!({ "token": first }).to_string();
    node.post(&format!("/tasks/{id}/heartbeat"), &beat).await.ok(200);
    let (_, second) = attempt(&node, "silent").await;
    assert!(second > first, "tried again");
    node.post(&format!("/tasks/{id}/heartbeat"), &beat).await.problem(409, "STALE_ATTEMPT");
    let view = task(&node, &id).await;
    let ended = &view["history"][0];
    assert_eq!((&ended["component"], &ended["token"]), (&json!("silent"), &json!(first)), "{view}");
    assert_eq!(ended["error"]["code"], "HEARTBEAT_TIMEOUT");
}

#[tokio::test]
async fn an_attempt_on_a_session_lives_as_long_as_it_says_so() {
    let node = shared().await;
    let client = Client::builder().nodes([node.base.clone()]).build().expect("a client");
    let work = |ctx: TaskCtx, lives: bool| async move {
        match lives {
            true => ctx.alive_while(tokio::time::sleep(Duration::from_millis(3_500))).await,
            false => std::future::pending().await,
        }
        Ok::<_, TaskError>(())
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::new(client).id("long-worker").slots(4).task_fn("long", work);
    let running = tokio::spawn(worker.run(async move {
        // A dropped sender stops it, too.
        let _ = stopped.await;
    }));
    let long = |lives: bool| json!({"name": "a", "action": "long", "payload": lives, "heartbeatTimeout": "1500ms", "retry": {"limit": 1}});
    let (alive, stuck) = (schedule(&node, long(true)).await, schedule(&node, long(false)).await);
    let ended = node.read(&format!("/tasks/{stuck}/wait?timeout=20000")).await.ok(200);
    assert_eq!(ended["error"]["code"], "HEARTBEAT_TIMEOUT", "{ended}");
    let ended = node.read(&format!("/tasks/{alive}/wait?timeout=20000")).await.ok(200);
    assert_eq!((&ended["status"], &ended["attempts"]), (&json!("completed"), &json!(1)), "{ended}");
    drop(stop);
    tokio::time::timeout(Duration::from_secs(20), running).await.expect("it drains").expect("no panic").ok();
}

#[tokio::test]
async fn only_the_codes_of_on_are_tried_again() {
    let node = shared().await;
    offer(&node, "picky", "picky").await;
    let task = |code: &str| json!({"name": "a", "action": "picky", "retry": {"on": [code], "delay": "1h"}});
    for (on, expected) in [("FLAKY", "retrying"), ("OTHER", "failed")] {
        schedule(&node, task(on)).await;
        let told = fail(&node, &attempt(&node, "picky").await, "FLAKY").await;
        assert_eq!(told["status"], expected, "on {on}");
    }
}

#[tokio::test]
async fn a_task_that_gave_up_is_listed_requeued_and_dropped() {
    let node = shared().await;
    offer(&node, "killer", "deadly").await;
    let first = dead(&node, "killer", "deadly").await;
    let second = dead(&node, "killer", "deadly").await;
    assert!(task(&node, &first).await["deadAt"].is_string());
    let page = node.read("/tasks/dead?action=deadly&limit=1").await.ok(200);
    assert_eq!(
        (&page["items"][0]["id"], &page["items"][0]["error"]["code"]),
        (&json!(second), &json!("BROKEN"))
    );
    let cursor = page["nextCursor"].as_str().expect("another page");
    let page = node.read(&format!("/tasks/dead?action=deadly&limit=1&cursor={cursor}")).await.ok(200);
    assert_eq!((&page["items"][0]["id"], &page["nextCursor"]), (&json!(first), &Value::Null));

    let body = json!({ "ids": [first] }).to_string();
    let requeued = node.post("/tasks/dead/requeue", &body).await.ok(200);
    assert_eq!((&requeued["tasks"][0]["requeuedFrom"], &requeued["remaining"]), (&json!(first), &json!(0)));
    let new = requeued["tasks"][0]["taskId"].as_str().expect("an id");
    let view = task(&node, new).await;
    assert_eq!((&view["requeuedFrom"], &view["payload"]), (&json!(first), &json!([1])));
    assert_eq!(
        (&task(&node, &first).await["status"], &task(&node, &first).await["deadAt"]),
        (&json!("failed"), &Value::Null)
    );
    node.post("/tasks/dead/requeue", &body).await.problem(409, "INVALID_TRANSITION");
    node.post(&format!("/tasks/{first}/retry"), "").await.problem(409, "INVALID_TRANSITION");
    node.post(&format!("/tasks/{new}/retry"), "").await.problem(409, "INVALID_TRANSITION");
    node.post("/tasks/task_00000000000000000000000000/retry", "").await.problem(404, "NOT_FOUND");
    assert_eq!(fail(&node, &attempt(&node, "killer").await, "BROKEN").await["id"], json!(new));

    let retried = node.post(&format!("/tasks/{second}/retry"), "").await;
    assert_eq!(retried.ok(201)["requeuedFrom"], json!(second));
    assert!(retried.header("location").starts_with("/api/v1/tasks/task_"));
    fail(&node, &attempt(&node, "killer").await, "BROKEN").await;
    let dropped = node.post("/tasks/dead/drop", r#"{"action":"deadly"}"#).await.ok(200);
    assert_eq!(dropped["dropped"], 2);
    assert_eq!(node.read("/tasks/dead?action=deadly").await.ok(200)["items"], json!([]));
    for body in [r#"{}"#, r#"{"all":true,"action":"deadly"}"#, r#"{"ids":[]}"#, r#"{"ids":["x"]}"#] {
        node.post("/tasks/dead/drop", body).await.problem(422, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_repeated_requeue_of_an_action_gets_the_first_answer() {
    let node = shared().await;
    offer(&node, "repeater", "repeated").await;
    let first = dead(&node, "repeater", "repeated").await;
    let (path, body) = ("/tasks/dead/requeue", r#"{"action":"repeated"}"#);
    let key = [("idempotency-key", "requeue-once")];
    let once = node.call_with(Method::POST, path, body, &key).await;
    let again = node.call_with(Method::POST, path, body, &key).await;
    assert_eq!((once.ok(200), again.header("idempotent-replayed")), (again.ok(200), "true"));
    assert_eq!(once.json()["tasks"][0]["requeuedFrom"], json!(first));
    assert_eq!(node.post(path, body).await.ok(200)["tasks"], json!([]), "none is left");
}

#[tokio::test]
async fn a_priority_changes_while_a_task_waits() {
    let node = shared().await;
    offer(&node, "chooser", "chosen").await;
    let low = schedule(&node, json!({"name": "low", "action": "chosen", "priority": "LOW"})).await;
    let normal = schedule(&node, json!({"name": "normal", "action": "chosen"})).await;
    let change = |id: &str| format!("/tasks/{id}");
    let changed = node.call(Method::PATCH, &change(&low), r#"{"priority":"URGENT"}"#).await.ok(200);
    assert_eq!(changed, json!({"id": low, "status": "queued"}));
    let (given, _) = attempt(&node, "chooser").await;
    assert_eq!((&given, &task(&node, &low).await["priority"]), (&low, &json!(5)), "it overtook {normal}");
    let running = node.call(Method::PATCH, &change(&low), r#"{"priority":1}"#).await;
    running.problem(409, "INVALID_TRANSITION");
    node.call(Method::PATCH, &change(&low), r#"{"priority":9}"#).await.problem(422, "VALIDATION_FAILED");
    node.call(Method::PATCH, &change(&low), r#"{"name":"x"}"#).await.problem(400, "BAD_REQUEST");
}

#[tokio::test]
async fn a_paused_action_is_not_assigned_until_it_is_resumed() {
    let node = shared().await;
    offer(&node, "pauser", "paused/action").await;
    node.post("/components/pauser/poll", r#"{"wait":0}"#).await.ok(200);
    let paused = node.post("/actions/paused%2Faction/pause", "").await.ok(200);
    assert_eq!(paused, json!({"action": "paused/action", "paused": true}));
    let id = schedule(&node, json!({"name": "a", "action": "paused/action"})).await;
    let reason = until(|| async {
        let waiting = waiting(&node, &id).await;
        (waiting["reason"] == "pause").then_some(waiting)
    });
    assert_eq!(reason.await["on"], json!(["paused/action"]));
    let row = |page: Value| {
        let rows = page["items"].as_array().expect("a list").clone();
        rows.into_iter().find(|row| row["action"] == "paused/action").expect("the action is listed")
    };
    let backlog = row(node.read("/tasks/backlog").await.ok(200));
    assert_eq!(
        (&backlog["queued"], &backlog["paused"], &backlog["freeSlots"]),
        (&json!(1), &json!(true), &json!(1))
    );
    assert!(backlog["oldestAgeMs"].is_u64() && backlog["oldestAt"].is_string(), "{backlog}");
    let explained = node.read(&format!("/tasks/{id}/explain")).await.ok(200);
    assert_eq!(explained["unblock"], json!(["`orc task backlog resume paused/action`"]));
    node.post("/actions/paused%2Faction/resume", "").await.ok(200);
    assert_eq!(attempt(&node, "pauser").await.0, id);
    let backlog = row(node.read("/tasks/backlog").await.ok(200));
    assert_eq!(
        (&backlog["queued"], &backlog["running"], &backlog["paused"]),
        (&json!(0), &json!(1), &json!(false))
    );
}

#[tokio::test]
async fn an_explanation_goes_to_the_root_of_what_a_task_waits_for() {
    let node = shared().await;
    let first = schedule(&node, json!({"name": "first", "action": "nobody-has-this"})).await;
    let second = schedule(&node, json!({"name": "second", "dependencies": [first]})).await;
    let third = schedule(&node, json!({"name": "third", "dependencies": [second]})).await;
    let told = node.read(&format!("/tasks/{third}/explain")).await.ok(200);
    assert_eq!((&told["status"], &told["waitingFor"]["on"]), (&json!("blocked"), &json!([second])));
    let root = &told["because"][0]["because"][0];
    assert_eq!((&root["id"], &root["waitingFor"]["reason"]), (&json!(first), &json!("component")), "{told}");
    assert_eq!(root["unblock"], json!(["start a worker that offers nobody-has-this"]));
    node.post(&format!("/tasks/{first}/cancel"), r#"{"reason":"enough"}"#).await.ok(200);
    let told = node.read(&format!("/tasks/{third}/explain")).await.ok(200);
    assert_eq!(told["error"]["code"], "DEPENDENCY_FAILED");
    assert_eq!(told["because"][0]["because"][0]["summary"], "it was cancelled: CANCELLED: enough");
}

#[tokio::test]
async fn an_explanation_of_a_run_names_the_steps_and_their_attempts() {
    let node = shared().await;
    offer(&node, "breaker", "break").await;
    let steps = json!([{"name": "Smash", "type": "task", "config": {"action": "break"}, "retry": {"limit": 2, "delay": 0}},
        {"name": "After", "type": "delay", "delay": 5}]);
    let body = json!({"definition": {"name": "explained", "steps": steps}}).to_string();
    let run = node.post("/runs", &body).await.ok(201)["runId"].as_str().expect("an id").to_owned();
    for _ in 0..2 {
        fail(&node, &attempt(&node, "breaker").await, "BROKEN").await;
    }
    node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200);
    let told = node.read(&format!("/runs/{run}/explain")).await.ok(200);
    assert_eq!(told["summary"], "it failed: BROKEN: it broke", "{told}");
    let step = &told["because"][0];
    assert_eq!(
        (&step["id"], &step["summary"]),
        (&json!("smash"), &json!("it failed after 2 attempts: BROKEN: it broke"))
    );
    let history = step["history"].as_array().expect("attempts");
    assert_eq!((history.len(), &history[1]["component"]), (2, &json!("breaker")));
    let view = node.read(&format!("/runs/{run}")).await.ok(200);
    assert_eq!(view["steps"][0]["history"], step["history"]);

    let held =
        json!({"definition": {"name": "held", "steps": [{"name": "One", "config": {"action": "nobody"}}]}});
    let run =
        node.post("/runs", &held.to_string()).await.ok(201)["runId"].as_str().expect("an id").to_owned();
    node.post(&format!("/runs/{run}/pause"), "").await.ok(200);
    let told = node.read(&format!("/runs/{run}/explain")).await.ok(200);
    assert_eq!(told["unblock"], json!([format!("`orc runs resume {run}`")]), "{told}");
    node.post(&format!("/runs/{run}/cancel"), "").await.ok(200);
    node.read("/runs/run_00000000000000000000000000/explain").await.problem(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_task_says_which_limit_holds_it_back_and_who_holds_that() {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing"]);
    let own = start(command).await;
    let node = own.ask();
    node.put("/cluster/config", r#"{"maxConcurrentTasks":1,"maxConcurrentWorkflows":1}"#).await.ok(200);
    node.put("/components/busy", r#"{"capabilities":["haul"],"labels":{"zone":"a"},"slots":1}"#)
        .await
        .ok(200);
    let first = schedule(&node, json!({"name": "a", "action": "haul"})).await;
    assert_eq!(attempt(&node, "busy").await.0, first);
    let second = schedule(&node, json!({"name": "b", "action": "haul"})).await;
    let reason_of = |id: String, reason: &'static str| {
        let node = node.clone();
        async move {
            until(|| async {
                let waiting = waiting(&node, &id).await;
                (waiting["reason"] == reason).then_some(waiting)
            })
            .await
        }
    };
    let limit = reason_of(second.clone(), "limit").await;
    assert_eq!(limit["on"], json!(["maxConcurrentTasks", first]));
    node.put("/cluster/config", r#"{"maxConcurrentTasks":9}"#).await.ok(200);
    assert_eq!(reason_of(second, "slot").await["on"], json!(["busy"]));
    let labelled = schedule(&node, json!({"name": "c", "action": "haul", "labels": {"zone": "b"}})).await;
    let labels = reason_of(labelled.clone(), "labels").await;
    assert_eq!(
        (&labels["on"], &task(&node, &labelled).await["labels"]),
        (&json!(["busy"]), &json!({"zone": "b"}))
    );

    let long = r#"{"definition":{"name":"long","steps":[{"name":"Wait","type":"delay","delay":"1h"}]}}"#;
    let active = node.post("/runs", long).await.ok(201)["runId"].clone();
    let queued = node.post("/runs", long).await.ok(201)["runId"].as_str().expect("an id").to_owned();
    until(|| async {
        let waiting = node.read(&format!("/runs/{queued}")).await.ok(200)["waitingFor"].clone();
        (waiting["on"] == json!(["maxConcurrentWorkflows", active])).then_some(())
    })
    .await;

    node.put("/cluster/config", r#"{"tasks":{"maxDeadLetters":1,"deadlockDetectionInterval":"5s"}}"#)
        .await
        .ok(200);
    for _ in 0..2 {
        let id = schedule(&node, json!({"name": "d", "action": "never", "queueTimeout": 1})).await;
        node.read(&format!("/tasks/{id}/wait?timeout=20000")).await.ok(200);
    }
    node.post("/actions/haul/pause", "").await.ok(200);
    until(|| async {
        let scheduler = node.read("/status").await.ok(200)["components"]["taskScheduler"].clone();
        let dead = (&scheduler["deadTasks"], &scheduler["deadTasksOverflowed"]) == (&json!(1), &json!(1));
        let rest = (&scheduler["pausedActions"], &scheduler["deadlocks"]) == (&json!(["haul"]), &json!([]));
        (dead && rest).then_some(())
    })
    .await;
    let events = node.read("/events?types=task.deadDropped").await.ok(200);
    assert_eq!(events["items"][0]["data"]["overflow"], true);
}
