//! `OrchestratorFactory.development`, `.production` and `.testing`, each as a node of its own.
//! Knows nothing of what single settings do.

use anyhow::{Result, ensure};
use orc_tests::{Cluster, Options};
use serde_json::{Value, json};

/// A node of a preset, with the change that the seed's listing makes; its settings.
async fn settings(preset: &str, change: &str) -> Result<Value> {
    let arguments = ["--preset", preset, "--set", change].map(str::to_owned).to_vec();
    let cluster =
        Cluster::start(&format!("seed-{preset}"), 1, Options { arguments, ..Options::default() }).await?;
    Ok(cluster.client()?.cluster().config().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn orchestrator_factory_development() -> Result<()> {
    let config = settings("development", "cluster.maxConcurrentWorkflows=5").await?;
    ensure!(config["maxConcurrentWorkflows"] == 5, "the change of the listing: {config}");
    ensure!(config["healthCheckInterval"] == 60_000 && config["enableErrorRecovery"] == false, "{config}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orchestrator_factory_production() -> Result<()> {
    let config = settings("production", "cluster.enableMonitoring=true").await?;
    ensure!(config["maxConcurrentWorkflows"] == 50 && config["maxConcurrentTasks"] == 200, "{config}");
    ensure!(config["healthCheckInterval"] == 15_000, "{config}");
    ensure!(
        config["state"]["enableBackup"] == true && config["state"]["enablePersistence"] == true,
        "{config}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orchestrator_factory_testing() -> Result<()> {
    let config = settings("testing", "cluster.enableErrorRecovery=true").await?;
    let limits = (&config["maxConcurrentWorkflows"], &config["maxConcurrentTasks"]);
    ensure!(limits == (&json!(5), &json!(10)), "{config}");
    Ok(())
}
