//! What components told of attempts and how they were answered, against the log (P11): an acknowledged result is in the log
//! where the answer says, and once; the result of an attempt that was over is never accepted; and whoever was given an
//! attempt was given one that the log has. A result is known by its mark: the output, or the message of the failure.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    automaton::facts::{Facts, ending},
    history::{Call, History, Op, Outcome},
    lines::Shown,
    log::Log,
    receipts::{Got, Receipt},
    verdict::{Findings, Harm, Rule},
};

/// An acknowledged result is nowhere in the log, or not at its rev.
pub const LOST_RESULT: Rule = Rule::new(1, "lost result").harms(Harm::Lost);
/// A rejected result counted.
pub const REJECTED_RESULT: Rule = Rule::new(3, "rejected result appears");
/// One result has two effects.
pub const DOUBLED_RESULT: Rule = Rule::new(11, "a result counts twice").harms(Harm::Duplicated);
/// A result was accepted whose attempt was over, or that carried a token which was none.
pub const STALE_ACCEPTED: Rule = Rule::new(11, "stale result accepted").harms(Harm::Stale);
/// A component was given an attempt that was not assigned to it.
pub const NEVER_ASSIGNED: Rule = Rule::new(11, "attempt that the log does not have");

/// Judges every result and every attempt that was given to somebody.
///
/// # Errors
/// Where the data of an event cannot be read.
pub fn check(history: &History, receipts: &[Receipt], log: &Log, findings: &mut Findings) -> Result<()> {
    let mut marks: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in &history.ops {
        if let Call::Report { mark, .. } = &op.call {
            marks.entry(mark).or_default().push(op);
        }
    }
    if marks.is_empty() && receipts.is_empty() {
        return Ok(());
    }
    let mut judge = Judge { log, told: Told::read(log)?, known: Known::of(history, receipts), findings };
    let mut reported = HashSet::new();
    for (mark, ops) in marks {
        let Call::Report { task, token, .. } = &ops[0].call else { continue };
        judge.findings.counts.repeated += u64::from(!reported.insert((task, *token)));
        judge.mark(mark, (task, *token), &ops);
    }
    receipts.iter().for_each(|receipt| judge.receipt(receipt));
    Ok(())
}

/// An attempt of the log.
struct Attempt {
    component: String,
    assigned: usize,
    ended: Option<usize>,
}

/// An event that shows a mark.
struct Effect {
    index: usize,
    task: String,
    /// Of the attempt that it ended.
    token: Option<u64>,
}

/// What the log tells of attempts.
#[derive(Default)]
struct Told {
    attempts: HashMap<(String, u64), Attempt>,
    effects: HashMap<String, Vec<Effect>>,
    running: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct Shows {
    #[serde(default)]
    output: Value,
    #[serde(default)]
    error: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    message: String,
}

impl Told {
    fn read(log: &Log) -> Result<Told> {
        let mut told = Told::default();
        for (index, event) in log.events.iter().enumerate() {
            let kind = event.kind.as_str();
            let ends = kind == "step.returned" || ending(kind).is_some();
            let of_task = kind.starts_with("task.") || kind.starts_with("step.");
            if !of_task || !(ends || matches!(kind, "task.assigned" | "task.attemptFailed")) {
                continue;
            }
            let facts: Facts = event.data().with_context(|| log.place(index).to_string())?;
            let Some(task) = facts.task() else { continue };
            if kind == "task.assigned" {
                told.assigned(task, &facts, index);
                continue;
            }
            let shows: Shows = event.data().with_context(|| log.place(index).to_string())?;
            let (mark, token) = match (kind, shows) {
                ("task.attemptFailed", shows) => {
                    told.running.remove(&task);
                    (shows.error.map(|error| error.message), facts.token)
                }
                (_, Shows { output: Value::String(mark), .. }) => (Some(mark), told.running.remove(&task)),
                _ => (None, told.running.remove(&task)),
            };
            let attempt = token.and_then(|token| told.attempts.get_mut(&(task.clone(), token)));
            if let Some(attempt) = attempt {
                attempt.ended.get_or_insert(index);
            }
            if let Some(mark) = mark {
                told.effects.entry(mark).or_default().push(Effect { index, task, token });
            }
        }
        Ok(told)
    }

    fn assigned(&mut self, task: String, facts: &Facts, index: usize) {
        let (token, component) = (facts.token.unwrap_or_default(), facts.component_id.clone());
        self.running.insert(task.clone(), token);
        let attempt = Attempt { component: component.unwrap_or_default(), assigned: index, ended: None };
        self.attempts.entry((task, token)).or_insert(attempt);
    }
}

/// What had been told to anybody by a time.
struct Known {
    /// Times and the newest rev that was answered by then, both rising.
    revs: Vec<(u64, u64)>,
    /// When which attempts of a task were given to somebody.
    given: HashMap<String, Vec<(u64, u64)>>,
}

impl Known {
    fn of(history: &History, receipts: &[Receipt]) -> Known {
        let answers = history.ops.iter().filter_map(|op| Some((op.returned_at()?, op.ok()?.rev)));
        let mut revs: Vec<(u64, u64)> = answers.collect();
        revs.sort_unstable();
        let mut newest = 0;
        for (_, rev) in &mut revs {
            newest = newest.max(*rev);
            *rev = newest;
        }
        let mut given: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
        for receipt in receipts {
            if let Got::Attempt { task, token } = &receipt.got {
                given.entry(task.clone()).or_default().push((receipt.at, *token));
            }
        }
        Known { revs, given }
    }

