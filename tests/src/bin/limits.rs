//! `limits`: keeps three nodes at every limit at once, with ordinary calls beside it, and prints what they had in memory, what
//! they refused, and how long admitted calls took with and without the pressure. Exits non-zero where a bound was broken.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use orc_tests::limits::round::{Plan, run};

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

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let pressed = Duration::from_secs(60 * arguments.minutes);
    let report = run(&Plan { calm: Duration::from_secs(arguments.calm), pressed }).await?;
    let wrong = report.tell();
    if wrong.is_empty() {
        println!("every bound was kept");
        return Ok(ExitCode::SUCCESS);
    }
    wrong.iter().for_each(|what| println!("BROKEN {what}"));
    Ok(ExitCode::FAILURE)
}
