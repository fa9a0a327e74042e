//! Tasks and their attempts: never two at once, no result of one that was lost (P11), as many as allowed (P12), on free
//! slots (P10), after their dependencies (P9), not before a pause between them is over (P14). A step's task begins with its
//! first attempt and ends with its step.

use std::collections::HashMap;

use super::{
    Now,
    facts::{Ending, Facts, ending},
    runs::{
        AFTER_ITS_END, COMPLETED_TWICE, ENDED_TWICE, NEVER_CREATED, NEVER_ENDED, Runs, STARTED_AFTER_STOP,
        STARTED_TWICE,
    },
};
use crate::{
    log::Log,
    verdict::{Findings, Harm, Rule},
};

/// A step or task started before what it needs had completed.
pub const BEFORE_ITS_NEEDS: Rule = Rule::new(9, "start before its needs");
/// More attempts than a component's slots, or more attempts or runs than the cluster allows.
pub const TOO_MANY_RUNNING: Rule = Rule::new(10, "more than allowed at once");
/// An attempt started while another one of the same task ran.
pub const TWO_AT_ONCE: Rule = Rule::new(11, "two attempts at once").harms(Harm::Duplicated);
/// A token that is no newer than all before it fences nothing.
pub const TOKEN_DOES_NOT_RISE: Rule = Rule::new(11, "token does not rise");
/// A result counted that was not the running attempt's.
pub const STALE_RESULT: Rule = Rule::new(11, "result of a lost attempt");
/// An attempt after the last one.
pub const TOO_MANY_ATTEMPTS: Rule = Rule::new(12, "an attempt too many");
/// What is told of attempts is not what happened.
pub const MISCOUNTED: Rule = Rule::new(12, "attempts are miscounted");
/// An attempt started before the pause was over.
pub const STARTED_EARLY: Rule = Rule::new(14, "attempt before its time");
/// An attempt timed out before its deadline.
pub const TIMED_OUT_EARLY: Rule = Rule::new(14, "attempt timed out early");

#[derive(Default)]
struct Task {
    /// Where it was created, a step's task with its first attempt.
    begun: usize,
    dependencies: Vec<String>,
    running: Option<Attempt>,
    /// The event after which no attempt runs.
    stopped: Option<usize>,
    gave_up: Option<usize>,
    not_before: Option<String>,
    cancelled: Option<(u64, usize)>,
    started: u64,
    failed: u64,
    lost: u64,
    /// Its work is done; its step's outputs may be outstanding.
    done: bool,
    ended: Option<(usize, Ending)>,
}

struct Attempt {
    token: u64,
    component: String,
    deadline: Option<String>,
    index: usize,
}

/// Every task of the log.
#[derive(Default)]
pub(super) struct Attempts {
    tasks: HashMap<String, Task>,
    slots: HashMap<String, u64>,
    running_on: HashMap<String, u64>,
    running: u64,
    running_max: Option<u64>,
    token: u64,
}

