//! A component that reports as it should passes; each mistake of the cluster is caught and named after what it does.
//! A line of a log is rev, type and data.

use super::*;
use crate::{
    receipts,
    testing::{Folder, Logged, REJECTED, done, history, op, report, write},
};

/// A task, one attempt of which times out; the next one completes it.
const GOOD: &str = r#"
3 task.created {"taskId":"task_9","name":"t"}
3 task.assigned {"taskId":"task_9","componentId":"c","token":1}
5 task.attemptFailed {"taskId":"task_9","token":1,"error":{"code":"TASK_TIMEOUT","message":"late"}}
5 task.assigned {"taskId":"task_9","componentId":"d","token":2}
7 task.completed {"taskId":"task_9","output":"good"}
"#;

fn accepted(rev: u64) -> Outcome {
    Outcome::Ok(crate::history::Answer { rev, ..Default::default() })
}

fn judged(log: &str, ops: Vec<Op>, got: &str) -> Findings {
    let (mut findings, folder) = (Findings::default(), Folder::new("results"));
    folder.write("receipts.jsonl", got);
    let receipts = receipts::read(&[folder.path().join("receipts.jsonl")]).expect("receipts");
    check(&history(ops), &receipts, &Logged::events(log).log(), &mut findings).expect("events");
    findings
}

fn caught(log: &str, ops: Vec<Op>, rule: Rule) {
    let findings = judged(log, ops, "");
    assert_eq!(findings.broken(), [(rule.promise, rule.name)], "{}", findings.report());
}

fn good() -> Op {
    op("d", (60, 70), report("task_9", 2, "good"), accepted(7))
}

/// Somebody was answered at rev 6: the first attempt is known to be over from 58 on.
fn known() -> Op {
    op("c1", (55, 57), write("k", "a"), done(6, 1))
}

#[test]
fn what_a_cluster_should_do_passes_and_is_counted() {
    let ops = vec![
        known(),
        op("c", (58, 59), report("task_9", 1, "zombie"), REJECTED),
        good(),
        op("d", (72, 75), report("task_9", 2, "again"), REJECTED),
        op("d", (80, 85), report("task_9", 77, "wrong"), REJECTED),
        op("d", (90, 95), report("task_9", 2, "good"), accepted(7)),
    ];
    let got = r#"{"component":"c","at":20,"got":{"attempt":{"task":"task_9","token":1}}}"#;
    let findings = judged(GOOD, ops, &format!("{got}\n"));
    assert_eq!(findings.broken(), [], "{}", findings.report());
    let counts = findings.counts;
    assert_eq!((counts.results, counts.repeated), (1, 1));
    assert_eq!((counts.stale_offered, counts.stale_refused, counts.stale_accepted), (3, 3, 0));
}

#[test]
fn p1_a_result_that_is_acknowledged_and_gone() {
    caught(&GOOD.replace("\"good\"", "\"another\""), vec![good()], LOST_RESULT);
    caught(GOOD, vec![op("d", (60, 70), report("task_9", 2, "good"), accepted(6))], LOST_RESULT);
}

#[test]
fn a_result_of_an_attempt_that_is_to_wind_down_is_acknowledged_and_does_not_count() {
    let cancelled = GOOD.replace("7 task.completed", "7 task.cancelled").replace(r#","output":"good""#, "");
    let findings = judged(&cancelled, vec![good()], "");
    assert_eq!(findings.broken(), [], "{}", findings.report());
}

#[test]
fn p3_a_rejected_result_appears() {
    caught(GOOD, vec![op("d", (60, 70), report("task_9", 2, "good"), REJECTED)], REJECTED_RESULT);
}

#[test]
fn p11_a_result_counts_twice() {
    let twice = GOOD.replace(
        "3 task.created",
        "2 task.completed {\"taskId\":\"task_8\",\"output\":\"good\"}\n3 task.created",
    );
    let findings = judged(&twice, vec![good()], "");
    let broken = findings.broken();
    assert!(broken.contains(&(11, DOUBLED_RESULT.name)), "{}", findings.report());
}

#[test]
fn p11_a_stale_result_is_accepted() {
    // By the log: the second attempt was completed by the token of the first.
    caught(GOOD, vec![op("c", (20, 70), report("task_9", 1, "good"), accepted(7))], STALE_ACCEPTED);
    caught(GOOD, vec![op("c", (20, 70), report("task_9", 1, "good"), Outcome::Unknown)], STALE_ACCEPTED);
    // By time: it had ended by rev 5, and that was known before the call.
    let kept = r#"
3 task.assigned {"taskId":"task_9","componentId":"c","token":1}
5 task.attemptFailed {"taskId":"task_9","token":1,"error":{"code":"X","message":"good"}}"#;
    caught(kept, vec![known(), op("c", (58, 59), report("task_9", 1, "good"), accepted(5))], STALE_ACCEPTED);
    // A token that nobody was ever given.
    let findings = judged(GOOD, vec![op("c", (20, 70), report("task_9", 3, "good"), accepted(7))], "");
    assert_eq!(findings.broken(), [(11, STALE_ACCEPTED.name)], "{}", findings.report());
    assert_eq!((findings.counts.stale_offered, findings.counts.stale_accepted), (1, 1));
}

#[test]
fn whoever_was_given_the_next_attempt_shows_that_the_last_one_is_over() {
    let got = r#"{"component":"d","at":20,"got":{"attempt":{"task":"task_9","token":2}}}"#;
    let late = || op("c", (30, 40), report("task_9", 1, "late"), accepted(5));
    let findings = judged(GOOD, vec![late()], &format!("{got}\n"));
    assert_eq!(findings.broken(), [(11, STALE_ACCEPTED.name)], "{}", findings.report());
    assert_eq!(judged(GOOD, vec![late()], "").broken(), [], "it may have been in time");
}

#[test]
fn p11_an_attempt_that_was_never_assigned() {
    let got = |component: &str, token: u64| {
        format!(
            "{{\"component\":\"{component}\",\"at\":20,\"got\":{{\"attempt\":{{\"task\":\"task_9\",\"token\":{token}}}}}}}\n"
        )
    };
    let never = [(11, NEVER_ASSIGNED.name)];
    assert_eq!(judged(GOOD, Vec::new(), &got("c", 1)).broken(), []);
    assert_eq!(judged(GOOD, Vec::new(), &got("c", 3)).broken(), never, "the log has no such attempt");
    assert_eq!(judged(GOOD, Vec::new(), &got("c", 2)).broken(), never, "it is another component's");
}

#[test]
fn the_results_of_steps_are_known_by_run_and_place() {
    let log = r#"
3 task.assigned {"taskId":"task_1-0","runId":"run_1","componentId":"c","token":1}
5 step.completed {"runId":"run_1","step":0,"output":"good"}"#;
    let told = |rev| vec![op("c", (20, 70), report("task_1-0", 1, "good"), accepted(rev))];
    assert_eq!(judged(log, told(5), "").broken(), []);
    caught(log, told(4), LOST_RESULT);
}
