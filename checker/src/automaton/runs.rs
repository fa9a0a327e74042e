//! Runs and their steps: created once, ended once, and nothing after the end (P7); steps after what they need (P9), decided
//! once (P16). Knows nothing of attempts.

use std::collections::{BTreeMap, HashMap};

use super::{
    Now,
    attempts::{BEFORE_ITS_NEEDS, TOO_MANY_RUNNING},
    facts::{Ending, Facts, ending},
};
use crate::{
    log::Log,
    verdict::{Findings, Harm, Rule},
};

/// A run, step or task has a second end.
pub const ENDED_TWICE: Rule = Rule::new(7, "ended twice");
/// A step or task completed twice: its result counted twice.
pub const COMPLETED_TWICE: Rule = Rule::new(11, "completed twice").harms(Harm::Duplicated);
/// Something happened to what had ended.
pub const AFTER_ITS_END: Rule = Rule::new(7, "changed after its end");
/// Something happened to a run or task of which the log has no beginning.
pub const NEVER_CREATED: Rule = Rule::new(7, "happened to what was not created");
/// A run was created, or a step started, a second time.
pub const STARTED_TWICE: Rule = Rule::new(7, "begun twice").harms(Harm::Duplicated);
/// Work that has not ended though it had the time.
pub const NEVER_ENDED: Rule = Rule::new(8, "never ended");
/// The sweep for work that nothing can wake found some.
pub const NOTHING_CAN_WAKE: Rule = Rule::new(8, "nothing can wake it");
/// An attempt started in a run that was paused or wound down.
pub const STARTED_AFTER_STOP: Rule = Rule::new(15, "attempt after a pause or cancel");
/// A condition was decided a second time.
pub const DECIDED_TWICE: Rule = Rule::new(16, "decided twice");

#[derive(Default)]
struct Run {
    created: usize,
    workflow: Option<String>,
    parent: Option<String>,
    is_handler: bool,
    /// It executes a part of another run's workflow, such as an item of a `foreach`: ids of steps may mean others there.
    is_part: bool,
    /// It has a place among those that run at once.
    is_active: bool,
    paused: Option<(u64, usize)>,
    winds_down: Option<(u64, usize)>,
    ended: Option<usize>,
    steps: BTreeMap<u64, Step>,
}

#[derive(Default)]
struct Step {
    id: Option<String>,
    started: Option<usize>,
    decided: Option<usize>,
    ended: Option<(usize, Ending)>,
    lets_go_on: bool,
}

/// Every run of the log.
#[derive(Default)]
pub(super) struct Runs {
    runs: HashMap<String, Run>,
    active: u64,
    active_max: Option<u64>,
}

impl Runs {
    pub(super) fn note(&mut self, facts: &Facts, now: &mut Now<'_>) {
        let kind = now.kind();
        if let Some(settings) = facts.settings(kind) {
            self.active_max = settings.max_concurrent_workflows;
        }
        let Some(id) = facts.run_id.as_deref() else { return };
        // Schedules tell of runs that they start; an error tells of an end that was.
        if kind.starts_with("schedule.") || kind.starts_with("error") {
            return;
        }
        if matches!(kind, "workflow.created" | "workflow.childCreated") {
            return self.created(id, facts, now);
        }
        let Some(run) = self.runs.get_mut(id) else {
            return now.violated(NEVER_CREATED, id, []);
        };
        if let Some(ended) = run.ended {
            let of_run = kind.starts_with("workflow.") && ending(kind).is_some();
            let rule = if of_run { ENDED_TWICE } else { AFTER_ITS_END };
            return now.violated(rule, id, [ended]);
        }
        let moment = Some((now.rev(), now.index));
        match kind {
            // Those within another run need no place of their own.
            "workflow.started" if run.parent.is_none() && !run.is_active => {
                run.is_active = true;
                self.active += 1;
                if self.active_max.is_some_and(|max| self.active > max) {
                    now.violated(TOO_MANY_RUNNING, format!("{} runs", self.active), []);
                }
            }
            "workflow.paused" => run.paused = moment,
            "workflow.resumed" => run.paused = None,
            "workflow.cancelling" | "workflow.timingOut" => (run.paused, run.winds_down) = (None, moment),
            _ if kind.starts_with("workflow.") && ending(kind).is_some() => {
                run.ended = Some(now.index);
                self.active -= u64::from(std::mem::take(&mut run.is_active));
            }
            _ if kind.starts_with("step.") => run.step(facts, now),
            _ => {}
        }
    }

