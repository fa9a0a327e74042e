//! Rounds of one fault: a cluster on machines of its own, load, the fault again and again, everything recorded and judged.
//! Knows no fault by name.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use orc_check::{
    guards::{Guards, OperationsMin, read_injections},
    history::{Call, History},
    linear::Limits,
    replay::Folder,
    verdict::{Report, Verdict},
};
use orc_client::{Client, wire};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use super::{
    export,
    faults::{Fault, Stage},
    figures::Times,
    patient::{self, Calls},
    registers,
    scene::Scene,
    starts,
    timers::{self, Timers},
    watchers::Watcher,
};
use crate::{
    check::every_run_completed,
    cluster::{Cluster, Options},
    machines::FileSystem,
};

const DISK_MIB: u64 = 2048;
const RUNS_END_WITHIN: Duration = Duration::from_secs(60);

/// How often a fault happens, and what is done around it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// So often.
    pub rounds: u32,
    /// Where what is left open begins.
    pub seed: u64,
    /// Between the end of a fault and the next one there is load for so long, in milliseconds.
    pub calm: Range<u64>,
    /// After each fault the load is held until all nodes tell the hash of their states at one rev.
    pub alike: bool,
}

/// What came of it.
pub struct Outcomes {
    /// What the checker says.
    pub report: Report,
    /// Of each fault, the longest time without an acknowledged write.
    pub without_writes: Times,
    /// What became of the calls of clients that do not give up.
    pub patient: Calls,
    /// What was seen of delays.
    pub timers: Timers,
    /// How long the checker took.
    pub judged_in: Duration,
}

/// Lets a fault happen again and again; what happened is recorded in `folder`.
pub async fn run(fault: &Fault, plan: &Plan, folder: &Path) -> Result<Outcomes> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let arguments = ["--set", "snapshot.every-entries=500", "--set", "snapshot.keep-entries=100"];
    let arguments = arguments.map(str::to_owned).into();
    let machines =
        Some((if plan.seed.is_multiple_of(2) { FileSystem::Ext4 } else { FileSystem::Xfs }, DISK_MIB));
    let mut cluster = Cluster::start(
        fault.name,
        fault.nodes,
        Options { arguments, machines, own_clocks: fault.sets_clocks(), spares: fault.spares },
    )
    .await?;
    let happened = happen(fault, plan, folder, &mut cluster).await;
    let outcomes = happened.and_then(|seen| judge(folder, seen));
    if !matches!(&outcomes, Ok(outcomes) if outcomes.report.verdict == Verdict::Valid) {
        keep_logs(&cluster, folder)?;
    }
    outcomes
}

async fn happen(fault: &Fault, plan: &Plan, folder: &Path, cluster: &mut Cluster) -> Result<(Calls, Timers)> {
    let client = cluster.client()?;
    client.cluster().set_config(&json!({"maxConcurrentWorkflows": 2000, "maxConcurrentTasks": 4000})).await?;
    for name in ["w-1", "w-2"] {
        cluster.start_worker(name, 32)?;
    }
    let scene = Scene::new(folder, cluster.places())?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut load = load(&scene, &mut rng)?;
    let mut patient = patient_load(&scene, &mut rng)?;
    let mut delays: JoinSet<Result<Timers>> = JoinSet::new();
    (0..4).for_each(|_| drop(delays.spawn(timers::work(scene.clone(), rng.fork()))));
    sleep(Duration::from_secs(2)).await;
    let injections = scene.file("injections.jsonl")?;
    let mut stage = Stage { cluster, scene: &scene, rng, injections };
    for round in 1..=plan.rounds {
        fault.inject(&mut stage).await?;
        let calm = stage.rng.u64(plan.calm.clone());
        whole(stage.cluster, fault.nodes).await?;
        if plan.alike {
            scene.hold(true);
            export::hashes(&scene, (&client, fault.nodes as usize), &format!("hashes-{round}.json")).await?;
            scene.hold(false);
        }
        sleep(Duration::from_millis(calm)).await;
    }
    scene.finish();
    while let Some(ended) = load.join_next().await {
        ended.context("a part of the load")??;
    }
    let mut calls = Calls::default();
    while let Some(ended) = patient.join_next().await {
        calls.add(ended.context("a part of the load")??);
    }
    let mut timers = Timers::default();
    while let Some(ended) = delays.join_next().await {
        timers.add(ended.context("a part of the load")??);
    }
    let visitor = registers::Client::new(scene.clone(), "visitor".to_owned(), None, Rng::with_seed(0))?;
    let urls = cluster.urls();
    visitor.visit_all(&urls).await?;
    let settled = settle(&scene, (&client, urls.len()), folder).await;
    export::logs(&scene, &urls).await?;
    settled?;
    let operations_min = OperationsMin { before: 100, during: 0, after: 50 };
    let faults = [fault.name.to_owned()].into();
    let guards = Guards { operations_min, faults, everything_ended: true, ..Guards::default() };
    serde_json::to_writer(scene.file("guards.json")?, &guards)?;
    Ok((calls, timers))
}

