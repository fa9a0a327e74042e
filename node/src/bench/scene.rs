//! Where a load takes place: the nodes, a client for each of them, workers, limits, and a folder; and how to clear it up.
//! Knows nothing of the loads.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use orc_client::Client;
use serde_json::{Map, Value};
use tokio::process::Child;

use super::{
    BenchError, Options, Work,
    own::{OwnCluster, Started},
    workers,
};
use crate::dev::tail;

/// Runs and tasks that may be at work at once: more than any load has.
const LIMITS: [(&str, u64); 2] = [("maxConcurrentWorkflows", 10_000), ("maxConcurrentTasks", 20_000)];
/// A cluster that does not answer for so long is not there.
const THERE_WITHIN: Duration = Duration::from_secs(5);
/// Restoring the limits of a cluster that is gone is given up after so long.
const CLEAR_WITHIN: Duration = Duration::from_secs(5);

/// The place of a load.
pub(super) struct Scene {
    urls: Vec<String>,
    clients: Arc<[Client]>,
    own: Option<OwnCluster>,
    workers: Vec<Child>,
    /// Components that are not to be known any longer.
    guests: Vec<String>,
    /// What the cluster's limits were.
    limits: Map<String, Value>,
    folder: Folder,
}

/// A temporary folder that is removed with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed from a temporary folder is the system's to remove.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Scene {
    /// Starts what is our own and waits for nothing.
    pub(super) fn set(options: &Options) -> Result<Scene, BenchError> {
        let path = std::env::temp_dir().join(format!("orc-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(BenchError::io(path.display().to_string()))?;
        let folder = Folder(path);
        let own = match options.addresses.is_empty() {
            true => Some(OwnCluster::launch(options, &folder.0)?),
            false => None,
        };
        let urls = own.as_ref().map_or_else(|| options.addresses.clone(), OwnCluster::urls);
        let client = |place| {
            let builder = Client::builder().nodes(turned(&urls, place));
            // At a fixed rate a refusal is an outcome: a caller that tries again would add to the load.
            if options.rate.is_some() { builder.without_retries() } else { builder }.build()
        };
        let clients = (0..urls.len()).map(client);
        let clients = clients.collect::<Result<Arc<[Client]>, _>>()?;
        Ok(Scene { urls, clients, own, workers: Vec::new(), guests: Vec::new(), limits: Map::new(), folder })
    }

    /// Waits for the nodes and lifts the limits; how long our own cluster took to start.
    pub(super) async fn prepare(&mut self, options: &Options) -> Result<Started, BenchError> {
        let started = match &mut self.own {
            Some(own) => own.ready().await?,
            None => {
                // Told at once if nobody is there, not after a load that nobody answers.
                Client::builder()
                    .nodes(self.urls.clone())
                    .timeout(THERE_WITHIN)
                    .build()?
                    .cluster()
                    .status()
                    .await?;
                Started::default()
            }
        };
        if !matches!(options.work, Work::Runs { .. } | Work::Tasks { .. }) {
            return Ok(started);
        }
        let config = self.clients[0].cluster().config().await?;
        let mut lifted = Map::new();
        for (name, wanted) in LIMITS {
            if let Some(value) = config.get(name).filter(|value| value.as_u64() < Some(wanted)) {
                self.limits.insert(name.to_owned(), value.clone());
                lifted.insert(name.to_owned(), wanted.into());
            }
        }
        if !lifted.is_empty() {
            self.clients[0].cluster().set_config(&lifted).await?;
        }
        Ok(started)
    }

    /// Starts the worker processes that the work needs and waits until they are connected.
    pub(super) async fn start_workers(&mut self, options: &Options) -> Result<(), BenchError> {
        match (options.work, options.rate) {
            (Work::Runs { .. }, _) | (Work::Tasks { .. }, None) => {}
            (Work::Tasks { .. }, Some(_)) | (Work::State(_) | Work::Messages | Work::Crash { .. }, _) => {
                return Ok(());
            }
        }
        if options.workers == 0 {
            return workers::some_echo(&self.clients[0]).await;
        }
        let mut ids = Vec::new();
        for (id, process) in workers::start(&self.urls, options, &self.folder.0)? {
            self.guests.push(id.clone());
            self.workers.push(process);
            ids.push(id);
        }
        workers::connected(&self.clients[0], &ids).await
    }

    /// Clients that each prefer another node, in the nodes' order.
    pub(super) fn clients(&self) -> Arc<[Client]> {
        self.clients.clone()
    }

    /// The nodes' addresses, beginning with that at `place`, counted round and round.
    pub(super) fn urls_from(&self, place: usize) -> Vec<String> {
        turned(&self.urls, place)
    }

    /// A component's id, of which the cluster is to know nothing afterwards.
    pub(super) fn guest(&mut self, name: &str) -> String {
        let id = format!("bench-{}-{name}", std::process::id());
        if !self.guests.contains(&id) {
            self.guests.push(id.clone());
        }
        id
    }

    /// Our own cluster, if that is what is measured.
    pub(super) fn own(&mut self) -> Result<&mut OwnCluster, BenchError> {
        let missing =
            || BenchError::Missing("only a cluster of the bench's own may lose its leader".to_owned());
        self.own.as_mut().ok_or_else(missing)
    }

    /// Whether the cluster is our own.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Resident memory of our own nodes.
    pub(super) fn memory(&self) -> Vec<f64> {
        self.own.as_ref().map(OwnCluster::memory).unwrap_or_default()
    }

    /// Nodes that were killed run again.
    pub(super) async fn mend(&mut self) -> Result<(), BenchError> {
        match &mut self.own {
            Some(own) => own.mend().await,
            None => Ok(()),
        }
    }

    /// An error with the ends of the logs of our own processes.
    pub(super) async fn with_logs(&self, error: BenchError) -> BenchError {
        let mut paths = self.own.as_ref().map(OwnCluster::logs).unwrap_or_default();
        paths.extend(self.guests.iter().map(|id| self.folder.0.join(format!("{id}.log"))));
        let mut logs = String::new();
        for path in paths {
            // Those inside the bench have no log of their own.
            if let Ok(text) = tail(&path).await {
                logs.push_str(&format!("--- the end of {}\n{text}\n", name(&path)));
            }
        }
        if logs.is_empty() { error } else { BenchError::Told { error: Box::new(error), logs } }
    }

    /// Ends what was started; a cluster that is not ours is left as it was found.
    pub(super) async fn clear(mut self) {
        for worker in &mut self.workers {
            // It may have ended by itself.
            worker.kill().await.ok();
        }
        if let Some(own) = &mut self.own {
            return own.end().await;
        }
        let cleared = tokio::time::timeout(CLEAR_WITHIN, self.leave_as_found()).await;
        if !matches!(cleared, Ok(Ok(()))) {
            tracing::warn!(limits = ?self.limits, guests = ?self.guests, "the cluster could not be left as it was");
        }
    }

    async fn leave_as_found(&self) -> Result<(), orc_client::Error> {
        let client = &self.clients[0];
        if !self.limits.is_empty() {
            client.cluster().set_config(&self.limits).await?;
        }
        for id in &self.guests {
            // It may never have come.
            client.components().deregister(id).await.ok();
        }
        Ok(())
    }
}

/// Addresses beginning with that at `place`, counted round and round: a client goes to the first of them.
pub(super) fn turned(urls: &[String], place: usize) -> Vec<String> {
    let mut urls = urls.to_vec();
    let count = urls.len();
    urls.rotate_left(place % count.max(1));
    urls
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_prefers_another_node() {
        let urls = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(turned(&urls, 1), ["b", "c", "a"]);
        assert_eq!(turned(&urls, 5), ["c", "a", "b"]);
        assert_eq!(turned(&[], 5), [""; 0]);
    }
}
