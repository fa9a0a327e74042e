//! Many seeds, one process for each, as many at once as there is room for; ends with the first that fails.
//! Knows nothing of what a seed does.

use std::{
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use crate::Args;

/// Runs them.
pub fn run(args: &Args) -> Result<()> {
    let (began, program) = (Instant::now(), std::env::current_exe()?);
    let mut waiting = args.from..args.from + args.seeds;
    let mut running: Vec<(u64, Child)> = Vec::new();
    let mut totals = Totals::default();
    loop {
        while running.len() < args.jobs.max(1)
            && let Some(seed) = waiting.next()
        {
            let child = Command::new(&program)
                .args(["--seed", &seed.to_string(), "--lasts", &args.lasts.to_string(), "--out"])
                .arg(&args.out)
                .args(args.keep.then_some("--keep"))
                .args(args.flags())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .context("a seed cannot be started")?;
            running.push((seed, child));
        }
        if running.is_empty() {
            break;
        }
        let (seed, child) = running.remove(0);
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        let line = told.lines().find(|line| line.starts_with("seed ")).unwrap_or_default();
        if !output.status.success() || line.is_empty() {
            for (_, mut child) in running {
                // It may have ended by itself.
                let _ = child.kill();
                child.wait()?;
            }
            bail!(
                "{}\nseed {seed} failed: {}. Its record is in {}; replay it:\n  make sim SEED={seed}",
                String::from_utf8_lossy(&output.stderr),
                output.status,
                args.out.join(format!("seed-{seed}")).display()
            );
        }
        println!("{line}");
        totals.add(line);
    }
    let Totals { seeds, seconds, faults, operations } = totals;
    println!(
        "{seeds} seeds passed in {:.0} s: {:.2} hours simulated, {faults} faults, {operations} operations checked",
        began.elapsed().as_secs_f64(),
        seconds / 3600.0
    );
    Ok(())
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
