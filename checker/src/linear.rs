//! Linearizability of each state key from the outside: is there an order of all operations that real time allows and in
//! which a single register would have answered so? Looks at no log and believes no rev.
//! The search of Wing and Gong with Lowe's cache; a write whose outcome is unknown may take effect at any later time.

mod register;
mod search;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serde_json::Value;

use crate::{
    history::{Call, History, Op, Outcome},
    verdict::{Findings, Harm, Rule},
};

pub use register::{Action, Register};
pub use search::{Interval, Limits, RANK_MAX, Stuck, Verdict, search};

/// No single register would have answered like this.
pub const NOT_LINEARIZABLE: Rule = Rule::new(2, "not linearizable").harms(Harm::Stale);

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_secs(10), cache_bytes: 256 << 20 }
    }
}

/// Judges each key by itself; `skipped` are those that others than recorded operations change.
pub fn check(history: &History, skipped: &dyn Fn(&str) -> bool, limits: Limits, findings: &mut Findings) {
    let mut of_key: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    for op in &history.ops {
        if let Some(key) = op.call.key().filter(|key| !skipped(key)) {
            of_key.entry(key).or_default().push(op);
        }
    }
    for (key, ops) in of_key {
        let (ops, intervals) = intervals(&ops);
        match search(&intervals, limits) {
            Verdict::Valid => {}
            Verdict::Undecided(why) => {
                findings
                    .undecided
                    .push(format!("whether {key} is linearizable over {} operations: {why}", ops.len()));
            }
            Verdict::Invalid(Stuck { op, after, placed }) => {
                let what =
                    format!("{key}: {placed} operations have an order, then this one has no place any more");
                let after = after.map(|after| ops[after].shown()).unwrap_or_default();
                findings.violated(NOT_LINEARIZABLE, what, [after, ops[op].shown()].concat());
            }
        }
    }
}

/// What the search knows of operations, which are in the order of their calls.
fn intervals<'a>(ops: &[&'a Op]) -> (Vec<&'a Op>, Vec<Interval>) {
    let mut names = Names::default();
    let mut found = (Vec::new(), Vec::new());
    for op in ops {
        let ended = op.returned_at();
        if let Some(action) = action(op, ended.is_some(), &mut names) {
            found.0.push(*op);
            found.1.push(Interval {
                action,
                called_at: op.called_at,
                returned_at: ended,
                rank: 0,
                twin: None,
            });
        }
    }
    rank(&mut found.1);
    found
}

/// In which order operations are tried. Of those whose end is unknown and whose values nobody saw, the ones that do the same
/// are as good as one another: if only some of them took effect, it may as well be the first ones.
fn rank(intervals: &mut [Interval]) {
    let seen: HashSet<u32> = intervals.iter().filter_map(|one| one.action.shown()).collect();
    let mut last: HashMap<Action, usize> = HashMap::new();
    for (index, one) in intervals.iter_mut().enumerate() {
        let (rank, alike) = match one.action {
            action if one.returned_at.is_some() => (u8::from(!action.changes_nothing()), None),
            Action::Write { value, .. } | Action::CompareAndSet { value, .. } if seen.contains(&value) => {
                (2, None)
            }
            Action::CompareAndSet { expected, version, .. } => {
                let alike = Action::CompareAndSet { expected, value: 0, version };
                (if expected > 0 { 2 } else { 3 }, Some(alike))
            }
            Action::Write { version, .. } => (4, Some(Action::Write { value: 0, version })),
            other => (RANK_MAX, Some(other)),
        };
        one.rank = rank;
        one.twin = alike.and_then(|alike| last.insert(alike, index));
    }
}

/// What an operation did to the register; none: it says nothing.
fn action(op: &Op, ended: bool, names: &mut Names) -> Option<Action> {
    let answer = op.ok().filter(|_| ended);
    let refused = matches!(op.outcome, Outcome::Rejected { .. });
    let conflict = ended && op.outcome == Outcome::Rejected { conflict: true };
    let version = answer.and_then(|answer| answer.version);
    match &op.call {
        Call::Read { .. } => {
            let answer = answer?;
            Some(Action::Read { value: answer.value.as_ref().map(|value| names.of(value)), version })
        }
        Call::CompareAndSet { version: expected, .. } if refused => {
            conflict.then_some(Action::Refused { version: *expected })
        }
        Call::Delete { .. } if refused => conflict.then_some(Action::Absent),
        _ if refused => None,
        Call::Write { value, .. } => Some(Action::Write { value: names.of(value), version }),
        Call::CompareAndSet { version: expected, value, .. } => {
            Some(Action::CompareAndSet { expected: *expected, value: names.of(value), version })
        }
        Call::Delete { .. } => Some(Action::Delete { version }),
        Call::Start { .. } | Call::Report { .. } | Call::Send { .. } => None,
    }
}

/// Numbers for values.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn of(&mut self, value: &Value) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(value.to_string()).or_insert(next)
    }
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
