//! The first configuration of a cluster: proposed once by the node that founds it.
//! Knows nothing of single settings.

use std::time::Duration;

use orc_actors::ProposerHandle;
use orc_domain::{ClusterConfig, Command, Idempotency, IdempotencyKey, Proposal, Unavailable};
use tokio::time::sleep;

use super::{Cluster, ServerError};

/// Known to every node, so that the first configuration is proposed once even if a node is stopped in between.
const KEY: Idempotency = Idempotency { key: IdempotencyKey(*b"orc first config"), request: 0 };
const PAUSE: Duration = Duration::from_millis(100);

/// Sets up the cluster unless somebody did, or changed it since.
pub async fn configure(
    cluster: &Cluster,
    proposer: &ProposerHandle,
    config: &ClusterConfig,
) -> Result<(), ServerError> {
    // A cluster that has seen an event is not new.
    if cluster.last_seq() > 0 || *cluster.config() == *config {
        return Ok(());
    }
    loop {
        let proposal =
            Proposal { command: Command::Configure(Box::new(config.clone())), idempotency: Some(KEY) };
        match proposer.propose(proposal).await {
            Ok(outcome) => return outcome.result.map(|_| ()).map_err(ServerError::Settings),
            Err(Unavailable::ShuttingDown) => return Ok(()),
            Err(reason) => {
                tracing::debug!(%reason, "the first configuration waits");
                sleep(PAUSE).await;
            }
        }
    }
}
