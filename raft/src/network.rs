//! openraft's way to other nodes: appends, votes and snapshots over the transport, held back while the gate is closed.
//! Knows nothing of what the records mean.

use std::{future::Future, time::Duration};

use openraft::{
    OptionalSend,
    error::{
        Fatal, NetworkError, PayloadTooLarge, RPCError, RaftError, ReplicationClosed, StreamingError,
        Unreachable,
    },
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};

use orc_runtime::blocking;
use tokio::time::{Instant, timeout_at};

use crate::{
    error::{self, FatalHandler},
    gate::Gate,
    log::LogStore,
    store::snapshot_damage,
    transport::{
        CallError, Peers,
        message::{Request, Response},
        snapshot::{self, SendError},
    },
    types::{Member, Snapshot, TypeConfig, Vote},
};

const BACK_OFF: Duration = Duration::from_millis(100);

type CallFailed = RPCError<u64, Member, RaftError<u64>>;

/// Makes the ways to other nodes for openraft.
pub struct Network {
    peers: Peers,
    gate: Gate,
    log: LogStore,
    fatal: FatalHandler,
}

impl Network {
    /// Over these peers, behind this gate, for the records of this log; who hears of a snapshot that is damaged.
    pub fn new(peers: Peers, gate: Gate, log: LogStore, fatal: FatalHandler) -> Network {
        Network { peers, gate, log, fatal }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Route;

    async fn new_client(&mut self, target: u64, node: &Member) -> Route {
        self.peers.place(target, &node.peer_addr);
        Route {
            node: target,
            peers: self.peers.clone(),
            gate: self.gate.clone(),
            log: self.log.clone(),
            fatal: self.fatal.clone(),
        }
    }
}

/// The way to one node.
pub struct Route {
    node: u64,
    peers: Peers,
    gate: Gate,
    log: LogStore,
    fatal: FatalHandler,
}

#[derive(Debug, thiserror::Error)]
#[error("held back: no majority has answered for too long")]
struct HeldBack;

#[derive(Debug, thiserror::Error)]
#[error("this node's own disk is slower than the other node's answer may be")]
struct OwnDisk;

#[derive(Debug, thiserror::Error)]
#[error("the other node is not able to: {0}")]
struct Unable(String);

/// The number of the last record that a follower has once it says yes.
pub fn reaches(rpc: &AppendEntriesRequest<TypeConfig>) -> u64 {
    let last = rpc.entries.last().map(|entry| entry.log_id).or(rpc.prev_log_id);
    last.map_or(0, |id| id.index)
}

impl Route {
    async fn ask(&self, request: &Request, patience: Duration) -> Result<Response, CallFailed> {
        match self.peers.call(self.node, request, patience).await {
            Ok(Response::Unable(why)) => Err(Unreachable::new(&Unable(why)).into()),
            Ok(response) => Ok(response),
            Err(error) if error.is_certainly_not_sent() => Err(Unreachable::new(&error).into()),
            Err(error) => Err(NetworkError::new(&error).into()),
        }
    }

    /// Nobody could ever take a snapshot that is damaged here.
    async fn check_own(&self, snapshot: &Snapshot) {
        let folder = snapshot.snapshot.path.clone();
        if let Ok(Some(damage)) = blocking(move || snapshot_damage(&folder)).await {
            (self.fatal)(&error::Fatal::Snapshot(damage));
        }
    }

    fn garbled(&self) -> CallFailed {
        NetworkError::new(&CallError::Garbled { node: self.node }).into()
    }
}

impl RaftNetwork<TypeConfig> for Route {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallFailed> {
        if self.gate.is_closed() {
            return Err(Unreachable::new(&HeldBack).into());
        }
        let records = rpc.entries.len() as u64;
        let reaches = reaches(&rpc);
        let answer = match self.peers.send(self.node, &Request::Append(rpc)) {
            Err(CallError::TooLong { .. }) if records > 1 => {
                return Err(PayloadTooLarge::new_entries_hint(records / 2).into());
            }
            Err(error) => return Err(Unreachable::new(&error).into()),
            Ok(answer) => answer,
        };
        let until = Instant::now() + option.hard_ttl();
        match answer.within(option.hard_ttl()).await {
            // The others' disks may be faster: what counts for the quorum must be on this one, too.
            Ok(Response::Append(response)) => match timeout_at(until, self.log.synced(reaches)).await {
                Ok(()) => Ok(response),
                Err(_) => Err(NetworkError::new(&OwnDisk).into()),
            },
            Ok(Response::Unable(why)) => Err(Unreachable::new(&Unable(why)).into()),
            Ok(_) => Err(self.garbled()),
            Err(error) if error.is_certainly_not_sent() => Err(Unreachable::new(&error).into()),
            Err(error) => Err(NetworkError::new(&error).into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, CallFailed> {
        match self.ask(&Request::Vote(rpc), option.hard_ttl()).await? {
            Response::Vote(response) => Ok(response),
            _ => Err(self.garbled()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        if self.gate.is_closed() {
            return Err(Unreachable::new(&HeldBack).into());
        }
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = snapshot::send(&self.peers, self.node, vote, &snapshot) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(error) => {
                    if matches!(error, SendError::Read(_) | SendError::Unable(_)) {
                        self.check_own(&snapshot).await;
                    }
                    Err(Unreachable::new(&error).into())
                }
            },
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACK_OFF))
    }
}
