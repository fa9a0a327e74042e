//! Rounds of one fault: a cluster on machines of its own, load, the fault again and again, everything recorded and judged.
//! Knows no fault by name.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, ensure};
use fastrand::Rng;
use orc_check::{
    guards::{Guards, OperationsMin, WorkMin, read_injections},
    history::{Call, History, Op, Started},
    linear::Limits,
    replay::Folder,
    verdict::{Report, Verdict},
};
use orc_client::{Client, wire};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{
    export,
    faults::Fault,
    figures::Times,
    inbox,
    load::Load,
    outages::Outages,
    patient::Calls,
    registers,
    scene::Scene,
    stage::Stage,
    starts,
    timers::Timers,
    workless::{SLOTS, WORKERS},
};
use crate::{
    check::every_run_completed,
    cluster::{Cluster, Options},
    machines::FileSystem,
};

const DISK_MIB: u64 = 2048;
const RUNS_END_WITHIN: Duration = Duration::from_secs(60);
/// A component may take so long for a message.
const MESSAGE_TIMEOUT_MS: u64 = 3_000;

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

impl Plan {
    /// Disks have one of them and the other in turn.
    fn file_systems(&self) -> [FileSystem; 2] {
        match self.seed.is_multiple_of(2) {
            true => [FileSystem::Ext4, FileSystem::Xfs],
            false => [FileSystem::Xfs, FileSystem::Ext4],
        }
    }
}

/// What came of it.
pub struct Outcomes {
    /// What is on the disks of the machines.
    pub disks: Vec<String>,
    /// What the checker says.
    pub report: Report,
    /// When no write was acknowledged.
    pub outages: Outages,
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
    let machines = Some((plan.file_systems(), DISK_MIB));
    let options = Options { arguments, machines, clocks: fault.clocks(), spares: fault.spares };
    let mut cluster = Cluster::start(fault.name, fault.nodes, options).await?;
    let disks = disks(&cluster)?;
    fs::write(folder.join("disks.json"), serde_json::to_string(&disks)?)?;
    let happened = happen(fault, plan, folder, &mut cluster).await;
    let outcomes = happened.and_then(|seen| judge(folder, disks, seen));
    if !matches!(&outcomes, Ok(outcomes) if outcomes.report.verdict == Verdict::Valid) {
        keep_logs(&cluster, folder)?;
    }
    outcomes
}

fn disks(cluster: &Cluster) -> Result<Vec<String>> {
    let machines = cluster.machines()?;
    (1..=machines.count()).map(|id| Ok(machines.disk(id)?.file_system.to_string())).collect()
}

async fn happen(fault: &Fault, plan: &Plan, folder: &Path, cluster: &mut Cluster) -> Result<(Calls, Timers)> {
    let client = cluster.client()?;
    client.cluster().set_config(&settings()).await?;
    inbox::register(&client).await?;
    WORKERS.iter().try_for_each(|name| cluster.start_worker(name, SLOTS))?;
    let scene = Scene::new(folder, cluster.places())?;
    serde_json::to_writer(scene.file("guards.json")?, &guards(fault))?;
    serde_json::to_writer(scene.file("plans.json")?, &starts::plans())?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut load = Load::start(&scene, &client, &mut rng)?;
    sleep(Duration::from_secs(2)).await;
    let injections = scene.file("injections.jsonl")?;
    let mut stage = Stage { cluster, scene: &scene, rng, injections, round: 0 };
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
    let seen = load.finish().await?;
    let urls = cluster.urls();
    let settled = settle((&scene, &mut load), (&client, &urls), folder).await;
    export::logs(&scene, &urls).await?;
    settled?;
    Ok(seen)
}

fn settings() -> Value {
    let components = json!({"messageTimeout": MESSAGE_TIMEOUT_MS});
    json!({"maxConcurrentWorkflows": 2000, "maxConcurrentTasks": 4000, "components": components})
}

/// What must have happened; written before anything does, so that a round that fails is judged, too.
fn guards(fault: &Fault) -> Guards {
    let operations_min = OperationsMin { before: 100, during: 0, after: 50 };
    let faults = [fault.name.to_owned()].into();
    let work = WorkMin { results: 20, messages: 20 };
    Guards {
        operations_min,
        faults,
        everything_ended: true,
        watched_to_the_end: true,
        work_min: work,
        ..Guards::default()
    }
}

/// Waits until all work has ended, everybody has seen it, and all nodes are alike.
async fn settle(
    (scene, load): (&Arc<Scene>, &mut Load),
    (client, urls): (&Client, &[String]),
    folder: &Path,
) -> Result<()> {
    every_run_completed(client, &accepted(folder)?, RUNS_END_WITHIN).await?;
    nothing_lives(client).await?;
    inbox::all_taken(client).await?;
    scene.close(urls)?;
    load.components_end().await?;
    let visitor = registers::Client::new(scene.clone(), "visitor".to_owned(), None, Rng::with_seed(0))?;
    visitor.visit_all(urls).await?;
    load.watchers_end().await?;
    export::hashes(scene, (client, urls.len()), "hashes.json").await
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
    let is_run = |op: &&Op| matches!(op.call, Call::Start { what: Started::Run, .. });
    let started = history.ops.iter().filter(is_run);
    let mut ids: Vec<String> = started.filter_map(|op| op.ok()?.id.clone()).collect();
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Runs and tasks whose start nobody heard of have time to end, too.
async fn nothing_lives(client: &Client) -> Result<()> {
    let deadline = Instant::now() + RUNS_END_WITHIN;
    loop {
        let status = Some("queued,running,waiting,paused,cancelling".to_owned());
        let runs = wire::RunsQuery { status, limit: Some(1), ..wire::RunsQuery::default() };
        let run = client.runs().list(&runs).await?.items.pop();
        let status = Some("blocked,queued,running,retrying".to_owned());
        let tasks = wire::TasksQuery { status, limit: Some(1), ..wire::TasksQuery::default() };
        let task = client.tasks().list(&tasks).await?.items.pop();
        if run.is_none() && task.is_none() {
            return Ok(());
        }
        let is_late = Instant::now() > deadline;
        ensure!(!is_late, "not ended after {RUNS_END_WITHIN:?}: {run:#?} {task:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

fn judge(folder: &Path, disks: Vec<String>, (patient, timers): (Calls, Timers)) -> Result<Outcomes> {
    let began = Instant::now();
    let report = Folder::look(folder)?.judge(Limits::default())?;
    let judged_in = began.elapsed();
    let outages = Outages::of(&History::read(&[folder.join("history.jsonl")])?);
    let without_writes = Times::new(outages.around(&read_injections(&folder.join("injections.jsonl"))?));
    Ok(Outcomes { disks, report, outages, without_writes, patient, timers, judged_in })
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
