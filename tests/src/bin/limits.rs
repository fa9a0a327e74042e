//! `limits`: keeps three nodes at every limit at once, with ordinary calls beside it, and prints what they had in memory, what
//! they refused, and how long admitted calls took with and without the pressure. Exits non-zero where a bound was broken.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use orc_tests::limits::round::{Plan, run};
use tokio::runtime::{Builder, Runtime};

/// The lowest priority.
const NICEST: i32 = 19;

/// Keeps three nodes at every limit at once.
#[derive(Parser)]
struct Arguments {
    /// How long the pressure goes on.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// How long calls are timed before it, in seconds.
    #[arg(long, default_value_t = 30)]
    calm: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let plan = Plan {
        calm: Duration::from_secs(arguments.calm),
        pressed: Duration::from_secs(60 * arguments.minutes),
    };
    // Those who press would have machines of their own: here they get what nodes and ordinary calls leave of this one.
    let pressing = Builder::new_multi_thread().enable_all().on_thread_start(give_way).build()?;
    let report = Runtime::new()?.block_on(run(&plan, pressing.handle()))?;
    let wrong = report.tell();
    if wrong.is_empty() {
        println!("every bound was kept");
        return Ok(ExitCode::SUCCESS);
    }
    wrong.iter().for_each(|what| println!("BROKEN {what}"));
    Ok(ExitCode::FAILURE)
}

/// Of this thread alone.
fn give_way() {
    if let Err(error) = rustix::process::nice(NICEST) {
        eprintln!("a thread that presses has the priority of the others: {error}");
    }
}
