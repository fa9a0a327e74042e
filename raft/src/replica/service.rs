//! What this node does for other nodes.
//! Knows nothing of connections; the order of arrival is kept up to the queues.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use orc_domain::{NodeId, Unavailable};
use orc_runtime::simulation;
use parking_lot::RwLock;
use tokio::sync::Mutex;

use super::{
    AskHandler,
    core::{Core, Way},
    handover, status, submit,
};
use crate::{
    membership::{Change, MembershipError},
    network::reaches,
    reads::Gathering,
    store::verify_snapshot,
    transport::{
        BoxFuture, Hello, Refusal, Service,
        message::{Joiner, Request, Response},
        snapshot::{Chunk, Offer, Receiving},
    },
    types::{SnapshotMeta, Vote},
};

const FORWARD_PATIENCE: Duration = Duration::from_secs(12);

/// The node as other nodes see it.
pub(super) struct NodeService {
    pub core: Arc<Core>,
    /// Proofs of leadership for reads on other nodes.
    pub proofs: Gathering,
    pub ask: RwLock<Option<AskHandler>>,
    pub receiving: Mutex<Option<Receiving>>,
}

impl NodeService {
    pub(super) fn new(core: Arc<Core>, proofs: Gathering) -> Arc<NodeService> {
        Arc::new(NodeService { core, proofs, ask: RwLock::default(), receiving: Mutex::default() })
    }

    pub(super) fn handle_ask(&self, from: NodeId, request: Bytes) -> Option<BoxFuture<Vec<u8>>> {
        let handler = self.ask.read().clone()?;
        Some(handler(from, request.into()))
    }
}

/// Handed to the transport.
pub(super) struct Door(pub Arc<NodeService>);

