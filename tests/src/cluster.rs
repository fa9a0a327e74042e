//! Nodes of one cluster as processes that a test starts, kills and starts again.
//! Knows nothing of what runs on them.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use orc_client::{Client, wire};
use tokio::time::{Instant, sleep};

use crate::{
    machines::{FileSystem, Machines, Network, clock},
    process::{Process, TempDir, binary, free_ports, is_ready},
};

/// How the nodes of a cluster are started.
#[derive(Clone, Default)]
pub struct Options {
    /// Further arguments of every `orc server`.
    pub arguments: Vec<String>,
    /// Each node has a machine of its own, with one disk and the other in turn; otherwise all are on loopback.
    pub machines: Option<([FileSystem; 2], u64)>,
    /// Each node has clocks of its own, which can be set.
    pub clocks: clock::Clocks,
    /// Machines beyond those that have a node from the beginning.
    pub spares: u64,
}

struct Member {
    id: u64,
    /// Of those with machines, where it runs.
    machine: u64,
    http: String,
    peer: String,
    process: Option<Process>,
    /// Where it is not of the build this code belongs to.
    program: Option<PathBuf>,
    /// It founds the cluster where it has no data; others join.
    founds: bool,
}

impl Member {
    fn new(id: u64, host: &str, ports: &[u16]) -> Member {
        Member {
            id,
            machine: id,
            http: format!("{host}:{}", ports[0]),
            peer: format!("{host}:{}", ports[1]),
            process: None,
            program: None,
            founds: id == 1,
        }
    }
}

/// Nodes of one cluster and workers beside them.
pub struct Cluster {
    members: Vec<Member>,
    workers: Vec<Process>,
    options: Options,
    machines: Option<Machines>,
    folder: TempDir,
    /// The highest id that a node ever had.
    ids_used: u64,
}

