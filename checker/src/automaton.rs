//! One pass over the log: what became of each run, step, task and timer, and whether it was allowed (P7, P9 to P12, P14 to
//! P16). Needs and attempt limits of steps are in no event: they are judged where a [`Plans`] file tells them.
//! Cannot be judged from events: how long work waited (P8, but for work that never ends), priorities among queued tasks
//! and aging (P13: labels and queues are not told), delays and time limits whose length only the definition has, and what
//! a condition should have said (P16). A completion names no token: it counts as that of the attempt that runs.

mod attempts;
pub(crate) mod facts;
mod runs;
mod timers;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    lines::Shown,
    log::Log,
    verdict::{Findings, Rule},
};

pub use attempts::{
    BEFORE_ITS_NEEDS, MISCOUNTED, STALE_RESULT, STARTED_EARLY, TIMED_OUT_EARLY, TOKEN_DOES_NOT_RISE,
    TOO_MANY_ATTEMPTS, TOO_MANY_RUNNING, TWO_AT_ONCE,
};
pub use runs::{
    AFTER_ITS_END, COMPLETED_TWICE, DECIDED_TWICE, ENDED_TWICE, NEVER_CREATED, NEVER_ENDED, NOTHING_CAN_WAKE,
    STARTED_AFTER_STOP, STARTED_TWICE,
};
pub use timers::{FIRED_EARLY, FIRED_TWICE};

/// What steps of workflows need, by the workflow's name and the step's id; for what events do not tell. The needs of steps
/// within an item or a handler are not judged.
pub type Plans = BTreeMap<String, BTreeMap<String, StepPlan>>;

/// What a step needs and may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepPlan {
    /// Steps that have completed, or were skipped by their own condition, before it starts. Empty where an `if` says otherwise.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Attempts that may fail.
    #[serde(default)]
    pub attempts_max: Option<u64>,
    /// Attempts that may be lost and are followed by another one.
    #[serde(default)]
    pub lost_max: Option<u64>,
}

/// What is expected of a log besides that it is in order.
#[derive(Debug, Default)]
pub struct Expected {
    /// For what events do not tell.
    pub plans: Plans,
    /// All work had time to end.
    pub everything_ended: bool,
}

/// Walks through the log.
///
/// # Errors
/// Where the data of an event cannot be read.
pub fn check(log: &Log, expected: &Expected, findings: &mut Findings) -> Result<()> {
    let (mut runs, mut attempts, mut timers) =
        (runs::Runs::default(), attempts::Attempts::default(), timers::Timers::default());
    for (index, event) in log.events.iter().enumerate().filter(|(_, event)| facts::concerns(&event.kind)) {
        let facts: facts::Facts = event.data().with_context(|| log.place(index).to_string())?;
        let mut now = Now { log, index, findings, plans: &expected.plans };
        if event.kind == "deadlock.detected" {
            now.violated(NOTHING_CAN_WAKE, facts.work.as_deref().unwrap_or("something"), []);
            continue;
        }
        runs.note(&facts, &mut now);
        attempts.note(&facts, &runs, &mut now);
        timers.note(&facts, &mut now);
    }
    if expected.everything_ended {
        runs.end(log, findings);
        attempts.end(log, findings);
    }
    Ok(())
}

/// The event that is looked at, and where to tell what is wrong with it.
struct Now<'a> {
    log: &'a Log,
    index: usize,
    findings: &'a mut Findings,
    plans: &'a Plans,
}

impl<'a> Now<'a> {
    fn kind(&self) -> &'a str {
        &self.log.events[self.index].kind
    }

    fn at(&self) -> &'a str {
        &self.log.events[self.index].at
    }

    fn rev(&self) -> u64 {
        self.log.events[self.index].rev
    }

    fn plan(&self, workflow: Option<&str>, step: Option<&str>) -> Option<&'a StepPlan> {
        self.plans.get(workflow?)?.get(step?)
    }

    /// This event breaks a rule, as earlier ones show.
    fn violated(&mut self, rule: Rule, what: impl Into<String>, earlier: impl IntoIterator<Item = usize>) {
        let places = earlier.into_iter().chain([self.index]);
        let lines: Vec<Shown> = places.map(|index| self.log.shown(index)).collect();
        self.findings.violated(rule, what.into(), lines);
    }
}

#[cfg(test)]
mod tests;
