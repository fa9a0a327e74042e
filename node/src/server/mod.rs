//! One node from start to end: replica, HTTP, actors, readiness; then the same in reverse.
//! Knows the order and the deadlines; every part does its own work.

mod backups;
mod catalog;
mod census;
mod cluster;
mod error;
mod founding;
mod kept;
mod parts;
mod retention;
mod seams;
mod snapshots;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use orc_actors::{Handles, Options, Orchestrator, ReplyListener};
use orc_raft::replica::{Limits, Mode, Replica, ReplicaOptions, Timings};
use orc_runtime::net::TcpListener;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{info, warn};

pub use catalog::{Catalog, CatalogError, Stored};
pub use census::Census;
pub use cluster::Cluster;
pub use error::ServerError;

use crate::{
    config::{Secrets, ServerConfig, Start},
    gateway::{BodyLimits, Gateway, Hands, Phase, follow_events, follow_triggers, listen, starting},
    health::{Monitor, Room, Stage, follow_memory, follow_room},
    logs::{self, LogStore},
    metrics::Metrics,
};
use seams::Seams;

/// Time for requests that are under way when the node stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);
/// Between looks whether the node is ready.
const READY_LOOK: Duration = Duration::from_millis(20);

/// Runs a node until `shutdown` completes, then stops it in order.
pub async fn run(
    config: ServerConfig,
    secrets: Secrets,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let mut shutdown = std::pin::pin!(shutdown);
    // Bound first: an address in use is told before anything is written.
    let address = config.listen;
    let socket = listen::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
    let http_addr = reached_at(&config, socket.local_addr().unwrap_or(address));
    let room = follow_room(config.data_dir.clone(), config.disk).await;
    has_room(&config, *room.borrow())?;
    let starting = Replica::start(replica_options(&config, http_addr));
    let replica = tokio::select! {
        started = starting => started.map_err(ServerError::Replica)?,
        never = starting::answer(&socket, config.limits.header_timeout) => match never {},
        () = &mut shutdown => return Ok(()),
    };
    let logs = open_logs(&config).await?;
    let mut node = Node::start(&config, secrets, replica, (socket, room), logs)?;
    announce(&config, &node);
    let ended = tokio::select! {
        ended = node.live(&config) => ended,
        () = &mut shutdown => Ok(()),
    };
    node.stop().await;
    ended
}

/// A node that starts on a full disk, or goes on there, ends amid a write.
fn has_room(config: &ServerConfig, room: Room) -> Result<(), ServerError> {
    match room.stage() {
        Stage::Plenty | Stage::Low => Ok(()),
        Stage::Out => Err(ServerError::DiskFull { folder: config.data_dir.clone(), room }),
    }
}

/// Opens the logs of tasks; an old folder may hold many.
async fn open_logs(config: &ServerConfig) -> Result<Arc<LogStore>, ServerError> {
    let (folder, limits) = (logs::folder(&config.data_dir), config.task_logs);
    let failed = |source| ServerError::Logs { folder: logs::folder(&config.data_dir), source };
    let opened = orc_runtime::blocking(move || LogStore::open(folder, limits)).await;
    opened.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(failed)
}

/// Where clients reach the node; port 0 took a free one.
fn reached_at(config: &ServerConfig, bound: SocketAddr) -> String {
    match config.advertise_http.strip_suffix(":0") {
        Some(host) => format!("{host}:{}", bound.port()),
        None => config.advertise_http.clone(),
    }
}

fn replica_options(config: &ServerConfig, http_addr: String) -> ReplicaOptions {
    let mode = match &config.start {
        Start::Bootstrap => Mode::Bootstrap,
        Start::Join(addresses) => Mode::Join(addresses.clone()),
        Start::Existing => Mode::Restart,
    };
    let mut options = ReplicaOptions::new(config.node_id, config.data_dir.clone(), mode);
    options.peer_listen = config.peer_listen;
    options.peer_advertise = Some(config.advertise_peer.clone()).filter(|_| config.peer_listen.port() != 0);
    options.http_addr = http_addr;
    options.timings = Timings {
        heartbeat: config.raft.heartbeat,
        election_min: config.raft.election_min,
        election_max: config.raft.election_max,
        ..Timings::default()
    };
    options.limits = Limits {
        snapshot_every: config.snapshot.every_entries,
        records_kept: config.snapshot.keep_entries,
        events_kept: config.events,
        ..Limits::default()
    };
    options
}

fn announce(config: &ServerConfig, node: &Node) {
    let (id, replica) = (config.node_id, node.gateway.cluster.replica());
    println!(
        "{id}: http://{}, peers {}, cluster {}",
        node.address,
        replica.peer_address(),
        replica.cluster()
    );
}

