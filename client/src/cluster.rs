//! The cluster: its nodes, its configuration, its snapshots.
//! Knows nothing of consensus.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::http::Call;
use crate::wire::{
    AddNode, ClusterStatus, LeadershipTransferred, Membership, SnapshotMade, TransferLeadership, paths,
};
use crate::{Client, Download, Error};

/// Calls about the cluster: [`Client::cluster`]. To ask one certain node, make a client that knows only that one.
#[derive(Clone, Debug)]
pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The cluster as the asked node sees it.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn status(&self) -> Result<ClusterStatus, Error> {
        self.client.call(Call::get(paths::CLUSTER)).await
    }

    /// Adds a node as a learner.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn add_node(&self, node: &AddNode) -> Result<Membership, Error> {
        self.client.call(Call::post(paths::CLUSTER_NODES, node)?).await
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn promote(&self, id: &str) -> Result<Membership, Error> {
        self.client.call(Call::mutation(Method::POST, paths::fill(paths::CLUSTER_PROMOTE, id))).await
    }

    /// Removes a node.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn remove_node(&self, id: &str) -> Result<Membership, Error> {
        self.client.call(Call::mutation(Method::DELETE, paths::fill(paths::CLUSTER_NODE, id))).await
    }

    /// Lets another voter lead, the one that is named or the one whose log is longest, and gives who leads then.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn transfer_leadership(&self, to: Option<&str>) -> Result<LeadershipTransferred, Error> {
        let wish = TransferLeadership { to: to.map(str::to_owned) };
        self.client.call(Call::post(paths::CLUSTER_TRANSFER, &wish)?).await
    }

    /// The cluster-wide configuration, by the seed's names.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn config(&self) -> Result<Value, Error> {
        self.client.call(Call::get(paths::CLUSTER_CONFIG)).await
    }

    /// Changes the cluster-wide configuration and gives it as it is then.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn set_config<C: Serialize>(&self, config: &C) -> Result<Value, Error> {
        self.client.call(Call::mutation(Method::PUT, paths::CLUSTER_CONFIG).json(config)?).await
    }

    /// The asked node makes a snapshot of its state.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn snapshot(&self) -> Result<SnapshotMade, Error> {
        self.client.call(Call::mutation(Method::POST, paths::CLUSTER_SNAPSHOT)).await
    }

    /// Begins a backup of the state, with all that was acknowledged before the call: a file that `orc cluster restore`
    /// takes. It is streamed, over a connection of its own.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn backup(&self) -> Result<Download, Error> {
        Download::begin(&self.client, paths::CLUSTER_BACKUP).await
    }

    /// As [`Cluster::backup`], with what the asked node has, whether or not anybody leads.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn backup_stale(&self) -> Result<Download, Error> {
        Download::begin(&self.client, &format!("{}?consistency=stale", paths::CLUSTER_BACKUP)).await
    }
}
