//! Revs follow real time: an operation is at least as new as every one that had ended before it was called, and a write
//! is newer than every such write. A read is as new as the place that it has in the log.

use std::collections::HashMap;

use super::reads::{self, STALE_READ};
use crate::{
    history::{History, Op},
    keys::Keys,
    log::Log,
    verdict::{Findings, Harm, Rule},
};

/// What a process sees goes back.
pub const GOES_BACK: Rule = Rule::new(2, "a session goes back").harms(Harm::Stale);
/// An operation is older than one that had ended before it began.
pub const OUT_OF_ORDER: Rule = Rule::new(2, "older than what had ended before").harms(Harm::Stale);

/// Judges every answer.
pub(super) fn check(history: &History, (log, keys): (&Log, &Keys), findings: &mut Findings) {
    let begins = begins(history);
    let mut called: Vec<Placed<'_>> = Vec::new();
    for op in &history.ops {
        let (Some(answer), Some(end)) = (op.ok(), op.returned_at()) else { continue };
        let begin = op.call.once().map_or(op.called_at, |once| begins[once]);
        called.push(Placed { op, begin, end, rev: answer.rev });
    }
    called.sort_by_key(|placed| placed.begin);
    let mut ends: Vec<usize> = (0..called.len()).collect();
    ends.sort_by_key(|index| called[*index].end);
    let mut ended = ends.into_iter().peekable();
    let mut newest = Newest::default();
    for index in 0..called.len() {
        while let Some(earlier) = ended.next_if(|earlier| called[*earlier].end < called[index].begin) {
            newest.note(&called[earlier]);
        }
        let mut judge = Judge { log, keys, findings, newest: &newest };
        called[index].rev = judge.place(&called[index]);
    }
}

/// A repeated call with the same key gets the first one's answer: it is as old as the first call.
fn begins(history: &History) -> HashMap<&str, u64> {
    let mut begins = HashMap::new();
    for op in &history.ops {
        if let Some(once) = op.call.once() {
            let begin = begins.entry(once).or_insert(op.called_at);
            *begin = op.called_at.min(*begin);
        }
    }
    begins
}

/// An operation with its place in the log.
#[derive(Clone, Copy)]
struct Placed<'a> {
    op: &'a Op,
    begin: u64,
    end: u64,
    rev: u64,
}

/// The newest operations that have ended.
#[derive(Default)]
struct Newest<'a> {
    any: Option<Placed<'a>>,
    write: Option<Placed<'a>>,
    of_process: HashMap<&'a str, Placed<'a>>,
}

impl<'a> Newest<'a> {
    fn note(&mut self, placed: &Placed<'a>) {
        let newer = |known: Option<&Placed<'a>>| known.is_none_or(|known| known.rev < placed.rev);
        if newer(self.any.as_ref()) {
            self.any = Some(*placed);
        }
        if !placed.op.call.is_read() && newer(self.write.as_ref()) {
            self.write = Some(*placed);
        }
        if newer(self.of_process.get(placed.op.process.as_str())) {
            self.of_process.insert(&placed.op.process, *placed);
        }
    }
}

struct Judge<'a> {
    log: &'a Log,
    keys: &'a Keys,
    findings: &'a mut Findings,
    newest: &'a Newest<'a>,
}

impl Judge<'_> {
    /// Where an operation belongs, at the rev that it says or before.
    fn place(&mut self, placed: &Placed<'_>) -> u64 {
        let Placed { op, rev, .. } = *placed;
        let own = self.newest.of_process.get(op.process.as_str());
        let repeats =
            |write: &Placed<'_>| !op.call.is_read() && write.rev == rev && !is_repeated(write.op, op);
        let broken = match (own, self.newest.any, self.newest.write) {
            (Some(own), ..) if own.rev > rev => Some((GOES_BACK, *own)),
            (_, Some(any), _) if any.rev > rev => Some((OUT_OF_ORDER, any)),
            (_, _, Some(write)) if repeats(&write) => Some((OUT_OF_ORDER, write)),
            _ => None,
        };
        if let Some((rule, earlier)) = broken {
            let what = format!("rev {rev} after rev {} had been answered", earlier.rev);
            self.findings.violated(rule, what, [earlier.op.shown(), op.shown()].concat());
            return rev;
        }
        if op.call.is_read() { self.place_read(op) } else { rev }
    }

    fn place_read(&mut self, op: &Op) -> u64 {
        let oldest = self.newest.any.map_or(0, |any| any.rev);
        let misplaced = match reads::place(op, self.keys, oldest) {
            Ok(rev) => return rev,
            Err(misplaced) => misplaced,
        };
        let own = self.newest.of_process.get(op.process.as_str());
        let goes_back = own.is_some_and(|own| reads::place(op, self.keys, own.rev).is_err());
        let (rule, earlier) = match misplaced.rule {
            STALE_READ if goes_back => (GOES_BACK, own.copied()),
            rule => (rule, self.newest.any),
        };
        let mut lines = earlier.map(|earlier| earlier.op.shown()).unwrap_or_default();
        lines.extend(op.shown());
        lines.extend(misplaced.changes.iter().map(|change| self.log.shown(change.index)));
        self.findings.violated(rule, misplaced.what, lines);
        oldest
    }
}

fn is_repeated(one: &Op, other: &Op) -> bool {
    one.call.once().is_some() && one.call == other.call
}
