//! A bound on the processor time of some processes together, by a control group (version 1, as root).
//! Knows nothing of what the processes are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const GROUPS: &str = "/sys/fs/cgroup/cpu";
const PERIOD_US: u32 = 100_000;

/// Processes that share a part of one processor, until it is dropped.
pub struct Starved(PathBuf);

impl Starved {
    /// Lets these have so many percent of one processor together.
    pub fn of(pids: &[u32], percent: u32) -> Result<Starved> {
        let folder = Path::new(GROUPS).join(format!("orc-starved-{}", pids.first().unwrap_or(&0)));
        fs::create_dir_all(&folder).with_context(|| format!("{GROUPS} takes no control group"))?;
        let group = Starved(folder);
        group.set("cpu.cfs_period_us", PERIOD_US)?;
        group.set("cpu.cfs_quota_us", PERIOD_US / 100 * percent)?;
        pids.iter().try_for_each(|pid| group.set("cgroup.procs", *pid))?;
        Ok(group)
    }

    fn set(&self, name: &str, value: u32) -> Result<()> {
        let file = self.0.join(name);
        fs::write(&file, value.to_string())
            .with_context(|| format!("{} does not take {value}", file.display()))
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // A process that has ended is in no group any more.
        let pids = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = fs::write(Path::new(GROUPS).join("cgroup.procs"), pid);
        }
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}
