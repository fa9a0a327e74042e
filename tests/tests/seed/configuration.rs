//! Every key of the seed's basic and advanced configuration that has a value: honoured, or refused with a reason.
//! Knows nothing of switches.

use anyhow::{Context, Result, ensure};
use orc_client::TaskStatus;
use orc_client::wire::{AttemptView, RunStatus, StepStatus};
use serde_json::{Value, json};

use crate::scene::{Gate, PATIENCE, Scene, broken, call, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_as_the_seed_says() -> Result<()> {
    let scene = Scene::start("configuration").await?;
    let _worker = broken(scene.worker("worker")).start().connected().await?;
    keeps!(&scene;
        the_seeds_configuration_is_taken_as_written_and_shown_by_every_node,
        what_cannot_be_honoured_is_refused_with_the_reason,
        max_concurrent_workflows_holds_the_others_back,
        max_concurrent_tasks_holds_the_others_back,
        retry_attempts_and_retry_delay_are_those_of_tasks,
        max_retry_attempts_and_retry_delay_of_workflows_are_those_of_steps,
        step_timeout_ends_a_step_and_workflow_timeout_a_workflow,
        task_timeout_ends_an_attempt,
        component_timeout_ends_the_session_of_a_silent_poller,
        message_timeout_is_how_long_a_response_is_awaited,
        max_queue_size_bounds_the_messages_that_wait,
        max_versions_bounds_what_is_kept_of_a_key,
        enable_backup_makes_one_on_every_node_each_backup_interval,
    );
    Ok(())
}

/// Both of the seed's listings, merged as they are.
fn seeds_configuration() -> Value {
    json!({
        "maxConcurrentWorkflows": 10, "maxConcurrentTasks": 50,
        "healthCheckInterval": 30000, "enableMonitoring": true,
        "enableErrorRecovery": true, "retryAttempts": 3, "retryDelay": 1000,
        "componentTimeout": 60000,
        "workflow": { "stepTimeout": 300_000, "workflowTimeout": 3_600_000, "enableParallelExecution": true,
                      "enableRetry": true, "maxRetryAttempts": 3, "retryDelay": 5000 },
        "components": { "messageTimeout": 30000, "heartbeatInterval": 15000, "enableHeartbeat": true,
                        "enableMessageQueue": true, "maxQueueSize": 1000 },
        "tasks": { "taskTimeout": 300_000, "schedulingInterval": 1000, "enablePriorityScheduling": true,
                   "enableDependencyResolution": true, "deadlockDetectionInterval": 30000 },
        "state": { "enablePersistence": true, "enableVersioning": true, "enableBackup": true,
                   "persistenceInterval": 30000, "maxVersions": 10, "backupInterval": 300_000,
                   "storageType": "database" }
    })
}

/// Accepted, and nothing to honour: there is no interval to wait for, and the storage is always on each node's disk.
const WITHOUT_EFFECT: [&str; 3] = ["schedulingInterval", "persistenceInterval", "storageType"];

async fn the_seeds_configuration_is_taken_as_written_and_shown_by_every_node(scene: &Scene) -> Result<()> {
    let asked = seeds_configuration();
    let set = async {
        for id in 1..=3 {
            let (_, shown) = call(&scene.cluster.url(id), "GET", "/cluster/config", None).await?;
            let groups = asked.as_object().context("an object")?.iter();
            for (name, value) in groups {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let same = shown[name][key] == *value || WITHOUT_EFFECT.contains(&key.as_str());
                    ensure!(same, "{name}.{key} is {} on node {id}", shown[name][key]);
                }
                ensure!(value.is_object() || shown[name] == *value, "{name} is {} on node {id}", shown[name]);
            }
        }
        Ok(())
    };
    scene.with_config(asked.clone(), set).await
}

async fn what_cannot_be_honoured_is_refused_with_the_reason(scene: &Scene) -> Result<()> {
    for (changes, reason) in [
        (json!({ "state": { "enablePersistence": false } }), "every acknowledged write is on the disks"),
        (json!({ "state": { "storageType": "paper" } }), "must be one of rocksdb, database"),
        (json!({ "maxConcurrentTask": 5 }), "did you mean `maxConcurrentTasks`?"),
        (json!({ "maxConcurrentTasks": 0 }), "is not between"),
        (json!({ "tasks": { "taskTimeout": "soon" } }), "is not a duration"),
    ] {
        let (status, problem) = scene.put("/cluster/config", changes).await?;
        ensure!(
            status == 422 && problem["detail"].as_str().is_some_and(|text| text.contains(reason)),
            "{problem}"
        );
    }
    Ok(())
}

