//! A good history passes; each bad one is caught and named after what it breaks.

use super::*;
use crate::{
    history::{Op, Outcome},
    testing::*,
};

fn check(ops: Vec<Op>, logged: &Logged, expected: &[(u8, &str)]) {
    let mut findings = Findings::default();
    let log = logged.log();
    let keys = Keys::read(&log, &mut findings).expect("events");
    super::check(&history(ops), &log, &keys, &mut findings).expect("events");
    assert_eq!(findings.broken(), expected, "{}", findings.report());
}

fn two_writes() -> Logged {
    Logged::default().write(5, "k", 1, "a").write(7, "k", 2, "b").clone()
}

#[test]
fn a_good_history_passes() {
    let logged = two_writes().delete(9, "k", 3).write(10, "k", 4, "c").clone();
    let ops = vec![
        op("p1", (10, 20), write("k", "a"), done(5, 1)),
        op("p1", (30, 40), read("k"), saw(5, Some(("a", 1)))),
        op("p2", (35, 60), compare_and_set("k", 1, "b"), done(7, 2)),
        op("p1", (45, 55), read("k"), saw(6, Some(("a", 1)))),
        op("p1", (61, 70), compare_and_set("k", 1, "x"), CONFLICT),
        op("p1", (71, 80), delete("k"), Outcome::Unknown),
        op("p1", (90, 95), read("k"), saw(9, None)),
        op("p2", (91, 99), compare_and_set("k", 0, "c"), Outcome::Unknown),
        op("p2", (100, 110), write("k", "never"), Outcome::Unknown),
        op("p3", (1, 2), read("k"), saw(4, None)),
    ];
    check(ops, &logged, &[]);
}

#[test]
fn p1_lost_write() {
    let lost = op("p", (60, 70), write("k", "c"), done(9, 3));
    check(vec![lost], &Logged::default(), &[(1, LOST_WRITE.name)]);
    check(vec![op("p", (60, 70), delete("k"), done(9, 3))], &Logged::default(), &[(1, LOST_WRITE.name)]);
}

#[test]
fn p1_write_at_another_rev_than_answered() {
    let ops = |rev, version| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("p", (30, 40), write("k", "b"), done(rev, version)),
        ]
    };
    check(ops(7, 2), &two_writes(), &[]);
    check(ops(8, 2), &two_writes(), &[(1, MISPLACED_WRITE.name)]);
    check(ops(7, 3), &two_writes(), &[(1, MISPLACED_WRITE.name)]);
}

#[test]
fn p2_a_write_to_a_key_that_nobody_called() {
    let ops = || vec![op("p", (10, 20), write("hot.a", "a"), done(5, 1))];
    let beside = |key: &str| Logged::default().write(5, "hot.a", 1, "a").write(6, key, 1, "z").clone();
    check(ops(), &beside("hot.b"), &[(2, NOBODYS_WRITE.name)]);
    check(ops(), &beside("cold.b"), &[]);
    check(ops(), &beside("hot"), &[]);
    let deleted = beside("hot.b").delete(7, "hot.b", 2).clone();
    check(ops(), &deleted, &[(2, NOBODYS_WRITE.name)]);
}

#[test]
fn p4_doubled_write() {
    let logged = two_writes().write(9, "k", 3, "a").clone();
    let ops =
        vec![op("p", (10, 20), write("k", "a"), done(5, 1)), op("q", (10, 20), write("k", "b"), done(7, 2))];
    check(ops, &logged, &[(4, DOUBLED_WRITE.name)]);
}

#[test]
fn a_value_that_is_brought_back_is_no_double() {
    let mut logged = two_writes();
    let data = r#"{"key":"k","version":3,"oldValue":"b","newValue":"a","restoredFrom":1}"#;
    logged.event(9, "state.changed", data);
    let ops = vec![
        op("p", (10, 20), write("k", "a"), done(5, 1)),
        op("q", (10, 20), write("k", "b"), done(7, 2)),
        op("q", (30, 40), read("k"), saw(9, Some(("a", 3)))),
    ];
    check(ops, &logged, &[]);
}

