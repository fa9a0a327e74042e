//! `failover`: kills the leader of an `orc dev --nodes 3` cluster again and again under load, and prints what happened.
//! Exits non-zero with the reason if a promise was broken.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use orc_tests::{DevCluster, Load, Probe, counted_once, equal_hashes, every_run_completed, three_echo_steps};
use serde_json::json;
use tokio::time::Instant;

/// Kills the leader again and again under load.
#[derive(Parser)]
struct Arguments {
    /// How often the leader is killed.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Runs started a second.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// The longest a write may stay unacknowledged, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    max_ms: u64,
    /// The median of that time, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    p50_ms: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut cluster = DevCluster::start(3).await?;
    let client = cluster.client()?;
    client.cluster().set_config(&json!({"maxConcurrentWorkflows": 2000, "maxConcurrentTasks": 4000})).await?;
    for name in ["w-1", "w-2"] {
        cluster.start_worker(name, 64)?;
    }
    let probe = Probe::start(cluster.urls())?;
    let load = Load::start(client.clone(), arguments.rate, three_echo_steps());
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut gaps = Vec::new();
    let mut last_term = 0;
    for kill in 1..=arguments.kills {
        let ((leader, term), died) = cluster.kill_leader(&client).await?;
        let gap = probe.next_after(died, Duration::from_secs(30)).await?;
        println!(
            "kill {kill:>2}: node-{leader} died (term {term}), next acknowledged write after {} ms",
            gap.as_millis()
        );
        ensure!(term > last_term, "no other node was elected: term {term} again");
        last_term = term;
        gaps.push(gap);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let report = load.finish().await?;
    drop(probe);
    let settled = Instant::now();
    every_run_completed(&client, &report.accepted, Duration::from_secs(120)).await?;
    let settled = settled.elapsed();
    let results = counted_once(&client, &report.accepted, 3).await?;
    let hash = equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    cluster.stop().await?;

    gaps.sort();
    let (p50, max) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    let rate = report.accepted.len() as f64 / report.lasted.as_secs_f64();
    println!("kills              {}", arguments.kills);
    println!(
        "runs accepted      {} ({rate:.0}/s over {:.0} s)",
        report.accepted.len(),
        report.lasted.as_secs_f64()
    );
    println!(
        "runs completed     {} (the last {:.1} s after the load)",
        report.accepted.len(),
        settled.as_secs_f64()
    );
    println!("results counted    {results}, each once");
    println!("failed calls       {}", report.failed.len());
    println!("next write after   p50 {} ms, max {} ms", p50.as_millis(), max.as_millis());
    println!("state hash         {hash}, equal on all nodes");
    ensure!(report.failed.is_empty(), "calls failed: {:#?}", report.failed);
    ensure!(rate >= f64::from(arguments.rate) * 0.95, "the load fell to {rate:.0} runs/s");
    ensure!(p50 <= Duration::from_millis(arguments.p50_ms), "median of {} ms", p50.as_millis());
    ensure!(max <= Duration::from_millis(arguments.max_ms), "maximum of {} ms", max.as_millis());
    Ok(())
}
