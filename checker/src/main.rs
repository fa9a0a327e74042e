//! `orc-check`: judges recorded runs from the command line. Exit code 0: every promise was kept, 1: one was not, 2: the
//! input cannot be read, 3: nothing is proved.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use orc_check::{linear::Limits, replay::Folder};

/// Judges what was recorded of a cluster.
#[derive(Parser)]
#[command(name = "orc-check", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Judges a recorded folder
    ///
    /// It reads history*.jsonl, events-<node>.jsonl, watch-*.jsonl, receipts*.jsonl, injections.jsonl, hashes*.json, guards.json and plans.json.
    /// Exit code 0: valid, 1: a promise was broken, 2: the input cannot be read, 3: void or undecided.
    Replay {
        /// The folder.
        dir: PathBuf,
        /// The form of the report.
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
        /// Seconds that the search for an order may take for one key.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// MiB that it may hold.
        #[arg(long, default_value_t = 256)]
        mib: usize,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

fn main() -> ExitCode {
    let Command::Replay { dir, output, seconds, mib } = Cli::parse().command;
    let limits = Limits { time: Duration::from_secs(seconds), cache_bytes: mib << 20 };
    match replay(&dir, output, limits) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn replay(dir: &std::path::Path, output: Output, limits: Limits) -> Result<u8> {
    let report = Folder::look(dir)?.judge(limits)?;
    match output {
        Output::Text => print!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.verdict.exit_code())
}
