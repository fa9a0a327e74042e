//! When this node stands for election, in place of openraft's timer (`docs/decisions/006`). It first asks the voters whether
//! they would vote for it, so that a node that cannot win never raises the term.
//! Never changes votes or logs: it only tells openraft to stand.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use openraft::{EffectiveMembership, ServerState};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    gate::Gate,
    log::LogStore,
    membership::is_quorum,
    replica::Timings,
    transport::{
        Peers,
        message::{Request, Response},
    },
    types::{LogId, Member, Raft},
};

/// Between two looks at a node that may have to stand.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a node that may stand says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canvass {
    /// The last record of its log.
    pub last_log: Option<LogId>,
}

/// What the consensus of this node says of itself.
struct View {
    leads: bool,
    /// The vote belongs to a leader, not to a candidate.
    follows: bool,
    /// Since a leader or candidate was heard, or this node stood itself.
    silence: Duration,
    membership: Arc<EffectiveMembership<u64, Member>>,
}

/// How long silence lasts before this node stands: drawn anew whenever somebody was heard, so that two nodes rarely stand
/// together and never twice. Pure, so that tests can draw.
struct Timer {
    timings: Timings,
    patience: Duration,
}

impl Timer {
    /// A leader is taken for alive for `election_min` after its last word; a candidate gets time for a round trip.
    fn lease(&self, view: &View) -> Duration {
        if view.follows { self.timings.election_min } else { 2 * self.timings.heartbeat }
    }

    /// How long to wait before this node may stand; zero if it may now. `spread` is drawn from 0 to 1, `urged` says that
    /// another one asked whose log is shorter.
    fn wait(&mut self, view: &View, spread: f64, urged: bool) -> Duration {
        let lease = self.lease(view);
        if view.silence < lease {
            let longest = if view.follows { self.timings.election_max } else { self.timings.election_min };
            self.patience = lease + longest.saturating_sub(lease).mul_f64(spread);
        }
        let patience = if urged { lease } else { self.patience };
        patience.saturating_sub(view.silence)
    }
}

/// A cheap handle.
#[derive(Clone)]
pub struct Elections {
    raft: Raft,
    log: LogStore,
    peers: Peers,
    gate: Gate,
    timings: Timings,
    started: Instant,
    /// Another node asked whose log is shorter than ours: it cannot win, we may.
    urge: Arc<Notify>,
    /// When we last told another node that we would vote for it.
    yielded: Arc<Mutex<Option<Instant>>>,
    unheard: watch::Sender<bool>,
}

impl Elections {
    /// Of a node whose own timer in openraft is off.
    pub fn new(raft: Raft, log: LogStore, peers: Peers, gate: Gate, timings: Timings) -> Elections {
        let (urge, yielded, unheard) = Default::default();
        Elections { raft, log, peers, gate, timings, started: Instant::now(), urge, yielded, unheard }
    }

    /// Whether this node would vote for the one that asks.
    pub async fn would_vote(&self, canvass: &Canvass) -> bool {
        let Some(view) = self.view().await else { return false };
        let has_leader = if view.leads {
            !self.gate.is_closed()
        } else {
            view.follows && view.silence < self.timings.election_min
        };
        if has_leader {
            return false;
        }
        if canvass.last_log < self.log.last() {
            self.urge.notify_one();
            return false;
        }
        *self.yielded.lock() = Some(Instant::now());
        true
    }

    /// How long this node will still vote for nobody else.
    pub async fn lease_left(&self) -> Duration {
        let view = self.view().await;
        view.map_or(Duration::ZERO, |view| {
            (self.timings.election_min + LOOK_EVERY).saturating_sub(view.silence)
        })
    }

    /// Whether this node follows a leader that it has not heard for twice the longest election: it is cut off, or removed.
    pub fn unheard(&self) -> watch::Receiver<bool> {
        self.unheard.subscribe()
    }

    /// Lets another node stand first, for which the leader steps down.
    pub fn give_way(&self) {
        *self.yielded.lock() = Some(Instant::now());
    }

