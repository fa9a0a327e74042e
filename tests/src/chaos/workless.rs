//! Work that nobody does for a while: it is taken, waits, and is done when there is somebody again.
//! Knows nothing of what the work is.

use anyhow::{Result, ensure};
use orc_client::wire::TasksQuery;
use tokio::time::{Duration, sleep};

use super::stage::Stage;

/// The workers of a round, and how much each does at once.
pub const WORKERS: [&str; 2] = ["w-1", "w-2"];
pub const SLOTS: u32 = 32;
/// So many tasks have to wait at least before anybody comes back.
const WAITING_MIN: u32 = 100;

impl Stage<'_> {
    /// Kills all workers, lets the components of the load take nothing, and brings them back to what waits.
    pub(super) async fn without_workers(&mut self, lasts: Duration) -> Result<()> {
        self.scene.rest(true);
        WORKERS.iter().try_for_each(|name| self.cluster.kill_worker(name))?;
        sleep(lasts).await;
        let (status, limit) = (Some("queued,retrying".to_owned()), Some(WAITING_MIN));
        let query = TasksQuery { status, limit, ..TasksQuery::default() };
        let waiting = self.cluster.client()?.tasks().list(&query).await?.items.len();
        ensure!(waiting == WAITING_MIN as usize, "only {waiting} tasks wait for somebody who does them");
        WORKERS.iter().try_for_each(|name| self.cluster.start_worker(name, SLOTS))?;
        self.scene.rest(false);
        Ok(())
    }
}