/// Waits until every run has ended and all nodes are alike.
async fn settle(scene: &Scene, (client, nodes): (&Client, usize), folder: &Path) -> Result<()> {
    every_run_completed(client, &accepted(folder)?, RUNS_END_WITHIN).await?;
    nothing_lives(client).await?;
    export::hashes(scene, (client, nodes), "hashes.json").await
}

/// Ten clients of keys, two that start runs, three that watch.
fn load(scene: &Arc<Scene>, rng: &mut Rng) -> Result<JoinSet<Result<()>>> {
    let mut load = JoinSet::new();
    for number in 0..10 {
        let home = (number < 8).then(|| number % scene.urls.len());
        let client = registers::Client::new(scene.clone(), format!("c{number}"), home, rng.fork())?;
        load.spawn(client.work());
    }
    for number in 0..2 {
        load.spawn(starts::work(scene.clone(), format!("s{number}"), rng.fork()));
    }
    for number in 0..3 {
        load.spawn(Watcher::new(scene.clone(), &number.to_string(), rng.fork())?.work());
    }
    Ok(load)
}

/// Two clients that do not give up.
fn patient_load(scene: &Arc<Scene>, rng: &mut Rng) -> Result<JoinSet<Result<Calls>>> {
    let mut load = JoinSet::new();
    for number in 0..2 {
        load.spawn(patient::Client::new(scene.clone(), format!("p{number}"), rng.fork())?.work());
    }
    Ok(load)
}

/// Every node answers and votes again.
async fn whole(cluster: &mut Cluster, nodes: u64) -> Result<()> {
    for node in cluster.ids() {
        cluster.ready(node).await?;
    }
    cluster.voters(nodes as usize).await
}

/// The runs whose start was acknowledged.
fn accepted(folder: &Path) -> Result<Vec<String>> {
    let history = History::read(&[folder.join("history.jsonl")])?;
    let started = history.ops.iter().filter(|op| matches!(op.call, Call::Start { .. }));
    let mut ids: Vec<String> = started.filter_map(|op| op.ok()?.id.clone()).collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Runs whose start nobody heard of have time to end, too.
async fn nothing_lives(client: &Client) -> Result<()> {
    let deadline = Instant::now() + RUNS_END_WITHIN;
    loop {
        let status = Some("queued,running,waiting,paused,cancelling".to_owned());
        let query = wire::RunsQuery { status, limit: Some(1), ..wire::RunsQuery::default() };
        let page = client.runs().list(&query).await?;
        let Some(run) = page.items.first() else { return Ok(()) };
        ensure!(Instant::now() < deadline, "{} has not ended after {RUNS_END_WITHIN:?}: {run:#?}", run.id);
        sleep(Duration::from_millis(200)).await;
    }
}

fn judge(folder: &Path, (patient, timers): (Calls, Timers)) -> Result<Outcomes> {
    let began = Instant::now();
    let report = Folder::look(folder)?.judge(Limits::default())?;
    let without_writes = Times::new(without_writes(folder)?);
    Ok(Outcomes { report, without_writes, patient, timers, judged_in: began.elapsed() })
}

/// The longest time without an acknowledged write around each fault.
fn without_writes(folder: &Path) -> Result<Vec<Duration>> {
    let history = History::read(&[folder.join("history.jsonl")])?;
    let writes = history.ops.iter().filter(|op| !op.call.is_read() && op.ok().is_some());
    let mut done: Vec<u64> = writes.filter_map(|op| op.returned_at()).collect();
    done.sort_unstable();
    let mut faults: Vec<(u64, u64)> = read_injections(&folder.join("injections.jsonl"))?
        .iter()
        .map(|fault| (fault.at, fault.end.unwrap_or(fault.at)))
        .collect();
    faults.dedup();
    let longest = |(at, end): (u64, u64)| {
        let around = done.windows(2).filter(|gap| gap[1] > at && gap[0] < end);
        Duration::from_nanos(around.map(|gap| gap[1] - gap[0]).max().unwrap_or(0))
    };
    Ok(faults.into_iter().map(longest).collect())
}

fn keep_logs(cluster: &Cluster, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(cluster.folder())? {
        let path: PathBuf = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|ext| ext == "log")) {
            fs::copy(&path, folder.join(name))?;
        }
    }
    Ok(())
}
