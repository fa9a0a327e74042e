//! The whole of it: a cluster, ordinary calls without pressure, everything filled, the pressure, and after it what was accepted.
//! Knows no limit by name.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, stream};
use orc_client::{Client, TaskCtx, TaskError, TaskStatus, Worker, wire::RegisterComponent};
use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    calls, fill, flood, holders, memory,
    probes::{self, Seen, Taken},
    refused,
    report::Report,
    scene::Scene,
};
use crate::{
    check::{equal_hashes, every_run_completed},
    cluster::{Cluster, Options},
};

/// Between two lines of progress.
const LINE: Duration = Duration::from_secs(10);
/// The pressure has built up after so long.
const RAMP: Duration = Duration::from_secs(15);
/// What was accepted ends within this once the pressure is off.
const END_WITHIN: Duration = Duration::from_secs(600);

/// So many start runs again and again, that the queue stays full.
const REFILL: usize = 10;

/// How long each part takes.
pub struct Plan {
    /// Without pressure.
    pub calm: Duration,
    /// With it.
    pub pressed: Duration,
}

/// Lets all of it happen; whoever presses does it on a runtime of its own.
pub async fn run(plan: &Plan, pressing: &Handle) -> Result<Report> {
    let settings = ["events.count=200000", "events.age=5m"];
    let arguments = settings.iter().map(|setting| format!("--set={setting}")).collect();
    let options = Options { arguments, ..Options::default() };
    let mut cluster = Cluster::start("limits", 3, options).await?;
    cluster.start_worker("resting", 32)?;
    let scene = Arc::new(Scene::new(cluster.urls())?);
    let client = cluster.client()?;
    let pal = Worker::new(client.clone()).id(probes::PAL).slots(0);
    let pal = pal.on_message("hello", |hello: Value| async move { Ok::<_, TaskError>(hello) }).start();
    let pal = pal.connected().await?;
    prepare(&client).await?;

    let mut probing = JoinSet::new();
    let seen = probes::start(&scene, &mut probing)?;
    sleep(Duration::from_secs(2)).await;
    seen.take();
    sleep(plan.calm).await;
    let calm = seen.take();
    println!("alone: {} MiB", resident(&cluster)?);
    fill::everything(&scene).await?;
    println!("filled: {} MiB", resident(&cluster)?);
    let mut pressure = pressing.spawn(press(scene.clone())).await??;
    sleep(RAMP).await;
    seen.take();
    let (pressed, peaks) = watch(plan, &cluster, (&scene, &seen)).await?;
    ensure!(pressure.try_join_next().is_none(), "a part of the pressure has ended");
    pressure.shutdown().await;
    probing.shutdown().await;
    let answers = scene.tally.all();
    println!(
        "the pressure is off: {} runs, {} tasks and {} messages were accepted",
        scene.runs.all().len(),
        scene.tasks.all().len(),
        scene.messages.all().len()
    );
    let lost = nothing_is_lost(&mut cluster, &client, &scene, &seen).await.err();
    pal.stop().await?;
    Ok(Report { peaks, answers, calm, pressed, lost })
}

/// What each node has in memory now.
fn resident(cluster: &Cluster) -> Result<String> {
    let of = |pid| Ok((memory::of(pid)?.resident >> 20).to_string());
    Ok(cluster.pids().into_iter().map(of).collect::<Result<Vec<String>>>()?.join(" "))
}

/// What has to be there before the first call.
async fn prepare(client: &Client) -> Result<()> {
    client.workflows().apply(&fill::short_run(), None).await?;
    client.components().register(fill::INBOX, &RegisterComponent::default()).await?;
    Ok(())
}

async fn press(scene: Arc<Scene>) -> Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    refused::BEYOND
        .iter()
        .for_each(|beyond| drop(tasks.spawn(refused::again_and_again(scene.clone(), beyond))));
    // Runs end all the while: the queue is filled again.
    let runs = refused::BEYOND.iter().find(|beyond| beyond.limit == "live runs");
    for _ in 0..REFILL {
        tasks.spawn(refused::again_and_again(scene.clone(), runs.context("a limit of live runs")?));
    }
    tasks.spawn(flood::big_writes(scene.clone()));
    tasks.spawn(flood::small_writes(scene.clone()));
    tasks.spawn(flood::headers(scene.clone()));
    calls::hold(&scene, &mut tasks).await?;
    // Whoever comes later finds no place.
    sleep(Duration::from_secs(3)).await;
    holders::hold(&scene, &mut tasks);
    tasks.spawn(flood::connections(scene.clone()));
    Ok(tasks)
}

