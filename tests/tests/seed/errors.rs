//! The events `error`, `errorRecovered` and `errorRecoveryFailed`.
//! Knows nothing of health checks.

use anyhow::{Result, ensure};
use orc_client::{TaskCtx, TaskError};
use serde_json::{Value, json};

use crate::scene::{Scene, broken, told};

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("errors").await?;
    let worker = broken(scene.worker("troubled"))
        .task_fn("flaky", |ctx: TaskCtx, _: Value| async move {
            if ctx.attempt() == 1 { Err(TaskError::new("RESET", "it broke once")) } else { Ok("done") }
        })
        .on_message("silence", |_: Value| std::future::pending::<Result<(), TaskError>>());
    let _worker = worker.start().connected().await?;
    keeps!(&scene;
        on_error_recovered_tells_what_was_recovered_from,
        on_error_recovery_failed_tells_the_first_and_the_last_error,
        on_error_tells_of_a_component_timeout_and_whose,
        on_error_tells_of_a_failed_workflow_and_which,
    );
    Ok(())
}

async fn on_error_recovered_tells_what_was_recovered_from(scene: &Scene) -> Result<()> {
    let id =
        scene.schedule_task(json!({ "name": "Flaky", "type": "flaky", "retry": { "delay": 10 } })).await?;
    let recovered = told(scene.orc.events().types(["error.recovered"]), |data| data["taskId"] == *id).await?;
    ensure!(recovered["message"] == "it broke once" && recovered["attempts"] == 2, "{recovered}");
    Ok(())
}

async fn on_error_recovery_failed_tells_the_first_and_the_last_error(scene: &Scene) -> Result<()> {
    let task = json!({ "name": "Hopeless", "type": "broken", "retry": { "limit": 2, "delay": 10 } });
    let id = scene.schedule_task(task).await?;
    let failed =
        told(scene.orc.events().types(["error.recoveryFailed"]), |data| data["taskId"] == *id).await?;
    ensure!(failed["originalError"]["message"] == "it broke", "{failed}");
    ensure!(failed["recoveryError"]["code"] == "BROKEN" && failed["attempts"] == 2, "{failed}");
    Ok(())
}

async fn on_error_tells_of_a_component_timeout_and_whose(scene: &Scene) -> Result<()> {
    let (status, _) =
        scene.post("/components/troubled/messages?timeout=50", json!({ "type": "silence" })).await?;
    ensure!(status == 504, "{status}");
    let timed_out = |data: &Value| data["code"] == "COMPONENT_TIMEOUT";
    let error = told(scene.orc.events().types(["error"]), timed_out).await?;
    ensure!(error["componentId"] == "troubled" && error["message"].is_string(), "{error}");
    Ok(())
}

async fn on_error_tells_of_a_failed_workflow_and_which(scene: &Scene) -> Result<()> {
    let step = json!({ "name": "Break", "action": "broken", "retry": { "limit": 1 } });
    let id = scene.create_workflow(json!({ "name": "Doomed", "steps": [step] })).await?;
    let of_it = |data: &Value| data["code"] == "WORKFLOW_FAILED" && data["workflowId"] == *id;
    let error = told(scene.orc.events().types(["error"]), of_it).await?;
    ensure!(error["message"].as_str().is_some_and(|text| text.contains("it broke")), "{error}");
    Ok(())
}
