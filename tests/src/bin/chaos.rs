//! `chaos`: real nodes on machines of their own, a fault that happens to them again and again under load, and a judgement of
//! everything that was recorded. Exits non-zero where a promise was broken or nothing is proved.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use orc_check::verdict::Verdict;
use orc_tests::{
    chaos::{FAULTS, Fault, fault, round},
    machines,
};

/// Lets faults happen to real nodes under load. Needs root, iptables and xfsprogs.
#[derive(Parser)]
struct Arguments {
    /// Only these faults; all of them if none is given.
    faults: Vec<String>,
    /// How often each happens.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Where what is left open begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where everything is recorded, a folder for each fault.
    #[arg(long, default_value = "target/chaos")]
    out: PathBuf,
    /// Shows the faults and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        FAULTS.iter().for_each(|fault| println!("{:<18} {}", fault.name, fault.about));
        return Ok(ExitCode::SUCCESS);
    }
    machines::enter()?;
    let faults: Vec<Fault> = match arguments.faults.as_slice() {
        [] => FAULTS.to_vec(),
        names => names.iter().map(|name| fault(name)).collect::<Result<_>>()?,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(all(&arguments, &faults))
}

async fn all(arguments: &Arguments, faults: &[Fault]) -> Result<ExitCode> {
    let (mut broken, mut slowest) = (Vec::new(), Vec::new());
    for fault in faults {
        let folder = std::path::absolute(arguments.out.join(fault.name))?;
        match round::run(fault, arguments.rounds, arguments.seed, &folder).await {
            Ok(outcomes) => {
                let counts = outcomes.report.counts;
                println!(
                    "{:<18} {:?}: {} operations, {} ok, {} unknown; lost {}, duplicated {}, stale {}; no write for {}",
                    fault.name,
                    outcomes.report.verdict,
                    counts.operations,
                    counts.ok,
                    counts.unknown,
                    counts.lost,
                    counts.duplicated,
                    counts.stale,
                    spread(&outcomes.without_writes),
                );
                slowest.extend(outcomes.without_writes);
                if outcomes.report.verdict != Verdict::Valid {
                    println!("{}", outcomes.report);
                    broken.push(fault.name);
                }
            }
            Err(error) => {
                println!("{:<18} FAILED: {error:#}", fault.name);
                broken.push(fault.name);
            }
        }
    }
    println!("all faults         no write for {}", spread(&slowest));
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not kept or not proved: {}; see {}", broken.join(", "), arguments.out.display());
    Ok(ExitCode::FAILURE)
}

/// Median and maximum.
fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort();
    match times.last() {
        Some(max) => {
            format!("p50 {:.2} s, max {:.2} s", times[times.len() / 2].as_secs_f64(), max.as_secs_f64())
        }
        None => "never".to_owned(),
    }
}
