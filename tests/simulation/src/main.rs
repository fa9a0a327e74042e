//! Whole clusters in one thread: the real server, its network and disks simulated, faults drawn from a seed, what happened
//! judged by `orc-check`. The same seed does the same, to the byte.
//! This file is the command line; one process simulates one seed.

mod faults;
mod http;
mod interrupt;
mod kinds;
mod load;
mod many;
mod mutants;
mod nodes;
mod one;
mod operator;
mod power;
mod rules;
mod scene;
mod script;
mod system;
mod trace;
mod worker;
mod workflows;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::kinds::Kind;

/// Simulated seconds of faults, unless said.
const LASTS: u64 = 30;

/// Simulates clusters, each from a seed, and judges what happened.
#[derive(Debug, Parser)]
pub struct Args {
    /// Simulates this seed, in this process
    #[arg(long)]
    seed: Option<u64>,
    /// Simulates so many seeds, one process for each
    #[arg(long, default_value_t = 64, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// So many at once; they are waited for in order, so two for each core keep all cores busy
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Simulated seconds of faults
    #[arg(long, default_value_t = LASTS)]
    lasts: u64,
    /// Where histories, logs and traces of failures go
    #[arg(long, default_value = "target/simulation")]
    out: PathBuf,
    /// Only these kinds of faults, such as Power,Isolate; all of them, in any mix, unless said
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Kind>,
    /// Makes this mistake on purpose: whether it is found is what is asked (a build with the feature `mutants`)
    #[arg(long)]
    bug: Option<String>,
    /// Makes one mistake after another, each with up to so many seeds, and says which were found
    #[arg(long, value_name = "SEEDS")]
    mutants: Option<u64>,
    /// Simulates the first of the seeds once more at the end: it has to be the same again
    #[arg(long, conflicts_with = "seed")]
    again: bool,
    /// Keeps the history and the trace of a seed that passes, too
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.seed {
        Some(seed) => one::run(&args, seed).map(|report| println!("{report}")),
        None => match args.mutants {
            Some(seeds) => mutants::run(&args, seeds),
            None => many::run(&args),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
