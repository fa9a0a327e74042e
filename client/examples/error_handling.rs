//! What goes wrong and what becomes of it: attempts that are tried again, work that gives up, components that do not
//! answer, workflows that fail and go on from where they failed; all of it as events that anybody can listen to.
//!
//! `cargo run -p orc-client --example error_handling`; `ORC_ADDR` names the nodes, else it is the one on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use orc_client::wire::{Event, Millis, Retry, RetryRun};
use orc_client::{Client, EventStream, RunStatus, TaskCtx, TaskError, TaskStatus, Worker, Workflow};
use serde_json::{Value, json};
use tokio::time::timeout;

const COMPONENT: &str = "example-troubled";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;
    let mut troubles = orc.events().types(["error", "error.*"]).stream().await?;
    let repaired = Arc::new(AtomicBool::new(false));
    let worker = troubled(&orc, Arc::clone(&repaired)).start().connected().await?;
    let again = |limit| Retry { limit: Some(limit), delay: Some(Millis(20)), ..Retry::default() };

    // The first attempts fail, a later one does not: nobody has to do anything.
    let task = orc.tasks().schedule("Flaky call").action("example.flaky").retry(again(3)).send().await?;
    let result = task.wait().timeout(PATIENCE).await?;
    println!("{} is {} after {} attempts", task.id(), result.status(), result.view().attempts);
    ensure!(result.view().attempts == 3, "two failures, one success");
    let recovered = told(&mut troubles, "error.recovered", task.id()).await?;
    println!("Recovered from: {}", recovered["message"]);

    // No attempt succeeds: it gives up, says so, and is kept on the dead-letter list.
    let task = orc.tasks().schedule("Hopeless").action("example.hopeless").retry(again(2)).send().await?;
    let result = task.wait().timeout(PATIENCE).await?;
    ensure!(result.status() == &TaskStatus::Failed, "it failed for good");
    let failed = told(&mut troubles, "error.recoveryFailed", task.id()).await?;
    println!("Failed to recover from: {}", failed["originalError"]["message"]);

    // A component that does not answer in time.
    let asked = orc.components().send(COMPONENT, "ponder", "?").timeout(Duration::from_millis(200));
    let silence = asked.await.err().context("it ponders for longer")?;
    ensure!(silence.code() == "COMPONENT_TIMEOUT", "the caller is told: {silence}");
    let error = told(&mut troubles, "error", COMPONENT).await?;
    ensure!(error["code"] == "COMPONENT_TIMEOUT", "and so is who listens: {error}");
    println!("Component {} timed out", error["componentId"]);

    // A workflow that fails undoes what it did.
    let definition = json!({
        "name": "Example: delivery",
        "steps": [
            { "id": "pack", "action": "example.pack", "compensate": { "action": "example.unpack" } },
            { "id": "ship", "action": "example.ship", "retry": { "limit": 1 } },
        ],
    });
    let run = orc.runs().start(Workflow::definition(definition)).send().await?;
    let result = run.wait().timeout(PATIENCE).await?;
    ensure!(result.status() == &RunStatus::Failed, "nothing can be shipped");
    ensure!(result.view().handlers.len() == 1, "what was packed is unpacked");
    let error = told(&mut troubles, "error", run.id()).await?;
    println!("Workflow {} failed: {}", error["workflowId"], error["message"]);

    // Once the reason is gone it is told to go on: a new run takes over what has completed.
    repaired.store(true, Ordering::Relaxed);
    let retried = run.retry(&RetryRun::default()).await?;
    let result = orc.runs().handle(&retried.run_id).wait().timeout(PATIENCE).await?;
    println!("Its retry {} is {}", retried.run_id, result.status());
    ensure!(result.status() == &RunStatus::Completed, "it is shipped");

    worker.stop().await?;
    orc.components().deregister(COMPONENT).await?;
    Ok(())
}

fn troubled(orc: &Client, repaired: Arc<AtomicBool>) -> Worker {
    Worker::new(orc.clone())
        .id(COMPONENT)
        .slots(4)
        .task_fn("example.flaky", |ctx: TaskCtx, _: Value| async move {
            if ctx.attempt() < ctx.attempts_max() {
                return Err(TaskError::new("CONNECTION_RESET", format!("attempt {} broke", ctx.attempt())));
            }
            Ok("through")
        })
        .task_fn("example.hopeless", |_: TaskCtx, _: Value| async {
            Err::<(), _>(TaskError::new("DISK_FULL", "there is no room"))
        })
        .task_fn("example.pack", |_: TaskCtx, _: Value| async { Ok("packed") })
        .task_fn("example.unpack", |_: TaskCtx, _: Value| async { Ok("unpacked") })
        .task_fn("example.ship", move |_: TaskCtx, _: Value| {
            let works = repaired.load(Ordering::Relaxed);
            async move {
                if works { Ok("shipped") } else { Err(TaskError::new("NO_TRUCK", "the truck is broken")) }
            }
        })
        .on_message("ponder", |_: Value| async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            Ok("42")
        })
}

/// Waits for an event of a kind about something; its data.
async fn told(troubles: &mut EventStream, kind: &str, subject: &str) -> Result<Value> {
    let awaited = async {
        loop {
            let event: Event = troubles.next().await.context("a stream goes on")??;
            if event.kind == kind && event.subject == subject {
                return Ok(event.data()?);
            }
        }
    };
    timeout(PATIENCE, awaited).await.with_context(|| format!("nobody told of {kind} of {subject}"))?
}