    /// The newest rev that had been answered before this time.
    fn rev_before(&self, at: u64) -> u64 {
        let before = self.revs.partition_point(|(answered, _)| *answered < at);
        before.checked_sub(1).map_or(0, |last| self.revs[last].1)
    }

    fn newer_given_before(&self, (task, token): (&str, u64), at: u64) -> bool {
        let given = self.given.get(task).into_iter().flatten();
        { given }.any(|(when, newer)| *when < at && *newer > token)
    }
}

struct Judge<'a> {
    log: &'a Log,
    told: Told,
    known: Known,
    findings: &'a mut Findings,
}

impl Judge<'_> {
    /// All calls with one mark.
    fn mark(&mut self, mark: &str, (task, token): (&str, u64), ops: &[&Op]) {
        let begin = ops.iter().map(|op| op.called_at).min().unwrap_or_default();
        let effects = self.told.effects.get(mark).map_or(&[][..], Vec::as_slice);
        let lines = || -> Vec<Shown> {
            let shown = effects.iter().take(3).map(|effect| self.log.shown(effect.index));
            ops[0].shown().into_iter().chain(shown).collect()
        };
        let mut broken: Vec<(Rule, String)> = Vec::new();
        let answers: Vec<u64> = ops.iter().filter_map(|op| op.ok()).map(|answer| answer.rev).collect();
        let at_its_rev = |rev: &u64| effects.iter().any(|effect| self.rev(effect.index) == *rev);
        if let Some(rev) = answers.iter().find(|rev| !at_its_rev(rev) && !self.cancelled(task, **rev)) {
            broken.push((LOST_RESULT, format!("{mark} of {task}, acknowledged at rev {rev}")));
        }
        let kinds: HashSet<&str> =
            effects.iter().map(|effect| self.log.events[effect.index].kind.as_str()).collect();
        if effects.len() > kinds.len() {
            broken.push((DOUBLED_RESULT, format!("{mark} of {task} has {} effects", effects.len())));
        }
        let is_over = self.was_over((task, token), begin);
        let of_another = effects.first().filter(|effect| effect.token != Some(token) || effect.task != task);
        let is_accepted = !answers.is_empty() || !effects.is_empty();
        let is_stale_accepted = of_another.is_some() || is_over && is_accepted;
        if is_stale_accepted {
            let what = format!("{mark} of {task} with token {token}, whose attempt did not run");
            broken.push((STALE_ACCEPTED, what));
        }
        let all_rejected = ops.iter().all(|op| matches!(op.outcome, Outcome::Rejected { .. }));
        if all_rejected && !effects.is_empty() {
            broken.push((REJECTED_RESULT, format!("{mark} of {task}")));
        }
        let broken: Vec<(Rule, String, Vec<Shown>)> =
            broken.into_iter().map(|(rule, what)| (rule, what, lines())).collect();
        let counts = &mut self.findings.counts;
        counts.results += u64::from(!answers.is_empty());
        counts.stale_offered += u64::from(is_over || is_stale_accepted);
        counts.stale_refused += u64::from(is_over && all_rejected);
        counts.stale_accepted += u64::from(is_stale_accepted);
        for (rule, what, lines) in broken {
            self.findings.violated(rule, what, lines);
        }
    }

    fn rev(&self, index: usize) -> u64 {
        self.log.events[index].rev
    }

    /// What an attempt says that is to wind down does not count, and is acknowledged.
    fn cancelled(&self, task: &str, rev: u64) -> bool {
        let from = self.log.events.partition_point(|event| event.rev < rev);
        let then = self.log.events[from..].iter().take_while(|event| event.rev == rev);
        let ends = then.filter(|event| matches!(&*event.kind, "task.cancelled" | "step.cancelled"));
        { ends }.any(|event| event.data::<Facts>().is_ok_and(|facts| facts.task().as_deref() == Some(task)))
    }

    /// An attempt had certainly ended by a time, or never was.
    fn was_over(&self, (task, token): (&str, u64), at: u64) -> bool {
        let Some(attempt) = self.told.attempts.get(&(task.to_owned(), token)) else { return true };
        let ended = attempt.ended.is_some_and(|index| self.rev(index) <= self.known.rev_before(at));
        ended || self.known.newer_given_before((task, token), at)
    }

    fn receipt(&mut self, receipt: &Receipt) {
        let Got::Attempt { task, token } = &receipt.got else { return };
        let attempt = self.told.attempts.get(&(task.clone(), *token));
        if attempt.is_some_and(|attempt| attempt.component == receipt.component) {
            return;
        }
        let assigned = attempt.map(|attempt| self.log.shown(attempt.assigned));
        let what = format!("{} was given {task} with token {token}", receipt.component);
        let lines = assigned.into_iter().chain([receipt.shown()]).collect();
        self.findings.violated(NEVER_ASSIGNED, what, lines);
    }
}

#[cfg(test)]
mod tests;
