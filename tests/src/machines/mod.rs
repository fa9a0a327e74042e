//! Machines for nodes: each a network namespace on one bridge and a disk of its own, whose cables can be cut and whose power
//! can fail. Everything of it ends with this process, which must have entered a world of its own before: see [`enter`].
//! Knows nothing of what runs on them.

pub mod clock;
mod disk;
pub mod groups;
pub mod network;
pub mod rot;
pub mod syncs;

use std::{
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::process::send;

pub use disk::{Disk, FileSystem};
pub use network::Network;

const INSIDE: &str = "ORC_MACHINES";

/// Starts this program again in namespaces of its own for network, mounts and processes, and returns only there: whatever is
/// made afterwards ends with it, however it ends. Outside it passes SIGTERM on and ends as it does there. Needs root.
///
/// # Errors
/// When the namespaces cannot be made.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime
        .block_on(outside())
        .context("machines need `unshare` and `setpriv` of util-linux, as root")?;
    std::process::exit(status.code().unwrap_or(1));
}

/// The program's life outside.
async fn outside() -> Result<ExitStatus> {
    let own = std::env::current_exe().context("finding the running program")?;
    // Killed with this process, and the world with it.
    let mut command = tokio::process::Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    command.args(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    let mut world = command.arg(own).args(std::env::args_os().skip(1)).env(INSIDE, "1").spawn()?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            ended = world.wait() => return Ok(ended?),
            _ = term.recv() => tell_first(world.id(), "TERM")?,
            // A terminal sends it to the program inside, too.
            _ = int.recv() => {}
        }
    }
}

/// Sends a signal to the first process of a world, which is the child of whoever made it.
fn tell_first(maker: Option<u32>, signal: &str) -> Result<()> {
    let Some(maker) = maker else { return Ok(()) };
    let children = std::fs::read_to_string(format!("/proc/{maker}/task/{maker}/children"))?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).try_for_each(|pid| send(pid, signal))
}

/// Returns on SIGTERM or Ctrl-C: the first process of a world is not ended by them unless it listens.
///
/// # Errors
/// When it cannot listen.
pub async fn told_to_end() -> Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Machines with the numbers 1 to `count`.
pub struct Machines {
    /// What connects them.
    pub network: Network,
    disks: Vec<Disk>,
}

impl Machines {
    /// Builds them with disks of so many MiB, which have the one file system and the other in turn.
    pub fn new(folder: &Path, count: u64, (turn, mebibytes): ([FileSystem; 2], u64)) -> Result<Self> {
        let network = Network::new(count)?;
        let disk = |(id, file_system)| Disk::new(folder, &format!("disk-{id}"), file_system, mebibytes);
        let disks = (1..=count).zip(turn.into_iter().cycle()).map(disk);
        Ok(Machines { network, disks: disks.collect::<Result<_>>()? })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.disks.len() as u64
    }

    /// A machine's disk.
    pub fn disk(&self, id: u64) -> Result<&Disk> {
        self.disks.get(id as usize - 1).with_context(|| format!("no machine {id}"))
    }
}

/// Runs a program to its end; what it printed.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    finish(Command::new(program).args(arguments))
}

fn finish(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