/// Tells how it goes until the time is over; the admitted calls, and the most that each node had in memory.
async fn watch(plan: &Plan, cluster: &Cluster, (scene, seen): (&Scene, &Seen)) -> Result<(Taken, Vec<u64>)> {
    let began = Instant::now();
    let mut pressed = Taken::new();
    let mut lines = interval(LINE);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    lines.tick().await;
    while began.elapsed() < plan.pressed {
        lines.tick().await;
        let refused: u64 = scene.tally.all().values().sum();
        let taken = seen.take();
        let p99 =
            |kind| probes::times(&taken, kind).percentile(99).map_or(f64::NAN, |p99| p99.as_secs_f64() * 1e3);
        let p99: Vec<String> = probes::kinds().map(|kind| format!("{:.1}", p99(kind))).collect();
        println!(
            "{:>5.0} s  {} MiB  {refused} answers counted  load {}  p99 {} ms",
            began.elapsed().as_secs_f64(),
            resident(cluster)?,
            memory::load()?,
            p99.join(" ")
        );
        for (kind, mut times) in taken {
            pressed.entry(kind).or_default().append(&mut times);
        }
    }
    let memory = cluster.pids().into_iter().map(memory::of).collect::<Result<Vec<_>>>()?;
    Ok((pressed, memory.iter().map(|of| of.peak).collect()))
}

/// Everything that was accepted is there and ends.
async fn nothing_is_lost(cluster: &mut Cluster, client: &Client, scene: &Scene, seen: &Seen) -> Result<()> {
    let limits = json!({"maxConcurrentWorkflows": 4000, "maxConcurrentTasks": 5000});
    client.cluster().set_config(&limits).await?;
    for name in ["resting-2", "resting-3"] {
        cluster.start_worker(name, 2_000)?;
    }
    let written = seen.written.load(Ordering::Relaxed);
    let entry = client.state().get(probes::KEY).await?.context("the key that was written is gone")?;
    ensure!(entry.version >= written, "{written} writes were acknowledged, {} are there", entry.version);
    let later = Worker::new(client.clone()).id("later").slots(1_000);
    let later =
        later.task_fn(fill::LATER, |_: TaskCtx, input: Value| async move { Ok::<_, TaskError>(input) });
    let later = later.start().connected().await?;
    every_task_completed(client, &scene.tasks.all()).await?;
    later.stop().await?;
    println!("every accepted task completed");
    every_run_completed(client, &scene.runs.all(), END_WITHIN).await?;
    println!("every accepted run completed");
    every_message_comes(client, &scene.messages.all()).await?;
    println!("every accepted message came");
    let hash = equal_hashes(client, 3, Duration::from_secs(60)).await?;
    println!("state hash {hash}, equal on all nodes");
    Ok(())
}

async fn every_task_completed(client: &Client, ids: &[String]) -> Result<()> {
    let wait = |id: String| {
        let task = client.tasks().handle(id.clone());
        async move {
            let result =
                task.wait().timeout(END_WITHIN).await.with_context(|| format!("waiting for {id}"))?;
            ensure!(result.status() == &TaskStatus::Completed, "{id} ended {:?}", result.status());
            Ok(())
        }
    };
    let mut waits = stream::iter(ids.iter().cloned().map(wait)).buffer_unordered(64);
    while let Some(waited) = waits.next().await {
        waited?;
    }
    Ok(())
}

/// The component connects and takes what waits.
async fn every_message_comes(client: &Client, ids: &[String]) -> Result<()> {
    let deadline = Instant::now() + END_WITHIN;
    let mut missing: std::collections::BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    while !missing.is_empty() {
        if Instant::now() > deadline {
            bail!("{} of {} messages did not come", missing.len(), ids.len());
        }
        let polled = client.components().poll(fill::INBOX, 100, Duration::from_secs(1)).await?;
        for message in polled.durable {
            missing.remove(message.message_id.as_str());
            client.components().acknowledge(&message.message_id, message.token).await?;
        }
    }
    Ok(())
}
