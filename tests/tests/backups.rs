//! A backup of a real cluster under load, taken from a follower, becomes another cluster that goes on with the work.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use orc_client::{Client, RunHandle, Workflow, wire::RunsQuery};
use orc_tests::{
    Cluster, Load, Options, Process, binary, counted_once, equal_hashes, every_run_completed,
    three_echo_steps,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

fn orc(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary()?);
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("ORC_")) {
        command.env_remove(variable);
    }
    Ok(command.args(arguments).output()?)
}

fn document(arguments: &[&str]) -> Result<Value> {
    let output = orc(arguments)?;
    ensure!(
        output.status.success(),
        "orc {arguments:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn worker(cluster: &Cluster, name: &str, action: &str, node: u64) -> Result<Process> {
    let url = cluster.url(node);
    let arguments = ["worker", "--allow", action, "--name", name, "--slots", "32", "--addr", &url];
    Process::start(cluster.folder(), name, &arguments.map(str::to_owned))
}

/// A run of which a component works on the only step, for some seconds.
async fn under_way(client: &Client) -> Result<RunHandle> {
    let nap = json!({"name": "nap", "steps": [{"name": "nap", "action": "sleep", "config": {"ms": 6000}}]});
    let run = client.runs().start(Workflow::definition(nap)).send().await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while run.get().await?.steps[0].component.as_deref() != Some("far") {
        ensure!(Instant::now() < deadline, "it was not assigned");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(run)
}

/// The ids of all runs of a workflow.
async fn runs_of(client: &Client, workflow: &str) -> Result<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let workflow = Some(workflow.to_owned());
        let query = RunsQuery { workflow, limit: Some(500), cursor, ..RunsQuery::default() };
        let page = client.runs().list(&query).await?;
        ids.extend(page.items.into_iter().map(|run| run.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(ids);
        }
    }
}

/// Damages one bit in the middle of a copy.
fn with_a_flipped_bit(file: &Path) -> Result<std::path::PathBuf> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = file.with_extension("flipped");
    std::fs::write(&damaged, bytes)?;
    Ok(damaged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_follower_under_load_becomes_a_cluster_that_goes_on() -> Result<()> {
    let mut new = Cluster::launch("restored", 0, Options::default())?;
    let file = new.folder().join("orc.backup");
    let path = |path: &Path| path.to_string_lossy().into_owned();

    let old = Cluster::start("backed-up", 3, Options::default()).await?;
    let client = old.client()?;
    client.cluster().set_config(&json!({"maxConcurrentWorkflows": 2000, "maxConcurrentTasks": 4000})).await?;
    let near = worker(&old, "near", "echo", 1)?;
    let far = worker(&old, "far", "sleep", 3)?;
    let load = Load::start(client.clone(), 50, three_echo_steps());
    let nap = under_way(&client).await?;
    let follower = if old.leader().await? == 2 { 3 } else { 2 };
    let written = document(&["--addr", &old.url(follower), "cluster", "backup", &path(&file), "-o", "json"])?;
    sleep(Duration::from_secs(1)).await;
    let report = load.finish().await?;
    ensure!(report.failed.is_empty(), "{:#?}", report.failed);
    every_run_completed(&client, &report.accepted, Duration::from_secs(60)).await?;
    equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    let old_status = client.cluster().status().await?;
    drop((old, near, far));

    let data = new.data(1);
    let damaged =
        orc(&["cluster", "restore", &path(&with_a_flipped_bit(&file)?), "--data-dir", &path(&data)])?;
    ensure!(damaged.status.code() == Some(74) && !data.exists(), "a flipped bit: {damaged:?}");
    let made = document(&["cluster", "restore", &path(&file), "--data-dir", &path(&data), "-o", "json"])?;
    ensure!(
        written["clusterId"] == old_status.cluster_id && made["clusterId"] == old_status.cluster_id,
        "it says what it was made of: {written} {made}"
    );
    ensure!(
        (&made["rev"], &made["stateHash"]) == (&written["rev"], &written["stateHash"]),
        "it is what was written: {written} {made}"
    );

    let id = new.add_member()?;
    new.start_node(id)?;
    new.ready(id).await?;
    let client = new.client()?;
    let status = client.cluster().status().await?;
    ensure!(json!(status.cluster_id) == made["newClusterId"], "{status:#?} is another cluster than {made}");
    let runs = runs_of(&client, "three steps").await?;
    ensure!(!runs.is_empty() && runs.len() < report.accepted.len(), "{} runs are in it", runs.len());
    new.start_worker("new", 32)?;
    every_run_completed(&client, &runs, Duration::from_secs(60)).await?;
    counted_once(&client, &runs, 3).await.context("the results of before and after count once")?;
    // Who worked on it is not here: the attempt is lost once its grace is over, and another one follows.
    let result = client.runs().handle(nap.id().to_owned()).wait().timeout(Duration::from_secs(60)).await?;
    ensure!(result.steps()[0].attempts == 2, "{:?}", result.steps());

    for _ in 0..2 {
        let id = new.add_member()?;
        new.start_node(id)?;
        new.ready(id).await?;
    }
    new.voters(3).await?;
    ensure!(new.process(3)?.output().contains("a snapshot arrives"), "who joins gets all of it");
    let (client, leader) = (new.client()?, new.leader().await?);
    new.start_worker("newer", 32)?;
    new.kill_node(leader)?;
    let next = client.runs().start(Workflow::definition(three_echo_steps())).send().await?;
    every_run_completed(&client, &[next.id().to_owned()], Duration::from_secs(60)).await?;
    new.start_node(leader)?;
    new.ready(leader).await?;
    equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    Ok(())
}
