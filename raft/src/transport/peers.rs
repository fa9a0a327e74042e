//! The other nodes as this one reaches them: their addresses, one connection per class, when each last answered.
//! Knows nothing of who is a member; whoever asks gives the address first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    CallError, Class, FRAME_MAX, Hello, Local,
    frame::{Frame, Kind, flush},
    hello::greet,
    link::{Link, Outgoing, Target},
    message::{Request, Response, decode, encode},
    socket::connect,
};

/// The ways to all other nodes; a cheap handle.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    local: Local,
    epoch: Instant,
    peers: RwLock<BTreeMap<u64, Arc<Peer>>>,
}

struct Peer {
    target: Arc<Target>,
    links: Mutex<BTreeMap<Class, Link>>,
}

/// A request that was sent, and its answer to come.
pub struct Answer {
    node: u64,
    body: oneshot::Receiver<Result<Bytes, CallError>>,
}

impl Answer {
    /// Waits for the answer, as long as `patience` lasts.
    pub async fn within(self, patience: Duration) -> Result<Response, CallError> {
        let lost = CallError::Lost { node: self.node };
        let body = timeout(patience, self.body).await.map_err(|_| lost.clone())?.map_err(|_| lost)??;
        decode(&body).ok_or(CallError::Garbled { node: self.node })
    }
}

impl Peers {
    /// Nobody known yet.
    pub fn new(local: Local) -> Peers {
        Peers { inner: Arc::new(Inner { local, epoch: Instant::now(), peers: RwLock::default() }) }
    }

    /// Who this node is.
    pub fn local(&self) -> Local {
        self.inner.local
    }

    /// Learns where a node is; a connection to an old address ends by itself.
    pub fn place(&self, node: u64, address: &str) {
        let known = self.inner.peers.read().get(&node).cloned();
        let Some(peer) = known else {
            let target = Target {
                node,
                address: RwLock::new(address.to_owned()),
                heard: AtomicU64::new(0),
                epoch: self.inner.epoch,
            };
            let peer = Peer { target: Arc::new(target), links: Mutex::default() };
            self.inner.peers.write().entry(node).or_insert_with(|| Arc::new(peer));
            return;
        };
        if *peer.target.address.read() != address {
            address.clone_into(&mut peer.target.address.write());
            peer.links.lock().clear();
        }
    }

    /// Forgets all nodes but these.
    pub fn keep(&self, nodes: &BTreeSet<u64>) {
        self.inner.peers.write().retain(|node, _| nodes.contains(node));
    }

    /// Sends a request now, in the order of the calls; the answer is waited for apart.
    pub fn send(&self, node: u64, request: &Request) -> Result<Answer, CallError> {
        let body = encode(request);
        if body.len() > FRAME_MAX {
            return Err(CallError::TooLong { bytes: body.len() });
        }
        self.queue(node, request.class(), Kind::Request, body)
    }

    /// Sends a request and waits for its answer.
    pub async fn call(
        &self,
        node: u64,
        request: &Request,
        patience: Duration,
    ) -> Result<Response, CallError> {
        self.send(node, request)?.within(patience).await
    }

    /// Whether a node's transport is there; its consensus may still be stuck.
    pub async fn ping(&self, node: u64, patience: Duration) -> bool {
        let Ok(answer) = self.queue(node, Class::Raft, Kind::Ping, Bytes::new()) else { return false };
        matches!(timeout(patience, answer.body).await, Ok(Ok(Ok(_))))
    }

    /// How long ago a node last answered anything, if it ever did.
    pub fn silent_for(&self, node: u64) -> Option<Duration> {
        let heard = self.inner.peers.read().get(&node)?.target.heard.load(Ordering::Relaxed);
        (heard > 0).then(|| self.inner.epoch.elapsed().saturating_sub(Duration::from_millis(heard)))
    }

    fn queue(&self, node: u64, class: Class, kind: Kind, body: Bytes) -> Result<Answer, CallError> {
        let peer = self.inner.peers.read().get(&node).cloned();
        let Some(peer) = peer else {
            return Err(CallError::Unreachable { node, reason: "its address is not known".into() });
        };
        let (reply, answer) = oneshot::channel();
        let mut links = peer.links.lock();
        let link =
            links.entry(class).or_insert_with(|| Link::start(peer.target.clone(), class, self.inner.local));
        if !link.send(Outgoing { kind, body, reply }) {
            return Err(CallError::Busy { node });
        }
        Ok(Answer { node, body: answer })
    }
}

/// Asks whoever listens at an address, on a connection of its own.
pub async fn ask_once(
    address: &str,
    local: Local,
    request: &Request,
    patience: Duration,
) -> Result<Response, CallError> {
    let node = 0;
    let unreachable =
        |error: std::io::Error| CallError::Unreachable { node, reason: format!("{address}: {error}") };
    let dialogue = async {
        let (mut reader, mut writer) = connect(address, patience).await.map_err(unreachable)?;
        let hello = Hello::new(local, request.class(), None);
        let greeted = greet(&mut reader, &mut writer, &hello).await.map_err(unreachable)?;
        greeted.map_err(|refusal| CallError::Refused { node, refusal })?;
        let mut buffer = bytes::BytesMut::new();
        Frame { kind: Kind::Request, id: 1, body: encode(request) }.put(&mut buffer);
        flush(&mut writer, &mut buffer).await.map_err(|_| CallError::Lost { node })?;
        let frame = Frame::read(&mut reader).await.map_err(|_| CallError::Lost { node })?;
        decode(&frame.body).ok_or(CallError::Garbled { node })
    };
    timeout(patience, dialogue).await.map_err(|_| CallError::Lost { node })?
}
