//! The crate's face: a node of the cluster, started, asked and stopped through one cheap handle.
//! Knows nothing of what proposals ask for, nor of HTTP.

mod backup;
mod core;
mod handover;
mod join;
mod leadership;
mod options;
mod service;
mod start;
mod status;
mod submit;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use orc_domain::{NodeId, Outcome, Proposal, Timestamp, Unavailable};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use uuid::Uuid;

use self::{
    core::{Core, Way},
    service::NodeService,
};
pub use self::{
    handover::TransferError,
    leadership::Leadership,
    options::{Limits, Mode, ReplicaOptions, StartFailure, Timings},
};
use crate::{
    membership::{Change, MembershipError},
    reads::{Gathering, ReadIndex},
    status::{ClusterStatus, NodeStatus},
    store::StateReader,
    transport::{
        BoxFuture, CallError, Server,
        message::{Joiner, Request, Response},
    },
};

const ASK_PATIENCE: Duration = Duration::from_secs(10);
const CHANGE_PATIENCE: Duration = Duration::from_secs(12);

/// Answers requests of other nodes that need no agreement.
pub type AskHandler = Arc<dyn Fn(NodeId, Vec<u8>) -> BoxFuture<Vec<u8>> + Send + Sync>;

/// A running node. Clones share it; when the last one is dropped the node is gone as after `kill -9`.
#[derive(Clone)]
pub struct Replica {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    barrier: Gathering,
    service: Arc<NodeService>,
    address: SocketAddr,
    /// Taken when the node stops.
    alive: Mutex<Option<Alive>>,
}

/// What works in the background until it is dropped.
struct Alive {
    _server: Server,
    _tasks: JoinSet<()>,
}

/// Why a node is not ready for callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Nobody leads.
    #[error("no leader is known")]
    NoLeader,
    /// It leads, and no majority answers.
    #[error("this node leads and no majority of the nodes answers")]
    CutOff,
    /// It has not applied yet what was committed when it started.
    #[error("this node is still catching up")]
    CatchingUp,
    /// It stops.
    #[error("this node is stopping")]
    Stopping,
}

impl Replica {
    /// Starts a node: on its data if there is any, otherwise as [`Mode`] says.
    pub async fn start(options: ReplicaOptions) -> Result<Replica, StartFailure> {
        start::start(options).await
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.inner.core.node
    }

    /// Its cluster.
    pub fn cluster(&self) -> Uuid {
        self.inner.core.peers.local().cluster.expect("a running node has a cluster")
    }

    /// Where it listens for other nodes.
    pub fn peer_address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Proposes in order; one answer each. What is proposed by one call after the other is decided in that order while
    /// the leader stays the same.
    pub fn submit(&self, proposals: Vec<Proposal>) -> BoxFuture<Vec<Result<Outcome, Unavailable>>> {
        submit::submit(self.inner.core.clone(), proposals)
    }

    /// After this, a local read sees everything that was acknowledged anywhere before the call. Returns the log index.
    pub async fn read_barrier(&self) -> ReadIndex {
        self.inner.barrier.get().await
    }

    /// Waits until `rev` is applied here, for reading one's own writes.
    pub async fn wait_applied(&self, rev: u64, patience: Duration) -> Result<(), Unavailable> {
        self.inner.core.wait_applied(rev, patience).await
    }

