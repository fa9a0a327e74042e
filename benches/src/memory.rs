//! The resident memory of processes, as Linux tells it.

use anyhow::{Context, Result};

/// Resident memory in MiB of each process.
pub(crate) fn resident_mib(pids: Vec<u32>) -> Result<Vec<f64>> {
    pids.into_iter()
        .map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let line =
                status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS line")?;
            let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kib / 1024.0)
        })
        .collect()
}
