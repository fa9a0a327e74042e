//! Whether the simulation finds mistakes that are made on purpose: each with seeds of its own until one fails.
//! Knows nothing of the mistakes but which faults bring them to light soonest.

use std::time::Instant;

use anyhow::{Result, ensure};
use orc_domain::Bug;

use crate::{Args, kinds::Kind, many};

/// Faults under which a mistake shows; none: any mix.
fn faults(bug: Bug) -> Vec<Kind> {
    match bug {
        Bug::NoFsync => vec![Kind::Power, Kind::PowerAll],
        Bug::VoteUnsynced => vec![Kind::PowerAtVote, Kind::Kill, Kind::Isolate],
        Bug::AckBeforeCommit => vec![Kind::SlowDisk, Kind::PowerAll],
        Bug::TimerWallClock => vec![Kind::Clock],
        Bug::NoQuorumGate => vec![Kind::Unheard],
        _ => Vec::new(),
    }
}

/// Plants all, or the one that was named; fails if one was not found.
pub fn run(args: &Args, seeds: u64) -> Result<()> {
    let meant = |bug: &&Bug| args.bug.as_ref().is_none_or(|name| bug.name() == name);
    let bugs: Vec<Bug> = Bug::ALL.iter().filter(meant).copied().collect();
    for bug in &bugs {
        ensure!(orc_domain::plant(*bug), "{} is not built in: build with --features mutants", bug.name());
    }
    let mut caught = 0;
    for bug in &bugs {
        let (began, mut tried, mut found) = (Instant::now(), 0, None);
        while found.is_none() && tried < seeds {
            tried += 1;
            let faults = faults(*bug);
            let seed = args.from + tried - 1;
            found = many::fails(args, seed, (Some(bug.name()), &faults))?;
            if found.is_some() {
                let alone = many::fails(args, seed, (None, &faults))?;
                ensure!(alone.is_none(), "seed {seed} fails without a planted bug, too: {alone:?}");
            }
        }
        let took = began.elapsed().as_secs_f64();
        match found {
            Some(why) => {
                caught += 1;
                println!("{}: caught by seed {tried} of {seeds} in {took:.0} s: {why}", bug.name());
            }
            None => println!("{}: NOT caught in {seeds} seeds, {took:.0} s", bug.name()),
        }
    }
    println!("planted bugs caught: {caught} of {}", bugs.len());
    ensure!(caught == bugs.len() && caught > 0, "not all planted bugs were caught");
    Ok(())
}
