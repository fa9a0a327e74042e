//! What was acknowledged happened once, where the answer says, and under its condition; what was rejected did not; and
//! nothing happened that nobody asked for. Knows writes of state keys only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::{
    history::{Call, History, Op, Outcome},
    keys::{Change, Keys, Origin},
    lines::Shown,
    log::Log,
    verdict::{Findings, Harm, Rule},
};

/// An acknowledged write is nowhere in the log.
pub const LOST_WRITE: Rule = Rule::new(1, "lost write").harms(Harm::Lost);
/// It is, but not at the rev or version of the answer.
pub const MISPLACED_WRITE: Rule = Rule::new(1, "write elsewhere than answered");
/// A write happened more than once.
pub const DOUBLED_WRITE: Rule = Rule::new(4, "doubled write").harms(Harm::Duplicated);
/// A write happened though the answer said that it did not.
pub const REJECTED_APPEARS: Rule = Rule::new(3, "rejected write appears");
/// A change that no recorded operation asked for.
pub const NOBODYS_WRITE: Rule = Rule::new(2, "write that nobody made");
/// A compare-and-set happened on another version than the expected one.
pub const WRONG_COMPARE: Rule = Rule::new(2, "compare-and-set on another version");

/// Judges every write.
pub(super) fn check(history: &History, log: &Log, keys: &Keys, findings: &mut Findings) {
    let mut of_key: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in &history.ops {
        if let Some(key) = op.call.key() {
            of_key.entry(key).or_default().push(op);
        }
    }
    // Whoever calls `a.b` writes all that is called `a.*`.
    let folders: BTreeSet<&str> = of_key.keys().filter_map(|key| folder(key)).collect();
    for key in keys.names().into_iter().filter(|key| folder(key).is_some_and(|of| folders.contains(of))) {
        of_key.entry(key).or_default();
    }
    for (key, ops) in of_key {
        let mut judge = Judge { log, changes: keys.of(key), findings };
        judge.values(&ops);
        judge.deletions(&ops);
    }
}

/// A key's name up to its last dot.
fn folder(key: &str) -> Option<&str> {
    key.rsplit_once('.').map(|(folder, _)| folder)
}

/// The writes of one key.
struct Judge<'a> {
    log: &'a Log,
    changes: &'a [Change],
    findings: &'a mut Findings,
}

impl Judge<'_> {
    fn values(&mut self, ops: &[&Op]) {
        let mut happened: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, change) in
            self.changes.iter().enumerate().filter(|(_, change)| change.origin == Origin::Write)
        {
            if let Some(value) = &change.value {
                happened.entry(value.to_string()).or_default().push(at);
            }
        }
        for op in ops {
            if let Some(value) = op.call.written() {
                let places = happened.remove(&value.to_string()).unwrap_or_default();
                self.value(op, value, &places);
            }
        }
        for (value, places) in happened {
            self.violated(NOBODYS_WRITE, value, None, &places);
        }
    }

    /// A write whose value the log has at these places.
    fn value(&mut self, op: &Op, value: &Value, places: &[usize]) {
        if places.len() > 1 {
            self.violated(
                DOUBLED_WRITE,
                format!("{value} was written {} times", places.len()),
                Some(op),
                places,
            );
        }
        match (&op.outcome, places.first()) {
            (Outcome::Ok(answer), None) => {
                self.violated(
                    LOST_WRITE,
                    format!("{value}, acknowledged at rev {}", answer.rev),
                    Some(op),
                    &[],
                );
            }
            (Outcome::Ok(_), Some(_)) if !places.iter().any(|at| self.is_of(*at, op)) => {
                self.violated(MISPLACED_WRITE, format!("{value}"), Some(op), places);
            }
            (Outcome::Rejected { .. }, Some(_)) => {
                self.violated(REJECTED_APPEARS, format!("{value}"), Some(op), places);
            }
            _ => {}
        }
        if let (Call::CompareAndSet { version: expected, .. }, [at, ..]) = (&op.call, places) {
            let before = at.checked_sub(1).map(|before| &self.changes[before]);
            let found = before.filter(|before| before.value.is_some()).map_or(0, |before| before.version);
            if found != *expected {
                let what = format!("{value} replaced version {found} instead of {expected}");
                self.violated(WRONG_COMPARE, what, Some(op), places);
            }
        }
    }

    /// Deletions have no value that tells them apart: those that are acknowledged are found by their rev and version,
    /// what is left over belongs to those whose outcome is unknown.
    fn deletions(&mut self, ops: &[&Op]) {
        let is_deletion = |change: &Change| change.value.is_none() && change.origin == Origin::Write;
        let all = (0..self.changes.len()).filter(|at| is_deletion(&self.changes[*at]));
        let mut left: Vec<usize> = all.collect();
        let (mut unknown, mut rejected) = (0, None);
        for op in ops.iter().filter(|op| matches!(op.call, Call::Delete { .. })) {
            match &op.outcome {
                Outcome::Ok(answer) => match left.iter().position(|at| self.is_of(*at, op)) {
                    Some(found) => {
                        left.remove(found);
                    }
                    None => {
                        let what = format!("a deletion, acknowledged at rev {}", answer.rev);
                        self.violated(LOST_WRITE, what, Some(op), &[]);
                    }
                },
                Outcome::Unknown => unknown += 1,
                Outcome::Rejected { .. } => rejected = Some(*op),
            }
        }
        if left.len() > unknown {
            let what = format!("{} deletions, of which {unknown} may be by unknown outcomes", left.len());
            let rule = if rejected.is_some() { REJECTED_APPEARS } else { NOBODYS_WRITE };
            self.violated(rule, what, rejected, &left);
        }
    }

    /// Whether a change is the one that an answer speaks of.
    fn is_of(&self, at: usize, op: &Op) -> bool {
        let change = &self.changes[at];
        op.ok().is_some_and(|answer| {
            answer.rev == change.rev && answer.version.is_none_or(|version| version == change.version)
        })
    }

    fn violated(&mut self, rule: Rule, what: String, op: Option<&Op>, places: &[usize]) {
        let mut lines: Vec<Shown> = op.map(Op::shown).unwrap_or_default();
        lines.extend(places.iter().take(3).map(|at| self.log.shown(self.changes[*at].index)));
        self.findings.violated(rule, what, lines);
    }
}
