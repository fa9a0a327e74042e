//! What waits for a time that events tell: steps until a time, schedules, the grace time of lost components (P14).
//! By the log's own times. Pauses between attempts and deadlines are with the attempts, times to live with the keys.

use std::collections::HashMap;

use super::{Now, facts::Facts};
use crate::verdict::{Harm, Rule};

/// Something happened before its time.
pub const FIRED_EARLY: Rule = Rule::new(14, "happened early");
/// An instant of a schedule had its turn twice.
pub const FIRED_TWICE: Rule = Rule::new(14, "an instant fired twice").harms(Harm::Duplicated);

/// Every timer that is known.
#[derive(Default)]
pub(super) struct Timers {
    waits: HashMap<(String, u64), (String, usize)>,
    graces: HashMap<String, (String, usize)>,
    fired: HashMap<String, HashMap<String, usize>>,
}

impl Timers {
    pub(super) fn note(&mut self, facts: &Facts, now: &mut Now<'_>) {
        match now.kind() {
            "step.timeAwaited" => {
                if let (Some((run, step)), Some(until)) = (facts.step(), &facts.until) {
                    self.waits.insert((run.to_owned(), step), (until.clone(), now.index));
                }
            }
            "step.completed" => {
                if let Some((run, step)) = facts.step() {
                    let due = self.waits.remove(&(run.to_owned(), step));
                    not_before(due, now);
                }
            }
            "component.lost" => {
                if let (Some(component), Some(until)) = (facts.component_id.as_deref(), &facts.until) {
                    self.graces.insert(component.to_owned(), (until.clone(), now.index));
                }
            }
            "component.connected" => {
                self.graces.remove(facts.component_id.as_deref().unwrap_or_default());
            }
            "component.disconnected" => {
                let due = self.graces.remove(facts.component_id.as_deref().unwrap_or_default());
                not_before(due, now);
            }
            "schedule.deleted" => {
                self.fired.remove(facts.schedule.as_deref().unwrap_or_default());
            }
            "schedule.fired" if !facts.manual => self.fired(facts, now),
            _ => {}
        }
    }

    fn fired(&mut self, facts: &Facts, now: &mut Now<'_>) {
        let (Some(schedule), Some(instant)) = (&facts.schedule, &facts.instant) else { return };
        if now.at() < instant.as_str() {
            now.violated(FIRED_EARLY, format!("{instant} of {schedule}"), []);
        }
        let instants = self.fired.entry(schedule.clone()).or_default();
        if let Some(before) = instants.insert(instant.clone(), now.index) {
            now.violated(FIRED_TWICE, format!("{instant} of {schedule}"), [before]);
        }
    }
}

fn not_before(due: Option<(String, usize)>, now: &mut Now<'_>) {
    if let Some((until, since)) = due.filter(|(until, _)| now.at() < until.as_str()) {
        now.violated(FIRED_EARLY, format!("it was to wait until {until}"), [since]);
    }
}
