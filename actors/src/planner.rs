//! Computes the next instants of schedules, on the leader, and proposes them.
//! Holds nothing: what it misses is outstanding, and a plan that comes late or twice is refused.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use orc_domain::{Command, Effect, Missed, Rejection, Schedule, ScheduleId, Timestamp};
use tokio::sync::{broadcast::error::RecvError, watch};

use crate::{calendar::Calendar, proposer::ProposerHandle, seam::ReplicatedState};

/// Plans under way at once.
const UNDER_WAY_MAX: usize = 64;
/// Missed instants that are counted one by one.
const COUNTED_MAX: u64 = 10_000;
/// The pause before a plan that was refused is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Computes the next instants of schedules.
#[derive(Clone)]
pub(crate) struct Planner {
    pub(crate) state: Arc<dyn ReplicatedState>,
    pub(crate) proposer: ProposerHandle,
}

impl Planner {
    pub(crate) async fn run(self, mut leads: watch::Receiver<bool>) {
        loop {
            if leads.wait_for(|leads| *leads).await.is_err() {
                return;
            }
            let mut effects = self.state.effects();
            let outstanding = self.state.outstanding().await;
            self.plan_all(&outstanding).await;
            loop {
                tokio::select! {
                    changed = leads.changed() => match changed {
                        Ok(()) if *leads.borrow_and_update() => {}
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    heard = effects.recv() => match heard {
                        Ok(effects) if effects.is_empty() => break,
                        Ok(effects) => self.plan_all(&effects).await,
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return,
                    },
                }
            }
        }
    }

    async fn plan_all(&self, effects: &[Effect]) {
        let schedules = effects.iter().filter_map(|effect| match effect {
            Effect::PlanSchedule { schedule } => Some(schedule),
            Effect::DeliverTask { .. }
            | Effect::DeliverMessages { .. }
            | Effect::CancelAttempt { .. }
            | Effect::Evaluate { .. }
            | Effect::SendMessage { .. }
            | Effect::CloseSession { .. } => None,
        });
        stream::iter(schedules).for_each_concurrent(UNDER_WAY_MAX, |schedule| self.plan(schedule)).await;
    }

    async fn plan(&self, id: &ScheduleId) {
        let leadership = self.state.leadership();
        loop {
            let Some(schedule) = self.state.schedule(id).filter(|schedule| schedule.awaits_plan()) else {
                return;
            };
            let Some(plan) = plan(&schedule, self.state.now()) else {
                tracing::error!(schedule = %id, "this schedule has no next instant");
                return;
            };
            let outcome = self.proposer.decide(plan, || leadership.borrow().is_leader).await;
            match outcome.map(|outcome| outcome.result) {
                // Whoever changed the schedule since ordered a plan of it.
                None
                | Some(Ok(_) | Err(Rejection::PlanNotAwaited { .. } | Rejection::ScheduleUnknown { .. })) => {
                    return;
                }
                Some(Err(rejection)) => {
                    tracing::warn!(schedule = %id, %rejection, "a plan was refused");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The next instant of a schedule that can still have its turn, and how many before it cannot.
fn plan(schedule: &Schedule, now: Timestamp) -> Option<Command> {
    let spec = &schedule.spec;
    let calendar = Calendar::new(&spec.cron, &spec.timezone).ok()?;
    let mut instant = calendar.after(schedule.after)?;
    let mut missed: Option<Missed> = None;
    while spec.is_missed(instant, now) {
        let count = missed.map_or(0, |missed| missed.count) + 1;
        missed = Some(Missed { count, last: instant });
        let mut from = instant;
        if count == COUNTED_MAX {
            // After a very long time the rest is left out of the count.
            let window = u64::try_from((spec.catch_up + spec.jitter).as_millis()).unwrap_or(u64::MAX);
            from = from.max(Timestamp(now.0.saturating_sub(window.saturating_add(1))));
        }
        instant = calendar.after(from)?;
    }
    let (schedule, version, after) = (spec.id.clone(), schedule.version, schedule.after);
    Some(Command::PlanSchedule { schedule, version, after, instant, missed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{Overlap, ScheduleSpec};

    const MINUTE: u64 = 60_000;

    fn planned(after: u64, now: u64) -> (u64, Option<(u64, u64)>) {
        let spec = ScheduleSpec {
            id: "s".parse().expect("a legal name"),
            workflow: "w".parse().expect("a legal name"),
            of_file: false,
            cron: "* * * * *".into(),
            timezone: "UTC".into(),
            overlap: Overlap::Skip,
            catch_up: Duration::from_secs(120),
            jitter: Duration::ZERO,
            given: "{}".into(),
            inputs: "{}".into(),
            group: None,
        };
        let schedule = Schedule {
            spec,
            paused: false,
            version: 1,
            created_at: Timestamp(0),
            after: Timestamp(after),
            next: None,
            running: Vec::new(),
            waiting: Vec::new(),
            last: None,
            started: 0,
            skipped: 0,
            missed: 0,
        };
        let Some(Command::PlanSchedule { instant, missed, .. }) = plan(&schedule, Timestamp(now)) else {
            panic!("it has a plan")
        };
        (instant.0, missed.map(|missed| (missed.count, missed.last.0)))
    }

    #[test]
    fn the_next_instant_is_the_first_that_can_have_its_turn() {
        assert_eq!(planned(10 * MINUTE, 10 * MINUTE), (11 * MINUTE, None));
        assert_eq!(planned(10 * MINUTE, 13 * MINUTE), (11 * MINUTE, None), "within the catch-up time");
        assert_eq!(planned(10 * MINUTE, 13 * MINUTE + 1), (12 * MINUTE, Some((1, 11 * MINUTE))));
        assert_eq!(planned(10 * MINUTE, 100 * MINUTE), (98 * MINUTE, Some((87, 97 * MINUTE))));
    }

    #[test]
    fn a_very_long_time_is_not_counted_minute_by_minute() {
        let year = 365 * 24 * 60 * MINUTE;
        let (instant, missed) = planned(0, year);
        assert_eq!(instant, year - 2 * MINUTE);
        assert!(missed.is_some_and(|(count, last)| count <= COUNTED_MAX + 2 && last < instant));
    }
}