/// The status is counted ten times a second at most, so it may be as old as that.
async fn until_status(scene: &Scene, component: &str, one: (&str, u64), two: (&str, u64)) -> Result<()> {
    until(&format!("{one:?} and {two:?} in the status"), async || {
        let status = scene.get("/status").await?["components"][component].clone();
        Ok((status[one.0] == one.1 && status[two.0] == two.1).then_some(()))
    })
    .await
}

async fn max_concurrent_workflows_holds_the_others_back(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "maxConcurrentWorkflows": 2 }), async {
            let waiting =
                json!({ "name": "Waiting", "steps": [{ "name": "Word", "wait": { "signal": "go" } }] });
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(scene.create_workflow(waiting.clone()).await?);
            }
            until_status(scene, "workflowManager", ("activeWorkflows", 2), ("queuedWorkflows", 2)).await?;
            for id in ids {
                scene.orc.runs().handle(&id).signal("go", &()).await?;
                ensure!(scene.ended(&id).await?.status == RunStatus::Completed, "each has its turn");
            }
            Ok(())
        })
        .await
}

async fn max_concurrent_tasks_holds_the_others_back(scene: &Scene) -> Result<()> {
    let gate = Gate::closed();
    let _worker = gate.on(scene.worker("many-slots")).start().connected().await?;
    scene
        .with_config(json!({ "maxConcurrentTasks": 2 }), async {
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(scene.schedule_task(json!({ "name": "Long", "type": "gated" })).await?);
            }
            until_status(scene, "taskScheduler", ("runningTasks", 2), ("queuedTasks", 2)).await?;
            let waiting = scene.orc.tasks().get(&ids[3]).await?.waiting_for.context("it waits")?;
            ensure!(waiting.reason == "limit", "{waiting:?}");
            gate.open(4);
            for id in ids {
                ensure!(ended(scene, &id).await?.0 == TaskStatus::Completed, "each has its turn");
            }
            Ok(())
        })
        .await
}

/// How a task ended, and its attempts.
async fn ended(scene: &Scene, id: &str) -> Result<(TaskStatus, Vec<AttemptView>)> {
    let task = scene.orc.tasks().handle(id).wait().timeout(PATIENCE).await?.view().clone();
    Ok((task.status, task.history))
}

fn two_attempts_apart(attempts: &[AttemptView], pause_ms: u64) -> Result<()> {
    let [first, second] = attempts else { anyhow::bail!("not two attempts: {attempts:?}") };
    ensure!(second.started_at.0 - first.ended_at.0 >= pause_ms, "{pause_ms} ms apart: {attempts:?}");
    Ok(())
}

async fn retry_attempts_and_retry_delay_are_those_of_tasks(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "retryAttempts": 2, "retryDelay": 60 }), async {
            let id = scene.schedule_task(json!({ "name": "Doomed", "type": "broken" })).await?;
            two_attempts_apart(&ended(scene, &id).await?.1, 60)
        })
        .await
}

async fn max_retry_attempts_and_retry_delay_of_workflows_are_those_of_steps(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "workflow": { "maxRetryAttempts": 2, "retryDelay": 70 } }), async {
            let doomed = json!({ "name": "Doomed", "steps": [{ "name": "Break", "action": "broken" }] });
            let run = scene.ended(&scene.create_workflow(doomed).await?).await?;
            two_attempts_apart(&run.steps[0].history, 70)
        })
        .await
}

async fn step_timeout_ends_a_step_and_workflow_timeout_a_workflow(scene: &Scene) -> Result<()> {
    let gate = Gate::closed();
    let _worker = gate.on(scene.worker("slow")).start();
    let short =
        json!({ "workflow": { "stepTimeout": 150, "maxRetryAttempts": 1 }, "tasks": { "cancelGrace": 100 } });
    scene
        .with_config(short, async {
            let slow = json!({ "name": "Slow", "steps": [{ "name": "Never", "action": "gated" }] });
            let run = scene.ended(&scene.create_workflow(slow).await?).await?;
            ensure!(run.steps[0].status == StepStatus::TimedOut, "{run:?}");
            Ok(())
        })
        .await?;
    scene
        .with_config(json!({ "workflow": { "workflowTimeout": 150 } }), async {
            let long = json!({ "name": "Long", "steps": [{ "name": "Hour", "delay": "1h" }] });
            let run = scene.ended(&scene.create_workflow(long).await?).await?;
            ensure!(run.status == RunStatus::TimedOut, "{run:?}");
            Ok(())
        })
        .await
}

