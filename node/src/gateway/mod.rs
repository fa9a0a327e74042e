//! The HTTP gateway of a node: translates requests into commands and reads, and outcomes into answers.
//! Owns routes, bodies' limits and streams; the rules are in the domain, the truth in the replicated state.

mod access;
mod approvals;
mod attempts;
mod backup;
mod batches;
mod batches_work;
mod body;
mod budget;
mod call;
mod calls;
mod cluster;
mod components;
mod config;
mod definitions;
mod dispatch;
mod durable;
mod events;
mod explain;
mod family;
mod feed;
mod filter;
mod form;
mod hooks;
mod json;
pub mod listen;
mod logs;
mod logs_stream;
mod logs_take;
mod messages;
mod names;
mod nodes;
mod outlet;
mod paging;
mod patience;
mod poll;
mod problem;
pub mod render;
mod repeat;
mod repeats;
mod reply;
mod room;
mod routes;
mod runs;
mod runs_start;
mod schedules;
mod search;
mod searched;
mod session;
mod session_results;
mod snapshots;
mod sse;
pub mod starting;
mod state;
mod state_kept;
mod state_write;
mod steps;
mod system;
mod tasks;
mod tasks_backlog;
mod tasks_batch;
mod tasks_create;
mod tasks_dead;
mod triggers;
mod validate;
mod waiters;
mod watch;
mod workflow_versions;
mod workflows;

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use orc_actors::{CoordinatorHandle, HealthHandle, NodeStatus, ProposerHandle, StateManagerHandle};
use orc_domain::{ComponentId, Unavailable};
use tokio::sync::watch as tokio_watch;

use crate::{
    config::Secrets,
    health::{Memory, Report, Room},
    logs::LogStore,
    metrics::Metrics,
    server::{Catalog, Cluster},
};
use batches_work::Batches;
pub use body::BodyLimits;
use budget::Budget;
#[cfg(any(test, feature = "fuzzing"))]
pub use json::read as read_body;
use problem::Refusal;
use routes::Router;
pub use triggers::follow as follow_triggers;
use waiters::Waiters;
pub use waiters::follow as follow_events;

/// Bytes of requests under way and of long answers, of all connections together.
const CALLS_BYTES_MAX: usize = 64 << 20;
/// Bytes that wait for readers of events, of all streams together.
const STREAMS_BYTES_MAX: usize = 32 << 20;

/// What every handler works with.
pub struct Gateway {
    /// The replicated state and the other nodes.
    pub cluster: Cluster,
    /// Workflows kept by name.
    pub catalog: Arc<Catalog>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What tasks logged on this node.
    pub logs: Arc<LogStore>,
    router: Router,
    limits: BodyLimits,
    /// What requests and their answers may hold.
    calls: Arc<Budget>,
    /// What may wait for the readers of streams.
    streams: Arc<Budget>,
    waiters: Waiters,
    secrets: Secrets,
    batches: Batches,
    hands: OnceLock<Hands>,
    phase: tokio_watch::Sender<Phase>,
    started: Instant,
}

/// The actors as handlers reach them.
pub struct Hands {
    /// Proposes commands.
    pub proposer: ProposerHandle,
    /// Connects components and sends them messages.
    pub coordinator: CoordinatorHandle,
    /// Subscribes to events.
    pub state_manager: StateManagerHandle,
    /// Says how the actors are.
    pub health: HealthHandle,
    /// The latest health checks of this node.
    pub reports: tokio_watch::Receiver<Arc<Report>>,
    /// The room on this node's disk.
    pub room: tokio_watch::Receiver<Room>,
    /// The memory of this node.
    pub memory: tokio_watch::Receiver<Memory>,
}

/// Where the node stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has not caught up yet.
    Starting,
    /// It serves.
    Ready,
    /// It takes nothing new; streams and sessions end.
    Draining,
    /// Nobody is let in.
    Closed,
}

impl Gateway {
    /// A gateway that answers whether the process lives, and refuses the rest until the node is ready.
    pub fn new(
        cluster: Cluster,
        metrics: Arc<Metrics>,
        limits: BodyLimits,
        secrets: Secrets,
        logs: Arc<LogStore>,
    ) -> Arc<Gateway> {
        let catalog = Catalog::new(cluster.replica().clone());
        Arc::new(Gateway {
            cluster,
            metrics,
            logs,
            router: Router::new(),
            limits,
            calls: Budget::new(CALLS_BYTES_MAX),
            streams: Budget::new(STREAMS_BYTES_MAX),
            waiters: Waiters::default(),
            catalog,
            secrets,
            batches: Batches::default(),
            hands: OnceLock::new(),
            phase: tokio_watch::Sender::new(Phase::Starting),
            started: Instant::now(),
        })
    }

    /// The actors have started.
    pub fn set_hands(&self, hands: Hands) {
        if self.hands.set(hands).is_err() {
            tracing::warn!("the actors were started twice");
        }
    }

    /// The node goes on to another phase; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Where the node stands.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Completes once the node takes nothing new.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Phase::Draining)
    }

    /// Completes once nobody is let in any more.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Phase::Closed)
    }

    fn reached(&self, phase: Phase) -> impl Future<Output = ()> + Send + 'static {
        let mut phases = self.phase.subscribe();
        async move {
            // The gateway is gone: that, too, is an end.
            let _ = phases.wait_for(|now| *now >= phase).await;
        }
    }

    /// What the actors have to do, once they have started.
    pub fn work(&self) -> Option<NodeStatus> {
        self.hands.get().map(|hands| hands.health.status())
    }

    /// Messages without a reply of each component connected here.
    pub fn message_queues(&self) -> Vec<(ComponentId, usize)> {
        self.hands.get().map(|hands| hands.coordinator.message_queues()).unwrap_or_default()
    }

    /// What the latest health checks found; nothing before the first ones.
    pub fn health(&self) -> Arc<Report> {
        self.hands.get().map(|hands| hands.reports.borrow().clone()).unwrap_or_default()
    }

    /// The room on this node's disk, once it has started.
    pub fn room(&self) -> Option<Room> {
        self.hands.get().map(|hands| *hands.room.borrow())
    }

    /// The memory of this node, once it has started.
    pub fn memory(&self) -> Option<Memory> {
        self.hands.get().map(|hands| *hands.memory.borrow())
    }

    /// The actors, once they have started.
    fn hands(&self) -> Result<&Hands, Refusal> {
        if self.phase() >= Phase::Draining {
            return Err(Unavailable::ShuttingDown.into());
        }
        self.hands.get().ok_or_else(|| Unavailable::NoLeader.into())
    }
}
