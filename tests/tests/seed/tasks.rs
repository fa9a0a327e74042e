//! `scheduleTask`: payloads, priorities, dependencies.
//! Knows nothing of workflows.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use orc_client::wire::TaskView;
use orc_client::{TaskCtx, TaskError, TaskStatus};
use serde_json::{Value, json};

use crate::scene::{Gate, PATIENCE, Scene, broken, echoing, until};

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("tasks").await?;
    let _worker = broken(echoing(scene.worker("worker"))).start().connected().await?;
    keeps!(&scene;
        schedule_task_returns_an_id_and_the_payload_reaches_a_component,
        task_priorities_decide_who_goes_first,
        task_dependencies_are_waited_for_all_of_them,
        a_dependency_that_fails_fails_its_dependants,
        a_task_without_a_component_says_what_it_waits_for,
    );
    Ok(())
}

async fn ended(scene: &Scene, id: &str) -> Result<TaskView> {
    Ok(scene.orc.tasks().handle(id).wait().timeout(PATIENCE).await?.view().clone())
}

async fn schedule_task_returns_an_id_and_the_payload_reaches_a_component(scene: &Scene) -> Result<()> {
    let task =
        json!({ "name": "High Priority Analysis", "priority": 5, "payload": { "dataset": "customer_data" } });
    let task = ended(scene, &scene.schedule_task(task).await?).await?;
    ensure!(task.status == TaskStatus::Completed && task.priority.level() == 5, "{task:?}");
    let output = task.output.as_deref().map(|output| output.get());
    ensure!(output == Some(r#"{"dataset":"customer_data"}"#), "{output:?}");
    Ok(())
}

async fn task_priorities_decide_who_goes_first(scene: &Scene) -> Result<()> {
    let mut ids = Vec::new();
    // LOW, NORMAL, HIGH, CRITICAL, URGENT, by word and by number; the least urgent come first.
    for priority in [json!("LOW"), json!(1), json!("NORMAL"), json!("HIGH"), json!("CRITICAL"), json!(5)] {
        let task = json!({ "name": "Regular Maintenance", "type": "ranked", "priority": priority, "payload": priority });
        ids.push(scene.schedule_task(task).await?);
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&order);
    let worker = scene.worker("one-at-a-time").slots(1).task_fn("ranked", move |_: TaskCtx, rank: Value| {
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(rank);
        async { Ok::<_, TaskError>(()) }
    });
    let _worker = worker.start();
    for id in &ids {
        ended(scene, id).await?;
    }
    let order = order.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let expected = [json!(5), json!("CRITICAL"), json!("HIGH"), json!("NORMAL"), json!("LOW"), json!(1)];
    ensure!(order == expected, "the more urgent first, then first come first served: {order:?}");
    Ok(())
}

async fn task_dependencies_are_waited_for_all_of_them(scene: &Scene) -> Result<()> {
    let gate = Gate::closed();
    let _worker = gate.on(scene.worker("collector")).start();
    let collection = scene.schedule_task(json!({ "name": "Data Collection", "type": "gated" })).await?;
    let processing = json!({ "name": "Data Processing", "type": "echo", "dependencies": [collection] });
    let processing = scene.schedule_task(processing).await?;
    let report = json!({ "name": "Report", "type": "echo", "dependencies": [collection, processing] });
    let report = scene.schedule_task(report).await?;
    until("the collection to run", async || {
        let running = scene.orc.tasks().get(&collection).await?.status == TaskStatus::Running;
        Ok(running.then_some(()))
    })
    .await?;
    for waiting in [&processing, &report] {
        let task = scene.orc.tasks().get(waiting).await?;
        ensure!(task.status == TaskStatus::Blocked, "{task:?}");
    }
    gate.open(1);
    let [first, second, third] =
        [ended(scene, &collection).await?, ended(scene, &processing).await?, ended(scene, &report).await?];
    ensure!(
        second.started_at >= first.ended_at && third.started_at >= second.ended_at,
        "{first:?} {second:?} {third:?}"
    );
    ensure!(third.status == TaskStatus::Completed, "{third:?}");
    Ok(())
}

async fn a_dependency_that_fails_fails_its_dependants(scene: &Scene) -> Result<()> {
    let doomed = json!({ "name": "Doomed", "type": "broken", "retry": { "limit": 1 } });
    let doomed = scene.schedule_task(doomed).await?;
    let next = json!({ "name": "Next", "type": "echo", "dependencies": [doomed] });
    let task = ended(scene, &scene.schedule_task(next).await?).await?;
    ensure!(task.error.as_ref().is_some_and(|error| error.code == "DEPENDENCY_FAILED"), "{task:?}");
    Ok(())
}

async fn a_task_without_a_component_says_what_it_waits_for(scene: &Scene) -> Result<()> {
    let id = scene.schedule_task(json!({ "name": "Nobody can", "type": "unheard_of" })).await?;
    let waiting = scene.orc.tasks().get(&id).await?.waiting_for;
    ensure!(waiting.as_ref().is_some_and(|waiting| waiting.reason == "component"), "{waiting:?}");
    Ok(())
}
