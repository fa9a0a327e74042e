//! A workflow that decides: a model is trained on shards prepared side by side, measured, approved by somebody and
//! deployed; a model that is not good enough stops at the condition, and a deployment that nobody wants is undone.
//!
//! `cargo run -p orc-client --example advanced_workflow`; `ORC_ADDR` names the nodes, else it is the one on this machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use orc_client::wire::{Decide, StepStatus};
use orc_client::{Client, RunHandle, RunResult, RunStatus, TaskCtx, TaskError, Worker, Workflow};
use serde_json::{Value, json};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Steps run one after another. `foreach` fans one out, a bare name in a condition means the nearest output before it,
/// and what completed is undone by its `compensate` when the run fails later.
fn definition() -> Value {
    json!({
        "name": "Example: model training",
        "inputs": { "shards": "array", "noise": "number" },
        "steps": [
            { "id": "prepare", "foreach": { "items": "inputs.shards", "as": "shard", "maxParallel": 2 },
              "action": "example.prepare", "config": { "shard": "${{ shard }}" } },
            { "id": "train", "action": "example.train", "timeout": "1h",
              "config": { "rows": "${{ steps.prepare.outputs }}", "noise": "${{ inputs.noise }}" } },
            { "id": "good_enough", "condition": "accuracy > 0.85" },
            { "id": "deploy", "action": "example.deploy", "config": { "accuracy": "${{ steps.train.outputs.accuracy }}" },
              "compensate": { "action": "example.roll_back" } },
            { "id": "release", "approval": { "prompt": "Send users to the new model?", "timeout": "1h" } },
        ],
        "outputs": { "accuracy": "steps.train.outputs.accuracy", "url": "steps.deploy.outputs.url" },
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;
    let worker = Worker::new(orc.clone())
        .name("Trainer")
        .slots(4)
        .task_fn("example.prepare", |_: TaskCtx, config: Value| async move {
            let shard =
                config["shard"].as_str().ok_or_else(|| TaskError::permanent("NO_SHARD", "no shard"))?;
            Ok(shard.len() * 100)
        })
        .task_fn("example.train", |_: TaskCtx, config: Value| async move {
            let rows: u64 = config["rows"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum();
            Ok(json!({ "rows": rows, "accuracy": 0.95 - config["noise"].as_f64().unwrap_or(0.0) }))
        })
        .task_fn("example.deploy", |_: TaskCtx, _: Value| async {
            Ok(json!({ "url": "https://models.test/7" }))
        })
        .task_fn("example.roll_back", |ctx: TaskCtx, _: Value| async move {
            ctx.log("the old model is back");
            Ok(Value::Null)
        })
        .start();

    println!("A good model, approved:");
    let run = start(&orc, 0.01).await?;
    let approval = asked(&orc, &run).await?;
    orc.approvals().approve(&approval, &Decide { by: Some("ann".into()), ..Decide::default() }).await?;
    let result = ended(&run).await?;
    let outputs: Value = result.output()?;
    println!("  outputs: {outputs}");
    ensure!(outputs["url"] == "https://models.test/7", "it is deployed");
    ensure!(outputs["accuracy"].as_f64() > Some(0.85), "and good");

    println!("A poor model:");
    let result = ended(&start(&orc, 0.5).await?).await?;
    ensure!(result.status() == &RunStatus::Completed, "a false condition is no failure");
    ensure!(
        result.view().conclusion.as_deref() == Some("gated"),
        "it says so: {:?}",
        result.view().conclusion
    );
    ensure!(step(&result, "deploy")? == StepStatus::Skipped, "nothing was deployed");

    println!("A good model, rejected:");
    let run = start(&orc, 0.01).await?;
    let approval = asked(&orc, &run).await?;
    orc.approvals().reject(&approval, &Decide { by: Some("bob".into()), ..Decide::default() }).await?;
    let result = ended(&run).await?;
    ensure!(result.status() == &RunStatus::Failed, "a rejection fails the run");
    let undone = result.view().handlers.iter().map(|handler| handler.run_id.clone());
    println!("  undone by {}", undone.collect::<Vec<_>>().join(", "));
    ensure!(result.view().handlers.len() == 1, "what was deployed is rolled back");

    worker.stop().await?;
    Ok(())
}

async fn start(orc: &Client, noise: f64) -> Result<RunHandle> {
    let start = orc.runs().start(Workflow::definition(definition()));
    Ok(start.input("shards", ["north", "east", "west"]).input("noise", noise).send().await?)
}

/// Waits until the run asks for a decision; the approval's id.
async fn asked(orc: &Client, run: &RunHandle) -> Result<String> {
    let events = orc.events().types(["step.approvalAwaited"]).run(run.id()).since(0);
    let mut events = events.stream().await?;
    timeout(PATIENCE, events.next()).await?.context("a stream goes on")??;
    run.step("release").await?.approval_id.context("it awaits a decision")
}

async fn ended(run: &RunHandle) -> Result<RunResult> {
    let result = run.wait().timeout(PATIENCE).await?;
    let steps = result.steps().iter().map(|step| format!("{} {}", step.id, step.status));
    println!("  {}: {}", result.status(), steps.collect::<Vec<_>>().join(", "));
    Ok(result)
}

fn step(result: &RunResult, id: &str) -> Result<StepStatus> {
    let found = result.steps().iter().find(|step| step.id == id);
    Ok(found.with_context(|| format!("a step {id}"))?.status.clone())
}
