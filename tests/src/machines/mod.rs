//! Machines for nodes: each a network namespace on one bridge and a disk of its own, whose cables can be cut and whose power
//! can fail. Everything of it ends with this process, which must have entered a world of its own before: see [`enter`].
//! Knows nothing of what runs on them.

pub mod clock;
pub mod cpu;
mod disk;
pub mod network;
pub mod rot;

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

pub use disk::{Disk, FileSystem};
pub use network::Network;

const INSIDE: &str = "ORC_MACHINES";

/// Starts this program again in namespaces of its own for network, mounts and processes, and returns only there: whatever is
/// made afterwards ends with it, however it ends. Needs root.
///
/// # Errors
/// When the namespaces cannot be made.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    let own = std::env::current_exe().context("finding the running program")?;
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]).arg(own);
    let error = command.args(std::env::args_os().skip(1)).env(INSIDE, "1").exec();
    Err(error).context("machines need `unshare` of util-linux, as root")
}

/// Machines with the numbers 1 to `count`.
pub struct Machines {
    /// What connects them.
    pub network: Network,
    disks: Vec<Disk>,
}

impl Machines {
    /// Builds them with disks of so many MiB.
    pub fn new(folder: &Path, count: u64, (file_system, mebibytes): (FileSystem, u64)) -> Result<Self> {
        let network = Network::new(count)?;
        let disk = |id| Disk::new(folder, &format!("disk-{id}"), file_system, mebibytes);
        Ok(Machines { network, disks: (1..=count).map(disk).collect::<Result<_>>()? })
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
