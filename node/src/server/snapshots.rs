//! Named snapshots on the interval that the cluster's configuration sets: the leader makes them.
//! Knows nothing of which are kept; the rules let the oldest of them go.

use std::time::Duration;

use orc_actors::ProposerHandle;
use orc_domain::{Command, Json, NewSnapshot, SnapshotId, Timestamp};
use tokio::time::sleep;
use uuid::Uuid;

use super::Cluster;

/// Between looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Makes one whenever the last one is older than the interval, for as long as the node runs.
pub async fn make(cluster: Cluster, proposer: ProposerHandle) {
    let mut leads_since: Option<Timestamp> = None;
    loop {
        sleep(INTERVAL).await;
        let interval = cluster.config().snapshot_interval;
        if !cluster.leadership().is_leader || interval.is_zero() {
            leads_since = None;
            continue;
        }
        let since = *leads_since.get_or_insert_with(|| cluster.now());
        let last = cluster.snapshots().iter().filter(|one| one.automatic).map(|one| one.at).max();
        if cluster.now().since(last.unwrap_or(since)) < interval {
            continue;
        }
        let metadata = Json::from("{\"description\":\"made on the interval state.snapshotInterval\"}");
        let id = SnapshotId(Uuid::now_v7());
        let new = NewSnapshot { id, name: None, metadata, automatic: true };
        match proposer.propose(Command::CreateSnapshot(Box::new(new))).await {
            Ok(outcome) => {
                if let Err(rejection) = outcome.result {
                    tracing::warn!(%rejection, "no snapshot is made on the interval");
                    sleep(interval.min(Duration::from_secs(60))).await;
                }
            }
            Err(error) => tracing::debug!(%error, "no snapshot is made yet"),
        }
    }
}
