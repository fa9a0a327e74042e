//! The alarm clock, on the leader: proposes `AdvanceTime` when the earliest deadline in the state is due, has the next
//! instants of schedules computed, and sweeps for work that nothing can wake, of which there must be none, and reports
//! it. Knows nothing of what the deadlines are.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use orc_domain::{Command, Timestamp};
use tokio::sync::watch;

use crate::{
    gauges::{Gauges, count},
    planner::Planner,
    proposer::ProposerHandle,
    seam::ReplicatedState,
    supervision::{Leads, Ping, Stop},
};

/// The longest sleep: a deadline further away is looked at again, since cluster time may have gone on faster.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Proposes the passing of time on the leader.
pub struct TaskScheduler {
    clock: Clock,
    leads: watch::Sender<bool>,
}

#[derive(Clone)]
struct Clock {
    state: Arc<dyn ReplicatedState>,
    proposer: ProposerHandle,
    gauges: Arc<Gauges>,
}

impl TaskScheduler {
    pub(crate) fn new(
        state: Arc<dyn ReplicatedState>,
        proposer: ProposerHandle,
        gauges: Arc<Gauges>,
    ) -> Self {
        let clock = Clock { state, proposer, gauges };
        TaskScheduler { clock, leads: watch::Sender::new(false) }
    }

    /// Sweeps after each pause that the cluster's settings say, on the leader.
    fn sweep_later(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(self.clock.state.config().deadlock_interval, |scheduler, ctx| {
            if *scheduler.leads.borrow() {
                ctx.spawn(scheduler.clock.clone().sweep().into_actor(scheduler));
            }
            scheduler.sweep_later(ctx);
        });
    }
}

impl Clock {
    async fn run(self, mut leads: watch::Receiver<bool>) {
        let mut due = self.state.next_due();
        loop {
            if !*leads.borrow_and_update() {
                if leads.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let next = *due.borrow_and_update();
            let now = self.state.now();
            if next.is_some_and(|at| at <= now) {
                self.advance(&mut due).await;
                continue;
            }
            let sleep = next.map_or(SLEEP_MAX, |at| at.since(now).min(SLEEP_MAX));
            tokio::select! {
                changed = due.changed() => if changed.is_err() { return },
                changed = leads.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Reports work that nothing can wake, if that is news.
    async fn sweep(self) {
        let Some(found) = self.state.stuck_news().await else { return };
        for work in &found {
            count(&self.gauges.stuck);
            tracing::error!(%work, "deadlock detected: nothing can wake this");
        }
        if let Err(error) = self.proposer.propose(Command::ReportStuck { found }).await {
            tracing::warn!(%error, "a deadlock could not be reported: the next sweep tries again");
        }
    }

    /// Proposes once, then waits for the state to move on: the same deadline must not be proposed in a busy loop.
    async fn advance(&self, due: &mut watch::Receiver<Option<Timestamp>>) {
        count(&self.gauges.alarms);
        let pause = match self.proposer.propose(Command::AdvanceTime).await {
            Ok(_) => Duration::from_millis(20),
            Err(error) => {
                tracing::debug!(%error, "time could not be advanced");
                Duration::from_millis(100)
            }
        };
        // After the pause, look again: it may not have been proposed.
        let _ = tokio::time::timeout(pause, due.changed()).await;
    }
}

impl Actor for TaskScheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(self.clock.clone().run(self.leads.subscribe()).into_actor(self));
        self.sweep_later(ctx);
        let planner = Planner { state: self.clock.state.clone(), proposer: self.clock.proposer.clone() };
        ctx.spawn(planner.run(self.leads.subscribe()).into_actor(self));
    }
}

impl Handler<Leads> for TaskScheduler {
    type Result = ();

    fn handle(&mut self, Leads(leadership): Leads, _: &mut Self::Context) {
        self.leads.send_replace(leadership.is_leader);
    }
}

impl Handler<Ping> for TaskScheduler {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for TaskScheduler {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
