//! Who moves between nodes loses nothing: a component its running attempt, a watcher no change.
//! Knows nothing of how sessions and streams go on.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use orc_client::wire::{ComponentStatus, RunStatus};
use orc_client::{Client, Worker};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::scene::{Gate, PATIENCE, Scene, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_component_moved_between_nodes_keeps_its_running_attempt_and_its_result_counts_once() -> Result<()>
{
    let mut scene = Scene::start("moved").await?;
    let gate = Gate::closed();
    // First a follower is killed below the component, then the leader.
    for (round, kill_leader) in [false, true].into_iter().enumerate() {
        let leader = scene.cluster.leader().await?;
        let dies = if kill_leader { leader } else { leader % 3 + 1 };
        let other = dies % 3 + 1;
        let both = Client::builder().nodes([scene.cluster.url(dies), scene.cluster.url(other)]).build()?;
        let id = format!("mover-{round}");
        let worker = gate.on(Worker::new(both).id(&id).slots(1)).start().connected().await?;
        let home = scene.orc.components().get(&id).await?.node;
        ensure!(home == Some(format!("node-{dies}")), "it is connected to the node that will die: {home:?}");

        let run = json!({ "name": "Long", "steps": [{ "name": "Move", "action": "gated" }] });
        let run = scene.create_workflow(run).await?;
        // An attempt that is assigned may still be on its way.
        gate.begun(round + 1).await?;
        scene.cluster.kill_node(dies)?;
        until("the component on the other node", async || {
            let now = scene.orc.components().get(&id).await?;
            let there = now.status == ComponentStatus::Connected && now.node == Some(format!("node-{other}"));
            Ok(there.then_some(()))
        })
        .await?;
        gate.open(1);
        let ended = scene.ended(&run).await?;
        ensure!(ended.status == RunStatus::Completed, "{ended:?}");
        ensure!(ended.steps[0].attempts == 1, "the attempt that ran goes on: {ended:?}");
        let mut results = 0;
        for event in scene.events_of(&run).await? {
            ensure!(event.kind != "task.attemptFailed", "no attempt was lost: {event:?}");
            results += u32::from(event.kind == "step.completed");
        }
        ensure!(results == 1, "the result counts once, not {results} times");
        scene.cluster.start_node(dies)?;
        scene.cluster.ready(dies).await?;
        scene.cluster.voters(3).await?;
        worker.stop().await?;
    }
    Ok(())
}

/// How often the watcher is killed.
const DEATHS: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_killed_and_resumed_on_random_nodes_50_times_sees_every_change_once_in_order() -> Result<()>
{
    let scene = Scene::start("watcher").await?;
    let begin = scene.orc.events().last_seq().await?;
    let writer = {
        let orc = scene.orc.clone();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let writing = tokio::spawn(async move {
            let mut written = 0u64;
            while !*stopped.borrow() {
                // Noise now and then, so that what follows a change is sometimes nothing the watcher asks for.
                if written.is_multiple_of(3) {
                    orc.state().set("noise.n", written).await?;
                }
                orc.state().set(format!("watched.k{}", written % 7), written).await?;
                written += 1;
            }
            anyhow::Ok(written)
        });
        (stop, writing)
    };
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let mut seen: Vec<(u64, u64)> = Vec::new();
    for _ in 0..DEATHS {
        let (node, lives_for) = (dice.roll(3) + 1, dice.roll(20) + 1);
        let last = seen.last().map_or(begin, |(seq, _)| *seq);
        seen.extend(watch(&scene.cluster.client_of(node)?, last, lives_for).await?);
        let told = seen.iter().map(|(_, number)| *number);
        ensure!(told.eq(0..seen.len() as u64), "resumed after {last} on node {node}: {seen:?} (seed {seed})");
    }
    let (stop, writing) = writer;
    stop.send_replace(true);
    let written = timeout(PATIENCE, writing).await???;
    let last = seen.last().map_or(begin, |(seq, _)| *seq);
    let rest = written - seen.len() as u64;
    seen.extend(watch(&scene.orc, last, rest).await?);

    let numbers: Vec<u64> = seen.iter().map(|(_, number)| *number).collect();
    ensure!(numbers.iter().copied().eq(0..written), "of {written} changes it saw {numbers:?} (seed {seed})");
    ensure!(seen.is_sorted_by(|one, next| one.0 < next.0), "events have growing numbers (seed {seed})");
    println!("{written} changes, {DEATHS} deaths");
    Ok(())
}

/// A watcher that resumes after an event and is killed, wherever it is, once it has told of so many changes; what it told.
async fn watch(node: &Client, since: u64, lives_for: u64) -> Result<Vec<(u64, u64)>> {
    let (tell, mut told) = mpsc::channel(1);
    let mut changes = node.state().watch_since("watched.*", since);
    let watcher = tokio::spawn(async move {
        while let Some(change) = changes.next().await {
            let change = change?;
            let value: Value = serde_json::from_str(change.change.new_value.context("a write")?.get())?;
            tell.send((change.event.seq, value.as_u64().context("a number")?)).await?;
        }
        anyhow::Ok(())
    });
    let mut heard = Vec::new();
    for _ in 0..lives_for {
        heard.push(timeout(PATIENCE, told.recv()).await?.context("the watcher lives")?);
    }
    watcher.abort();
    Ok(heard)
}

/// The same numbers for the same seed (a linear congruential generator; its low bits are left out).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
