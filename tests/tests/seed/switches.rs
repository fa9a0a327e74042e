//! Every `enable…` of the seed's configuration: off means off, and on again means on.
//! Knows nothing of settings that have values.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use orc_client::wire::{ComponentStatus, RunStatus};
use orc_client::{TaskCtx, TaskError, Worker};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, broken, echoing, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_is_off() -> Result<()> {
    let mut scene = Scene::start("switches").await?;
    scene.cluster.start_worker("stopped", 1)?;
    let _worker = broken(echoing(scene.worker("worker"))).start().connected().await?;
    keeps!(&scene;
        enable_error_recovery_off_tries_nothing_again,
        enable_retry_off_tries_no_step_again,
        enable_parallel_execution_off_runs_one_step_at_a_time,
        enable_message_queue_off_takes_no_durable_messages,
        enable_priority_scheduling_off_is_first_come_first_served,
        enable_dependency_resolution_off_refuses_dependencies,
        enable_versioning_off_keeps_the_newest_only,
        enable_heartbeat_off_keeps_a_silent_component,
        get_status_names_what_is_off,
    );
    Ok(())
}

/// How many attempts a task and a step have that always fail.
async fn attempts(scene: &Scene) -> Result<(u32, u32)> {
    let retry = json!({ "limit": 2, "delay": 10 });
    let id = scene.schedule_task(json!({ "name": "Doomed", "type": "broken", "retry": retry })).await?;
    let task = scene.orc.tasks().handle(id).wait().timeout(PATIENCE).await?;
    let step = json!({ "name": "Break", "action": "broken", "retry": retry });
    let run = scene.create_workflow(json!({ "name": "Doomed", "steps": [step] })).await?;
    Ok((task.view().attempts, scene.ended(&run).await?.steps[0].attempts))
}

async fn enable_error_recovery_off_tries_nothing_again(scene: &Scene) -> Result<()> {
    let off = async {
        ensure!(attempts(scene).await? == (1, 1), "neither is tried again");
        Ok(())
    };
    scene.with_config(json!({ "enableErrorRecovery": false }), off).await?;
    ensure!(attempts(scene).await? == (2, 2), "switched on, both are");
    Ok(())
}

async fn enable_retry_off_tries_no_step_again(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "workflow": { "enableRetry": false } }), async {
            ensure!(attempts(scene).await? == (2, 1), "tasks of their own are, steps are not");
            Ok(())
        })
        .await
}

/// The most steps of a run that were at work at once.
async fn at_once(scene: &Scene) -> Result<usize> {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let both = Arc::new(tokio::sync::Semaphore::new(0));
    let worker = scene.worker("wide").task_fn("counted", move |_: TaskCtx, _: Value| {
        let (now, most, both) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&both));
        async move {
            let count = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(count, Ordering::SeqCst);
            if count == 2 {
                both.add_permits(2);
            }
            // Whoever is alone waits a little for company, and goes on without.
            let company = tokio::time::timeout(Duration::from_millis(300), both.acquire()).await;
            drop(company);
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, TaskError>(())
        }
    });
    let worker = worker.start().connected().await?;
    let steps = json!([{ "id": "a", "action": "counted" }, { "id": "b", "action": "counted" }]);
    let run = scene
        .create_workflow(json!({ "name": "Wide", "steps": [{ "id": "both", "parallel": steps }] }))
        .await?;
    ensure!(scene.ended(&run).await?.status == RunStatus::Completed, "it completes");
    worker.stop().await?;
    Ok(seen.load(Ordering::SeqCst))
}

async fn enable_parallel_execution_off_runs_one_step_at_a_time(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "workflow": { "enableParallelExecution": false } }), async {
            ensure!(at_once(scene).await? == 1, "one after the other");
            Ok(())
        })
        .await?;
    ensure!(at_once(scene).await? == 2, "switched on, both at once");
    Ok(())
}

async fn enable_message_queue_off_takes_no_durable_messages(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "components": { "enableMessageQueue": false } }), async {
            let note = json!({ "type": "note", "durable": true });
            let (status, answer) = scene.post("/components/worker/messages", note).await?;
            ensure!(
                status == 409
                    && answer["hint"].as_str().is_some_and(|hint| hint.contains("enableMessageQueue")),
                "{answer}"
            );
            let (status, answer) =
                scene.post("/components/worker/messages", json!({ "type": "ping", "payload": 1 })).await?;
            ensure!(status == 200 && answer["payload"] == 1, "questions are answered all the same: {answer}");
            Ok(())
        })
        .await
}

