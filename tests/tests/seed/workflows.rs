//! `createWorkflow`, the seed's two pipelines and the events of a workflow.
//! Knows nothing of tasks without a workflow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use orc_client::wire::{RunStatus, StepStatus};
use orc_client::{TaskCtx, TaskError};
use serde_json::{Value, json};

use crate::scene::{Scene, broken, echoing, told};

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("workflows").await?;
    let _worker = broken(echoing(scene.worker("worker"))).start().connected().await?;
    keeps!(&scene;
        create_workflow_returns_an_id_and_starts_at_once,
        the_data_processing_pipeline_runs_step_after_step,
        the_model_training_pipeline_decides_by_its_condition,
        on_workflow_created_tells_the_definition,
        on_workflow_completed_tells_the_workflow,
        on_workflow_failed_tells_the_error,
    );
    Ok(())
}

/// As the quick start has it.
pub fn data_processing() -> Value {
    json!({
        "name": "Data Processing Pipeline",
        "steps": [
            { "name": "Validate Data", "type": "task" },
            { "name": "Transform Data", "type": "task" },
            { "name": "Store Results", "type": "task" }
        ]
    })
}

/// As "Creating Workflows" has it.
fn model_training() -> Value {
    json!({
        "name": "ML Model Training Pipeline",
        "description": "Complete machine learning workflow",
        "steps": [
            { "name": "Data Preparation", "type": "task", "config": { "action": "prepare_data" } },
            { "name": "Model Training", "type": "task", "config": { "action": "train_model", "timeout": 3_600_000 } },
            { "name": "Model Validation", "type": "condition", "condition": "accuracy > 0.85" },
            { "name": "Model Deployment", "type": "task", "config": { "action": "deploy_model" } }
        ]
    })
}

async fn create_workflow_returns_an_id_and_starts_at_once(scene: &Scene) -> Result<()> {
    let (status, answer) = scene.post("/runs", json!({ "definition": data_processing() })).await?;
    ensure!(status == 201 && answer["workflowId"] == answer["runId"], "{status} {answer}");
    let run = scene.ended(answer["workflowId"].as_str().context("an id")?).await?;
    ensure!(
        run.status == RunStatus::Completed && run.started_at.is_some(),
        "nobody had to start it: {run:?}"
    );
    Ok(())
}

async fn the_data_processing_pipeline_runs_step_after_step(scene: &Scene) -> Result<()> {
    let id = scene.create_workflow(data_processing()).await?;
    let run = scene.ended(&id).await?;
    ensure!(
        run.steps.len() == 3 && run.steps.iter().all(|step| step.status == StepStatus::Completed),
        "{run:?}"
    );
    let mut lives = Vec::new();
    for event in scene.events_of(&id).await? {
        if let kind @ ("step.started" | "step.completed") = event.kind.as_str() {
            lives.push((event.data::<Value>()?["step"].as_u64(), kind.to_owned()));
        }
    }
    let life = |step| [(Some(step), "step.started".to_owned()), (Some(step), "step.completed".to_owned())];
    ensure!(lives == [life(0), life(1), life(2)].concat(), "one after the other: {lives:?}");
    Ok(())
}

async fn the_model_training_pipeline_decides_by_its_condition(scene: &Scene) -> Result<()> {
    let deployed = Arc::new(AtomicU32::new(0));
    for (accuracy, conclusion, deployments) in [(0.9, None, 1), (0.5, Some("gated"), 1)] {
        let counter = Arc::clone(&deployed);
        let trainer = scene.worker("trainer");
        let trainer = trainer
            .task_fn("prepare_data", |_: TaskCtx, _: Value| async { Ok("prepared") })
            .task_fn("train_model", move |ctx: TaskCtx, _: Value| async move {
                let hour = ctx.time_left().is_some_and(|left| left.as_secs() > 3_500);
                if hour {
                    Ok(json!({ "accuracy": accuracy }))
                } else {
                    Err(TaskError::permanent("SHORT", "no hour"))
                }
            })
            .task_fn("deploy_model", move |_: TaskCtx, _: Value| {
                counter.fetch_add(1, Ordering::Relaxed);
                async { Ok("deployed") }
            });
        let trainer = trainer.start();
        let run = scene.ended(&scene.create_workflow(model_training()).await?).await?;
        ensure!(run.status == RunStatus::Completed, "{run:?}");
        let said = run.conclusion.as_deref().filter(|said| *said == "gated");
        ensure!(said == conclusion, "accuracy {accuracy}: {:?}", run.conclusion);
        ensure!(deployed.load(Ordering::Relaxed) == deployments, "accuracy {accuracy} deployed wrongly");
        trainer.stop().await?;
    }
    Ok(())
}

async fn on_workflow_created_tells_the_definition(scene: &Scene) -> Result<()> {
    let id = scene.create_workflow(data_processing()).await?;
    let created = told(scene.orc.events().types(["workflow.created"]), |data| data["runId"] == *id).await?;
    ensure!(created["workflow"] == "Data Processing Pipeline", "{created}");
    Ok(())
}

async fn on_workflow_completed_tells_the_workflow(scene: &Scene) -> Result<()> {
    let id = scene.create_workflow(data_processing()).await?;
    let completed =
        told(scene.orc.events().types(["workflow.completed"]), |data| data["runId"] == *id).await?;
    ensure!(
        completed["workflow"] == "Data Processing Pipeline" && completed["error"].is_null(),
        "{completed}"
    );
    Ok(())
}

async fn on_workflow_failed_tells_the_error(scene: &Scene) -> Result<()> {
    let step = json!({ "name": "Break", "action": "broken", "retry": { "limit": 1 } });
    let id = scene.create_workflow(json!({ "name": "Doomed", "steps": [step] })).await?;
    let failed = told(scene.orc.events().types(["workflow.failed"]), |data| data["runId"] == *id).await?;
    ensure!(failed["workflow"] == "Doomed" && failed["error"]["message"].is_string(), "{failed}");
    Ok(())
}
