//! Hand-made histories of one key: those that a register could have made are accepted, the others are not.

use super::*;
use crate::testing::*;

fn verdict(ops: Vec<Op>) -> Vec<(u8, &'static str)> {
    let mut findings = Findings::default();
    check(&history(ops), &|_| false, Limits::default(), &mut findings);
    assert_eq!(findings.undecided, [""; 0]);
    findings.broken()
}

const WRONG: [(u8, &str); 1] = [(2, NOT_LINEARIZABLE.name)];

fn accepted(ops: Vec<Op>) {
    assert_eq!(verdict(ops), []);
}

fn refused(ops: Vec<Op>) {
    assert_eq!(verdict(ops), WRONG);
}

/// Answers without revs and versions: black boxes tell none.
fn yes() -> Outcome {
    Outcome::Ok(crate::history::Answer::default())
}

fn sees(value: Option<&str>) -> Outcome {
    Outcome::Ok(crate::history::Answer { value: value.map(Into::into), ..Default::default() })
}

#[test]
fn overlapping_operations_may_have_either_order() {
    let ops = |first, second| {
        vec![
            op("p", (10, 50), write("k", "a"), yes()),
            op("q", (20, 60), write("k", "b"), yes()),
            op("r", (70, 80), read("k"), sees(Some(first))),
            op("r", (90, 95), read("k"), sees(Some(second))),
        ]
    };
    accepted(ops("a", "a"));
    accepted(ops("b", "b"));
    refused(ops("a", "b"));
}

#[test]
fn p2_stale_read() {
    let ops = |value| {
        vec![
            op("p", (10, 20), write("k", "a"), yes()),
            op("p", (30, 40), write("k", "b"), yes()),
            op("q", (50, 60), read("k"), sees(value)),
        ]
    };
    accepted(ops(Some("b")));
    refused(ops(Some("a")));
    refused(ops(None));
    refused(ops(Some("z")));
}

#[test]
fn p2_reads_going_backwards_while_a_write_is_under_way() {
    let ops = |first, second| {
        vec![
            op("p", (10, 90), write("k", "a"), yes()),
            op("q", (20, 30), read("k"), sees(first)),
            op("r", (40, 50), read("k"), sees(second)),
        ]
    };
    accepted(ops(None, Some("a")));
    refused(ops(Some("a"), None));
}

#[test]
fn an_unknown_write_may_happen_late_or_never_but_not_twice() {
    let ops = |values: [Option<&str>; 3]| {
        let times = [(30, 40), (50, 60), (70, 80)];
        let reads = times.into_iter().zip(values).map(|(time, value)| op("q", time, read("k"), sees(value)));
        let unknown = op("p", (10, 20), write("k", "a"), Outcome::Unknown);
        let known = op("r", (55, 58), write("k", "b"), yes());
        [vec![unknown, known], reads.collect()].concat()
    };
    accepted(ops([None, Some("b"), Some("b")]));
    accepted(ops([None, Some("b"), Some("a")]));
    accepted(ops([Some("a"), Some("b"), Some("b")]));
    refused(ops([Some("a"), Some("b"), Some("a")]));
}

#[test]
fn compare_and_set_happens_on_its_version_and_is_refused_on_others() {
    let ops = |expected, outcome: Outcome| {
        vec![
            op("p", (10, 20), write("k", "a"), yes()),
            op("q", (30, 40), compare_and_set("k", expected, "b"), outcome),
        ]
    };
    accepted(ops(1, yes()));
    refused(ops(0, yes()));
    accepted(ops(0, CONFLICT));
    refused(ops(1, CONFLICT));
    accepted(ops(1, REJECTED));
    refused(ops(1, done(0, 3)));
}

#[test]
fn what_is_deleted_is_absent_and_its_version_goes_on() {
    let ops = |outcome: Outcome, version| {
        vec![
            op("p", (10, 20), write("k", "a"), done(0, 1)),
            op("p", (30, 40), delete("k"), yes()),
            op("p", (50, 60), delete("k"), outcome),
            op("q", (70, 80), compare_and_set("k", 0, "b"), done(0, version)),
        ]
    };
    accepted(ops(CONFLICT, 3));
    refused(ops(yes(), 4));
    refused(ops(CONFLICT, 1));
}

#[test]
fn keys_are_judged_by_themselves_and_some_not_at_all() {
    let ops = vec![
        op("p", (10, 20), write("k", "a"), yes()),
        op("q", (30, 40), read("l"), sees(None)),
        op("q", (50, 60), read("k"), sees(None)),
    ];
    let mut findings = Findings::default();
    check(&history(ops.clone()), &|key| key == "k", Limits::default(), &mut findings);
    assert_eq!(findings.broken(), []);
    refused(ops);
}

#[test]
fn a_limit_that_is_reached_is_no_pass() {
    let limits = Limits { cache_bytes: 0, ..Limits::default() };
    let ops = vec![op("p", (10, 20), write("k", "a"), yes()), op("p", (30, 40), read("k"), sees(Some("a")))];
    let mut findings = Findings::default();
    check(&history(ops), &|_| false, limits, &mut findings);
    assert_eq!((findings.broken(), findings.undecided.len()), (vec![], 1));
}

#[test]
fn many_unknown_writes_do_not_multiply() {
    let unknown = (0..40).map(|n| op("p", (n, n + 1), write("k", &n.to_string()), Outcome::Unknown));
    let never = op("q", (90, 99), read("k"), sees(Some("never")));
    refused(unknown.chain([never]).collect());
}

#[test]
fn the_last_of_very_many_operations_are_looked_at_too() {
    let ops = |seen: &str| {
        let time = |n: u64| (10 * n + 10, 10 * n + 15);
        let writes = (0..20_000).map(|n| op("p", time(n), write("k", &n.to_string()), yes()));
        // It never happened, and could have at any time.
        let unknown = op("q", (12, 13), write("k", "never"), Outcome::Unknown);
        let read = op("p", time(20_000), read("k"), sees(Some(seen)));
        writes.chain([unknown, read]).collect()
    };
    accepted(ops("19999"));
    refused(ops("19998"));
}