#[test]
fn p2_stale_read() {
    let ops = vec![
        op("p", (10, 20), write("k", "a"), done(5, 1)),
        op("p", (30, 40), write("k", "b"), done(7, 2)),
        op("q", (50, 60), read("k"), saw(7, Some(("a", 1)))),
    ];
    check(ops, &two_writes(), &[(2, STALE_READ.name)]);
}

#[test]
fn p2_stale_read_that_tells_its_rev() {
    let ops = vec![
        op("p", (10, 20), write("k", "a"), done(5, 1)),
        op("p", (30, 40), write("k", "b"), done(7, 2)),
        op("q", (50, 60), read("k"), saw(6, Some(("a", 1)))),
    ];
    check(ops, &two_writes(), &[(2, OUT_OF_ORDER.name)]);
}

#[test]
fn p2_reads_of_the_future_and_of_what_never_was() {
    let ops = |value| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("p", (30, 90), write("k", "b"), done(7, 2)),
            op("q", (50, 60), read("k"), saw(6, Some((value, 2)))),
        ]
    };
    check(ops("b"), &two_writes(), &[(2, FUTURE_READ.name)]);
    check(ops("z"), &two_writes(), &[(2, WRONG_READ.name)]);
}

#[test]
fn p2_reads_going_backwards() {
    let ops = vec![
        op("p", (10, 90), write("k", "a"), done(5, 1)),
        op("p", (20, 90), write("k", "b"), done(7, 2)),
        op("q", (50, 60), read("k"), saw(7, Some(("b", 2)))),
        op("q", (70, 80), read("k"), saw(6, Some(("a", 1)))),
    ];
    check(ops, &two_writes(), &[(2, GOES_BACK.name)]);
    let ops = vec![
        op("p", (10, 90), write("k", "a"), done(5, 1)),
        op("p", (20, 90), write("k", "b"), done(7, 2)),
        op("q", (50, 60), read("k"), saw(7, Some(("b", 2)))),
        op("q", (70, 80), read("k"), saw(8, Some(("a", 1)))),
    ];
    check(ops, &two_writes(), &[(2, GOES_BACK.name)]);
}

#[test]
fn a_rev_may_be_newer_than_what_was_read_while_others_write() {
    let ops = |called_at| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("p", (30, 40), write("k", "b"), done(7, 2)),
            op("q", (called_at, 60), read("k"), saw(7, Some(("a", 1)))),
            op("r", (61, 70), read("k"), saw(7, Some(("b", 2)))),
        ]
    };
    check(ops(35), &two_writes(), &[]);
    check(ops(45), &two_writes(), &[(2, STALE_READ.name)]);
}

#[test]
fn p2_a_read_of_absence_between_two_deletions() {
    let logged = Logged::default()
        .write(5, "k", 1, "a")
        .delete(6, "k", 2)
        .write(7, "k", 3, "b")
        .delete(8, "k", 4)
        .clone();
    let ops = |called_at, rev| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("p", (21, 30), delete("k"), done(6, 2)),
            op("p", (31, 40), write("k", "b"), done(7, 3)),
            op("p", (41, 50), delete("k"), Outcome::Unknown),
            op("q", (called_at, 60), read("k"), saw(rev, None)),
        ]
    };
    check(ops(35, 7), &logged, &[]);
    check(ops(42, 8), &logged, &[]);
    check(ops(42, 7), &logged, &[(2, FUTURE_READ.name)]);
}

#[test]
fn p2_writes_against_real_time() {
    let ops = |first, second| {
        vec![
            op("p", (30, 40), write("k", "a"), done(first, 1)),
            op("q", (10, 20), write("k", "b"), done(second, 2)),
        ]
    };
    check(ops(5, 7), &two_writes(), &[(2, OUT_OF_ORDER.name)]);
    let one_entry = Logged::default().write(5, "k", 1, "a").write(5, "k", 2, "b").clone();
    check(ops(5, 5), &one_entry, &[(2, OUT_OF_ORDER.name)]);
}

