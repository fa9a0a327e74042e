//! Nodes of two versions in one cluster: each goes back to the version of before, one after another, and then forward again.
//! Knows nothing of what the versions differ in.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::time::{Duration, sleep};

use super::stage::Stage;
use crate::process::binary;

/// The program of the version before.
const BEFORE: &str = "ORC_BIN_BEFORE";

impl Stage<'_> {
    /// Restarts every node with the program of before, and every node with that of now; the nodes.
    pub(super) async fn upgrade_each(&mut self) -> Result<Vec<u64>> {
        let before = std::env::var_os(BEFORE)
            .with_context(|| format!("say where the program of before is: {BEFORE}=path"))?;
        let before = PathBuf::from(before);
        let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
        ensure!(read(&before)? != read(&binary()?)?, "{} is the program of now", before.display());
        let mut nodes = self.cluster.ids();
        for program in [Some(before), None] {
            self.rng.shuffle(&mut nodes);
            for node in &nodes {
                self.cluster.set_program(*node, program.clone())?;
                self.restart_each(&[*node]).await?;
                sleep(Duration::from_millis(self.rng.u64(0..2000))).await;
            }
        }
        Ok(nodes)
    }
}
