//! `healthCheckInterval`, `healthCheckPassed`, `healthCheckFailed` and `enableMonitoring`.
//! Knows nothing of what each check measures.

use std::cell::Cell;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::scene::{Scene, call, http, told, until};

#[tokio::test(flavor = "multi_thread")]
async fn health_is_checked_as_the_seed_says() -> Result<()> {
    let mut scene = Scene::start("health").await?;
    scene.orc.cluster().set_config(&json!({ "healthCheckInterval": 200 })).await?;
    keeps!(&mut scene;
        on_health_check_passed_is_told_by_every_node_each_interval,
        on_health_check_failed_tells_what_is_unhealthy_until_it_is_well,
        enable_monitoring_off_checks_measures_and_tells_nothing,
    );
    Ok(())
}

async fn on_health_check_passed_is_told_by_every_node_each_interval(scene: &mut Scene) -> Result<()> {
    for node in ["node-1", "node-2", "node-3"] {
        let times = Cell::new(0);
        // The third of a node: two intervals after its first.
        let is_third = |data: &Value| {
            times.set(times.get() + u32::from(data["node"] == node));
            times.get() == 3
        };
        let passed = told(scene.orc.events().types(["health.checkPassed"]), is_third).await?;
        ensure!(passed["unhealthyComponents"] == json!([]), "{passed}");
    }
    Ok(())
}

async fn on_health_check_failed_tells_what_is_unhealthy_until_it_is_well(scene: &mut Scene) -> Result<()> {
    let leader = scene.cluster.leader().await?;
    let killed = leader % 3 + 1;
    scene.cluster.kill_node(killed)?;
    let of_leader = |data: &Value| data["node"] == format!("node-{leader}");
    let failed = told(scene.orc.events().types(["health.checkFailed"]), of_leader).await?;
    let unhealthy = failed["unhealthyComponents"].as_array().cloned().unwrap_or_default();
    ensure!(unhealthy.contains(&json!("nodes")), "a node is silent: {failed}");
    scene.cluster.start_node(killed)?;
    scene.cluster.ready(killed).await?;
    until("the leader to be well again", async || {
        let (_, status) = call(&scene.cluster.url(leader), "GET", "/status", None).await?;
        Ok((status["healthy"] == true).then_some(()))
    })
    .await
}

async fn enable_monitoring_off_checks_measures_and_tells_nothing(scene: &mut Scene) -> Result<()> {
    let scene = &*scene;
    scene
        .with_config(json!({ "enableMonitoring": false }), async {
            let since = scene.orc.events().last_seq().await?;
            // Five intervals by the cluster's own clock.
            let second = json!({ "name": "A second", "steps": [{ "name": "Wait", "delay": 1000 }] });
            scene.ended(&scene.create_workflow(second).await?).await?;
            let told = scene.orc.events().types(["health.*"]).since(since).list(10).await?.items;
            ensure!(told.is_empty(), "nothing is told: {told:?}");
            let (status, _) = http(&scene.cluster.url(1), "GET", "/metrics", None).await?;
            ensure!(status == 404, "there are no metrics: {status}");
            Ok(())
        })
        .await?;
    let (status, _) = http(&scene.cluster.url(1), "GET", "/metrics", None).await?;
    ensure!(status == 200, "switched on, there are: {status}");
    Ok(())
}