/// Schedules tasks of growing priority and lets one slot work on them; the order in which they had their turn.
async fn order_of(scene: &Scene, action: &str) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    for priority in 1..=3 {
        let task = json!({ "name": "Ranked", "type": action, "priority": priority, "payload": priority });
        ids.push(scene.schedule_task(task).await?);
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let note = move |_: TaskCtx, rank: u64| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(rank);
        async { Ok::<_, TaskError>(()) }
    };
    let _worker = Worker::new(scene.orc.clone()).slots(1).task_fn(action, note).start();
    for id in ids {
        scene.orc.tasks().handle(id).wait().timeout(PATIENCE).await?;
    }
    let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(order)
}

async fn enable_priority_scheduling_off_is_first_come_first_served(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "tasks": { "enablePriorityScheduling": false } }), async {
            let order = order_of(scene, "ranked-off").await?;
            ensure!(order == [1, 2, 3], "{order:?}");
            Ok(())
        })
        .await?;
    let order = order_of(scene, "ranked-on").await?;
    ensure!(order == [3, 2, 1], "switched on, the most urgent first: {order:?}");
    Ok(())
}

async fn enable_dependency_resolution_off_refuses_dependencies(scene: &Scene) -> Result<()> {
    let first = scene.schedule_task(json!({ "name": "First", "type": "echo" })).await?;
    let second = json!({ "name": "Second", "type": "echo", "dependencies": [first] });
    scene
        .with_config(json!({ "tasks": { "enableDependencyResolution": false } }), async {
            let (status, answer) = scene.post("/tasks", second.clone()).await?;
            let names_it = |text: &str| text.contains("enableDependencyResolution");
            ensure!(status == 409 && answer["hint"].as_str().is_some_and(names_it), "{status} {answer}");
            Ok(())
        })
        .await?;
    scene.schedule_task(second).await?;
    Ok(())
}

async fn enable_versioning_off_keeps_the_newest_only(scene: &Scene) -> Result<()> {
    let written = async || {
        for number in 1..=3 {
            scene.orc.state().set("versioned", number).await?;
        }
        anyhow::Ok(scene.orc.state().versions("versioned").await?.len())
    };
    scene
        .with_config(json!({ "state": { "enableVersioning": false } }), async {
            ensure!(written().await? == 1, "one version, the newest");
            Ok(())
        })
        .await?;
    ensure!(written().await? > 1, "switched on, more of them");
    Ok(())
}

async fn enable_heartbeat_off_keeps_a_silent_component(scene: &Scene) -> Result<()> {
    let stopped = scene.cluster.worker("stopped")?;
    let is_connected = async || {
        anyhow::Ok(scene.orc.components().get("stopped").await?.status == ComponentStatus::Connected)
    };
    // The interval holds for sessions that begin with it.
    let often = json!({ "components": { "heartbeatInterval": 100, "enableHeartbeat": false } });
    scene
        .with_config(often, async {
            until("the worker", async || Ok(is_connected().await?.then_some(()))).await?;
            stopped.signal("STOP")?;
            // Ten intervals by the cluster's own clock.
            let second = json!({ "name": "A second", "steps": [{ "name": "Wait", "delay": 1000 }] });
            scene.ended(&scene.create_workflow(second).await?).await?;
            ensure!(is_connected().await?, "silence ends no session");
            scene.orc.cluster().set_config(&json!({ "components": { "enableHeartbeat": true } })).await?;
            until("a silent session to end", async || Ok((!is_connected().await?).then_some(()))).await
        })
        .await?;
    stopped.signal("CONT")
}

async fn get_status_names_what_is_off(scene: &Scene) -> Result<()> {
    let off = json!({
        "enableErrorRecovery": false, "enableMonitoring": false,
        "workflow": { "enableParallelExecution": false, "enableRetry": false },
        "components": { "enableHeartbeat": false, "enableMessageQueue": false },
        "tasks": { "enablePriorityScheduling": false, "enableDependencyResolution": false },
        "state": { "enableVersioning": false, "enableBackup": false }
    });
    scene
        .with_config(off, async {
            let mut named = scene.orc.status().await?.disabled;
            named.sort();
            let expected = [
                "components.enableHeartbeat",
                "components.enableMessageQueue",
                "enableErrorRecovery",
                "enableMonitoring",
                "state.enableBackup",
                "state.enableVersioning",
                "tasks.enableDependencyResolution",
                "tasks.enablePriorityScheduling",
                "workflow.enableParallelExecution",
                "workflow.enableRetry",
            ];
            ensure!(named == expected, "{named:?}");
            Ok(())
        })
        .await
}
