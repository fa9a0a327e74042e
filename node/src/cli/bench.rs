//! `orc bench`: the flags of a measurement, which of them belong together, and how its figures are shown.
//! Knows nothing of how it is measured; `crate::bench` does that.

use std::time::{Duration, Instant};

use clap::{Args, CommandFactory, parser::ValueSource};

use super::{
    Cli, Failure, Global, Out,
    connect::interrupted,
    output::{Column, column, note},
    values,
};
use crate::{
    bench::{self, BenchError, Options, Report, StateOp, WATCH_RATE, Work},
    definition::duration::format_duration,
    dev::DevError,
};

/// Measures throughput and latency of a cluster under load. Without --addr (or ORC_ADDR) it starts a cluster of its own
/// and stops it afterwards.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc bench w1 --in-flight 64 --seconds 10\n  orc bench w3 --op watch --addr http://a:7420,http://b:7420 -o json\n  orc bench w2 --rate 200 --repeat 3\n  orc bench w5"
)]
pub struct BenchArgs {
    /// What is measured
    #[arg(value_enum)]
    work: WorkName,
    /// Callers that each issue, await and issue again
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    in_flight: u16,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Load before that, which does not count
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "1s")]
    warm_up: Duration,
    /// Begins so many operations a second, whatever the answers do, instead of --in-flight; latencies count from when
    /// each should have begun
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Measures so often and shows the medians
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    repeat: u16,
    /// Nodes of its own cluster [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: Option<u16>,
    /// A setting of its own nodes
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// w1, w2: worker processes to start, 0 for those that are connected [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    workers: Option<u16>,
    /// w1, w2: tasks that each worker takes at once [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: Option<u32>,
    /// w1: steps of each run [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    steps: Option<u16>,
    /// w2: enqueues so many tasks, instead of for --seconds
    #[arg(long, value_name = "N", conflicts_with = "rate", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    tasks: Option<u64>,
    /// w3: what is done with the keys [default: put]
    #[arg(long, value_enum)]
    op: Option<StateOp>,
    /// w5: when the leader is killed [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    kill_at: Option<Duration>,
}

/// The works by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WorkName {
    /// Runs of sequential steps, from the request to the result
    W1,
    /// Tasks, from the first enqueue to the last end; latency of the enqueue, with --rate to the start
    W2,
    /// State keys: writes, reads, or events of writes
    W3,
    /// Messages to a component at another node, and their replies
    W4,
    /// State writes while the leader of its own cluster is killed
    W5,
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, args: BenchArgs) -> Result<(), Failure> {
    let addresses = if is_addressed() { global.addr.clone() } else { Vec::new() };
    let options = options(args, addresses, !global.quiet).map_err(Failure::Usage)?;
    let begun = Instant::now();
    let stop = async {
        match global.timeout {
            // Either way it is over.
            Some(timeout) => drop(tokio::time::timeout(timeout, interrupted()).await),
            None => interrupted().await,
        }
    };
    let report = bench::run(&options, stop).await.map_err(|error| match (error, global.timeout) {
        (BenchError::Interrupted, Some(timeout)) if begun.elapsed() >= timeout => Failure::Timeout(timeout),
        (error, _) => failure(error),
    })?;
    if let Some(error) = &report.first_error {
        note(&format!("{} operations failed, the first one: {error}", report.errors));
    }
    let rate = format!("{:.0}", report.rate);
    out.item(&report, &rate, || people(&report, out))
}

