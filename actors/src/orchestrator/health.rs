//! How the actors of a node are when somebody asks: each gives a sign of life within a deadline, and the sessions of
//! components say when they were last heard. Knows nothing of who asks, or how often.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;

use super::SystemOrchestrator;
use crate::{
    component_coordinator::{CoordinatorHandle, Heartbeats},
    gauges::{Gauges, Totals},
    proposer::ProposerHandle,
    seam::{Leadership, ReplicatedState},
    supervision::{Door, NoAnswer},
};

/// How the actors of a node and the sessions of its components were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// Each actor.
    pub actors: Vec<ActorHealth>,
    /// Time that each had to answer.
    pub deadline: Duration,
    /// The sessions connected here.
    pub heartbeats: Heartbeats,
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
    sources: Arc<Sources>,
    started: Instant,
}

impl HealthHandle {
    pub(super) fn new(door: Door<SystemOrchestrator>, sources: Sources) -> Self {
        HealthHandle { door, sources: Arc::new(sources), started: Instant::now() }
    }

    /// Asks every actor now. No answer: the thread of the actors is stuck.
    pub async fn check(&self) -> Result<HealthReport, NoAnswer> {
        let report = self.door.send(Check, Duration::from_secs(10)).await?;
        Ok(HealthReport { heartbeats: self.sources.coordinator.heartbeats(), ..report })
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
            HealthReport { actors, deadline, heartbeats: Heartbeats::default() }
        }
    }
}
