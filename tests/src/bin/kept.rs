//! `kept`: snapshots of many state keys beside writers. Prints the latency of writes without and with snapshots being made, and
//! whether a restored snapshot is what it was, key by key. Exits non-zero with the reason if not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use clap::Parser;
use orc_client::{
    Client,
    wire::{
        self, CreateSnapshot, ExportQuery, RestoreSnapshot, StateEntry, StateOp, StateOperation,
        StateTransaction,
    },
};
use orc_tests::{Cluster, Options};
use tokio::time::{Instant, sleep};

/// Makes snapshots of many keys beside writers.
#[derive(Parser)]
struct Arguments {
    /// Keys.
    #[arg(long, default_value_t = 100_000)]
    keys: u32,
    /// Writers, each waiting for its answer.
    #[arg(long, default_value_t = 32)]
    writers: u32,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Turns of without and with.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

const BATCH: u32 = 500;

fn key(number: u32) -> String {
    format!("kept.k{number:06}")
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cluster = Cluster::start("kept", 3, Options::default()).await?;
    let client = cluster.client()?;
    fill(&client, arguments.keys).await?;
    for round in 1..=arguments.rounds {
        let plain = writing(&client, &arguments, sleep(Duration::from_secs(arguments.seconds))).await?;
        let mut made = Vec::new();
        let beside = writing(&client, &arguments, async {
            for _ in 0..arguments.seconds {
                let began = Instant::now();
                let snapshot = client.state().snapshots().create(&CreateSnapshot::default()).await;
                made.push((began.elapsed(), snapshot.map(|snapshot| snapshot.id)));
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await?;
        let (alone, with) = (percentiles(&plain), percentiles(&beside));
        println!(
            "round {round}: {} writes alone      p50 {:>6.2} ms, p99 {:>6.2} ms",
            plain.len(),
            alone.0,
            alone.1
        );
        println!(
            "         {} writes beside {:>2} snapshots p50 {:>6.2} ms, p99 {:>6.2} ms, ratio {:.2}",
            beside.len(),
            made.len(),
            with.0,
            with.1,
            with.1 / alone.1
        );
        for (_, id) in made {
            client.state().snapshots().delete(&id?).await?;
        }
    }
    restored(&client, &arguments).await
}

async fn fill(client: &Client, keys: u32) -> Result<()> {
    for first in (0..keys).step_by(BATCH as usize) {
        let write = |number: u32| StateOperation {
            op: StateOp::Set,
            key: key(number),
            value: wire::raw(&format!("{number:080}")).ok(),
            ttl: None,
        };
        let ops = (first..keys.min(first + BATCH)).map(write).collect();
        client.state().transact(&StateTransaction { compare: Vec::new(), ops }).await?;
    }
    Ok(())
}

/// The latencies of writes to keys spread over all while something else goes on.
async fn writing(
    client: &Client,
    arguments: &Arguments,
    meanwhile: impl Future<Output = ()>,
) -> Result<Vec<f64>> {
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..arguments.writers)
        .map(|writer| {
            let (client, over, keys) = (client.clone(), over.clone(), arguments.keys);
            tokio::spawn(async move {
                let (mut latencies, mut number) = (Vec::new(), writer);
                while !over.load(Ordering::Relaxed) {
                    number = (number * 7_919 + 104_729) % keys;
                    let began = Instant::now();
                    client.state().set(key(number), format!("{number:080}+")).await?;
                    latencies.push(began.elapsed().as_secs_f64() * 1_000.0);
                }
                Ok::<_, orc_client::Error>(latencies)
            })
        })
        .collect();
    meanwhile.await;
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await??);
    }
    all.sort_by(f64::total_cmp);
    Ok(all)
}

/// The median and the 99th percentile.
fn percentiles(sorted: &[f64]) -> (f64, f64) {
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    (at(0.5), at(0.99))
}

/// Makes a snapshot, changes, adds and deletes keys, restores, and compares all keys with what they were.
async fn restored(client: &Client, arguments: &Arguments) -> Result<()> {
    let snapshots = client.state().snapshots();
    let before = all_keys(client).await?;
    let snapshot = snapshots.create(&CreateSnapshot::default()).await?;
    writing(client, arguments, sleep(Duration::from_secs(arguments.seconds))).await?;
    for number in (0..arguments.keys).step_by(97) {
        client.state().delete(&key(number), None).await?;
        client.state().set(format!("kept.new{number}"), number).await?;
    }
    let changed = all_keys(client).await?;
    let differ = before.iter().filter(|(key, value)| changed.get(*key) != Some(value)).count();
    let began = Instant::now();
    let done = snapshots.restore(&snapshot.id, &RestoreSnapshot::default()).await?;
    let took = began.elapsed();
    let after = all_keys(client).await?;
    ensure!(before == after, "the keys are not what they were");
    println!(
        "restore: {} of {} keys differed, {} were written in {:.0} ms; all {} keys are what they were",
        differ,
        before.len(),
        done.keys,
        took.as_secs_f64() * 1_000.0,
        after.len()
    );
    Ok(())
}

async fn all_keys(client: &Client) -> Result<BTreeMap<String, String>> {
    let mut lines = Vec::new();
    client.state().export(&ExportQuery::default()).await?.write_to(&mut lines).await?;
    let entry = |line: &[u8]| serde_json::from_slice::<StateEntry>(line);
    let entries = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(entry);
    entries
        .map(|entry| entry.map(|entry| (entry.key, entry.value.get().to_owned())).map_err(Into::into))
        .collect()
}
