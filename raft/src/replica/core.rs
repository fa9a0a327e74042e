//! What every part of a running node shares.
//! Knows nothing of how it was started or how it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orc_domain::{Bug, NodeId, Unavailable, planted};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{Leadership, Timings};
use crate::{
    batcher::{BatchLimits, Batcher},
    clock::Clock,
    election::Elections,
    gate::Gate,
    log::LogStore,
    membership::Members,
    reads::{ReadIndex, prove_leadership},
    store::StateReader,
    transport::{
        Peers,
        message::{Request, Response},
    },
    types::{Member, Raft},
};

/// Long enough not to spin, short enough not to be noticed.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
const READ_INDEX_PATIENCE: Duration = Duration::from_secs(2);
const APPLY_PATIENCE: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_millis(250);

pub(super) struct Core {
    pub node: NodeId,
    pub me: Member,
    pub raft: Raft,
    pub peers: Peers,
    pub gate: Gate,
    pub elections: Elections,
    pub members: Members,
    pub batcher: Batcher,
    /// What records are stamped with.
    pub clock: Arc<Clock>,
    pub leadership: watch::Receiver<Leadership>,
    /// The term in which this node leads, and when that was noticed.
    pub led_since: Mutex<Option<(u64, Instant)>>,
    pub log: LogStore,
    pub reader: StateReader,
    pub timings: Timings,
    pub batch: BatchLimits,
    pub started: Instant,
    pub stopping: AtomicBool,
    /// This node gives leadership away: as a leader it takes nothing more.
    pub yielding: AtomicBool,
    /// One transfer at a time.
    pub handing_over: tokio::sync::Mutex<()>,
    /// Everything that was committed when this node started is applied.
    pub caught_up: AtomicBool,
}

/// Where a request for the leader goes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Here,
    To(u64),
    Nowhere,
}

impl Core {
    pub(super) fn way(&self) -> Way {
        let Leadership { leader, is_leader, .. } = *self.leadership.borrow();
        match leader {
            _ if self.gate.is_closed() => Way::Nowhere,
            _ if is_leader && self.yielding.load(Ordering::Relaxed) => Way::Nowhere,
            _ if is_leader => Way::Here,
            Some(leader) if leader != self.node => Way::To(leader.0),
            Some(_) | None => Way::Nowhere,
        }
    }

    /// How long this node has been leading, since somebody asked first.
    pub(super) fn led_for(&self) -> Option<Duration> {
        let Leadership { is_leader, term, .. } = *self.leadership.borrow();
        let mut since = self.led_since.lock();
        *since =
            is_leader.then(|| since.filter(|(known, _)| *known == term).unwrap_or((term, Instant::now())));
        since.map(|(_, since)| since.elapsed())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// When a call that waits for a leader gives up.
    pub(super) fn give_up(&self) -> Instant {
        Instant::now() + self.timings.leader_patience
    }

    /// Waits until asking again may help.
    pub(super) async fn pause(&self) {
        let mut leadership = self.leadership.clone();
        leadership.mark_unchanged();
        tokio::select! {
            _ = leadership.changed() => {}
            () = sleep(RETRY_PAUSE) => {}
        }
    }

    /// Waits until `index` is applied here.
    pub(super) async fn wait_applied(&self, index: u64, patience: Duration) -> Result<(), Unavailable> {
        let mut applied = self.reader.applied();
        let reached = applied.wait_for(|applied| applied.map_or(0, |id| id.index) >= index);
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Unavailable::ShuttingDown),
            Err(_) => Err(Unavailable::Overloaded { retry_after: RETRY_AFTER }),
        }
    }

    /// An index that a linearizable read must wait for, and the wait. Every try asks for a new one.
    pub(super) async fn barrier(self: Arc<Self>) -> ReadIndex {
        if planted(Bug::StaleRead) {
            return Ok(self.reader.applied().borrow().map_or(0, |id| id.index));
        }
        let give_up = self.give_up();
        let index = loop {
            if self.is_stopping() {
                return Err(Unavailable::ShuttingDown);
            }
            match self.read_index().await {
                Err(Unavailable::NoLeader) if Instant::now() < give_up => self.pause().await,
                result => break result?,
            }
        };
        self.wait_applied(index, APPLY_PATIENCE).await?;
        Ok(index)
    }

    async fn read_index(&self) -> ReadIndex {
        match self.way() {
            Way::Here => prove_leadership(&self.raft, &self.gate).await,
            Way::Nowhere => Err(Unavailable::NoLeader),
            Way::To(leader) => {
                match self.peers.call(leader, &Request::ReadIndex, READ_INDEX_PATIENCE).await {
                    Ok(Response::ReadIndex(index)) => index,
                    // A read has no effect, so whatever went wrong it may be tried again.
                    Ok(_) | Err(_) => Err(Unavailable::NoLeader),
                }
            }
        }
    }
}
