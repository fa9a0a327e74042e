//! State that remembers: keys are written, watched, versioned and brought back; several change together or not at all;
//! one goes away by itself; a snapshot keeps them all.
//!
//! `cargo run -p orc-client --example state_management`; `ORC_ADDR` names the nodes, else it is the one on this machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use orc_client::wire::{
    CreateSnapshot, RestoreSnapshot, SnapshotQuery, StateCondition, StateOp, StateOperation,
    StateTransaction, raw,
};
use orc_client::{Change, Changes, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

const PREFIX: &str = "example.app.";
const VERSION: &str = "example.app.version";
const WORKERS: &str = "example.app.workers";
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<()> {
    let orc = Client::from_env()?;
    let state = orc.state();
    let mut changes = state.watch(&format!("{PREFIX}*")).await?;

    // Set and get. Whoever writes has read its own write, on whatever node it asks next.
    let first = state.set(VERSION, "1.0.0").await?;
    ensure!(read(&orc, VERSION).await? == json!("1.0.0"), "what was set is there");
    println!("{VERSION} is 1.0.0, its version {}", first.version);
    let seen = next(&mut changes).await?;
    ensure!(seen.change.key == VERSION && seen.change.version == first.version, "and who watches has heard");

    // Each write makes a version; an older one comes back as a new one.
    let mut fifteen = 0;
    for workers in [10, 15, 20] {
        let written = state.set(WORKERS, workers).await?;
        fifteen = if workers == 15 { written.version } else { fifteen };
        next(&mut changes).await?;
    }
    let versions = state.versions(WORKERS).await?;
    println!("{WORKERS} has {} versions", versions.len());
    ensure!(versions.len() >= 3, "the last ones are kept");
    let restored = state.restore(WORKERS, fifteen).await?;
    println!("Version {fifteen} is back as {}: {}", restored.version, restored.value);
    ensure!(read(&orc, WORKERS).await? == json!(15), "its value, that is");
    next(&mut changes).await?;

    // Two who change the same thing: the second one is told.
    let conflict = state.set(WORKERS, 99).if_version(fifteen).await.err().context("it has moved on")?;
    println!("Whoever has not seen that: {conflict}");
    ensure!(conflict.code() == "STATE_VERSION_CONFLICT", "nothing was written");

    // Several keys, compared and written in one step.
    let set = |key: &str, value: Value| -> Result<StateOperation> {
        Ok(StateOperation { op: StateOp::Set, key: key.into(), value: Some(raw(&value)?), ttl: None })
    };
    let unmoved = StateCondition { key: WORKERS.into(), version: Some(restored.version), exists: None };
    let ops = vec![set(WORKERS, json!(30))?, set(VERSION, json!("1.1.0"))?];
    let written = state.transact(&StateTransaction { compare: vec![unmoved], ops }).await?;
    let both = [next(&mut changes).await?, next(&mut changes).await?];
    println!("{} keys were written at rev {}", written.versions.len(), written.rev);
    ensure!(both.iter().all(|change| change.event.rev == written.rev), "at the same instant for everybody");

    // A key with a time to live goes away by itself, and whoever watches hears of it.
    let lock = format!("{PREFIX}lock");
    state.set(&lock, "me").ttl(Duration::from_millis(200)).await?;
    next(&mut changes).await?;
    let gone = next(&mut changes).await?;
    println!("{} is gone: expired {}", gone.change.key, gone.change.expired);
    ensure!(gone.change.expired && state.get(&lock).await?.is_none(), "its time was over");

    // A snapshot keeps all keys as they are; bringing some of them back is one step, too.
    let description = Some("Before major update".to_owned());
    let snapshot =
        state.snapshots().create(&CreateSnapshot { description, ..CreateSnapshot::default() }).await?;
    state.set(VERSION, "2.0.0").await?;
    next(&mut changes).await?;
    let ours = SnapshotQuery { prefix: Some(PREFIX.into()), ..SnapshotQuery::default() };
    for difference in state.snapshots().diff(&snapshot.id, &ours).await?.items {
        println!("Since {}: {} {}", snapshot.id, difference.key, difference.change);
    }
    let restore = RestoreSnapshot { prefix: Some(PREFIX.into()), ..RestoreSnapshot::default() };
    let restored = state.snapshots().restore(&snapshot.id, &restore).await?;
    println!("{} key is as it was", restored.keys);
    ensure!(read(&orc, VERSION).await? == json!("1.1.0"), "the update never happened");
    ensure!(next(&mut changes).await?.change.key == VERSION, "watchers see it as a change like any other");
    state.snapshots().delete(&snapshot.id).await?;
    Ok(())
}

async fn read(orc: &Client, key: &str) -> Result<Value> {
    let entry = orc.state().get(key).await?.with_context(|| format!("{key} has a value"))?;
    Ok(serde_json::from_str(entry.value.get())?)
}

/// The next change of a key that is watched.
async fn next(changes: &mut Changes) -> Result<Change> {
    let change = timeout(PATIENCE, changes.next()).await?.context("a watch goes on")??;
    let value = change.change.new_value.as_deref().map_or("nothing", |value| value.get());
    println!("  changed: {} = {value}", change.change.key);
    Ok(change)
}