#[test]
fn writes_at_once_may_share_an_entry() {
    let one_entry = Logged::default().write(5, "k", 1, "a").write(5, "k", 2, "b").clone();
    let ops =
        vec![op("p", (10, 40), write("k", "a"), done(5, 1)), op("q", (10, 20), write("k", "b"), done(5, 2))];
    check(ops, &one_entry, &[]);
}

#[test]
fn p3_rejected_that_appears() {
    let ops = |outcome: Outcome| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("q", (10, 20), compare_and_set("k", 1, "b"), outcome),
        ]
    };
    check(ops(Outcome::Unknown), &two_writes(), &[]);
    check(ops(REJECTED), &two_writes(), &[(3, REJECTED_APPEARS.name)]);
    let deleted = Logged::default().write(5, "k", 1, "a").delete(7, "k", 2).clone();
    let ops = vec![op("p", (10, 20), write("k", "a"), done(5, 1)), op("q", (10, 20), delete("k"), REJECTED)];
    check(ops, &deleted, &[(3, REJECTED_APPEARS.name)]);
}

#[test]
fn p2_a_write_that_nobody_made() {
    let ops = vec![op("p", (10, 20), write("k", "a"), done(5, 1))];
    check(ops, &two_writes(), &[(2, NOBODYS_WRITE.name)]);
}

#[test]
fn p2_compare_and_set_on_another_version() {
    let ops = |expected| {
        vec![
            op("p", (10, 20), write("k", "a"), done(5, 1)),
            op("q", (10, 20), compare_and_set("k", expected, "b"), done(7, 2)),
        ]
    };
    check(ops(1), &two_writes(), &[]);
    check(ops(0), &two_writes(), &[(2, WRONG_COMPARE.name)]);
}

fn runs(created: &[(u64, &str, &str)]) -> Logged {
    let mut logged = Logged::default();
    for (rev, id, key) in created {
        let data = format!(r#"{{"runId":"{id}","labels":{{"key":"{key}"}}}}"#);
        logged.event(*rev, "workflow.created", &data);
        let line = logged.lines.last_mut().expect("it was added");
        *line = line.replace(r#""subject":"s""#, &format!(r#""subject":"{id}""#));
    }
    logged
}

#[test]
fn one_effect_and_one_answer_for_all_calls_with_a_key() {
    let ops = vec![
        op("p", (10, 20), start("once"), Outcome::Unknown),
        op("p", (30, 40), start("once"), began(5, "run_1")),
        op("q", (50, 60), start("other"), began(8, "run_2")),
        op("q", (70, 80), start("once"), began(5, "run_1")),
        op("q", (90, 99), start("refused"), REJECTED),
        op("q", (90, 99), start("lost"), Outcome::Unknown),
    ];
    check(ops, &runs(&[(5, "run_1", "once"), (8, "run_2", "other")]), &[]);
}

#[test]
fn p4_two_effects_of_one_key() {
    let ops = vec![
        op("p", (10, 20), start("once"), Outcome::Unknown),
        op("p", (30, 40), start("once"), began(6, "run_2")),
    ];
    check(ops, &runs(&[(5, "run_1", "once"), (6, "run_2", "once")]), &[(4, DOUBLED_START.name)]);
}

#[test]
fn p4_two_answers_to_one_key() {
    let ops = vec![
        op("p", (10, 20), start("once"), began(5, "run_1")),
        op("p", (30, 40), start("once"), began(6, "run_2")),
    ];
    let expected = [(4, ANSWERS_DIFFER.name), (4, DOUBLED_START.name)];
    check(ops, &runs(&[(5, "run_1", "once"), (6, "run_2", "")]), &expected);
}

#[test]
fn p1_lost_start_and_p3_rejected_start() {
    let lost = vec![op("p", (10, 20), start("once"), began(5, "run_1"))];
    check(lost, &Logged::default(), &[(1, LOST_START.name)]);
    let rejected = vec![op("p", (10, 20), start("once"), REJECTED)];
    check(rejected, &runs(&[(5, "run_1", "once")]), &[(3, REJECTED_START.name)]);
}
