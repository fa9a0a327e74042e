//! `durable`: sends durable messages to one component of a three-node cluster while the leader is killed again and again, and
//! says whether each came and in order. Exits non-zero with the reason if not.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use orc_tests::{Cluster, DurableLoad, Options};
use tokio::time::{Instant, sleep};

/// Sends durable messages while the leader is killed.
#[derive(Parser)]
struct Arguments {
    /// Messages in all.
    #[arg(long, default_value_t = 100_000)]
    messages: u32,
    /// Senders, each with numbers of its own.
    #[arg(long, default_value_t = 64)]
    senders: u32,
    /// How often the leader is killed.
    #[arg(long, default_value_t = 3)]
    kills: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { messages, senders, kills } = Arguments::parse();
    let mut cluster = Cluster::start("durable", 3, Options::default()).await?;
    let each = messages.div_ceil(senders);
    let load = DurableLoad::start(cluster.client()?, cluster.client()?, senders, each).await?;
    for kill in 1..=kills {
        let place = (messages / (kills + 1) * kill) as usize;
        while load.handled() < place {
            sleep(Duration::from_millis(10)).await;
        }
        let leader = cluster.leader().await?;
        let killed = Instant::now();
        cluster.kill_node(leader)?;
        println!("kill {kill}: node-{leader} after {} handled", load.handled());
        sleep(Duration::from_secs(3)).await;
        cluster.start_node(leader)?;
        cluster.ready(leader).await?;
        println!("        back after {:.1} s, {} handled", killed.elapsed().as_secs_f64(), load.handled());
    }
    let report = load.finish(Duration::from_secs(300)).await?;
    let rate = f64::from(report.sent) / report.lasted.as_secs_f64();
    println!("messages  {} sent by {senders} senders, each handled, in order", report.sent);
    println!("doubled   {}", report.doubled);
    println!("lasted    {:.1} s, {rate:.0}/s with {kills} kills", report.lasted.as_secs_f64());
    Ok(())
}
