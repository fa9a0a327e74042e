//! How the actors of a node are: each is asked for a sign of life within a deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use orc_domain::Timestamp;
use tokio::sync::watch;

use super::SystemOrchestrator;
use crate::{
    component_coordinator::CoordinatorHandle,
    gauges::{Gauges, Totals},
    proposer::ProposerHandle,
    seam::{Leadership, ReplicatedState},
    supervision::{Door, NoAnswer},
};

/// How the actors of a node were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// When they were asked; none before the first check.
    pub checked_at: Option<Timestamp>,
    /// Each actor.
    pub actors: Vec<ActorHealth>,
}

impl HealthReport {
    /// Every actor answered.
    pub fn is_healthy(&self) -> bool {
        self.actors.iter().all(|actor| actor.answered_after.is_some())
    }
}

/// How one actor was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorHealth {
    /// Its name.
    pub name: &'static str,
    /// How long its answer took; none: it did not answer within the deadline.
    pub answered_after: Option<Duration>,
    /// How often it died and was started again.
    pub restarts: u64,
}

/// What the actors of this node have to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Since the actors were started.
    pub uptime: Duration,
    /// Who leads, as this node sees it.
    pub leadership: Leadership,
    /// Proposals without an answer.
    pub proposals_unanswered: usize,
    /// Sessions connected here.
    pub sessions: usize,
    /// Messages without a reply.
    pub messages_waiting: usize,
    /// What has happened since the start.
    pub totals: Totals,
}

pub(super) struct Sources {
    pub(super) state: Arc<dyn ReplicatedState>,
    pub(super) proposer: ProposerHandle,
    pub(super) coordinator: CoordinatorHandle,
    pub(super) gauges: Arc<Gauges>,
}

/// Says how the actors are; cheap to clone.
#[derive(Clone)]
pub struct HealthHandle {
    door: Door<SystemOrchestrator>,
    reports: watch::Receiver<HealthReport>,
    sources: Arc<Sources>,
    started: Instant,
}

impl HealthHandle {
    pub(super) fn new(
        door: Door<SystemOrchestrator>,
        sources: Sources,
    ) -> (Self, watch::Sender<HealthReport>) {
        let (sender, reports) = watch::channel(HealthReport::default());
        (HealthHandle { door, reports, sources: Arc::new(sources), started: Instant::now() }, sender)
    }

    /// The latest report of the regular checks; changes can be awaited.
    pub fn reports(&self) -> watch::Receiver<HealthReport> {
        self.reports.clone()
    }

    /// Asks every actor now.
    pub async fn check(&self) -> Result<HealthReport, NoAnswer> {
        self.door.send(Check, Duration::from_secs(10)).await
    }

    /// What the actors have to do.
    pub fn status(&self) -> NodeStatus {
        let Sources { state, proposer, coordinator, gauges } = &*self.sources;
        NodeStatus {
            uptime: self.started.elapsed(),
            leadership: *state.leadership().borrow(),
            proposals_unanswered: proposer.unanswered(),
            sessions: coordinator.sessions(),
            messages_waiting: coordinator.messages_waiting(),
            totals: gauges.totals(),
        }
    }
}

#[derive(Message)]
#[rtype(result = "HealthReport")]
pub(super) struct Check;

impl Handler<Check> for SystemOrchestrator {
    type Result = ResponseFuture<HealthReport>;

    fn handle(&mut self, _: Check, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.check())
    }
}

impl SystemOrchestrator {
    pub(super) fn check(&self) -> impl Future<Output = HealthReport> + use<> {
        let deadline = self.options.health_check_deadline;
        let roster = self.roster.borrow();
        let asked: Vec<_> =
            roster.iter().map(|member| (member.name, member.restarts, member.ping())).collect();
        drop(roster);
        let reports = self.reports.clone();
        async move {
            let answers = asked.into_iter().map(|(name, restarts, ping)| async move {
                let asked_at = Instant::now();
                let is_alive = match ping {
                    Some(ping) => tokio::time::timeout(deadline, ping).await.unwrap_or(false),
                    None => false,
                };
                ActorHealth { name, answered_after: is_alive.then(|| asked_at.elapsed()), restarts }
            });
            let actors = futures::future::join_all(answers).await;
            let report = HealthReport { checked_at: Some(now()), actors };
            if !report.is_healthy() {
                tracing::error!(?report, "an actor does not answer");
            }
            reports.send_replace(report.clone());
            report
        }
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
