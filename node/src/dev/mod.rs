//! A cluster on this machine: N node processes under one supervisor, and a worker.
//! Knows nodes only as processes with an HTTP address; what they do is theirs.

mod banner;
mod node;
mod plan;

use std::{future::Future, path::PathBuf, time::Duration};

use orc_client::{
    Client, Worker,
    wire::{ClusterStatus, NodeRole},
};
use tokio::{sync::watch, task::JoinSet};

pub(crate) use node::{Supervised, tail};
pub use plan::default_data_dir;
pub(crate) use plan::{Place, Plan};

/// How long the nodes may take to find each other before the banner is shown anyway.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is started.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// How many nodes.
    pub nodes: u16,
    /// HTTP port of the first.
    pub port: u16,
    /// Where their data is kept; a temporary folder if none.
    pub data_dir: Option<PathBuf>,
    /// Slots of the worker; none without slots.
    pub worker_slots: u32,
    /// Further flags of `orc server`.
    pub server_flags: Vec<String>,
    /// Pause before a node that died is started again.
    pub restart_delay: Duration,
    /// Nodes write their logs to stderr, too.
    pub verbose: bool,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A folder cannot be made, read or written.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No ports, or others than the data needs.
    #[error("{0}")]
    Plan(String),
    /// This program does not find itself.
    #[error("this program cannot be started again: {0}")]
    Program(#[source] std::io::Error),
    /// A node cannot run.
    #[error("node-{number} does not start: {reason}")]
    Node {
        /// Which.
        number: u16,
        /// What it said last.
        reason: String,
    },
}

/// Runs the cluster until `shutdown`, or until a node turns out to be unable to run.
pub async fn run(options: DevOptions, shutdown: impl Future<Output = ()>) -> Result<(), DevError> {
    let plan = Plan::make(&options)?;
    let program = std::env::current_exe().map_err(DevError::Program)?;
    let (stop, stopped) = watch::channel(false);
    let mut nodes = JoinSet::new();
    for place in &plan.places {
        let node = Supervised {
            program: program.clone(),
            place: place.clone(),
            flags: plan.flags(place, &options),
            to_stderr: options.verbose,
            restart_delay: options.restart_delay,
        };
        nodes.spawn(node.keep_running(stopped.clone()));
    }
    let client = Client::builder()
        .nodes(plan.places.iter().map(|place| place.http_url()))
        .timeout(Duration::from_secs(5))
        .build();
    let client = client.map_err(|error| DevError::Plan(error.to_string()))?;
    let worker = tokio::spawn(work(client.clone(), options.worker_slots, stopped.clone()));
    let told = async {
        let status = formed(&client, plan.places.len()).await;
        banner::show(&plan, &options, status.as_ref());
        std::future::pending().await
    };
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        failed = first_failure(&mut nodes) => failed,
        () = told => Ok(()),
    };
    // The nodes see it by the closed channel, too, should this send come too late.
    stop.send(true).ok();
    // The worker drains against nodes that are still there; it does not hold them up for long.
    tokio::time::timeout(Duration::from_secs(3), worker).await.ok();
    while nodes.join_next().await.is_some() {}
    plan.clean_up();
    ended
}

/// Waits for a node that cannot run; nodes that merely died are started again and do not count.
async fn first_failure(nodes: &mut JoinSet<Result<(), DevError>>) -> Result<(), DevError> {
    while let Some(ended) = nodes.join_next().await {
        if let Ok(Err(error)) = ended {
            return Err(error);
        }
    }
    std::future::pending().await
}

/// Waits until a leader is known and every node is up.
pub(crate) async fn formed(client: &Client, nodes: usize) -> Option<ClusterStatus> {
    let wait = async {
        loop {
            if let Ok(status) = client.cluster().status().await {
                let up = status
                    .nodes
                    .iter()
                    .filter(|node| !matches!(node.role, NodeRole::Down | NodeRole::Learner))
                    .count();
                if status.leader.is_some() && up >= nodes {
                    return status;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.ok()
}

/// Runs the built-in worker until the cluster stops.
async fn work(client: Client, slots: u32, mut stopped: watch::Receiver<bool>) {
    if slots == 0 {
        return;
    }
    let worker = Worker::new(client).id("dev-worker").name("built-in worker").slots(slots);
    let worker =
        match orc_executors::builtin(worker.drain_timeout(Duration::from_secs(2)), &orc_executors::BUILTIN) {
            Ok(worker) => worker,
            Err(error) => return tracing::error!(%error, "there is no built-in worker"),
        };
    if let Err(error) = worker.run(node::told(&mut stopped)).await {
        tracing::warn!(%error, "the built-in worker ended");
    }
}
