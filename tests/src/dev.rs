//! A cluster under `orc dev`, which starts nodes that died again by itself.
//! Knows of it what it prints: each node's pid and address.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use orc_client::Client;
use tokio::time::{Instant, sleep};

use crate::{
    cluster::leader_of,
    process::{Process, TempDir, free_ports, is_ready, send},
};

/// `orc dev --nodes N` and workers beside it.
pub struct DevCluster {
    supervisor: Process,
    workers: Vec<Process>,
    urls: Vec<String>,
    folder: TempDir,
}

impl DevCluster {
    /// Starts it with data in a temporary folder and waits until every node is ready. Nodes that died stay away for 5 s:
    /// the others fail over without them.
    pub async fn start(nodes: u64) -> Result<Self> {
        let folder = TempDir::new("dev")?;
        let port = free_ports(1)?[0].min(60_000);
        let data = folder.path().join("data");
        let arguments: Vec<String> = [
            "dev",
            "--nodes",
            &nodes.to_string(),
            "--port",
            &port.to_string(),
            "--no-worker",
            "--restart-delay",
            "5s",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(["--data-dir".to_owned(), data.display().to_string()])
        .collect();
        let supervisor = Process::start(folder.path(), "dev", &arguments)?;
        let mut cluster = DevCluster { supervisor, workers: Vec::new(), urls: Vec::new(), folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while cluster.nodes().len() < nodes as usize {
            if Instant::now() > deadline {
                bail!("`orc dev` did not print {nodes} nodes:\n{}", cluster.supervisor.output());
            }
            sleep(Duration::from_millis(50)).await;
        }
        cluster.urls = cluster.nodes().into_values().map(|(_, url)| url).collect();
        for url in cluster.urls.clone() {
            while !is_ready(&url).await {
                if Instant::now() > deadline {
                    bail!("{url} is not ready\n{}", cluster.supervisor.output());
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(cluster)
    }

    /// Pid and address of each node, as printed last.
    fn nodes(&self) -> BTreeMap<u64, (u32, String)> {
        let mut nodes = BTreeMap::new();
        for line in self.supervisor.output().lines() {
            let words: Vec<&str> =
                line.split([' ', ',', '(', ')', '·']).filter(|word| !word.is_empty()).collect();
            let id = words.iter().find_map(|word| word.strip_prefix("node-")?.parse().ok());
            let pid = words
                .iter()
                .position(|word| *word == "pid")
                .and_then(|place| words.get(place + 1)?.parse().ok());
            let url = words.iter().find(|word| word.starts_with("http://"));
            if let (Some(id), Some(pid), Some(url)) = (id, pid, url) {
                nodes.insert(id, (pid, url.trim_end_matches('/').to_string()));
            }
        }
        nodes
    }

    /// Every node's address for clients.
    pub fn urls(&self) -> Vec<String> {
        self.urls.clone()
    }

    /// A client that knows all nodes.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::builder().nodes(self.urls()).timeout(Duration::from_secs(60)).build()?)
    }

    /// Starts a worker process with the action `echo`.
    pub fn start_worker(&mut self, name: &str, slots: u32) -> Result<()> {
        let slots = slots.to_string();
        let urls = self.urls.join(",");
        let arguments = ["worker", "--allow", "echo", "--name", name, "--slots", &slots, "--addr", &urls];
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        self.workers.push(Process::start(self.folder.path(), name, &arguments)?);
        Ok(())
    }

    /// Waits until a leader leads and every node follows it, then SIGKILLs the leader. Its number and term, and the
    /// time of death.
    pub async fn kill_leader(&self, client: &Client) -> Result<((u64, u64), Instant)> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = client.cluster().status().await;
            if let Ok(status) = status
                && let Some(leader) = leader_of(&status)
                && status.nodes.len() == self.urls.len()
                && status.nodes.iter().all(|node| node.applied.is_some())
            {
                let (pid, _) = self.nodes().remove(&leader).context("the leader was printed")?;
                send(pid, "KILL")?;
                return Ok(((leader, status.term), Instant::now()));
            }
            if Instant::now() > deadline {
                bail!("the cluster did not become whole again within 30 s\n{}", self.supervisor.output());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends everything as a user would, with SIGTERM, and waits for it.
    pub async fn stop(mut self) -> Result<()> {
        for worker in &mut self.workers {
            worker.signal("TERM")?;
            worker.ended(Duration::from_secs(30)).await?;
        }
        self.supervisor.signal("TERM")?;
        let status = self.supervisor.ended(Duration::from_secs(60)).await?;
        if !status.success() {
            bail!("`orc dev` ended with {status}\n{}", self.supervisor.output());
        }
        Ok(())
    }
}
