//! Bounds on what processes may take, by control groups (version 1, as root): of processors, of a disk, of memory.
//! Knows nothing of what the processes are.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const GROUPS: &str = "/sys/fs/cgroup";
const PERIOD_US: u32 = 100_000;
const MEMORY_MAX: &str = "memory.limit_in_bytes";

/// Processes that are bounded until it is dropped.
#[must_use = "nothing is bounded once this is dropped"]
pub struct Group {
    controller: PathBuf,
    folder: PathBuf,
}

impl Group {
    /// Lets these have so many percent of one processor together.
    pub fn of_processor(pids: &[u32], percent: u32) -> Result<Group> {
        let group = Group::of("cpu", pids)?;
        group.set("cpu.cfs_period_us", PERIOD_US)?;
        group.set("cpu.cfs_quota_us", PERIOD_US / 100 * percent)?;
        Ok(group)
    }

    /// Lets a process write to a disk so many times a second.
    pub fn of_disk(pid: u32, (disk, writes): (&str, u32)) -> Result<Group> {
        let group = Group::of("blkio", &[pid])?;
        group.set("blkio.throttle.write_iops_device", format!("{disk} {writes}"))?;
        Ok(group)
    }

    /// Counts the memory that a process takes from now on.
    pub fn of_memory(pid: u32) -> Result<Group> {
        Group::of("memory", &[pid])
    }

    fn of(controller: &str, pids: &[u32]) -> Result<Group> {
        let controller = Path::new(GROUPS).join(controller);
        let folder = controller.join(format!("orc-{}", pids.first().unwrap_or(&0)));
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} takes no control group", controller.display()))?;
        let group = Group { controller, folder };
        pids.iter().try_for_each(|pid| group.set("cgroup.procs", pid))?;
        Ok(group)
    }

    /// Lets it have no more memory than this; whether the kernel could take the rest away.
    pub fn bound_memory(&self, bytes: u64) -> bool {
        self.set(MEMORY_MAX, bytes).is_ok()
    }

    /// How many of its processes the kernel has killed for want of memory.
    pub fn killed(&self) -> Result<u64> {
        let told = fs::read_to_string(self.folder.join("memory.oom_control"))?;
        let killed = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(killed.context("the kernel does not count whom it kills")?.trim().parse()?)
    }

    /// How often its processes have written to a disk.
    pub fn written(&self, disk: &str) -> Result<u64> {
        let told = fs::read_to_string(self.folder.join("blkio.throttle.io_serviced"))?;
        let written = told.lines().find_map(|line| line.strip_prefix(disk)?.strip_prefix(" Write "));
        Ok(written.unwrap_or("0").parse()?)
    }

    fn set(&self, name: &str, value: impl Display) -> Result<()> {
        let file = self.folder.join(name);
        fs::write(&file, value.to_string())
            .with_context(|| format!("{} does not take {value}", file.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has ended is in no group any more.
        let pids = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = fs::write(self.controller.join("cgroup.procs"), pid);
        }
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("{} stays: {error}", self.folder.display());
        }
    }
}
