//! How well it goes: how long workflows take to be created, components to answer and errors to be recovered from; and
//! what the system tells of itself: its status, its backlog, its metrics.
//!
//! `cargo run -p orc-client --example performance_monitoring`; `ORC_ADDR` names the nodes, else it is the one on this
//! machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use orc_client::wire::{Millis, Retry};
use orc_client::{Client, TaskCtx, TaskError, Worker, Workflow};
use serde_json::{Value, json};

const COMPONENT: &str = "example-measured";
const SAMPLES: usize = 50;
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;
    let worker = Worker::new(orc.clone())
        .id(COMPONENT)
        .slots(16)
        .task_fn("example.work", |_: TaskCtx, _: Value| async { Ok("done") })
        .task_fn("example.unlucky", |ctx: TaskCtx, _: Value| async move {
            // Every first attempt fails, so that there is something to recover from.
            if ctx.attempt() == 1 { Err(TaskError::new("BAD_LUCK", "not this time")) } else { Ok("done") }
        })
        .on_message("ask", |question: Value| async move { Ok(question) })
        .start()
        .connected()
        .await?;

    let (created, runs) = workflow_creation(&orc).await?;
    println!("Workflow creation:       {}", created.text());
    ensure!(created.at(1.0) < Duration::from_secs(5), "a workflow is created within 5 s");
    for run in runs {
        orc.runs().handle(run).wait().timeout(PATIENCE).await?.output::<Value>()?;
    }
    let answered = component_latency(&orc).await?;
    println!("Component communication: {}", answered.text());
    ensure!(answered.at(0.9) < Duration::from_millis(100), "components answer within 100 ms");
    let recovered = recoveries(&orc).await?;
    println!("Error recovery:          {recovered} of {SAMPLES}");
    ensure!(recovered * 100 > SAMPLES * 95, "more than 95 % of all errors are recovered from");

    // What the cluster tells of itself. The status is the same on every node, the metrics are those of one.
    let status = orc.status().await?;
    println!("Healthy: {}, up for {} ms", status.healthy, status.uptime);
    println!("Queued tasks: {}", status.components.task_scheduler.queued_tasks);
    ensure!(status.components.component_coordinator.connected_components >= 1, "we are connected");
    for action in orc.tasks().backlog().await?.items {
        println!("  {}: {} wait, {} run", action.action, action.queued, action.running);
    }
    let metrics = orc.metrics().await?;
    for name in
        ["orc_workflow_runs_active", "orc_tasks_running", "orc_components_connected", "orc_events_last_seq"]
    {
        println!("  {name} {}", metric(&metrics, name)?);
    }
    ensure!(metric(&metrics, "orc_components_connected")? >= 1.0, "the metrics say so, too");

    worker.stop().await?;
    orc.components().deregister(COMPONENT).await?;
    Ok(())
}

async fn workflow_creation(orc: &Client) -> Result<(Latencies, Vec<String>)> {
    let (mut took, mut runs) = (Latencies::default(), Vec::new());
    let work =
        json!({ "name": "Example: measured", "steps": [{ "name": "Work", "action": "example.work" }] });
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        let run = orc.runs().start(Workflow::definition(&work)).send().await?;
        took.0.push(begun.elapsed());
        runs.push(run.id().to_owned());
    }
    Ok((took, runs))
}

async fn component_latency(orc: &Client) -> Result<Latencies> {
    let mut took = Latencies::default();
    for number in 0..SAMPLES {
        let begun = Instant::now();
        let answer = orc.components().send(COMPONENT, "ask", number).timeout(PATIENCE).await?;
        took.0.push(begun.elapsed());
        ensure!(answer == json!(number), "each answer belongs to its question");
    }
    Ok(took)
}

/// How many of the tasks whose first attempt fails complete all the same.
async fn recoveries(orc: &Client) -> Result<usize> {
    let unlucky = |number: usize| async move {
        let retry = Retry { limit: Some(3), delay: Some(Millis(10)), ..Retry::default() };
        let task = orc.tasks().schedule(format!("Unlucky {number}")).action("example.unlucky").retry(retry);
        let ended = task.send().await?.wait().timeout(PATIENCE).await?;
        Ok::<bool, orc_client::Error>(ended.output::<String>().is_ok() && ended.view().attempts == 2)
    };
    let mut tasks = stream::iter((0..SAMPLES).map(unlucky)).buffer_unordered(16);
    let mut recovered = 0;
    while let Some(task) = tasks.next().await {
        recovered += usize::from(task?);
    }
    Ok(recovered)
}

#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    /// So much of all took no longer than this.
    fn at(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get((part * last as f64) as usize).copied().unwrap_or_default()
    }

    fn text(&self) -> String {
        format!("half within {:?}, nine in ten {:?}, all {:?}", self.at(0.5), self.at(0.9), self.at(1.0))
    }
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("there is a metric {name}"))?.trim().parse()?)
}
