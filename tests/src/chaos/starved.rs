//! Nodes without enough of a processor.
//! Knows nothing of the load.

use anyhow::{Result, ensure};
use tokio::time::{Duration, sleep};

use super::faults::Stage;
use crate::machines::cpu::Starved;

/// More leaders than that one after another are a storm.
const ELECTIONS_MAX: u64 = 3;

impl Stage<'_> {
    /// Nodes that have to wait for a processor must not take each other for dead again and again.
    pub(super) async fn starve(&mut self) -> Result<()> {
        let before = self.cluster.until("a leader", |status| status.leader.is_some()).await?.term;
        let starved = Starved::of(&self.cluster.pids(), 50)?;
        sleep(Duration::from_millis(self.rng.u64(5000..8000))).await;
        drop(starved);
        let after = self.cluster.until("a leader", |status| status.leader.is_some()).await?.term;
        ensure!(after - before <= ELECTIONS_MAX, "{} elections for want of a processor", after - before);
        Ok(())
    }
}