const READY_WITHIN: Duration = Duration::from_secs(30);
/// Of a node with a machine of its own: for clients, and for other nodes.
const PORTS: [u16; 2] = [7420, 7520];

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
        let count_all = count + options.spares;
        let machines =
            options.machines.map(|disk| Machines::new(folder.path(), count_all, disk)).transpose()?;
        let ports = free_ports(2 * count as usize)?;
        let member = |(id, ports): (u64, &[u16])| match &machines {
            Some(_) => Member::new(id, &Network::address(id), &PORTS),
            None => Member::new(id, "127.0.0.1", ports),
        };
        let members = (1..).zip(ports.chunks(2)).map(member).collect();
        let mut cluster =
            Cluster { members, workers: Vec::new(), options, machines, folder, ids_used: count };
        for id in 1..=count {
            cluster.start_node(id)?;
        }
        Ok(cluster)
    }

    /// The ids of all members, by their places.
    pub fn ids(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// The folder with data and logs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A node's data folder.
    pub fn data(&self, id: u64) -> PathBuf {
        match self.machines.as_ref().and_then(|machines| machines.disk(self.machine(id)).ok()) {
            Some(disk) => disk.path().join("data"),
            None => self.folder.path().join(format!("data-{id}")),
        }
    }

    /// The machine that a node runs on.
    pub fn machine(&self, id: u64) -> u64 {
        self.members.iter().find(|member| member.id == id).map_or(id, |member| member.machine)
    }

    /// The machines that the nodes run on.
    pub fn machines(&self) -> Result<&Machines> {
        self.machines.as_ref().context("the nodes have no machines of their own")
    }

    /// A node's command, on its machine if it has one.
    fn command(&self, id: u64) -> Result<Command> {
        let member = self.members.iter().find(|member| member.id == id);
        let program = member.and_then(|member| member.program.clone()).map_or_else(binary, Ok)?;
        let mut command = match &self.machines {
            Some(machines) => machines.network.on(self.machine(id), &program)?,
            None => Command::new(program),
        };
        if self.options.clocks != clock::Clocks::Real {
            clock::wear(&mut command, &self.clock(id), self.options.clocks)?;
        }
        Ok(command)
    }

    /// From its next start on a node is of this program, or of the build this code belongs to.
    pub fn set_program(&mut self, id: u64, program: Option<PathBuf>) -> Result<()> {
        self.member(id)?.program = program;
        Ok(())
    }

    fn clock(&self, id: u64) -> PathBuf {
        self.folder.path().join(format!("clock-{}", self.machine(id)))
    }

    /// Sets a node's clocks so many seconds ahead of the real ones.
    pub fn set_clock(&self, id: u64, ahead: i64) -> Result<()> {
        ensure!(self.options.clocks != clock::Clocks::Real, "the nodes have no clocks of their own");
        clock::set(&self.clock(id), ahead)
    }

    /// Adds a member that is not started yet, on a machine that no other one is on.
    pub fn add_member(&mut self) -> Result<u64> {
        let id = self.ids_used + 1;
        let member = match &self.machines {
            Some(machines) => {
                let taken: Vec<u64> = self.members.iter().map(|member| member.machine).collect();
                let machine = (1..=machines.count()).find(|machine| !taken.contains(machine));
                let machine = machine.context("every machine has a node")?;
                Member { machine, ..Member::new(id, &Network::address(machine), &PORTS) }
            }
            None => Member::new(id, "127.0.0.1", &free_ports(2)?),
        };
        self.ids_used = id;
        self.members.push(member);
        Ok(id)
    }

    /// Ends a node that is no member any more, and takes its data away.
    pub fn forget_node(&mut self, id: u64) -> Result<()> {
        if self.member(id)?.process.is_some() {
            self.kill_node(id)?;
        }
        if self.data(id).exists() {
            std::fs::remove_dir_all(self.data(id))?;
        }
        self.members.retain(|member| member.id != id);
        Ok(())
    }

    /// Takes the data of a node away that does not run.
    pub fn wipe_node(&mut self, id: u64) -> Result<()> {
        self.member(id)?.founds = false;
        Ok(std::fs::remove_dir_all(self.data(id))?)
    }

    /// Where nodes may be reached: every machine, whether a node is there or not.
    pub fn places(&self) -> Vec<String> {
        let url = |machine| format!("http://{}:{}", Network::address(machine), PORTS[0]);
        match &self.machines {
            Some(machines) => (1..=machines.count()).map(url).collect(),
            None => self.urls(),
        }
    }

    fn member(&mut self, id: u64) -> Result<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id).with_context(|| format!("no node {id}"))
    }

    /// Starts a node that does not run.
    pub fn start_node(&mut self, id: u64) -> Result<()> {
        self.start_node_with(id, &[])
    }

    /// The same with variables of the environment.
    pub fn start_node_with(&mut self, id: u64, variables: &[(&str, &str)]) -> Result<()> {
        let others = self.members.iter().filter(|member| member.id != id);
        let others: Vec<String> = others.map(|member| member.peer.clone()).collect();
        let mut command = self.command(id)?;
        command.envs(variables.iter().copied());
        command.args(["server", "--node-id", &id.to_string(), "--data-dir"]).arg(self.data(id));
        let folder = self.folder.path().to_owned();
        let more = self.options.arguments.clone();
        let member = self.member(id)?;
        command.args(["--listen", &member.http, "--peer-listen", &member.peer]);
        match member.founds {
            true => command.arg("--bootstrap"),
            false => command.args(["--join", &others.join(",")]),
        };
        // Whether the machine that runs the tests has little room is its own affair.
        command.args(
            ["disk.low-percent=0", "disk.low-bytes=0", "disk.full-percent=0"]
                .map(|text| format!("--set={text}")),
        );
        command.args(more);
        member.process = Some(Process::run(&folder, &format!("node-{id}"), &mut command)?);
        Ok(())
    }

    /// Removes a node for good, by the command line.
    pub async fn remove_node(&self, id: u64) -> Result<()> {
        let mut command = self.removal(id)?;
        let output = command.output().await?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The command that removes a node for good; it asks the others.
    pub fn removal(&self, id: u64) -> Result<tokio::process::Command> {
        let others: Vec<String> =
            self.ids().into_iter().filter(|other| *other != id).map(|other| self.url(other)).collect();
        let mut command = tokio::process::Command::new(binary()?);
        command.args(["cluster", "remove", &format!("node-{id}"), "--yes", "--timeout", "30s", "--addr"]);
        command.arg(others.join(",")).kill_on_drop(true);
        Ok(command)
    }

    /// Starts a node that has ended under an id never used before, with an empty data folder; the new id.
    pub fn replace_node(&mut self, id: u64) -> Result<u64> {
        self.wipe_node(id)?;
        let new = self.ids_used + 1;
        self.ids_used = new;
        let member = self.member(id)?;
        (member.id, member.process) = (new, None);
        self.start_node(new)?;
        Ok(new)
    }

    /// SIGKILLs a node.
    pub fn kill_node(&mut self, id: u64) -> Result<()> {
        let mut process =
            self.member(id)?.process.take().with_context(|| format!("node {id} does not run"))?;
        process.kill()?;
        Ok(())
    }

    /// What all processes of a node have printed so far.
    pub fn output(&self, id: u64) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join(format!("node-{id}.log")))?)
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
        let member = self.members.iter().find(|member| member.id == id);
        format!("http://{}", member.map_or("", |member| &member.http))
    }

    /// Every node's address for clients.
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| self.url(member.id)).collect()
    }

    /// A client that knows all places of nodes.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::builder().nodes(self.places()).timeout(Duration::from_secs(60)).build()?)
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
        arguments.push(self.places().join(","));
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

    /// Whether a node says it is ready.
    pub async fn is_ready(&self, id: u64) -> bool {
        is_ready(&self.url(id)).await
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

    /// Waits until this many nodes vote, and there are no others.
    pub async fn voters(&self, count: usize) -> Result<()> {
        let votes =
            |node: &wire::ClusterNode| matches!(node.role, wire::NodeRole::Leader | wire::NodeRole::Follower);
        let all_vote =
            |status: &wire::ClusterStatus| status.nodes.len() == count && status.nodes.iter().all(votes);
        self.until("voters", all_vote).await.map(drop)
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
        self.until_at(&self.client()?, what, wish).await
    }

    /// Waits until the cluster looks as wished to whomever this client asks.
    pub async fn until_at(
        &self,
        client: &Client,
        what: &str,
        wish: impl Fn(&wire::ClusterStatus) -> bool,
    ) -> Result<wire::ClusterStatus> {
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