impl Attempts {
    pub(super) fn note(&mut self, facts: &Facts, runs: &Runs, now: &mut Now<'_>) {
        let kind = now.kind();
        if let (Some(component), Some(slots)) = (&facts.component_id, facts.slots) {
            self.slots.insert(component.clone(), slots);
        }
        if let Some(settings) = facts.settings(kind) {
            self.running_max = settings.max_concurrent_tasks;
        }
        let Some(id) = facts.task() else { return };
        match kind {
            "task.created" => self.created(&id, facts, now),
            "task.assigned" => self.assigned(&id, facts, (runs, now)),
            "task.attemptFailed" => self.attempt_failed(&id, facts, now),
            "task.dependencyCompleted" => self.dependency_completed(facts, now),
            "task.cancelling" => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.cancelled = Some((now.rev(), now.index));
                }
            }
            "error.recovered" | "error.recoveryFailed" => self.counted(&id, facts, now),
            "step.returned" => self.returned(&id, None, now),
            _ => {
                if let Some(how) = ending(kind).filter(|_| !kind.starts_with("workflow.")) {
                    self.returned(&id, Some(how), now);
                }
            }
        }
    }

    fn created(&mut self, id: &str, facts: &Facts, now: &mut Now<'_>) {
        if let Some(known) = self.tasks.get(id) {
            return now.violated(STARTED_TWICE, id, [known.begun]);
        }
        let task = Task { begun: now.index, dependencies: facts.dependencies.clone(), ..Task::default() };
        self.tasks.insert(id.to_owned(), task);
    }

    fn assigned(&mut self, id: &str, facts: &Facts, (runs, now): (&Runs, &mut Now<'_>)) {
        let (run, component) = (facts.run_id.as_deref(), facts.component_id.as_deref().unwrap_or_default());
        if run.is_none() && !self.tasks.contains_key(id) {
            now.violated(NEVER_CREATED, id, []);
        }
        self.check_dependencies(id, now);
        let token = facts.token.unwrap_or_default();
        if token <= self.token {
            now.violated(TOKEN_DOES_NOT_RISE, format!("{token} after {}", self.token), []);
        }
        self.token = self.token.max(token);
        if let Some(stop) = run.and_then(|run| runs.held(run, now.rev())) {
            now.violated(STARTED_AFTER_STOP, id, [stop]);
        }
        let new = Task { begun: now.index, ..Task::default() };
        let task = self.tasks.entry(id.to_owned()).or_insert(new);
        task.check_start(id, now);
        let plan = run.and_then(|run| now.plan(runs.workflow(run), facts.step_id.as_deref()));
        if let Some(plan) = plan {
            let over = |count: u64, max: Option<u64>| max.is_some_and(|max| count > max);
            if over(task.failed + 1, plan.attempts_max) || over(task.lost, plan.lost_max) {
                let what = format!("{id} after {} failed and {} lost ones", task.failed, task.lost);
                now.violated(TOO_MANY_ATTEMPTS, what, task.stopped);
            }
        }
        task.started += 1;
        task.not_before = None;
        let (component, deadline) = (component.to_owned(), facts.deadline.clone());
        let before =
            task.running.replace(Attempt { token, component: component.clone(), deadline, index: now.index });
        self.freed(before);
        self.running += 1;
        let on = self.running_on.entry(component.clone()).or_default();
        *on += 1;
        let slots = self.slots.get(&component);
        if slots.is_some_and(|slots| *on > *slots) || self.running_max.is_some_and(|max| self.running > max) {
            let what = format!("{on} on {component}, {} in all", self.running);
            now.violated(TOO_MANY_RUNNING, what, []);
        }
    }

    fn check_dependencies(&self, id: &str, now: &mut Now<'_>) {
        let dependencies = self.tasks.get(id).map_or(&[][..], |task| &task.dependencies);
        if let Some(open) = dependencies.iter().find(|needed| !self.is_done(needed)) {
            now.violated(BEFORE_ITS_NEEDS, format!("{id} started before {open} had completed"), []);
        }
    }

    fn is_done(&self, id: &str) -> bool {
        self.tasks.get(id).is_some_and(|task| task.done)
    }

    fn dependency_completed(&self, facts: &Facts, now: &mut Now<'_>) {
        if let Some(needed) = facts.dependency.as_deref().filter(|needed| !self.is_done(needed)) {
            now.violated(BEFORE_ITS_NEEDS, format!("{needed} had not completed"), []);
        }
    }

    fn attempt_failed(&mut self, id: &str, facts: &Facts, now: &mut Now<'_>) {
        let Some(task) = self.tasks.get_mut(id) else { return now.violated(NEVER_CREATED, id, []) };
        if let Some((ended, _)) = task.ended {
            return now.violated(AFTER_ITS_END, id, [ended]);
        }
        let current = task.running.as_ref().is_some_and(|attempt| Some(attempt.token) == facts.token);
        if !current {
            return now.violated(STALE_RESULT, format!("{id} failed by an old token"), task.stopped);
        }
        let ended = task.running.take();
        let timed_out = facts.error.as_ref().is_some_and(|error| error.code == "TASK_TIMEOUT");
        let deadline = ended.as_ref().and_then(|attempt| attempt.deadline.as_deref());
        if timed_out && deadline.is_some_and(|deadline| now.at() < deadline) {
            now.violated(TIMED_OUT_EARLY, id, ended.as_ref().map(|attempt| attempt.index));
        }
        task.stopped = Some(now.index);
        task.gave_up = facts.retry_at.is_none().then_some(now.index);
        task.not_before.clone_from(&facts.retry_at);
        if facts.lost {
            task.lost += 1;
        } else {
            task.failed += 1;
        }
        self.freed(ended);
    }

    /// The work of a task is done, and with an ending so is all that follows.
    fn returned(&mut self, id: &str, how: Option<Ending>, now: &mut Now<'_>) {
        let of_step = now.kind().starts_with("step.");
        if !self.tasks.contains_key(id) {
            if !of_step {
                return now.violated(NEVER_CREATED, id, []);
            }
            // A step without attempts; tasks may depend on it.
            let begun = Task { begun: now.index, ..Task::default() };
            self.tasks.insert(id.to_owned(), begun);
        }
        let Some(task) = self.tasks.get_mut(id) else { return };
        if let (Some((ended, before)), Some(how)) = (task.ended, how) {
            let twice = before == Ending::Completed && how == Ending::Completed;
            // The second end of a step was told as such.
            if !of_step {
                now.violated(if twice { COMPLETED_TWICE } else { ENDED_TWICE }, id, [ended]);
            }
            return;
        }
        let completes = matches!(how, None | Some(Ending::Completed));
        let attempt = task.running.take();
        if completes && task.started > 0 && attempt.is_none() && !task.done {
            now.violated(STALE_RESULT, format!("{id} completed while no attempt ran"), task.stopped);
        }
        task.done |= completes;
        task.stopped = Some(now.index);
        task.ended = how.map(|how| (now.index, how));
        self.freed(attempt);
    }

    fn counted(&self, id: &str, facts: &Facts, now: &mut Now<'_>) {
        let Some(task) = self.tasks.get(id) else { return };
        if facts.attempts.is_some_and(|told| told != task.started) {
            now.violated(MISCOUNTED, format!("{id} had {} attempts", task.started), [task.begun]);
        }
    }

    fn freed(&mut self, attempt: Option<Attempt>) {
        let Some(attempt) = attempt else { return };
        self.running -= 1;
        if let Some(on) = self.running_on.get_mut(&attempt.component) {
            *on -= 1;
        }
    }

    /// No task is left.
    pub(super) fn end(&self, log: &Log, findings: &mut Findings) {
        let mut open: Vec<(&String, &Task)> =
            self.tasks.iter().filter(|(_, task)| task.ended.is_none()).collect();
        open.sort_by_key(|(_, task)| task.begun);
        for (id, task) in open {
            findings.violated(NEVER_ENDED, id.clone(), vec![log.shown(task.begun)]);
        }
    }
}

impl Task {
    fn check_start(&self, id: &str, now: &mut Now<'_>) {
        if let Some((ended, _)) = self.ended {
            now.violated(AFTER_ITS_END, id, [ended]);
        }
        if let Some(attempt) = &self.running {
            now.violated(TWO_AT_ONCE, id, [attempt.index]);
        }
        if let Some(gave_up) = self.gave_up {
            now.violated(TOO_MANY_ATTEMPTS, format!("{id} had given up"), [gave_up]);
        }
        if self.not_before.as_deref().is_some_and(|time| now.at() < time) {
            now.violated(STARTED_EARLY, id, self.stopped);
        }
        if let Some((_, index)) = self.cancelled.filter(|(rev, _)| *rev < now.rev()) {
            now.violated(STARTED_AFTER_STOP, id, [index]);
        }
    }
}
