//! A cluster of the bench's own: node processes in a folder, ready, killed, started again, measured and ended.
//! Knows nothing of the load; how a node is started is `crate::dev`'s.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use orc_client::Client;
use tokio::process::Child;

use super::{BenchError, Options};
use crate::{
    dev::{DevOptions, Place, Plan, Supervised, formed},
    health::bytes_of,
};

/// A node that has not ended by itself is looked at so often.
const LOOK: Duration = Duration::from_millis(50);
/// How long the first write may take before it is tried anew; a pause of the client's own must not be what is measured.
const FIRST_WRITE: Duration = Duration::from_millis(200);
/// Ports are looked for from here on, each process at another place, so that two benches do not meet.
const PORT_BASE: u16 = 10_240;
const PORTS_EACH: u16 = 100;
const PORT_PLACES: u32 = 180;

/// How long a cluster took from the start of its first node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Started {
    /// To the first acknowledged write; the founding node may still be alone then.
    pub(super) first_write: Duration,
    /// Until every node was up and had a vote.
    pub(super) formed: Duration,
}

/// Nodes as processes.
pub(super) struct OwnCluster {
    nodes: Vec<Node>,
    begun: Instant,
}

struct Node {
    start: Supervised,
    process: Option<Child>,
}

impl OwnCluster {
    /// Starts all nodes and waits for nothing.
    pub(super) fn launch(options: &Options, folder: &Path) -> Result<OwnCluster, BenchError> {
        let place = u16::try_from(std::process::id() % PORT_PLACES).expect("a remainder below 180");
        let dev = DevOptions {
            nodes: options.nodes,
            port: PORT_BASE + place * PORTS_EACH,
            data_dir: Some(folder.to_owned()),
            worker_slots: 0,
            server_flags: options.server_flags.clone(),
            restart_delay: Duration::ZERO,
            verbose: false,
        };
        let plan = Plan::make(&dev)?;
        let program = std::env::current_exe().map_err(BenchError::io("finding this program"))?;
        let begun = Instant::now();
        let mut nodes = Vec::new();
        for place in &plan.places {
            let start = Supervised {
                program: program.clone(),
                place: place.clone(),
                flags: plan.flags(place, &dev),
                to_stderr: false,
                restart_delay: dev.restart_delay,
            };
            let process = Some(start.start()?);
            nodes.push(Node { start, process });
        }
        Ok(OwnCluster { nodes, begun })
    }

    /// The nodes' addresses.
    pub(super) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.start.place.http_url()).collect()
    }

    /// Waits until every node is there.
    pub(super) async fn ready(&mut self) -> Result<Started, BenchError> {
        let (urls, begun) = (self.urls(), self.begun);
        let count = urls.len();
        let client = Client::builder().nodes(urls).timeout(FIRST_WRITE).build()?;
        let all = async {
            while client.state().set("bench.first", 1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let first_write = begun.elapsed();
            match formed(&client, count).await {
                Some(_) => Ok(Started { first_write, formed: begun.elapsed() }),
                None => Err(BenchError::Missing("the nodes did not find each other".to_owned())),
            }
        };
        tokio::select! {
            ready = all => ready,
            ended = self.one_ended() => Err(ended),
        }
    }

    /// Waits for a node that ends by itself.
    async fn one_ended(&mut self) -> BenchError {
        loop {
            for node in &mut self.nodes {
                if let Some(Ok(Some(ended))) = node.process.as_mut().map(Child::try_wait) {
                    return BenchError::Missing(format!("node-{} ended: {ended}", node.start.place.number));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// SIGKILLs the leader; the moment it happened.
    pub(super) async fn kill_leader(&mut self, client: &Client) -> Result<Instant, BenchError> {
        let status = client.cluster().status().await?;
        let number =
            status.leader.as_deref().and_then(|leader| leader.strip_prefix("node-")?.parse::<u16>().ok());
        let node = self.nodes.iter_mut().find(|node| Some(node.start.place.number) == number);
        let process = node.and_then(|node| node.process.as_mut());
        let process = process.ok_or_else(|| BenchError::Missing("there is no leader to kill".to_owned()))?;
        let killed = Instant::now();
        process.start_kill().map_err(BenchError::io("killing the leader"))?;
        process.wait().await.map_err(BenchError::io("waiting for the leader's end"))?;
        Ok(killed)
    }

    /// Starts nodes that were killed and waits until every node is there.
    pub(super) async fn mend(&mut self) -> Result<(), BenchError> {
        for node in &mut self.nodes {
            let ended = node.process.as_mut().is_none_or(|process| process.id().is_none());
            if ended {
                node.process = Some(node.start.start()?);
            }
        }
        self.ready().await.map(|_| ())
    }

    /// Resident memory in MiB of each node that runs.
    pub(super) fn memory(&self) -> Vec<f64> {
        let pids = self.nodes.iter().filter_map(|node| node.process.as_ref()?.id());
        pids.filter_map(|pid| resident_mib(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?))
            .collect()
    }

    /// Where each node's log is.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        let log = |place: &Place| place.log_file.clone();
        self.nodes.iter().map(|node| log(&node.start.place)).collect()
    }

    /// Kills every node; what it has written is thrown away.
    pub(super) async fn end(&mut self) {
        for node in &mut self.nodes {
            if let Some(process) = &mut node.process {
                // It may have ended by itself.
                process.kill().await.ok();
            }
        }
    }
}

/// The resident memory in a `/proc/PID/status` in MiB, to a tenth.
fn resident_mib(status: &str) -> Option<f64> {
    let kib = u32::try_from(bytes_of(status, "VmRSS:")? >> 10).ok()?;
    Some((f64::from(kib) / 102.4).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_tells_it() {
        assert_eq!(resident_mib("Name:\torc\nVmRSS:\t    20992 kB\nThreads:\t9\n"), Some(20.5));
        assert_eq!(resident_mib("Name:\torc\n"), None);
    }
}
