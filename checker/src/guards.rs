//! Whether what was recorded proves anything: enough operations before, during and after the faults, every fault that was
//! to be injected was, and every node answered at the end. What does not hold makes a run void, which is neither pass nor
//! failure. Knows nothing of promises.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    history::{History, Op},
    lines::{self, Torn},
    verdict::Findings,
};

/// A fault that was injected; times are those of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// When it began, in nanoseconds.
    pub at: u64,
    /// What it was, in the harness's words: `kill`, `partition`, ...
    pub fault: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// When it was over; none: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
}

/// Operations that must have succeeded, by when they were called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsMin {
    /// Before the first fault; without faults: at all.
    pub before: u64,
    /// From the beginning of the first fault to the end of the last.
    pub during: u64,
    /// After the end of the last.
    pub after: u64,
}

impl Default for OperationsMin {
    fn default() -> OperationsMin {
        OperationsMin { before: 1, during: 0, after: 0 }
    }
}

/// Work that must have been acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkMin {
    /// Results of attempts.
    pub results: u64,
    /// Durable messages.
    pub messages: u64,
}

/// What a run must have seen: `guards.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Guards {
    /// Enough happened.
    pub operations_min: OperationsMin,
    /// Faults that must have been injected at least once.
    pub faults: BTreeSet<String>,
    /// Nodes of which the last operation must have succeeded; none: all that exported a log.
    pub nodes: BTreeSet<String>,
    /// All runs and tasks had time to end: one that has not breaks P8. So has the delivery of messages.
    pub everything_ended: bool,
    /// Every watch went on until it had seen all that it asked for: one that has not breaks P17.
    pub watched_to_the_end: bool,
    /// Enough was worked.
    pub work_min: WorkMin,
}

/// Reads `injections.jsonl`.
///
/// # Errors
/// At the first line that is no injection.
pub fn read_injections(path: &Path) -> Result<Vec<Injection>> {
    let mut injections = Vec::new();
    lines::read(path, Torn::Skipped, |_, injection: Injection| {
        ensure!(injection.end.is_none_or(|end| end >= injection.at), "it ends before it begins");
        injections.push(injection);
        Ok(())
    })?;
    Ok(injections)
}

/// Judges whether a history can prove something; `nodes` are those that exported a log.
pub fn check(
    guards: &Guards,
    (history, injections): (&History, &[Injection]),
    nodes: &BTreeSet<String>,
    findings: &mut Findings,
) {
    let mut void = |why: String| findings.void.push(why);
    let begin = injections.iter().map(|injection| injection.at).min().unwrap_or(u64::MAX);
    let end =
        injections.iter().map(|injection| injection.end.unwrap_or(injection.at)).max().unwrap_or(u64::MAX);
    let succeeded = |from: u64, to: u64| {
        let called = |op: &&Op| op.ok().is_some() && (from..to).contains(&op.called_at);
        history.ops.iter().filter(called).count() as u64
    };
    let after_end = end.saturating_add(1);
    let OperationsMin { before, during, after } = guards.operations_min;
    let parts = [
        ("before", before, succeeded(0, begin)),
        ("during", during, succeeded(begin, after_end)),
        ("after", after, succeeded(after_end, u64::MAX)),
    ];
    for (when, min, found) in parts {
        if found < min {
            void(format!("{found} operations succeeded {when} the faults, at least {min} must"));
        }
    }
    for fault in &guards.faults {
        if !injections.iter().any(|injection| injection.fault == *fault) {
            void(format!("the fault `{fault}` was never injected"));
        }
    }
    for node in if guards.nodes.is_empty() { nodes } else { &guards.nodes } {
        let last = history.ops.iter().rfind(|op| op.node == *node);
        match last.map(|op| op.ok().is_some()) {
            Some(true) => {}
            Some(false) => void(format!("the last operation on {node} did not succeed")),
            None => void(format!("no operation on {node} was recorded")),
        }
    }
}

/// Judges whether enough was worked, once that has been counted.
pub fn check_work(guards: &Guards, findings: &mut Findings) {
    let WorkMin { results, messages } = guards.work_min;
    let counts = findings.counts;
    let parts = [("results", results, counts.results), ("messages", messages, counts.messages)];
    for (what, min, found) in parts.into_iter().filter(|(_, min, found)| found < min) {
        findings.void.push(format!("{found} {what} were acknowledged, at least {min} must"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::Outcome,
        testing::{Folder, REJECTED, done, history, op, write},
    };

    fn injected(fault: &str, at: u64, end: Option<u64>) -> Injection {
        Injection { at, fault: fault.to_owned(), node: None, end }
    }

    /// One operation before, during and after faults from 100 to 200.
    fn ops(last: Outcome) -> History {
        history(vec![
            op("p", (50, 60), write("k", "a"), done(1, 1)),
            op("p", (150, 160), write("k", "b"), done(2, 2)),
            op("p", (250, 260), write("k", "c"), last),
        ])
    }

    fn check_void(guards: &Guards, last: Outcome, expected: &str) {
        let injections = [injected("kill", 100, None), injected("partition", 120, Some(200))];
        let (mut findings, nodes) = (Findings::default(), BTreeSet::from(["n1".to_owned()]));
        check(guards, (&ops(last), &injections), &nodes, &mut findings);
        let void = findings.void.join("; ");
        assert_eq!(void.is_empty(), expected.is_empty(), "{void}");
        assert!(void.contains(expected), "{void}");
        assert_eq!(findings.broken(), [], "void is no violation");
    }

    fn at_least(before: u64, during: u64, after: u64) -> Guards {
        let faults = ["kill".to_owned(), "partition".to_owned()].into();
        Guards { operations_min: OperationsMin { before, during, after }, faults, ..Guards::default() }
    }

    #[test]
    fn enough_happened() {
        check_void(&at_least(1, 1, 1), done(3, 3), "");
    }

    #[test]
    fn too_few_operations_prove_nothing() {
        check_void(&at_least(2, 1, 1), done(3, 3), "1 operations succeeded before");
        check_void(&at_least(1, 2, 1), done(3, 3), "1 operations succeeded during");
        check_void(&at_least(1, 1, 2), done(3, 3), "1 operations succeeded after");
    }

    #[test]
    fn a_fault_that_was_not_injected_proves_nothing() {
        let mut guards = at_least(1, 1, 1);
        guards.faults.insert("pause".to_owned());
        check_void(&guards, done(3, 3), "`pause` was never injected");
    }

    #[test]
    fn too_little_work_proves_nothing() {
        let guards = Guards { work_min: WorkMin { results: 2, messages: 3 }, ..Guards::default() };
        let mut findings = Findings::default();
        (findings.counts.results, findings.counts.messages) = (2, 2);
        check_work(&guards, &mut findings);
        assert_eq!(findings.void, ["2 messages were acknowledged, at least 3 must"]);
    }

    #[test]
    fn the_last_operation_on_every_node_must_succeed() {
        check_void(&at_least(1, 1, 0), REJECTED, "the last operation on n1");
        let nodes = ["n1".to_owned(), "n2".to_owned()].into();
        check_void(&Guards { nodes, ..at_least(1, 1, 1) }, done(3, 3), "no operation on n2");
    }

    #[test]
    fn injections_are_read() {
        let folder = Folder::new("injections");
        folder.write(
            "injections.jsonl",
            "{\"at\":5,\"fault\":\"kill\",\"node\":\"n1\",\"seed\":7}\n{\"at\":6,\"fa",
        );
        let read = read_injections(&folder.path().join("injections.jsonl")).expect("one injection");
        assert_eq!((read.len(), read[0].node.as_deref()), (1, Some("n1")));
    }
}
