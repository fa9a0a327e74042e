//! The load driver: three nodes and two workers as processes, closed loops of three-step runs and of state writes
//! with 1, 64 and 256 in flight, idle memory, and the time from start to the first accepted request.
//! Every figure is a median over repetitions; each write is synced on a majority before its answer.

mod driver;
mod memory;

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use orc_client::{Client, Workflow};
use orc_tests::{Cluster, Options, three_echo_steps};
use serde_json::json;
use tokio::time::Instant;

use crate::driver::{Figures, closed_loop, median};

/// Measures a three-node cluster on this machine.
#[derive(Parser)]
struct Arguments {
    /// How long each loop runs, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each loop is repeated.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: u64,
    /// Prints one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

const IN_FLIGHT: [usize; 3] = [1, 64, 256];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut cluster = Cluster::start("bench", arguments.nodes, Options::default()).await?;
    let idle = memory::resident_mib(cluster.pids())?;
    let client = cluster.client()?;
    client.cluster().set_config(&json!({"maxConcurrentWorkflows": 1000, "maxConcurrentTasks": 2000})).await?;
    for name in ["w-1", "w-2"] {
        cluster.start_worker(name, 256)?;
    }
    let mut all = Vec::new();
    for in_flight in IN_FLIGHT {
        let length = Duration::from_secs(arguments.seconds);
        let mut figures = Vec::new();
        for _ in 0..arguments.repeat {
            let client = client.clone();
            figures.push(closed_loop(in_flight, length, move |_| three_steps(client.clone())).await?);
        }
        all.push(("three-step runs", in_flight, median(figures)));
    }
    for in_flight in IN_FLIGHT {
        let length = Duration::from_secs(arguments.seconds);
        let mut figures = Vec::new();
        for _ in 0..arguments.repeat {
            let client = client.clone();
            figures.push(closed_loop(in_flight, length, move |number| put(client.clone(), number)).await?);
        }
        all.push(("state writes", in_flight, median(figures)));
    }
    let loaded = memory::resident_mib(cluster.pids())?;
    drop(cluster);
    let started = time_to_first_request(arguments.repeat).await?;
    report(&arguments, &all, (&idle, &loaded, started));
    Ok(())
}

async fn three_steps(client: Client) -> Result<()> {
    let run = client.runs().start(Workflow::definition(three_echo_steps())).send().await?;
    let result = run.wait().timeout(Duration::from_secs(60)).await?;
    anyhow::ensure!(result.steps().len() == 3, "three steps ran");
    Ok(())
}

/// 256 bytes over 10,000 keys.
async fn put(client: Client, number: u64) -> Result<()> {
    let value = "v".repeat(254);
    client.state().set(format!("bench.{}", number.wrapping_mul(7919) % 10_000), value).await?;
    Ok(())
}

/// From the start of a single node with an empty folder to its first accepted write; the median.
async fn time_to_first_request(repeat: usize) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let began = Instant::now();
        let cluster = Cluster::launch("start", 1, Options::default())?;
        let client = cluster.client()?;
        client.state().set("first", 1).await?;
        times.push(began.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

fn report(arguments: &Arguments, all: &[(&str, usize, Figures)], rest: (&[f64], &[f64], Duration)) {
    let (idle, loaded, started) = rest;
    if arguments.json {
        let rows: Vec<_> = all
            .iter()
            .map(
                |(work, in_flight, figures)| json!({"work": work, "inFlight": in_flight, "figures": figures}),
            )
            .collect();
        let document = json!({"nodes": arguments.nodes, "seconds": arguments.seconds, "repeat": arguments.repeat,
            "rows": rows, "idleMiB": idle, "loadedMiB": loaded, "startMs": started.as_millis() as u64});
        println!("{document}");
        return;
    }
    println!("{} nodes, {} s a loop, medians of {}", arguments.nodes, arguments.seconds, arguments.repeat);
    println!("{:<16} {:>9} {:>9} {:>9} {:>9}", "work", "in flight", "per s", "p50 ms", "p99 ms");
    for (work, in_flight, figures) in all {
        let Figures { rate, p50_ms, p99_ms } = figures;
        println!("{work:<16} {in_flight:>9} {rate:>9.0} {p50_ms:>9.2} {p99_ms:>9.2}");
    }
    let list =
        |values: &[f64]| values.iter().map(|value| format!("{value:.0}")).collect::<Vec<_>>().join(", ");
    println!("memory of each node, MiB: idle {}; after the load {}", list(idle), list(loaded));
    println!("start of a node with an empty folder to its first accepted write: {} ms", started.as_millis());
}
