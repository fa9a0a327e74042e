//! Who leads, as this node may act on it: confirmed, and not while the quorum gate is closed.
//! Knows nothing of what leaders do.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use openraft::ServerState;
use orc_domain::NodeId;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::{
    clock::{Clock, Reckoning},
    gate::Gate,
    log::LogStore,
    ticker::LOOK_EVERY,
    transport::{
        Peers,
        message::{Request, Response},
    },
    types::{LogId, Raft},
};

/// So long a node that asks another one for the time waits; a time that is heard is as old at most.
pub(super) const TIME_PATIENCE: Duration = Duration::from_millis(200);

/// Who leads, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The leader, if one is known and heard, and this node is not cut off from the majority.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// This node leads, and has applied everything committed before its term.
    pub is_leader: bool,
}

/// Keeps leadership, the addresses of the peers and the log's knowledge of them up to date until consensus ends.
pub(super) struct Observer {
    pub raft: Raft,
    pub log: LogStore,
    pub gate: Gate,
    pub peers: Peers,
    pub clock: Arc<Clock>,
    pub applied: watch::Receiver<Option<LogId>>,
    /// The leader was not heard for too long.
    pub unheard: watch::Receiver<bool>,
    pub leadership: watch::Sender<Leadership>,
}

impl Observer {
    pub(super) async fn run(mut self) {
        let mut server = self.raft.server_metrics();
        let mut gate = self.gate.watch();
        loop {
            server.mark_unchanged();
            gate.mark_unchanged();
            self.unheard.mark_unchanged();
            self.place_peers();
            let (now, confirmed) = self.look();
            // Somebody has to look at the clock, whoever leads.
            let knows_time = self.clock.known().is_some();
            if now.is_leader && !knows_time {
                self.ask_for_time().await;
                continue;
            }
            self.leadership.send_if_modified(|known| std::mem::replace(known, now) != now);
            let ended = tokio::select! {
                changed = server.changed() => changed.is_err(),
                changed = gate.changed() => changed.is_err(),
                changed = self.unheard.changed() => changed.is_err(),
                changed = self.applied.changed(), if !confirmed => changed.is_err(),
                // Whether the clock has leapt.
                () = sleep(LOOK_EVERY) => false,
            };
            if ended {
                self.leadership.send_replace(Leadership { term: now.term, ..Leadership::default() });
                return;
            }
        }
    }

    /// What holds now, and whether nothing more has to be applied for it to hold.
    fn look(&mut self) -> (Leadership, bool) {
        let (state, vote, leader) = {
            let server = self.raft.server_metrics();
            let metrics = server.borrow();
            (metrics.state, metrics.vote.leader_id, metrics.current_leader)
        };
        let term = vote.term;
        if self.gate.is_closed() {
            return (Leadership { term, ..Leadership::default() }, true);
        }
        if state != ServerState::Leader {
            let me = self.peers.local().node;
            let leader = leader.filter(|leader| *leader != me && !*self.unheard.borrow()).map(NodeId);
            return (Leadership { leader, term, is_leader: false }, true);
        }
        // A leader's first record is blank; what it has applied of its own comes after all that was committed before. In one
        // term another may have led before it.
        let is_leader = self.applied.borrow_and_update().is_some_and(|applied| applied.leader_id == vote);
        (Leadership { leader: leader.map(NodeId), term, is_leader }, is_leader)
    }

    /// A node that leads soon after its start has not heard the time, one that stood still or whose clock leapt does not know it
    /// any more, and its wall clock may be wrong: one of the others may have gone on all the time, or most of them have a
    /// better one.
    async fn ask_for_time(&self) {
        let (peers, membership) =
            (&self.peers, self.raft.server_metrics().borrow().membership_config.clone());
        let (mut calls, asked) = (JoinSet::new(), self.clock.ticks());
        for (node, _) in membership.nodes().filter(|(node, _)| **node != peers.local().node) {
            let (peers, node) = (peers.clone(), *node);
            calls.spawn(async move { peers.call(node, &Request::Time, TIME_PATIENCE).await });
        }
        let (mut heard, mut guesses, others) = (false, Vec::new(), calls.len());
        while let Some(answer) = calls.join_next().await {
            match answer {
                // At once: one that does not answer would let the time that others tell wait.
                Ok(Ok(Response::Time(time))) => {
                    self.clock.hear(time, asked);
                    heard = true;
                }
                Ok(Ok(Response::Guess(guess))) => {
                    guesses.push(Reckoning::new(guess, self.clock.ticks().counted));
                }
                _ => {}
            }
        }
        if heard {
            return;
        }
        if others == 0 || !guesses.is_empty() {
            self.clock.begin(&guesses, asked);
        } else {
            sleep(TIME_PATIENCE).await;
        }
    }

    fn place_peers(&self) {
        let membership = self.raft.server_metrics().borrow().membership_config.clone();
        self.log.see_membership(membership.log_id().map(|id| id.index), membership.membership());
        let me = self.peers.local().node;
        for (node, member) in membership.nodes().filter(|(node, _)| **node != me) {
            self.peers.place(*node, &member.peer_addr);
        }
        let members: BTreeSet<u64> = membership.nodes().map(|(node, _)| *node).collect();
        if !members.is_empty() {
            self.peers.keep(&members);
        }
    }
}
