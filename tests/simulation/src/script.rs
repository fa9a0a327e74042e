//! What happens in a simulation beside the faults: the cluster is founded, load begins and ends, everything has to come to an
//! end, and what the nodes then say is recorded.
//! Knows nothing of how it is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use hyper::Method;
use orc_check::{
    guards::{Guards, OperationsMin},
    history::{Call, Outcome},
    log::StateHash,
};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    http::{Ask, Http},
    interrupt, load, operator,
    scene::{Phase, Scene},
    worker,
};

const FOUNDED_WITHIN: Duration = Duration::from_secs(30);
const BEFORE_FAULTS: Duration = Duration::from_secs(3);
/// The longest time without a majority once there may be one (P20). No lost packet is sent again here, so a connection that
/// lost one has to be given up first.
const WRITTEN_WITHIN: Duration = Duration::from_secs(8);
const AFTER_FAULTS: Duration = Duration::from_secs(4);
const ENDED_WITHIN: Duration = Duration::from_secs(90);
const ALIKE_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

/// Runs it.
pub async fn run(scene: Rc<Scene>, mut rng: Rng) -> Result<()> {
    let mut http = Http::default();
    founded(&scene, &mut http).await?;
    let mut load = begin_load(&scene, &mut rng);
    load.spawn_local(scout(scene.clone()));
    sleep(BEFORE_FAULTS).await;
    scene.enter(Phase::Faults);
    scene.reached(Phase::Calm).await;
    written(&scene).await?;
    operator::done(&scene).await?;
    sleep(AFTER_FAULTS).await;
    scene.enter(Phase::Ending);
    ended(&scene, &mut http).await?;
    scene.enter(Phase::Whole);
    while let Some(done) = load.join_next().await {
        done.context("a part of the load")??;
    }
    visit_all(&scene).await?;
    only_those_who_came(&scene).await?;
    let hashes = alike(&scene).await;
    let logs = export(&scene).await;
    serde_json::to_writer(scene.file("hashes.json")?, &hashes?)?;
    logs?;
    scene.enter(Phase::Over);
    Ok(())
}

/// What the faults must not have made void.
pub fn guards(faults: BTreeSet<String>) -> Guards {
    let operations_min = OperationsMin { before: 50, during: 0, after: 20 };
    Guards { operations_min, faults, everything_ended: true, ..Guards::default() }
}

fn begin_load(scene: &Rc<Scene>, rng: &mut Rng) -> JoinSet<Result<()>> {
    let mut load = JoinSet::new();
    for number in 0..6 {
        let home = (number < 4).then(|| number % scene.nodes as u64 + 1);
        load.spawn_local(load::keys(scene.clone(), format!("c{number}"), home, rng.fork()));
    }
    for number in 0..2 {
        load.spawn_local(load::starts(scene.clone(), format!("s{number}"), rng.fork()));
        load.spawn_local(worker::work(scene.clone(), format!("w-{number}"), rng.fork()));
    }
    load.spawn_local(interrupt::interrupt(scene.clone(), rng.fork()));
    load.spawn_local(operator::operate(scene.clone(), rng.fork()));
    for number in 0..3 {
        load.spawn_local(load::watch(scene.clone(), number.to_string(), rng.fork()));
    }
    load
}

/// Keeps the scene told who leads, for faults that are meant for the leader.
async fn scout(scene: Rc<Scene>) -> Result<()> {
    let mut http = Http::default();
    while scene.phase() <= Phase::Faults {
        for node in scene.members() {
            if let Some(status) = status(&mut http, node).await {
                scene.leader.set(status["leader"].as_str().and_then(Scene::number));
                break;
            }
        }
        sleep(LOOK * 5).await;
    }
    Ok(())
}

/// How a node sees the cluster.
pub async fn status(http: &mut Http, node: u64) -> Option<Value> {
    let reply = http.ask(&Scene::http(node), Ask::new(Method::GET, "/cluster")).await.ok()?;
    reply.status.is_success().then_some(reply.body)
}

async fn founded(scene: &Scene, http: &mut Http) -> Result<()> {
    let deadline = Instant::now() + FOUNDED_WITHIN;
    loop {
        let voters = status(http, 1).await.map_or(0, |status| voters(&status).len());
        if voters == scene.nodes {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "P20: {voters} of {} nodes vote after {FOUNDED_WITHIN:?}",
            scene.nodes
        );
        sleep(LOOK).await;
    }
}

/// The names of those that vote.
pub fn voters(status: &Value) -> Vec<String> {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    let vote = nodes.filter(|node| node["role"] == "leader" || node["role"] == "follower");
    vote.filter_map(|node| node["id"].as_str().map(str::to_owned)).collect()
}