impl Service for Door {
    fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        match self.0.core.members.get(hello.node) {
            Some(known) if hello.cluster.is_some() && known.incarnation != hello.incarnation => {
                Err(Refusal::WrongIncarnation)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn serve(&self, from: &Hello, request: Request) -> BoxFuture<Response> {
        let service = self.0.clone();
        let from = from.node;
        match request {
            Request::Propose(joined) => {
                let result = submit::serve(&service.core, joined);
                Box::pin(async { Response::Propose(result.await) })
            }
            Request::Ask(request) => match service.handle_ask(NodeId(from), request) {
                Some(answer) => Box::pin(async { Response::Ask(answer.await.into()) }),
                None => Box::pin(async { Response::Unable("nobody answers requests here".into()) }),
            },
            request => Box::pin(async move {
                service.work(from, request).await.unwrap_or_else(|error| Response::Unable(error.to_string()))
            }),
        }
    }
}

impl NodeService {
    async fn work(&self, from: u64, request: Request) -> io::Result<Response> {
        let raft = &self.core.raft;
        Ok(match request {
            Request::Append(rpc) => {
                let reaches = reaches(&rpc);
                let response = raft.append_entries(rpc).await.map_err(io::Error::other)?;
                if response.is_success() {
                    // Records that this node appended itself, as a leader, may still be on their way to its disk.
                    self.core.log.synced(reaches).await;
                    orc_runtime::fail_point("append.answered");
                }
                Response::Append(response)
            }
            Request::Vote(rpc) => {
                let asked = rpc.vote.leader_id;
                let response = raft.vote(rpc).await.map_err(io::Error::other)?;
                if response.vote_granted {
                    simulation::vote_given(self.core.node.0, asked.term, asked.node_id);
                }
                Response::Vote(response)
            }
            Request::Canvass(canvass) => Response::Canvass(self.core.elections.would_vote(&canvass).await),
            Request::Elect => {
                if self.core.way() == Way::To(from) {
                    raft.trigger().elect().await.map_err(io::Error::other)?;
                }
                Response::Done
            }
            Request::GiveWay => {
                self.core.elections.give_way();
                Response::Done
            }
            Request::ReadIndex => Response::ReadIndex(match self.core.way() {
                Way::Here if !self.core.is_stopping() => self.proofs.get().await,
                Way::Here | Way::To(_) | Way::Nowhere => Err(Unavailable::NoLeader),
            }),
            Request::Time => match self.core.clock.known() {
                Some(time) => Response::Time(time),
                None => Response::Guess(self.core.clock.guess()),
            },
            Request::Status => Response::Status(Box::new(status::own(&self.core).await)),
            Request::Cluster { node } => {
                let cluster = self.core.peers.local().cluster.ok_or(io::ErrorKind::NotConnected)?;
                Response::Cluster { cluster, known: self.core.members.get(node).is_some() }
            }
            Request::Join(joiner) => Response::Changed(self.admit_joiner(from, joiner).await),
            Request::Change(change) => Response::Changed(self.core.members.change(change).await),
            Request::Transfer { to } => Response::Transferred(handover::transfer(&self.core, to).await),
            Request::SnapshotBegin(offer) => Response::Snapshot(self.begin_snapshot(*offer).await?),
            Request::SnapshotChunk(chunk) => Response::Snapshot(self.take_chunk(&chunk).await?),
            Request::SnapshotEnd { transfer } => {
                let mut receiving = self.receiving.lock().await;
                let complete =
                    |receiving: &mut Receiving| receiving.transfer() == transfer && receiving.is_complete();
                let (vote, snapshot) = receiving.take_if(complete).ok_or(io::ErrorKind::NotFound)?.finish();
                drop(receiving);
                let folder = snapshot.snapshot.path.clone();
                let installed = match verified(&folder, &snapshot.meta).await {
                    Ok(()) => raft.install_full_snapshot(vote, snapshot).await.map_err(io::Error::other),
                    Err(error) => Err(error),
                };
                // What was installed has been moved; what was refused or not needed must not stay.
                let leftover = folder.clone();
                if let Ok(Ok(())) = orc_runtime::blocking(move || std::fs::remove_dir_all(leftover)).await {
                    tracing::info!(folder = %folder.display(), "a received snapshot was not needed");
                }
                Response::Snapshot(installed?.vote)
            }
            Request::Propose(_) | Request::Ask(_) => unreachable!("served before, to keep their order"),
        })
    }

    /// The leader admits; others pass on what they hear from the joiner itself.
    async fn admit_joiner(&self, from: u64, joiner: Joiner) -> Result<(), MembershipError> {
        match self.core.way() {
            Way::To(leader) if from == joiner.node && leader != joiner.node => {
                let request = Request::Join(joiner);
                match self.core.peers.call(leader, &request, FORWARD_PATIENCE).await {
                    Ok(Response::Changed(result)) => result,
                    Ok(_) | Err(_) => Err(MembershipError::Unknown),
                }
            }
            Way::Here | Way::To(_) | Way::Nowhere => self.core.members.change(Change::Add(joiner)).await,
        }
    }

    async fn vote(&self) -> io::Result<Vote> {
        Ok(self.core.raft.server_metrics().borrow().vote)
    }

    async fn begin_snapshot(&self, offer: Offer) -> io::Result<Vote> {
        let vote = self.vote().await?;
        if vote > offer.vote {
            return Ok(vote);
        }
        let mut receiving = self.receiving.lock().await;
        if let Some(broken_off) = receiving.take() {
            broken_off.discard().await;
        }
        let folder = self.core.raft.begin_receiving_snapshot().await.map_err(io::Error::other)?;
        tracing::info!(snapshot = %offer.meta.snapshot_id, files = offer.files.len(), "a snapshot arrives");
        *receiving = Some(Receiving::begin(offer, *folder).await?);
        Ok(vote)
    }

    async fn take_chunk(&self, chunk: &Chunk) -> io::Result<Vote> {
        let mut receiving = self.receiving.lock().await;
        let current = receiving.as_mut().filter(|receiving| receiving.transfer() == chunk.transfer);
        current.ok_or(io::ErrorKind::NotFound)?.take(chunk).await?;
        self.vote().await
    }
}

/// A damaged snapshot is the sender's trouble: it is refused before Raft, which would stop this node over it.
async fn verified(folder: &std::path::Path, meta: &SnapshotMeta) -> io::Result<()> {
    let (path, meta) = (folder.to_owned(), meta.clone());
    let check = move || match verify_snapshot(&path) {
        Ok(manifest) if manifest.meta() == meta => Ok(()),
        Ok(_) => Err(io::Error::other("the snapshot is another one than was offered")),
        Err(error) => Err(io::Error::other(error)),
    };
    let verdict = orc_runtime::blocking(check).await.map_err(io::Error::other)?;
    if let Err(error) = &verdict {
        tracing::error!(%error, folder = %folder.display(), "a received snapshot is damaged");
    }
    verdict
}
