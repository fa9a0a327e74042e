//! Nodes of one cluster as processes that a test starts, kills and starts again.
//! Knows nothing of what runs on them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use orc_client::{Client, wire};
use tokio::time::{Instant, sleep};

use crate::process::{Process, TempDir, free_ports};

/// How the nodes of a cluster are started.
#[derive(Clone, Default)]
pub struct Options {
    /// Further arguments of every `orc server`.
    pub arguments: Vec<String>,
}

struct Member {
    id: u64,
    http: u16,
    peer: u16,
    process: Option<Process>,
}

/// Nodes of one cluster and workers beside them.
pub struct Cluster {
    members: Vec<Member>,
    workers: Vec<Process>,
    options: Options,
    folder: TempDir,
}

const READY_WITHIN: Duration = Duration::from_secs(30);

impl Cluster {
    /// Starts nodes 1 to `count` and waits until all of them are voters and ready.
    pub async fn start(name: &str, count: u64, options: Options) -> Result<Self> {
        let mut cluster = Self::launch(name, count, options)?;
        for id in 1..=count {
            cluster.ready(id).await?;
        }
        cluster.voters(count as usize).await?;
        Ok(cluster)
    }

    /// Starts nodes 1 to `count` and waits for nothing.
    pub fn launch(name: &str, count: u64, options: Options) -> Result<Self> {
        let folder = TempDir::new(name)?;
        let ports = free_ports(2 * count as usize)?;
        let member = |id: u64| {
            let place = 2 * (id as usize - 1);
            Member { id, http: ports[place], peer: ports[place + 1], process: None }
        };
        let mut cluster =
            Cluster { members: (1..=count).map(member).collect(), workers: Vec::new(), options, folder };
        for id in 1..=count {
            cluster.start_node(id)?;
        }
        Ok(cluster)
    }

    /// The folder with data and logs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A node's data folder.
    pub fn data(&self, id: u64) -> std::path::PathBuf {
        self.folder.path().join(format!("data-{id}"))
    }

    /// Adds a member that is not started yet.
    pub fn add_member(&mut self) -> Result<u64> {
        let ports = free_ports(2)?;
        let id = self.members.iter().map(|member| member.id).max().unwrap_or(0) + 1;
        self.members.push(Member { id, http: ports[0], peer: ports[1], process: None });
        Ok(id)
    }

    fn member(&mut self, id: u64) -> Result<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id).with_context(|| format!("no node {id}"))
    }

    /// Starts a node that does not run.
    pub fn start_node(&mut self, id: u64) -> Result<()> {
        let first_peer = self.members[0].peer;
        let data = self.data(id);
        let more = self.options.arguments.clone();
        let folder = self.folder.path().to_owned();
        let member = self.member(id)?;
        let mut arguments: Vec<String> = vec![
            "server".into(),
            "--node-id".into(),
            id.to_string(),
            "--data-dir".into(),
            data.display().to_string(),
            "--listen".into(),
            format!("127.0.0.1:{}", member.http),
            "--peer-listen".into(),
            format!("127.0.0.1:{}", member.peer),
        ];
        match id {
            1 => arguments.push("--bootstrap".into()),
            _ => arguments.extend(["--join".into(), format!("127.0.0.1:{first_peer}")]),
        }
        arguments.extend(more);
        member.process = Some(Process::start(&folder, &format!("node-{id}"), &arguments)?);
        Ok(())
    }

    /// SIGKILLs a node.
    pub fn kill_node(&mut self, id: u64) -> Result<()> {
        let mut process =
            self.member(id)?.process.take().with_context(|| format!("node {id} does not run"))?;
        process.kill()?;
        Ok(())
    }

    /// The pids of the nodes that run.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| member.process.as_ref().map(Process::pid)).collect()
    }

    /// A node's process.
    pub fn process(&mut self, id: u64) -> Result<&mut Process> {
        self.member(id)?.process.as_mut().with_context(|| format!("node {id} does not run"))
    }

    /// A node's address for clients.
    pub fn url(&self, id: u64) -> String {
        let port = self.members.iter().find(|member| member.id == id).map_or(0, |member| member.http);
        format!("http://127.0.0.1:{port}")
    }

    /// Every node's address for clients.
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| self.url(member.id)).collect()
    }

    /// A client that knows all nodes.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::builder().nodes(self.urls()).timeout(Duration::from_secs(60)).build()?)
    }

    /// A client that knows one node.
    pub fn client_of(&self, id: u64) -> Result<Client> {
        Ok(Client::builder().nodes([self.url(id)]).timeout(Duration::from_secs(10)).build()?)
    }

    /// Starts a worker process with the action `echo` and `sleep`.
    pub fn start_worker(&mut self, name: &str, slots: u32) -> Result<()> {
        let arguments =
            ["worker", "--allow", "echo,sleep,run", "--name", name, "--slots", &slots.to_string(), "--addr"];
        let mut arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        arguments.push(self.urls().join(","));
        self.workers.push(Process::start(self.folder.path(), name, &arguments)?);
        Ok(())
    }

    /// A worker's process.
    pub fn worker(&self, name: &str) -> Result<&Process> {
        self.workers.iter().find(|worker| worker.name() == name).with_context(|| format!("no worker {name}"))
    }

    /// SIGKILLs a worker.
    pub fn kill_worker(&mut self, name: &str) -> Result<()> {
        let place = self.workers.iter().position(|worker| worker.name() == name);
        self.workers.remove(place.with_context(|| format!("no worker {name}"))?).kill()?;
        Ok(())
    }

    /// Waits until a node says it is ready.
    pub async fn ready(&mut self, id: u64) -> Result<()> {
        let url = self.url(id);
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(&url).await {
            if let Ok(status) = self.process(id)?.ended(Duration::ZERO).await {
                bail!("node {id} ended with {status}\n{}", self.process(id)?.output());
            }
            if Instant::now() > deadline {
                bail!("node {id} is not ready after {READY_WITHIN:?}\n{}", self.process(id)?.output());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until this many nodes vote.
    pub async fn voters(&self, count: usize) -> Result<()> {
        let votes =
            |node: &wire::ClusterNode| matches!(node.role, wire::NodeRole::Leader | wire::NodeRole::Follower);
        self.until("voters", |status| status.nodes.iter().filter(|node| votes(node)).count() == count)
            .await?;
        Ok(())
    }

    /// The leader's id, once one is known.
    pub async fn leader(&self) -> Result<u64> {
        let status = self.until("a leader", |status| leader_of(status).is_some()).await?;
        leader_of(&status).context("a leader was just seen")
    }

    /// Waits until the cluster looks as wished.
    pub async fn until(
        &self,
        what: &str,
        wish: impl Fn(&wire::ClusterStatus) -> bool,
    ) -> Result<wire::ClusterStatus> {
        let client = self.client()?;
        let deadline = Instant::now() + READY_WITHIN;
        let mut last = None;
        while Instant::now() < deadline {
            match client.cluster().status().await {
                Ok(status) if wish(&status) => return Ok(status),
                other => last = Some(other),
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("waited {READY_WITHIN:?} for {what}; last seen: {last:#?}")
    }
}

/// The number of the leader that all who answer agree on.
pub(crate) fn leader_of(status: &wire::ClusterStatus) -> Option<u64> {
    status.leader.as_ref()?.strip_prefix("node-")?.parse().ok()
}

/// Whether a node's `/readyz` answers 200.
pub(crate) async fn is_ready(url: &str) -> bool {
    let probe = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let address = url.strip_prefix("http://")?;
        let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 200").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(2), probe).await.ok().flatten().is_some()
}