/// A majority takes writes again.
async fn written(scene: &Scene) -> Result<()> {
    let (deadline, mut op) = (Instant::now() + WRITTEN_WITHIN, 0);
    loop {
        for node in up(scene) {
            op += 1;
            let (key, value) = ("hot.first".to_owned(), op.into());
            let (call, idempotency) = (Call::Write { key, value }, format!("first-{op}"));
            let mut http = Http::default();
            let asked = load::ask_key(scene, &mut http, ("first", op), (node, call, &idempotency));
            // A caller that waits for an answer that was lost would miss what others see.
            let Ok(done) = timeout(LOOK * 5, asked).await else { continue };
            if matches!(done?, Outcome::Ok(_)) {
                return Ok(());
            }
        }
        ensure!(
            Instant::now() < deadline,
            "P20: no write is acknowledged {WRITTEN_WITHIN:?} after the last fault"
        );
        sleep(LOOK).await;
    }
}

/// The nodes that are not down.
fn up(scene: &Scene) -> Vec<u64> {
    scene.members().into_iter().filter(|node| !scene.down.borrow().contains(node)).collect()
}

/// Every run comes to its end, also those whose start nobody heard of.
async fn ended(scene: &Scene, http: &mut Http) -> Result<()> {
    let deadline = Instant::now() + ENDED_WITHIN;
    let path = "/runs?status=queued,running,waiting,paused,cancelling&limit=1";
    let mut last = Value::Null;
    while Instant::now() < deadline {
        for node in up(scene) {
            if let Ok(reply) = http.ask(&Scene::http(node), Ask::new(Method::GET, path)).await
                && reply.status.is_success()
            {
                if reply.body["items"].as_array().is_some_and(Vec::is_empty) {
                    return Ok(());
                }
                last = reply.body;
                break;
            }
        }
        sleep(LOOK).await;
    }
    bail!("P8: not every run has ended {ENDED_WITHIN:?} after the last fault: {last:#}")
}

/// One read on every node, which has to succeed.
async fn visit_all(scene: &Scene) -> Result<()> {
    let (mut http, mut op) = (Http::default(), 0);
    for node in scene.members() {
        let deadline = Instant::now() + ALIKE_WITHIN;
        loop {
            op += 1;
            let call = Call::Read { key: "hot.k0".to_owned() };
            let done = load::ask_key(scene, &mut http, ("visitor", op), (node, call, "")).await?;
            if matches!(done, Outcome::Ok(_)) {
                break;
            }
            ensure!(Instant::now() < deadline, "P20: {} does not answer: {done:?}", Scene::node(node));
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// Components are those that registered themselves.
async fn only_those_who_came(scene: &Scene) -> Result<()> {
    let node = scene.members()[0];
    let asked = Http::default().ask(&Scene::http(node), Ask::new(Method::GET, "/components")).await;
    let Ok(reply) = asked else { bail!("{} does not list components", Scene::node(node)) };
    let items = reply.body["items"].as_array().cloned().unwrap_or_default();
    let wrong: Vec<_> = items.iter().filter(|item| !item["id"].as_str().is_some_and(is_ours)).collect();
    ensure!(wrong.is_empty(), "somebody came under another name: {wrong:?}");
    Ok(())
}

fn is_ours(component: &str) -> bool {
    component.starts_with("w-")
}

/// The hashes of all nodes at one rev.
async fn alike(scene: &Scene) -> Result<BTreeMap<String, StateHash>> {
    let (mut http, deadline) = (Http::default(), Instant::now() + ALIKE_WITHIN);
    loop {
        let told = status(&mut http, scene.members()[0]).await.unwrap_or_default();
        let hashes: BTreeMap<String, StateHash> = told["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| {
                let hash = node["stateHash"].as_str()?.to_owned();
                Some((node["id"].as_str()?.to_owned(), StateHash { rev: node["applied"].as_u64()?, hash }))
            })
            .collect();
        let same_rev = hashes.values().all(|one| hashes.values().all(|other| other.rev == one.rev));
        if hashes.len() == scene.nodes && same_rev {
            return Ok(hashes);
        }
        ensure!(Instant::now() < deadline, "P5: not all nodes are at the same rev: {hashes:#?}");
        sleep(LOOK).await;
    }
}

/// The whole log of each node.
async fn export(scene: &Scene) -> Result<()> {
    let mut http = Http::default();
    for node in scene.members() {
        let mut file = scene.file(&format!("events-{}.jsonl", Scene::node(node)))?;
        let mut since = 0;
        loop {
            let path = format!("/events?since={since}&limit=500&consistency=stale");
            let asked = http.ask(&Scene::http(node), Ask::new(Method::GET, &path)).await;
            let Ok(reply) = asked else { bail!("{} does not tell its events", Scene::node(node)) };
            ensure!(reply.status.is_success(), "{}: {:#}", Scene::node(node), reply.body);
            let mut text = Vec::new();
            for event in reply.body["items"].as_array().into_iter().flatten() {
                since = event["seq"].as_u64().unwrap_or(since);
                writeln!(text, "{event}")?;
            }
            file.write_all(&text)?;
            if since >= reply.body["lastSeq"].as_u64().unwrap_or(0) {
                break;
            }
            ensure!(!text.is_empty(), "the log of {} ends at {since}", Scene::node(node));
        }
    }
    Ok(())
}