/// The parts of a running node.
struct Node {
    gateway: Arc<Gateway>,
    handles: Handles,
    monitor: Arc<Monitor>,
    room: watch::Receiver<Room>,
    address: SocketAddr,
    http: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Node {
    fn start(
        config: &ServerConfig,
        secrets: Secrets,
        replica: Replica,
        (socket, room): (TcpListener, watch::Receiver<Room>),
        logs: Arc<LogStore>,
    ) -> Result<Node, ServerError> {
        let address = socket.local_addr().unwrap_or(config.listen);
        let cluster = Cluster::new(replica.clone());
        let metrics = Arc::new(Metrics::new(config.data_dir.clone()));
        let limits = BodyLimits {
            length_max: config.limits.body,
            total_max: config.limits.body_timeout,
            ..BodyLimits::default()
        };
        let gateway = Gateway::new(cluster, metrics.clone(), limits, secrets, logs.clone());
        let connections = listen::ConnectionLimits {
            total_max: config.limits.connections,
            per_peer_max: Some(config.limits.connections_per_peer),
            header_timeout: config.limits.header_timeout,
            write_timeout: config.limits.write_timeout,
        };
        let helpers = vec![
            tokio::spawn(follow_events(gateway.clone(), gateway.cluster.events())),
            tokio::spawn(metrics.clone().follow_leadership(replica.leadership())),
            tokio::spawn(metrics.clone().follow_events(gateway.cluster.clone(), gateway.cluster.events())),
        ];
        let http = tokio::spawn(listen::serve(socket, gateway.clone(), connections));
        let seams = Seams::new(replica, gateway.catalog.clone());
        let replied = ReplyListener::new(move |component, took| metrics.replied(component, took));
        let options = Options { replied, ..Options::new(tokio::runtime::Handle::current()) };
        let handles =
            Orchestrator::start(seams.clone(), seams.clone(), options).map_err(ServerError::Actors)?;
        seams.answer_with(handles.coordinator.downgrade(), logs);
        let memory = follow_memory(config.memory_max);
        let monitor = Monitor::new(config, gateway.cluster.clone(), handles.health.clone(), memory.clone());
        gateway.set_hands(Hands {
            proposer: handles.proposer.clone(),
            coordinator: handles.coordinator.clone(),
            state_manager: handles.state_manager.clone(),
            health: handles.health.clone(),
            reports: monitor.reports(),
            room: room.clone(),
            memory,
        });
        let mut helpers = helpers;
        helpers.push(tokio::spawn(retention::enforce(gateway.cluster.clone(), handles.proposer.clone())));
        let folder = config.data_dir.join("backups");
        helpers.push(tokio::spawn(backups::make(gateway.cluster.clone(), folder)));
        helpers.push(tokio::spawn(snapshots::make(gateway.cluster.clone(), handles.proposer.clone())));
        helpers.push(tokio::spawn(follow_triggers(gateway.clone())));
        helpers.push(tokio::spawn(monitor.clone().run(handles.proposer.clone())));
        Ok(Node { gateway, handles, monitor, room, address, http, helpers })
    }

    /// Waits until the node has caught up, sets up a cluster that it founds, and lets callers in.
    async fn become_ready(&self, config: &ServerConfig) -> Result<(), ServerError> {
        let replica = self.gateway.cluster.replica();
        while let Err(reason) = replica.ready() {
            tracing::trace!(%reason, "not ready yet");
            sleep(READY_LOOK).await;
        }
        if config.start == Start::Bootstrap {
            founding::configure(&self.gateway.cluster, &self.handles.proposer, &config.cluster).await?;
        }
        self.monitor.check().await;
        self.gateway.enter(Phase::Ready);
        info!(node = %config.node_id, "ready");
        Ok(())
    }

    /// Lets callers in, and goes on until something ends it.
    async fn live(&mut self, config: &ServerConfig) -> Result<(), ServerError> {
        self.become_ready(config).await?;
        self.out_of_room(config).await
    }

    /// Completes when the disk has no room to go on.
    async fn out_of_room(&mut self, config: &ServerConfig) -> Result<(), ServerError> {
        loop {
            match self.room.changed().await {
                Ok(()) => has_room(config, *self.room.borrow_and_update())?,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Takes nothing new, says goodbye to components, hands over leadership, lets requests end, stops.
    async fn stop(self) {
        let Node { gateway, handles, http, helpers, .. } = self;
        info!("shutting down");
        gateway.enter(Phase::Draining);
        handles.shutdown().await;
        gateway.enter(Phase::Closed);
        let requests = timeout(DRAIN_WITHIN, http);
        let (drained, ()) = tokio::join!(requests, gateway.cluster.replica().shutdown());
        if drained.is_err() {
            warn!("requests were still under way and are cut");
        }
        helpers.iter().for_each(JoinHandle::abort);
        gateway.logs.flush().await;
        info!("stopped");
    }
}
