//! The quick start as a whole, `initialize`, `getStatus`, `shutdown`, and what monitoring systems read.
//! Knows nothing of health checks.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scene::{Gate, PATIENCE, Scene, call, echoing, http, until};
use crate::workflows::data_processing;

#[tokio::test(flavor = "multi_thread")]
async fn the_system_is_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("system").await?;
    keeps!(&scene;
        initialize_ends_with_every_node_ready_and_healthy,
        the_quick_start_runs_as_written,
        get_status_has_the_seeds_fields_and_counts,
        monitoring_systems_read_the_metrics_of_every_node,
    );
    Ok(())
}

async fn initialize_ends_with_every_node_ready_and_healthy(scene: &Scene) -> Result<()> {
    for id in 1..=3 {
        let url = scene.cluster.url(id);
        ensure!(http(&url, "GET", "/readyz", None).await?.0 == 200, "node {id} is ready");
        let status = call(&url, "GET", "/status", None).await?.1;
        ensure!(status["initialized"] == true && status["healthy"] == true, "node {id}: {status}");
    }
    Ok(())
}

async fn the_quick_start_runs_as_written(scene: &Scene) -> Result<()> {
    let limits = json!({ "maxConcurrentWorkflows": 10, "maxConcurrentTasks": 50,
                         "enableMonitoring": true, "enableErrorRecovery": true });
    scene.orc.cluster().set_config(&limits).await?;
    let worker = echoing(scene.worker("quick")).start();
    let workflow = scene.create_workflow(data_processing()).await?;
    let task =
        json!({ "name": "High Priority Analysis", "priority": 5, "payload": { "dataset": "customer_data" } });
    let task = scene.schedule_task(task).await?;
    let status = scene.get("/status").await?;
    ensure!(status["healthy"] == true, "{status}");
    ensure!(status["components"]["workflowManager"]["activeWorkflows"].is_u64(), "{status}");
    scene.orc.runs().handle(workflow).wait().timeout(PATIENCE).await?.output::<Value>()?;
    scene.orc.tasks().handle(task).wait().timeout(PATIENCE).await?.output::<Value>()?;
    Ok(worker.stop().await?)
}

async fn get_status_has_the_seeds_fields_and_counts(scene: &Scene) -> Result<()> {
    let gate = Gate::closed();
    let worker = gate.on(scene.worker("counted")).start().connected().await?;
    let run = json!({ "name": "Counted", "steps": [{ "name": "Long", "action": "gated" }] });
    let run = scene.create_workflow(run).await?;
    let status = until("the task to run", async || {
        let status = scene.get("/status").await?;
        let running = &status["components"]["taskScheduler"]["runningTasks"];
        Ok((running == 1).then_some(status))
    })
    .await?;
    let components = &status["components"];
    ensure!(components["workflowManager"]["activeWorkflows"] == 1, "{status}");
    ensure!(components["componentCoordinator"]["connectedComponents"] == 1, "{status}");
    ensure!(components["stateManager"].is_object(), "{status}");
    ensure!(status["uptime"].as_u64().is_some_and(|ms| ms > 0), "{status}");
    gate.open(1);
    scene.ended(&run).await?;
    Ok(worker.stop().await?)
}

async fn monitoring_systems_read_the_metrics_of_every_node(scene: &Scene) -> Result<()> {
    for id in 1..=3 {
        let (status, text) = http(&scene.cluster.url(id), "GET", "/metrics", None).await?;
        ensure!(status == 200, "{status}");
        for name in
            ["orc_workflow_runs_active", "orc_tasks_running", "orc_components_connected", "orc_raft_term"]
        {
            let described = text.contains(&format!("# TYPE {name} gauge"));
            ensure!(described, "{name} is among the metrics of node {id}");
        }
    }
    Ok(())
}

/// Not only an orderly end: what was acknowledged is there, others lead, and the node comes back.
#[tokio::test(flavor = "multi_thread")]
async fn shutdown_hands_over_and_ends_with_0() -> Result<()> {
    let mut scene = Scene::start("shutdown").await?;
    scene.orc.state().set("before", 1).await?;
    let leader = scene.cluster.leader().await?;
    scene.cluster.process(leader)?.signal("TERM")?;
    let status = scene.cluster.process(leader)?.ended(PATIENCE).await?;
    ensure!(status.code() == Some(0), "it ended with {status}");
    let begun = Instant::now();
    scene.orc.state().set("after", 2).await?;
    ensure!(begun.elapsed() < Duration::from_secs(10), "another one leads");
    ensure!(scene.cluster.leader().await? != leader, "not the one that has ended");
    scene.cluster.start_node(leader)?;
    scene.cluster.ready(leader).await?;
    for (key, value) in [("before", "1"), ("after", "2")] {
        let entry =
            scene.cluster.client_of(leader)?.state().get(key).await?.context("it was acknowledged")?;
        ensure!(entry.value.get() == value, "{entry:?}");
    }
    Ok(())
}
