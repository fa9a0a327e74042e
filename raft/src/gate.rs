//! CheckQuorum, which openraft 0.9 lacks: a leader that no majority answers stops sending, so that others may elect.
//! It never changes votes or logs. Knows nothing of proposals; they ask it whether it is closed.
//!
//! A closed gate could stay closed for ever if the followers' logs are shorter, so that none of them can win: when a
//! majority answers pings again, it opens on probation.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use openraft::ServerState;
use orc_domain::{Bug, planted};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{membership::is_quorum, ticker, transport::Peers, types::Raft};

const SAMPLE: Duration = Duration::from_millis(100);
const PING_PATIENCE: Duration = Duration::from_millis(300);

/// What one sample sees.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    /// When, since the start.
    at: Duration,
    is_leader: bool,
    /// Since a majority acknowledged an append, or since this node leads.
    unheard_for: Duration,
    /// Since openraft's core took a question that it has not answered; it hangs in an append then.
    stuck_for: Duration,
    /// A majority of voters answers pings.
    majority_is_there: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Open,
    Closed {
        since: Duration,
    },
    /// Open until acknowledgements must have come.
    Probation {
        since: Duration,
    },
}

impl Position {
    fn next(self, limit: Duration, sample: &Sample) -> Position {
        let lost = sample.unheard_for > limit || sample.stuck_for > limit;
        if !sample.is_leader || !lost {
            return Position::Open;
        }
        match self {
            Position::Open => Position::Closed { since: sample.at },
            // Others need the time of two elections to find another leader first.
            Position::Closed { since } if sample.at - since < 2 * limit => self,
            Position::Closed { .. } if sample.majority_is_there && sample.stuck_for <= limit => {
                Position::Probation { since: sample.at }
            }
            Position::Probation { since } if sample.at - since > limit => {
                Position::Closed { since: sample.at }
            }
            Position::Closed { .. } | Position::Probation { .. } => self,
        }
    }
}

/// Whether this node may act as a leader; a cheap handle.
#[derive(Clone)]
pub struct Gate {
    closed: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// Open.
    pub fn new() -> Gate {
        Gate { closed: Arc::new(watch::Sender::new(false)) }
    }

    /// Whether a leader must hold back appends, snapshots, proposals and reads.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow() && !planted(Bug::NoQuorumGate)
    }

    /// Tells when it opens or closes.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }

    /// Samples for ever; `limit` is twice the longest election.
    pub async fn run(self, raft: Raft, peers: Peers, limit: Duration) {
        let mut sampler = Sampler::new(raft, peers);
        let mut position = Position::Open;
        let mut tick = ticker::every(SAMPLE);
        loop {
            tick.tick().await;
            let probe = matches!(position, Position::Closed { .. });
            let sample = sampler.sample(probe).await;
            let next = position.next(limit, &sample);
            if next != position {
                let (unheard_for, stuck_for) = (sample.unheard_for, sample.stuck_for);
                tracing::warn!(from = ?position, to = ?next, ?unheard_for, ?stuck_for, "quorum gate");
                position = next;
            }
            let closed = matches!(position, Position::Closed { .. });
            self.closed.send_if_modified(|known| std::mem::replace(known, closed) != closed);
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

struct Sampler {
    raft: Raft,
    peers: Peers,
    epoch: Instant,
    leads_since: Option<Duration>,
    /// The number of the last question put to the core, and when; and the number of the last answered one.
    asked: (u64, Duration),
    answered: Arc<AtomicU64>,
}

impl Sampler {
    fn new(raft: Raft, peers: Peers) -> Sampler {
        let asked = (0, Duration::ZERO);
        Sampler { raft, peers, epoch: Instant::now(), leads_since: None, asked, answered: Arc::default() }
    }

    async fn sample(&mut self, probe: bool) -> Sample {
        let at = self.epoch.elapsed();
        let (is_leader, acknowledged) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            (metrics.state == ServerState::Leader, metrics.millis_since_quorum_ack)
        };
        if !is_leader {
            self.leads_since = None;
            return Sample { at, ..Sample::default() };
        }
        let leads_for = at - *self.leads_since.get_or_insert(at);
        let unheard_for = acknowledged.map_or(leads_for, Duration::from_millis).min(leads_for);
        let stuck_for = self.stuck_for(at);
        let majority_is_there = probe && self.majority_is_there().await;
        Sample { at, is_leader, unheard_for, stuck_for, majority_is_there }
    }

    fn stuck_for(&mut self, at: Duration) -> Duration {
        let (number, since) = self.asked;
        if self.answered.load(Ordering::Relaxed) < number {
            return at - since;
        }
        self.asked = (number + 1, at);
        let answered = self.answered.clone();
        self.raft.external_request(move |_| answered.store(number + 1, Ordering::Relaxed));
        Duration::ZERO
    }

    async fn majority_is_there(&self) -> bool {
        let membership = self.raft.metrics().borrow().membership_config.clone();
        let mut there = BTreeSet::from([self.peers.local().node]);
        let mut pings = JoinSet::new();
        for node in membership.voter_ids().filter(|node| !there.contains(node)) {
            let peers = self.peers.clone();
            pings.spawn(async move { peers.ping(node, PING_PATIENCE).await.then_some(node) });
        }
        there.extend(pings.join_all().await.into_iter().flatten());
        is_quorum(membership.membership(), &there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(1600);

    fn leader(at: u64, unheard_for: u64) -> Sample {
        let [at, unheard_for] = [at, unheard_for].map(Duration::from_millis);
        Sample { at, is_leader: true, unheard_for, ..Sample::default() }
    }

    fn closed(since: u64) -> Position {
        Position::Closed { since: Duration::from_millis(since) }
    }

    #[test]
    fn it_closes_when_no_majority_answers_and_opens_when_one_does() {
        assert_eq!(Position::Open.next(LIMIT, &leader(9_000, 1_600)), Position::Open);
        assert_eq!(Position::Open.next(LIMIT, &leader(9_000, 1_601)), closed(9_000));
        assert_eq!(closed(9_000).next(LIMIT, &leader(9_100, 1_701)), closed(9_000));
        assert_eq!(closed(9_000).next(LIMIT, &leader(9_100, 20)), Position::Open);
    }

    #[test]
    fn it_closes_when_an_append_hangs() {
        let stuck = Sample { stuck_for: Duration::from_millis(1_601), ..leader(9_000, 0) };
        assert_eq!(Position::Open.next(LIMIT, &stuck), closed(9_000));
    }

    #[test]
    fn it_is_open_for_all_but_leaders() {
        let follower = Sample { is_leader: false, ..leader(9_000, 60_000) };
        assert_eq!(closed(1_000).next(LIMIT, &follower), Position::Open);
    }

    #[test]
    fn it_opens_on_probation_when_a_majority_is_there_that_could_not_elect() {
        let there = |at| Sample { majority_is_there: true, ..leader(at, 60_000) };
        assert_eq!(closed(9_000).next(LIMIT, &there(12_100)), closed(9_000), "others come first");
        let probation = closed(9_000).next(LIMIT, &there(12_300));
        assert_eq!(probation, Position::Probation { since: Duration::from_millis(12_300) });
        assert_eq!(probation.next(LIMIT, &leader(13_000, 60_000)), probation);
        assert_eq!(probation.next(LIMIT, &leader(14_000, 60_000)), closed(14_000));
        assert_eq!(probation.next(LIMIT, &leader(13_000, 30)), Position::Open);
    }
}