/// Whether somebody said where the cluster is: the flag has a default, so its value does not tell.
fn is_addressed() -> bool {
    let given = Cli::command().try_get_matches().ok().and_then(|matches| matches.value_source("addr"));
    matches!(given, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// What belongs together, or a sentence about what does not.
fn options(args: BenchArgs, addresses: Vec<String>, progress: bool) -> Result<Options, String> {
    let work = work(&args)?;
    let is_own = addresses.is_empty();
    if !is_own && (args.nodes.is_some() || !args.set.is_empty()) {
        return Err("--nodes and --set are for a cluster of its own: leave out --addr".to_owned());
    }
    if !is_own && args.work == WorkName::W5 {
        return Err("w5 kills the leader, so it takes only a cluster of its own: leave out --addr".to_owned());
    }
    let nodes = args.nodes.unwrap_or(3);
    if args.work == WorkName::W5 && nodes < 3 {
        return Err(format!("w5 kills the leader, and {nodes} nodes do not survive that: --nodes 3 do"));
    }
    let rate = if work == Work::State(StateOp::Watch) { args.rate.or(Some(WATCH_RATE)) } else { args.rate };
    Ok(Options {
        work,
        addresses,
        nodes,
        server_flags: args.set.into_iter().flat_map(|pair| ["--set".to_owned(), pair]).collect(),
        in_flight: usize::from(args.in_flight),
        length: Duration::from_secs(args.seconds.into()),
        warm_up: args.warm_up,
        rate,
        repeat: usize::from(args.repeat),
        workers: args.workers.unwrap_or(2),
        slots: args.slots.unwrap_or(256),
        progress,
    })
}

/// The work with its own flags; those of others are refused.
fn work(args: &BenchArgs) -> Result<Work, String> {
    use WorkName::{W1, W2, W3, W5};
    let flags: [(&str, bool, &[WorkName]); 6] = [
        ("--workers", args.workers.is_some(), &[W1, W2]),
        ("--slots", args.slots.is_some(), &[W1, W2]),
        ("--steps", args.steps.is_some(), &[W1]),
        ("--tasks", args.tasks.is_some(), &[W2]),
        ("--op", args.op.is_some(), &[W3]),
        ("--kill-at", args.kill_at.is_some(), &[W5]),
    ];
    if let Some((flag, _, of)) = flags.iter().find(|(_, given, of)| *given && !of.contains(&args.work)) {
        let of: Vec<String> = of.iter().map(|work| format!("{work:?}").to_lowercase()).collect();
        return Err(format!("{flag} is for {}", of.join(" and ")));
    }
    Ok(match args.work {
        WorkName::W1 => Work::Runs { steps: args.steps.unwrap_or(3).into() },
        WorkName::W2 if args.rate.is_some() && (args.workers.is_some() || args.slots.is_some()) => {
            return Err("with --rate the workers are inside the bench: no --workers, no --slots".to_owned());
        }
        WorkName::W2 => Work::Tasks { count: args.tasks },
        WorkName::W3 => Work::State(args.op.unwrap_or(StateOp::Put)),
        WorkName::W4 => Work::Messages,
        WorkName::W5 if args.rate.is_some() => return Err("w5 is a closed loop: it has no --rate".to_owned()),
        WorkName::W5 => {
            let kill_at = args.kill_at.unwrap_or(Duration::from_secs(5));
            if kill_at.is_zero() || kill_at >= Duration::from_secs(args.seconds.into()) {
                let (at, all) = (format_duration(kill_at), args.seconds);
                return Err(format!("the leader dies after {at} of {all} s: change --kill-at or --seconds"));
            }
            Work::Crash { kill_at }
        }
    })
}

fn failure(error: BenchError) -> Failure {
    match error {
        BenchError::Call(error) => Failure::Call(error),
        BenchError::Dev(DevError::Plan(message)) => Failure::Usage(message),
        BenchError::Interrupted => Failure::Interrupted,
        BenchError::Told { error, logs } => {
            note(logs.trim_end());
            failure(*error)
        }
        BenchError::Dev(DevError::Folder { .. } | DevError::Program(_) | DevError::Node { .. })
        | BenchError::Io { .. }
        | BenchError::Missing(_)
        | BenchError::Nothing(_) => Failure::Unexpected(error.to_string()),
    }
}

fn people(report: &Report, out: &Out) -> String {
    let columns: [Column<Report>; 8] = [
        column("WORK", |report, _| {
            report.op.map_or_else(|| report.work.to_owned(), |op| format!("{} {op}", report.work))
        }),
        column("LOAD", |report, _| match report.target_rate {
            Some(rate) => format!("{rate}/s"),
            None => format!("{} in flight", report.in_flight),
        }),
        column("SECONDS", |report, _| report.seconds.to_string()),
        column("PER SECOND", |report, _| format!("{:.0}", report.rate)),
        column("P50 MS", |report, _| format!("{:.2}", report.p50_ms)),
        column("P90 MS", |report, _| format!("{:.2}", report.p90_ms)),
        column("P99 MS", |report, _| format!("{:.2}", report.p99_ms)),
        column("ERRORS", |report, _| report.errors.to_string()),
    ];
    let mut lines = vec![out.table_text(std::slice::from_ref(report), &columns)];
    lines.extend(report.notes());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Command;

    /// The options of a command line, or why there are none.
    fn parse(line: &str, addresses: &[&str]) -> Result<Options, String> {
        let words = ["orc", "bench"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Bench(args) = cli.command else { panic!("it is `bench`") };
        options(*args, addresses.iter().map(|address| (*address).to_owned()).collect(), false)
    }

    #[test]
    fn each_work_has_its_flags() {
        let work = |line| parse(line, &[]).map(|options| options.work);
        assert_eq!(work("w1 --steps 5"), Ok(Work::Runs { steps: 5 }));
        assert_eq!(work("w2 --tasks 20000"), Ok(Work::Tasks { count: Some(20_000) }));
        assert_eq!(work("w3"), Ok(Work::State(StateOp::Put)));
        assert_eq!(work("w5"), Ok(Work::Crash { kill_at: Duration::from_secs(5) }));
        assert_eq!(parse("w3 --op watch", &[]).map(|options| options.rate), Ok(Some(WATCH_RATE)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let addr = &["http://a:7420"][..];
        for (line, addresses, part) in [
            ("w6", &[][..], "possible values: w1"),
            ("w1 --in-flight 0", &[], "1..=10000"),
            ("w1 --op get", &[], "--op is for w3"),
            ("w3 --workers 1", &[], "--workers is for w1 and w2"),
            ("w2 --rate 200 --slots 1", &[], "no --slots"),
            ("w2 --rate 200 --tasks 5", &[], "cannot be used with"),
            ("w5 --rate 5", &[], "closed loop"),
            ("w5 --seconds 5", &[], "dies after 5.0s of 5 s"),
            ("w5 --nodes 1", &[], "do not survive"),
            ("w5", addr, "cluster of its own"),
            ("w3 --nodes 3", addr, "leave out --addr"),
        ] {
            let error = parse(line, addresses).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
