//! Many seeds, one process for each, as many at once as there is room for; ends with the first that fails.
//! If that is wished, the first seed is simulated once more at the end: it has to be the same again.
//! Knows nothing of what a seed does.

use std::{
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{Args, LASTS, kinds::Kind, one::Disks};

/// Runs them.
pub fn run(args: &Args) -> Result<()> {
    let began = Instant::now();
    let mut waiting = args.from..args.from + args.seeds;
    let mut running: Vec<(u64, Child)> = Vec::new();
    let (mut totals, mut first) = (Totals::default(), None);
    loop {
        while running.len() < args.jobs.max(1)
            && let Some(seed) = waiting.next()
        {
            running.push((seed, start(args, seed, (args.bug.as_deref(), &args.faults))?));
        }
        if running.is_empty() {
            break;
        }
        let (seed, child) = running.remove(0);
        let output = child.wait_with_output()?;
        let Some(line) = passed(&output) else {
            for (_, mut child) in running {
                // It may have ended by itself.
                let _ = child.kill();
                child.wait()?;
                drop(Disks::of(child.id()));
            }
            bail!(
                "{}\nseed {seed} failed: {}. Its record is in {}; replay it:\n  make sim SEED={seed}{}",
                String::from_utf8_lossy(&output.stderr),
                output.status,
                args.out.join(format!("seed-{seed}")).display(),
                how(args)
            );
        };
        println!("{line}");
        totals.add(&line);
        first.get_or_insert(line);
    }
    if args.again {
        let again = start(args, args.from, (args.bug.as_deref(), &args.faults))?.wait_with_output()?;
        ensure!(
            passed(&again) == first,
            "seed {} is not the same again: {first:?}, {:?}",
            args.from,
            passed(&again)
        );
    }
    let Totals { seeds, seconds, faults, operations } = totals;
    println!(
        "{seeds} seeds passed in {:.0} s: {:.2} hours simulated, {faults} faults, {operations} operations checked",
        began.elapsed().as_secs_f64(),
        seconds / 3600.0
    );
    Ok(())
}

/// What beside the seed makes a simulation what it is.
fn how(args: &Args) -> String {
    let how = options(args, (args.bug.as_deref(), &args.faults));
    if how.is_empty() { String::new() } else { format!(" ARGS=\"{}\"", how.join(" ")) }
}

fn options(args: &Args, (bug, faults): (Option<&str>, &[Kind])) -> Vec<String> {
    let kinds: Vec<String> = faults.iter().map(|kind| format!("{kind:?}")).collect();
    let lasts = (args.lasts != LASTS).then(|| format!("--lasts={}", args.lasts));
    let bug = bug.map(|bug| format!("--bug={bug}"));
    let kinds = (!kinds.is_empty()).then(|| format!("--faults={}", kinds.join(",")));
    [lasts, bug, kinds].into_iter().flatten().collect()
}

/// Why a seed fails, in a line; none if it passes.
pub fn fails(args: &Args, seed: u64, what: (Option<&str>, &[Kind])) -> Result<Option<String>> {
    let output = start(args, seed, what)?.wait_with_output()?;
    if passed(&output).is_some() {
        return Ok(None);
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let rule = told.lines().find(|line| line.contains("\"rule\"") || line.contains("panicked"));
    let first = told.lines().find(|line| line.starts_with("error: ") || line.starts_with("P"));
    let why = rule.or(first).unwrap_or("it ended without a word").trim();
    Ok(Some(why.chars().take(160).collect()))
}

fn passed(output: &Output) -> Option<String> {
    let told = String::from_utf8_lossy(&output.stdout);
    let line = told.lines().find(|line| line.starts_with("seed "));
    line.filter(|_| output.status.success()).map(str::to_owned)
}

fn start(args: &Args, seed: u64, what: (Option<&str>, &[Kind])) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--seed", &seed.to_string(), "--out"]).arg(&args.out);
    command.args(args.keep.then_some("--keep")).args(options(args, what));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("a seed cannot be started")
}

/// Sums over the lines of seeds.
#[derive(Default)]
struct Totals {
    seeds: u64,
    seconds: f64,
    faults: u64,
    operations: u64,
}

impl Totals {
    fn add(&mut self, line: &str) {
        let before = |what: &str| {
            let (head, _) = line.split_once(what)?;
            head.rsplit(' ').next()?.parse::<f64>().ok()
        };
        self.seeds += 1;
        self.seconds += before(" s simulated").unwrap_or(0.0);
        self.faults += before(" faults").unwrap_or(0.0) as u64;
        self.operations += before(" operations").unwrap_or(0.0) as u64;
    }
}
