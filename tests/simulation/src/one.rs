//! One seed from beginning to verdict.
//! Knows nothing of other seeds.

use std::{
    cell::RefCell,
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use fastrand::Rng;
use orc_check::{
    linear::Limits,
    replay::Folder,
    verdict::{Report, Verdict},
};
use orc_domain::Bug;
use orc_runtime::simulation;

use crate::{
    Args,
    faults::Faults,
    kinds::Kind,
    nodes::{self, Nodes},
    power, rules,
    scene::Scene,
    script, system,
    trace::Trace,
};

/// A simulation that takes longer, in its own time or in ours, hangs.
const LONGEST: Duration = Duration::from_secs(600);

/// What came of a seed that passed.
pub struct Passed {
    seed: u64,
    trace: (u64, u64),
    simulated: Duration,
    faults: u64,
    report: Report,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Passed { seed, trace: (hash, lines), simulated, faults, report } = self;
        let operations = report.counts.operations;
        write!(
            f,
            "seed {seed}: trace {hash:016x} of {lines} lines, {:.1} s simulated, {faults} faults, {operations} operations",
            simulated.as_secs_f64()
        )
    }
}

/// Simulates a seed; its record stays if it fails, or if it is to be kept.
pub fn run(args: &Args, seed: u64) -> Result<Passed> {
    let folder = args.out.join(format!("seed-{seed}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let disks = Disks::new()?;
    // Paths are told and written: they must not differ between two simulations of a seed.
    std::env::set_current_dir(&disks.0)?;
    power::begin(&disks.0)?;
    let trace = Trace::begin(&folder.join("trace.log"))?;
    if let Some(name) = &args.bug {
        let bug = Bug::named(name).with_context(|| format!("there is no bug {name}"))?;
        ensure!(orc_domain::plant(bug), "{name} is not built in: build with --features mutants");
    }
    let (place, plan) = (folder.clone(), (Duration::from_secs(args.lasts), args.faults.clone()));
    // A thread of its own: whatever the standard library drew at random for this one is not of the seed.
    let (done, simulated) = mpsc::sync_channel(1);
    std::thread::Builder::new().spawn(move || done.send(simulate(&place, seed, plan)))?;
    let simulated = simulated.recv_timeout(LONGEST).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => anyhow!("the simulation hangs: it took longer than {LONGEST:?}"),
        mpsc::RecvTimeoutError::Disconnected => anyhow!("the simulation panicked"),
    })?;
    let Simulated { faults, lasted: simulated, member } = simulated?;
    let trace = trace.end()?;
    rules::check(&folder, member)?;
    let report = Folder::look(&folder)?.judge(Limits::default())?;
    if report.verdict != Verdict::Valid {
        bail!("{:?}\n{}", report.verdict, serde_json::to_string_pretty(&report)?);
    }
    if !args.keep {
        fs::remove_dir_all(&folder)?;
    }
    Ok(Passed { seed, trace, simulated, faults, report })
}

/// The disks of a process, in memory where that is possible; they go with it.
pub struct Disks(PathBuf);

impl Disks {
    fn new() -> Result<Disks> {
        let disks = Disks::of(std::process::id());
        fs::create_dir_all(&disks.0).with_context(|| format!("cannot create {}", disks.0.display()))?;
        Ok(disks)
    }

    /// Those of a process that may have been killed.
    pub fn of(process: u32) -> Disks {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Disks(parent.join(format!("orc-simulation-{process}")))
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        // What stays is the system's to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Simulated {
    /// How many there were.
    faults: u64,
    /// In simulated time.
    lasted: Duration,
    /// One that was there at the end.
    member: u64,
}

fn simulate(folder: &Path, seed: u64, (lasts, only): (Duration, Vec<Kind>)) -> Result<Simulated> {
    system::begin(seed);
    let mut rng = Rng::with_seed(seed);
    let count = if rng.u32(..4) == 0 { 5 } else { 3 };
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .enable_random_order()
        .simulation_duration(LONGEST)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(0))
        .max_message_latency(Duration::from_millis(3))
        .tcp_capacity(64)
        .build();
    let (scene, nodes) = (Scene::new(folder, count)?, Rc::new(Nodes::default()));
    nodes.begin(rng.fork());
    (1..=count as u64).for_each(|node| nodes::add(&mut sim, &nodes, node, &[1][..usize::from(node > 1)]));
    let failed = Rc::new(RefCell::new(None));
    let (script, told) = (script::run(scene.clone(), rng.fork()), failed.clone());
    sim.client("load", async move {
        if let Err(error) = script.await {
            *told.borrow_mut() = Some(error);
        }
        Ok(())
    });
    let mut faults = Faults::new(scene.clone(), nodes, rng.fork(), (lasts, &only));
    loop {
        let over = sim.step();
        if let Some(error) = failed.take() {
            return Err(error);
        }
        if let Some(broken) = simulation::broken() {
            bail!(broken);
        }
        if over.map_err(|error| anyhow!("{error}"))? {
            break;
        }
        faults.advance(&mut sim)?;
    }
    ensure!(faults.count > 0, "nothing went wrong");
    let seen = scene.seen.take();
    ensure!(seen.is_empty(), "{}", seen.join("\n"));
    serde_json::to_writer(scene.file("guards.json")?, &script::guards(faults.happened.clone()))?;
    Ok(Simulated { faults: faults.count, lasted: sim.elapsed(), member: scene.members()[0] })
}