    fn created(&mut self, id: &str, facts: &Facts, now: &mut Now<'_>) {
        if let Some(known) = self.runs.get(id) {
            return now.violated(STARTED_TWICE, id, [known.created]);
        }
        let run = Run {
            created: now.index,
            workflow: facts.workflow.clone(),
            parent: facts.parent_run_id.clone(),
            is_handler: facts.handler.is_some(),
            is_part: now.kind() == "workflow.childCreated",
            ..Run::default()
        };
        self.runs.insert(id.to_owned(), run);
    }

    /// What kept attempts of a run from starting before this rev: a pause of its own or of those around it, or their end.
    /// A handler runs because its parent winds down.
    pub(super) fn held(&self, id: &str, rev: u64) -> Option<usize> {
        let (mut at, mut ends_with) = (id, true);
        // A run that were its own ancestor would be found before the search comes around.
        for _ in 0..self.runs.len() {
            let run = self.runs.get(at)?;
            let stopped = run.winds_down.filter(|_| ends_with);
            let holds = run.paused.into_iter().chain(stopped).find(|(since, _)| *since < rev);
            if let Some((_, index)) = holds {
                return Some(index);
            }
            ends_with &= !run.is_handler;
            at = run.parent.as_deref()?;
        }
        None
    }

    pub(super) fn workflow(&self, id: &str) -> Option<&str> {
        self.runs.get(id)?.workflow.as_deref()
    }

    /// No run is left.
    pub(super) fn end(&self, log: &Log, findings: &mut Findings) {
        let mut open: Vec<(&String, &Run)> =
            self.runs.iter().filter(|(_, run)| run.ended.is_none()).collect();
        open.sort_by_key(|(_, run)| run.created);
        for (id, run) in open {
            findings.violated(NEVER_ENDED, id.clone(), vec![log.shown(run.created)]);
        }
    }
}

impl Run {
    fn step(&mut self, facts: &Facts, now: &mut Now<'_>) {
        let (Some(place), kind) = (facts.step, now.kind()) else { return };
        let needed = (kind == "step.started").then(|| self.missing_need(facts, now)).flatten();
        if let Some(need) = needed {
            now.violated(BEFORE_ITS_NEEDS, format!("step {place} started before `{need}` had completed"), []);
        }
        let step = self.steps.entry(place).or_default();
        step.id = step.id.take().or_else(|| facts.step_id.clone());
        if let Some((ended, how)) = step.ended {
            let rule = match ending(kind) {
                Some(Ending::Completed) if how == Ending::Completed => COMPLETED_TWICE,
                Some(_) => ENDED_TWICE,
                // The output is kept in the entry that completes the step.
                None if kind == "step.outputKept" => return,
                None => AFTER_ITS_END,
            };
            return now.violated(rule, format!("step {place}"), [ended]);
        }
        if let Some(how) = ending(kind) {
            step.ended = Some((now.index, how));
            let chosen = how == Ending::Skipped && facts.why.as_deref() == Some("chosen");
            step.lets_go_on = how == Ending::Completed || chosen;
        }
        let (once, rule) = match kind {
            "step.started" => (&mut step.started, STARTED_TWICE),
            "step.decided" => (&mut step.decided, DECIDED_TWICE),
            _ => return,
        };
        if let Some(before) = once.replace(now.index) {
            now.violated(rule, format!("step {place}"), [before]);
        }
    }

    fn missing_need(&self, facts: &Facts, now: &Now<'_>) -> Option<String> {
        let plan = now.plan(self.workflow.as_deref(), facts.step_id.as_deref()).filter(|_| !self.is_part)?;
        let passed = |need: &&String| {
            self.steps.values().any(|step| step.id.as_ref() == Some(need) && step.lets_go_on)
        };
        plan.needs.iter().find(|need| !passed(need)).cloned()
    }
}