    /// Who leads, now and from now on.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.core.leadership.clone()
    }

    /// The replicated state; reads are local.
    pub fn reader(&self) -> &StateReader {
        &self.inner.core.reader
    }

    /// The clock that a leader stamps with.
    pub fn now(&self) -> Timestamp {
        self.inner.core.clock.now()
    }

    /// How long this node has run without a standstill: longer it cannot have heard nothing.
    pub fn awake_for(&self) -> Duration {
        self.inner.core.clock.ticks().since_leap
    }

    /// On the leader: members that have not answered for at least this long, counted from the begin of its leadership.
    pub fn silent_nodes(&self, longer_than: Duration) -> Vec<NodeId> {
        let core = &self.inner.core;
        let Some(led_for) = core.led_for() else { return Vec::new() };
        let most = led_for.min(self.awake_for());
        let silent = |node: &u64| core.peers.silent_for(*node).unwrap_or(most).min(most) >= longer_than;
        core.members.others(core.node.0).into_keys().filter(silent).map(NodeId).collect()
    }

    /// The nodes of the cluster as this one knows them, itself included.
    pub fn members(&self) -> Vec<NodeId> {
        let core = &self.inner.core;
        core.members.others(core.node.0).into_keys().map(NodeId).chain([core.node]).collect()
    }

    /// Asks a node's [`AskHandler`].
    pub async fn ask(&self, node: NodeId, request: Vec<u8>) -> Result<Vec<u8>, Unavailable> {
        let request = Bytes::from(request);
        if node == self.node() {
            let answer = self.inner.service.handle_ask(node, request).ok_or(Unavailable::ShuttingDown)?;
            return timeout(ASK_PATIENCE, answer).await.map_err(|_| Unavailable::Unknown);
        }
        match self.inner.core.peers.call(node.0, &Request::Ask(request), ASK_PATIENCE).await {
            Ok(Response::Ask(answer)) => Ok(answer.into()),
            Ok(_) => Err(Unavailable::Unknown),
            Err(CallError::Busy { .. }) => {
                Err(Unavailable::Overloaded { retry_after: Duration::from_millis(250) })
            }
            Err(error) if error.is_certainly_not_sent() => Err(Unavailable::NoLeader),
            Err(_) => Err(Unavailable::Unknown),
        }
    }

    /// Who answers [`Replica::ask`] on this node.
    pub fn set_ask_handler(&self, handler: AskHandler) {
        *self.inner.service.ask.write() = Some(handler);
    }

    /// How this node is.
    pub async fn node_status(&self) -> NodeStatus {
        status::own(&self.inner.core).await
    }

    /// How every member is, those down included.
    pub async fn status(&self) -> ClusterStatus {
        status::cluster(&self.inner.core).await
    }

    /// Whether callers should be sent here.
    pub fn ready(&self) -> Result<(), NotReady> {
        let core = &self.inner.core;
        if core.is_stopping() {
            return Err(NotReady::Stopping);
        }
        if core.gate.is_closed() {
            return Err(NotReady::CutOff);
        }
        if core.leadership.borrow().leader.is_none() {
            return Err(NotReady::NoLeader);
        }
        let caught_up = core.caught_up.load(std::sync::atomic::Ordering::Relaxed);
        if caught_up { Ok(()) } else { Err(NotReady::CatchingUp) }
    }

    /// Admits a node as a learner; it becomes a voter by itself when it has caught up.
    pub async fn add(&self, joiner: Joiner) -> Result<(), MembershipError> {
        self.change(Change::Add(joiner)).await
    }

    /// Gives a learner a vote now.
    pub async fn promote(&self, node: NodeId) -> Result<(), MembershipError> {
        self.change(Change::Promote(node.0)).await
    }

    /// Lets a node go, the leader included.
    pub async fn remove(&self, node: NodeId) -> Result<(), MembershipError> {
        self.change(Change::Remove(node.0)).await
    }

    async fn change(&self, change: Change) -> Result<(), MembershipError> {
        let core = &self.inner.core;
        let give_up = core.give_up();
        loop {
            let result = match core.way() {
                Way::Here => core.members.change(change.clone()).await,
                Way::Nowhere => Err(MembershipError::NotLeader),
                Way::To(leader) => {
                    match core.peers.call(leader, &Request::Change(change.clone()), CHANGE_PATIENCE).await {
                        Ok(Response::Changed(result)) => result,
                        Ok(_) => Err(MembershipError::Unknown),
                        Err(error) if error.is_certainly_not_sent() => Err(MembershipError::NotLeader),
                        Err(_) => Err(MembershipError::Unknown),
                    }
                }
            };
            match (&change, result) {
                (_, Err(MembershipError::NotLeader)) if Instant::now() < give_up => core.pause().await,
                // A leader that removes itself may be gone before it has answered.
                (Change::Remove(node), Err(MembershipError::Unknown))
                    if core.members.lacks(*node, ASK_PATIENCE).await =>
                {
                    return Ok(());
                }
                (_, result) => return result,
            }
        }
    }

    /// Lets another voter lead, this one or the one whose log is longest, and waits until this node knows it. Returns who
    /// leads.
    pub async fn transfer_leadership(&self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        let core = &self.inner.core;
        let to = to.map(|node| node.0);
        let give_up = core.give_up();
        let led = loop {
            let result = match core.way() {
                Way::Here => handover::transfer(core, to).await,
                Way::Nowhere => Err(TransferError::NotLeader),
                Way::To(leader) => {
                    match core.peers.call(leader, &Request::Transfer { to }, CHANGE_PATIENCE).await {
                        Ok(Response::Transferred(result)) => result,
                        Ok(_) => Err(TransferError::Unknown),
                        Err(error) if error.is_certainly_not_sent() => Err(TransferError::NotLeader),
                        Err(_) => Err(TransferError::Unknown),
                    }
                }
            };
            match result {
                Err(TransferError::NotLeader) if Instant::now() < give_up => core.pause().await,
                result => break result?,
            }
        };
        let mut leadership = core.leadership.clone();
        let known = leadership.wait_for(|now| now.leader == Some(led));
        match timeout(CHANGE_PATIENCE, known).await {
            Ok(Ok(_)) => Ok(led),
            Ok(Err(_)) | Err(_) => Err(TransferError::Unknown),
        }
    }

    /// Starts a snapshot, if none is under way.
    pub async fn trigger_snapshot(&self) {
        // A core that has ended is reported elsewhere.
        let _ = self.inner.core.raft.trigger().snapshot().await;
    }

    /// Stops in order: hands over, ends consensus, writes down what is only in memory. Takes a few seconds at most.
    pub async fn shutdown(&self) {
        handover::shutdown(&self.inner).await;
    }
}