    /// Stands when nobody leads, until consensus ends.
    pub async fn run(self) {
        let mut timer = Timer { timings: self.timings, patience: self.timings.election_max };
        let mut wait = Duration::ZERO;
        loop {
            let urged = tokio::select! {
                () = sleep(wait.max(LOOK_EVERY)) => false,
                () = self.urge.notified() => true,
            };
            let Some(view) = self.view().await else { return };
            let unheard = !view.leads && view.silence > 2 * self.timings.election_max;
            self.unheard.send_if_modified(|known| std::mem::replace(known, unheard) != unheard);
            let me = self.peers.local().node;
            if view.leads || !view.membership.voter_ids().any(|voter| voter == me) {
                wait = self.timings.election_min;
                continue;
            }
            let is_alone = view.membership.voter_ids().count() == 1;
            wait =
                if is_alone { Duration::ZERO } else { timer.wait(&view, draw(), urged).max(self.courtesy()) };
            if !wait.is_zero() {
                continue;
            }
            if !self.is_wanted(&view).await {
                wait = self.timings.heartbeat.mul_f64(1.0 + draw());
                continue;
            }
            tracing::info!(silence = ?view.silence, urged, "this node stands for election");
            if self.raft.trigger().elect().await.is_err() {
                return;
            }
            wait = 2 * self.timings.heartbeat;
        }
    }

    /// Whom we told that we would vote for it shall have the time to be elected.
    fn courtesy(&self) -> Duration {
        let since = self.yielded.lock().map_or(Duration::MAX, |yielded| yielded.elapsed());
        (2 * self.timings.heartbeat).saturating_sub(since)
    }

    /// Whether a majority would vote for this node.
    async fn is_wanted(&self, view: &View) -> bool {
        let membership = view.membership.membership();
        let mut friends = BTreeSet::from([self.peers.local().node]);
        let mut asked = JoinSet::new();
        for voter in membership.voter_ids().filter(|voter| !friends.contains(voter)) {
            let (peers, patience) = (self.peers.clone(), self.timings.election_min / 2);
            let request = Request::Canvass(Canvass { last_log: self.log.last() });
            asked.spawn(async move {
                let answer = peers.call(voter, &request, patience).await;
                matches!(answer, Ok(Response::Canvass(true))).then_some(voter)
            });
        }
        while !is_quorum(membership, &friends) {
            match asked.join_next().await {
                Some(answer) => friends.extend(answer.ok().flatten()),
                None => return false,
            }
        }
        true
    }

    async fn view(&self) -> Option<View> {
        let (tell, told) = oneshot::channel();
        let started = self.started;
        self.raft.external_request(move |state| {
            let heard = state.vote_last_modified().map_or(started, |heard| heard.max(started));
            let view = View {
                leads: state.server_state == ServerState::Leader,
                follows: state.vote_ref().committed,
                silence: heard.elapsed(),
                membership: state.membership_state.effective().clone(),
            };
            // Whoever asked may have given up.
            let _ = tell.send(view);
        });
        told.await.ok()
    }
}

/// From 0 to 1.
fn draw() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use openraft::Membership;

    use super::*;

    fn view(follows: bool, silence: u64) -> View {
        let membership = Membership::new(vec![BTreeSet::from([1, 2, 3])], ());
        let membership = Arc::new(EffectiveMembership::new(None, membership));
        View { leads: false, follows, silence: Duration::from_millis(silence), membership }
    }

    fn timer() -> Timer {
        let [heartbeat, election_min, election_max] = [100, 500, 1000].map(Duration::from_millis);
        let timings = Timings { heartbeat, election_min, election_max, ..Timings::default() };
        Timer { timings, patience: election_max }
    }

    fn millis(wait: Duration) -> u128 {
        wait.as_millis()
    }

    #[test]
    fn a_follower_stands_after_a_silence_that_is_drawn_anew_at_every_word() {
        let mut timer = timer();
        assert_eq!(millis(timer.wait(&view(true, 0), 0.5, false)), 750);
        assert_eq!(millis(timer.wait(&view(true, 600), 0.0, false)), 150, "drawn while the leader was heard");
        assert_eq!(millis(timer.wait(&view(true, 750), 0.0, false)), 0);
        assert_eq!(millis(timer.wait(&view(true, 100), 1.0, false)), 900);
    }

    #[test]
    fn after_a_vote_that_elected_nobody_the_next_try_comes_sooner() {
        assert_eq!(millis(timer().wait(&view(false, 0), 0.0, false)), 200);
        assert_eq!(millis(timer().wait(&view(false, 0), 1.0, false)), 500);
    }

    #[test]
    fn an_urged_follower_stands_as_soon_as_its_leader_has_been_silent_for_the_shortest_time() {
        let mut timer = timer();
        assert_eq!(millis(timer.wait(&view(true, 400), 1.0, true)), 100);
        assert_eq!(millis(timer.wait(&view(true, 500), 1.0, true)), 0);
        assert_eq!(millis(timer.wait(&view(true, 500), 1.0, false)), 500);
    }
}
