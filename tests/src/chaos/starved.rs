//! Nodes without enough of a processor.
//! Knows nothing of the load.

use anyhow::Result;
use tokio::time::{Duration, sleep};

use super::stage::Stage;
use crate::machines::groups::Group;

impl Stage<'_> {
    /// Nodes that have to wait for a processor must not take each other for dead again and again.
    pub(super) async fn starve(&mut self, lasts: Duration) -> Result<()> {
        let before = self.term().await?;
        let starved = Group::of_processor(&self.cluster.pids(), 50)?;
        sleep(lasts).await;
        drop(starved);
        self.is_calm_since(before).await
    }
}
