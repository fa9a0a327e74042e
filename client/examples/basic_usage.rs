//! The quick start: is the cluster well, a workflow of three steps, a task of high priority, and what they came to.
//!
//! `cargo run -p orc-client --example basic_usage`; `ORC_ADDR` names the nodes, else it is the one on this machine.

use std::time::Duration;

use anyhow::{Result, ensure};
use orc_client::wire::StepStatus;
use orc_client::{Client, Priority, RunStatus, TaskCtx, TaskError, Worker, Workflow};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;
    let status = orc.status().await?;
    println!("System healthy: {}", status.healthy);
    ensure!(status.initialized, "the node that answered has started");

    // Components do the work. Here one lives in this very program; elsewhere they are programs of their own, as many
    // as you like, connected to any node. A step or task that names no action is an `echo`.
    let worker = Worker::new(orc.clone()).name("Quick start").slots(2).task_fn("echo", echo);
    let worker = worker.start().connected().await?;

    // A workflow starts at once and returns its id.
    let pipeline = json!({
        "name": "Data Processing Pipeline",
        "steps": [
            { "name": "Validate Data", "type": "task" },
            { "name": "Transform Data", "type": "task", "config": { "unit": "EUR" } },
            { "name": "Store Results", "type": "task" },
        ],
    });
    let run = orc.runs().start(Workflow::definition(pipeline)).send().await?;
    println!("Workflow {} runs", run.id());

    // A task needs no workflow. The more urgent of those that wait goes first.
    let analysis = orc.tasks().schedule("High Priority Analysis").priority(Priority::Urgent);
    let task = analysis.payload(json!({ "dataset": "customer_data" })).send().await?;
    println!("Task {} is scheduled", task.id());

    let status = orc.status().await?.components;
    println!("Active workflows: {}", status.workflow_manager.active_workflows);
    println!("Running tasks: {}", status.task_scheduler.running_tasks);
    println!("Connected components: {}", status.component_coordinator.connected_components);

    // Both end, wherever their components are and whoever leads the cluster by then.
    let result = run.wait().timeout(PATIENCE).await?;
    for step in result.steps() {
        println!("  {}: {} after {} ms", step.name, step.status, step.duration_ms.unwrap_or(0));
        ensure!(step.status == StepStatus::Completed, "every step completes: {step:?}");
    }
    println!("Workflow {} is {}", run.id(), result.status());
    ensure!(result.status() == &RunStatus::Completed, "so does the workflow");

    let answer: Value = task.wait().timeout(PATIENCE).await?.output()?;
    println!("Task {} gave {answer}", task.id());
    ensure!(answer["dataset"] == "customer_data", "an echo gives back what it got");

    // What is at work may end; then the component says goodbye.
    worker.stop().await?;
    Ok(())
}

/// The simplest work there is.
async fn echo(ctx: TaskCtx, given: Value) -> Result<Value, TaskError> {
    ctx.log(format!("{}: {given}", ctx.name()));
    Ok(given)
}
