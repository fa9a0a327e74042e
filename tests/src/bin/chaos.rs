//! `chaos`: real nodes on machines of their own, a fault that happens to them again and again under load, and a judgement of
//! everything that was recorded. Exits non-zero where a promise was broken or nothing is proved.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use orc_check::verdict::Verdict;
use orc_tests::{
    chaos::{
        FAULTS, Fault, fault,
        figures::Bounds,
        round::{self, Outcomes, Plan},
    },
    machines,
};

/// Lets faults happen to real nodes under load. Needs root and what `tools/chaos_needs.sh` names.
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
    /// The longest calm between two faults, in milliseconds; the shortest is 3/8 of it.
    #[arg(long, default_value_t = 4000)]
    calm_ms: u64,
    /// Compares the states of all nodes after each fault, too.
    #[arg(long)]
    alike: bool,
    /// Fails if a client that retries under its Idempotency-Key got no success within 30 s.
    #[arg(long)]
    no_failed_calls: bool,
    /// Bounds for the time without an acknowledged write as PERCENTILE=SECONDS, 100 for the maximum.
    #[arg(long, value_parser = bound, value_delimiter = ',')]
    no_write_max: Vec<(usize, f64)>,
    /// The mistake that nodes are told to make (`domain/src/planted.rs`; a build with `--features orc-node/mutants`): every fault
    /// has to bring it to light.
    #[arg(long, env = "PLANTED_BUG", hide_env = true)]
    bug: Option<String>,
    /// Shows the faults and ends.
    #[arg(long)]
    list: bool,
}

/// The exit code of a shell's command that a signal ended.
const ENDED_EARLY: u8 = 130;

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        for Fault { name, about, outage_max, .. } in FAULTS {
            let bound = outage_max.map_or_else(String::new, |most| format!("; writes go on within {most:?}"));
            println!("{name:<24} {about}{bound}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    machines::enter()?;
    let faults: Vec<Fault> = match arguments.faults.as_slice() {
        [] => FAULTS.iter().copied().filter(Fault::is_for_all).collect(),
        names => names.iter().map(|name| fault(name)).collect::<Result<_>>()?,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        tokio::select! {
            code = all(&arguments, &faults) => code,
            told = machines::told_to_end() => {
                told?;
                println!("told to end: nothing is proved");
                Ok(ExitCode::from(ENDED_EARLY))
            }
        }
    })
}

async fn all(arguments: &Arguments, faults: &[Fault]) -> Result<ExitCode> {
    let mut broken = Vec::new();
    let (rounds, seed, alike) = (arguments.rounds, arguments.seed, arguments.alike);
    let plan = Plan { rounds, seed, calm: arguments.calm_ms * 3 / 8..arguments.calm_ms + 1, alike };
    for fault in faults {
        let folder = std::path::absolute(arguments.out.join(fault.name))?;
        let outcomes = round::run(fault, &plan, &folder).await;
        match outcomes.map(|outcomes| {
            tell(fault, &outcomes);
            wrong(fault, &outcomes, arguments)
        }) {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => {
                println!("{:<24} FAILED: {}; see {}", fault.name, wrong.join(", "), folder.display());
                broken.push(fault.name);
            }
            Err(error) => {
                println!("{:<24} FAILED: {error:#}; see {}", fault.name, folder.display());
                broken.push(fault.name);
            }
        }
    }
    let (kept, all) = (faults.len() - broken.len(), faults.len());
    println!("{all} faults, {rounds} times each: every promise was kept under {kept} of them");
    if let Some(bug) = &arguments.bug {
        println!("{bug}: caught by {} of {all}", broken.len());
        return Ok(if kept == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("not kept or not proved: {}", broken.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Prints what came of a fault.
fn tell(fault: &Fault, outcomes: &Outcomes) {
    let Outcomes { disks, report, outages, without_writes, patient, timers, judged_in } = outcomes;
    let counts = report.counts;
    println!(
        "{:<24} {:?}: {} operations, {} ok, {} unknown; lost {}, duplicated {}, stale {}; no write for {without_writes}",
        fault.name,
        report.verdict,
        counts.operations,
        counts.ok,
        counts.unknown,
        counts.lost,
        counts.duplicated,
        counts.stale,
    );
    let bound = fault.outage_max.map_or_else(String::new, |most| format!(" (at most {most:?})"));
    println!(
        "{:<24} {}{bound}; retried calls: {} of {} failed, slowest {:.2} s; {} events judged in {:.1} s",
        "",
        without_writes.histogram(),
        patient.failed,
        patient.made,
        patient.slowest.as_secs_f64(),
        counts.events,
        judged_in.as_secs_f64(),
    );
    println!(
        "{:<24} {} delays, {} early, at most {:.2} s late, {:.2} s beyond the time without writes; disks: {}",
        "",
        timers.ended(),
        timers.early().len(),
        timers.latest().as_secs_f64(),
        timers.latest_beyond(outages).as_secs_f64(),
        disks.join(", "),
    );
    println!(
        "{:<24} {} results acknowledged, {} told again; stale: {} offered, {} refused, {} accepted; messages: {} sent, {} came again",
        "",
        counts.results,
        counts.repeated,
        counts.stale_offered,
        counts.stale_refused,
        counts.stale_accepted,
        counts.messages,
        counts.redelivered,
    );
}

/// What is wrong with what came of a fault, in words.
fn wrong(fault: &Fault, outcomes: &Outcomes, arguments: &Arguments) -> Vec<String> {
    let Outcomes { report, outages, without_writes, patient, timers, .. } = outcomes;
    let own = fault.outage_max.map(|most| (100, most.as_secs_f64()));
    let bounds = Bounds(arguments.no_write_max.iter().copied().chain(own).collect());
    let mut wrong = bounds.broken_by("no write was acknowledged", without_writes);
    if report.verdict != Verdict::Valid {
        println!("{report}");
        wrong.push(format!("the checker says {:?}", report.verdict));
    }
    wrong.extend(timers.early());
    wrong.extend(timers.late(outages));
    if timers.ended() == 0 {
        wrong.push("no delay was seen to end".to_owned());
    }
    if arguments.no_failed_calls && (patient.failed > 0 || patient.made == 0) {
        wrong.push(format!("{} of {} retried calls failed", patient.failed, patient.made));
    }
    wrong
}

/// `99=3`: what the 99th percentile may be, in seconds.
fn bound(text: &str) -> Result<(usize, f64), String> {
    let parsed = text.split_once('=').and_then(|(percent, most)| {
        Some((percent.parse().ok().filter(|percent| *percent <= 100)?, most.parse().ok()?))
    });
    parsed.ok_or_else(|| format!("`{text}` is not PERCENTILE=SECONDS"))
}