async fn task_timeout_ends_an_attempt(scene: &Scene) -> Result<()> {
    let _worker = Gate::closed().on(scene.worker("slow")).start();
    scene
        .with_config(json!({ "retryAttempts": 1, "tasks": { "taskTimeout": 150 } }), async {
            let id = scene.schedule_task(json!({ "name": "Never", "type": "gated" })).await?;
            let (status, attempts) = ended(scene, &id).await?;
            ensure!(status == TaskStatus::TimedOut && attempts.len() == 1, "{status}: {attempts:?}");
            Ok(())
        })
        .await
}

async fn component_timeout_ends_the_session_of_a_silent_poller(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "componentTimeout": 1000 }), async {
            scene.put("/components/poller", json!({ "capabilities": ["polled"], "slots": 1 })).await?;
            let (status, answer) = scene.post("/components/poller/poll", json!({ "wait": 0 })).await?;
            ensure!(status == 200, "{status} {answer}");
            let connected =
                async || anyhow::Ok(scene.get("/components/poller").await?["status"] == "connected");
            ensure!(connected().await?, "a poll is its session");
            until("the poller to be gone", async || Ok((!connected().await?).then_some(()))).await
        })
        .await
}

async fn message_timeout_is_how_long_a_response_is_awaited(scene: &Scene) -> Result<()> {
    let mute = scene.worker("mute").slots(0);
    let mute =
        mute.on_message("silence", |_: Value| std::future::pending::<Result<(), orc_client::TaskError>>());
    let _mute = mute.start().connected().await?;
    scene
        .with_config(json!({ "components": { "messageTimeout": 100 } }), async {
            let (status, answer) =
                scene.post("/components/mute/messages", json!({ "type": "silence" })).await?;
            ensure!(status == 504 && answer["code"] == "COMPONENT_TIMEOUT", "{status} {answer}");
            Ok(())
        })
        .await
}

async fn max_queue_size_bounds_the_messages_that_wait(scene: &Scene) -> Result<()> {
    scene.put("/components/full", json!({})).await?;
    scene
        .with_config(json!({ "components": { "maxQueueSize": 2 } }), async {
            for expected in [202, 202, 429] {
                let note = json!({ "type": "note", "durable": true });
                let (status, answer) = scene.post("/components/full/messages", note).await?;
                ensure!(status == expected, "{status} instead of {expected}: {answer}");
                ensure!(status != 429 || answer["code"] == "QUEUE_FULL", "{answer}");
            }
            Ok(())
        })
        .await
}

async fn max_versions_bounds_what_is_kept_of_a_key(scene: &Scene) -> Result<()> {
    scene
        .with_config(json!({ "state": { "maxVersions": 3 } }), async {
            for number in 1..=5 {
                scene.orc.state().set("kept", number).await?;
            }
            let versions = scene.orc.state().versions("kept").await?;
            let numbers: Vec<u64> = versions.iter().map(|version| version.version).collect();
            ensure!(numbers == [5, 4, 3], "{numbers:?}");
            Ok(())
        })
        .await
}

async fn enable_backup_makes_one_on_every_node_each_backup_interval(scene: &Scene) -> Result<()> {
    let backups = |id: u64| -> usize {
        let entries = std::fs::read_dir(scene.cluster.data(id).join("backups"));
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        names.filter(|path| path.extension().is_some_and(|ending| ending == "backup")).count()
    };
    let none = (1..=3).all(|id| backups(id) == 0);
    ensure!(none || scene.get("/cluster/config").await?["state"]["enableBackup"] == true, "off means off");
    scene
        .with_config(json!({ "state": { "enableBackup": true, "backupInterval": 1000 } }), async {
            until("two backups on each node", async || {
                scene.orc.state().set("moved", 1).await?;
                Ok((1..=3).all(|id| backups(id) >= 2).then_some(()))
            })
            .await
        })
        .await
}
