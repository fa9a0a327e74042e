//! A good log passes; each bad one is caught and named after the promise it breaks. A line is rev, type and data; what
//! happens at rev n happens at second n.

use super::*;
use crate::testing::{Logged, at};

fn check_as(expected: &Expected, text: &str, broken: &[(u8, &str)]) {
    let mut findings = Findings::default();
    check(&Logged::events(text).log(), expected, &mut findings).expect("events");
    assert_eq!(findings.broken(), broken, "{}", findings.report());
}

fn caught(text: &str, rule: Rule) {
    check_as(&Expected::default(), text, &[(rule.promise, rule.name)]);
}

/// A run with two steps and a task of its own, one attempt of which is lost.
const GOOD: &str = r#"
1 component.registered {"componentId":"c","slots":2}
2 workflow.created {"runId":"run_1","workflow":"w","labels":{}}
2 workflow.started {"runId":"run_1"}
2 step.started {"runId":"run_1","step":0,"stepId":"a"}
2 task.assigned {"taskId":"task_1-0","runId":"run_1","stepId":"a","componentId":"c","token":1,"deadline":"2026-01-01T00:05:00.000Z"}
3 task.created {"taskId":"task_9","name":"t","dependencies":["task_1-0"],"status":"blocked"}
4 task.attemptFailed {"taskId":"task_1-0","runId":"run_1","token":1,"lost":true,"retryAt":"2026-01-01T00:00:04.000Z","error":{"code":"COMPONENT_LOST","message":""}}
4 task.assigned {"taskId":"task_1-0","runId":"run_1","stepId":"a","componentId":"c","token":2,"deadline":"2026-01-01T00:05:00.000Z"}
5 error.recovered {"taskId":"task_1-0","runId":"run_1","code":"X","attempts":2}
5 step.completed {"runId":"run_1","step":0,"stepId":"a","output":1}
5 step.outputKept {"runId":"run_1","step":0,"key":"00"}
5 task.dependencyCompleted {"taskId":"task_9","dependency":"task_1-0"}
5 step.started {"runId":"run_1","step":1,"stepId":"b"}
5 task.assigned {"taskId":"task_9","componentId":"c","token":3,"deadline":"2026-01-01T00:05:00.000Z"}
6 task.completed {"taskId":"task_9","output":1}
7 step.timeAwaited {"runId":"run_1","step":1,"until":"2026-01-01T00:00:08.000Z"}
8 step.decided {"runId":"run_1","step":1,"value":true,"inputs":{}}
8 step.completed {"runId":"run_1","step":1,"stepId":"b","output":1}
8 workflow.completed {"runId":"run_1","status":"completed","conclusion":"success","outputs":null}
9 workflow.deleted {"runIds":["run_1"]}
9 error {"runId":"run_1","workflowId":"run_1","code":"WORKFLOW_FAILED","message":"","count":1}
9 deadlock.resolved {"work":"run_0"}
9 own.event {"data":{"runId":5,"token":"x"}}
"#;

fn plans() -> Expected {
    let step = |needs: &[&str]| StepPlan {
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        attempts_max: Some(1),
        lost_max: Some(1),
    };
    let steps = [("a".to_owned(), step(&[])), ("b".to_owned(), step(&["a"]))].into();
    Expected { plans: [("w".to_owned(), steps)].into(), everything_ended: true }
}

/// The good log with lines added after it.
fn then(more: &str) -> String {
    format!("{GOOD}{more}\n")
}

/// The good log without the lines that contain a text.
fn without(part: &str) -> String {
    let lines = GOOD.lines().filter(|line| !line.contains(part));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_good_log_passes() {
    check_as(&plans(), GOOD, &[]);
}

#[test]
fn p7_ended_twice() {
    caught(&then(r#"10 workflow.failed {"runId":"run_1","status":"failed"}"#), ENDED_TWICE);
    caught(&then(r#"10 task.cancelled {"taskId":"task_9"}"#), ENDED_TWICE);
    let step =
        GOOD.replace("8 step.completed", "8 step.failed {\"runId\":\"run_1\",\"step\":1}\n8 step.completed");
    caught(&step, ENDED_TWICE);
}

#[test]
fn p7_changed_after_its_end() {
    caught(&then(r#"10 workflow.paused {"runId":"run_1"}"#), AFTER_ITS_END);
    caught(&then(r#"10 step.started {"runId":"run_1","step":2}"#), AFTER_ITS_END);
    caught(&then(r#"10 task.assigned {"taskId":"task_9","componentId":"c","token":9}"#), AFTER_ITS_END);
}

#[test]
fn p7_begun_twice_or_not_at_all() {
    caught(&then(r#"10 workflow.created {"runId":"run_1","workflow":"w"}"#), STARTED_TWICE);
    caught(&then(r#"10 task.created {"taskId":"task_9"}"#), STARTED_TWICE);
    caught(
        &GOOD.replace("7 step.time", "6 step.started {\"runId\":\"run_1\",\"step\":1}\n7 step.time"),
        STARTED_TWICE,
    );
    caught(r#"5 workflow.started {"runId":"run_7"}"#, NEVER_CREATED);
    caught(r#"5 task.completed {"taskId":"task_7"}"#, NEVER_CREATED);
}

#[test]
fn p8_never_ended_though_it_had_the_time() {
    check_as(&plans(), &without("workflow.completed"), &[(8, NEVER_ENDED.name)]);
    check_as(&plans(), &without("task.completed"), &[(8, NEVER_ENDED.name)]);
    check_as(&Expected::default(), &without("workflow.completed"), &[]);
    caught(r#"1 deadlock.detected {"work":"run_1"}"#, NOTHING_CAN_WAKE);
}

#[test]
fn p9_start_before_its_needs() {
    caught(
        &without("5 step.completed")
            .replace("5 task.dep", "5 workflow.signalled {\"runId\":\"run_1\"}\n5 task.dep"),
        BEFORE_ITS_NEEDS,
    );
    let early = GOOD.replace(
        "3 task.created",
        "3 step.started {\"runId\":\"run_1\",\"step\":1,\"stepId\":\"b\"}\n3 task.created",
    );
    let early = early.replace("5 step.started", "5 step.evaluating");
    check_as(&plans(), &early, &[(9, BEFORE_ITS_NEEDS.name)]);
    check_as(&Expected::default(), &early, &[]);
}

#[test]
fn p9_a_step_skipped_by_its_own_condition_lets_the_next_start() {
    let steps = |why: &str| {
        format!(
            r#"
            1 workflow.created {{"runId":"run_1","workflow":"w"}}
            1 step.skipped {{"runId":"run_1","step":0,"stepId":"a","why":"{why}","reason":""}}
            1 step.started {{"runId":"run_1","step":1,"stepId":"b"}}
            1 step.completed {{"runId":"run_1","step":1,"stepId":"b"}}
            1 workflow.completed {{"runId":"run_1"}}"#
        )
    };
    check_as(&plans(), &steps("chosen"), &[]);
    check_as(&plans(), &steps("failure"), &[(9, BEFORE_ITS_NEEDS.name)]);
}

#[test]
fn an_item_has_steps_of_its_own_that_may_have_the_same_ids() {
    let item = r#"
        1 workflow.created {"runId":"run_1","workflow":"w"}
        2 step.started {"runId":"run_1","step":0,"stepId":"a"}
        2 workflow.childCreated {"runId":"run_2","workflow":"w","parentRunId":"run_1","parentStep":0,"index":0}
        2 step.started {"runId":"run_2","step":0,"stepId":"b"}
        3 step.completed {"runId":"run_2","step":0,"stepId":"b"}
        3 workflow.childCompleted {"runId":"run_2"}
        3 step.completed {"runId":"run_1","step":0,"stepId":"a"}
        3 workflow.completed {"runId":"run_1"}"#;
    check_as(&plans(), item, &[]);
}

/// Tasks of their own with these attempts.
fn attempts(text: &str) -> String {
    let created = |task| format!("1 task.created {{\"taskId\":\"task_{task}\",\"dependencies\":[]}}\n");
    format!("{}{}{text}", created(1), created(2))
}

#[test]
fn p10_more_attempts_than_slots_or_than_the_cluster_allows() {
    let two = r#"
        3 task.assigned {"taskId":"task_1","componentId":"c","token":1}
        4 task.assigned {"taskId":"task_2","componentId":"c","token":2}"#;
    let with = |first: &str| attempts(&format!("{first}{two}"));
    check_as(&Expected::default(), &with(r#"2 component.registered {"componentId":"c","slots":2}"#), &[]);
    caught(&with(r#"2 component.registered {"componentId":"c","slots":1}"#), TOO_MANY_RUNNING);
    caught(&with(r#"2 cluster.configured {"config":{"maxConcurrentTasks":1}}"#), TOO_MANY_RUNNING);
}

#[test]
fn p10_more_runs_than_the_cluster_allows() {
    let runs = |max: u64| {
        format!(
            r#"
            1 cluster.configured {{"config":{{"maxConcurrentWorkflows":{max}}}}}
            2 workflow.created {{"runId":"run_1"}}
            2 workflow.started {{"runId":"run_1"}}
            3 workflow.created {{"runId":"run_2"}}
            3 workflow.started {{"runId":"run_2"}}
            4 workflow.created {{"runId":"run_3","parentRunId":"run_2","parentStep":0}}
            4 workflow.started {{"runId":"run_3"}}
            5 workflow.completed {{"runId":"run_1"}}
            6 workflow.created {{"runId":"run_4"}}
            6 workflow.started {{"runId":"run_4"}}"#
        )
    };
    check_as(&Expected::default(), &runs(2), &[]);
    caught(&runs(1), TOO_MANY_RUNNING);
}

#[test]
fn p11_completed_twice() {
    caught(&then(r#"10 task.completed {"taskId":"task_9"}"#), COMPLETED_TWICE);
    let step = GOOD
        .replace("6 task.completed", "6 step.completed {\"runId\":\"run_1\",\"step\":0}\n6 task.completed");
    caught(&step, COMPLETED_TWICE);
}

#[test]
fn p11_completion_of_a_lost_attempt() {
    let lost = r#"
        2 task.assigned {"taskId":"task_1","componentId":"c","token":1}
        3 task.attemptFailed {"taskId":"task_1","token":1,"lost":true,"retryAt":"2026-01-01T00:00:03.000Z"}
        4 task.completed {"taskId":"task_1"}"#;
    caught(&attempts(lost), STALE_RESULT);
    let of_step = without("token\":2").replace("\"attempts\":2", "\"attempts\":1");
    caught(&of_step, STALE_RESULT);
    let twice = lost.replace(
        "4 task.completed",
        "4 task.attemptFailed {\"taskId\":\"task_1\",\"token\":1}\n5 task.failed",
    );
    caught(&attempts(&twice), STALE_RESULT);
}

#[test]
fn p11_a_step_whose_outputs_are_evaluated_has_one_result() {
    let returned = GOOD
        .replace("5 step.completed", "5 step.returned {\"runId\":\"run_1\",\"step\":0}\n5 step.completed");
    check_as(&plans(), &returned, &[]);
}

#[test]
fn p11_two_attempts_at_once_and_tokens_that_do_not_rise() {
    let two = |token: u64| {
        format!(
            r#"2 task.assigned {{"taskId":"task_1","componentId":"c","token":5}}
            3 task.assigned {{"taskId":"task_{}","componentId":"c","token":{token}}}"#,
            if token == 6 { 1 } else { 2 }
        )
    };
    caught(&attempts(&two(6)), TWO_AT_ONCE);
    caught(&attempts(&two(5)), TOKEN_DOES_NOT_RISE);
}

#[test]
fn p12_an_attempt_too_many() {
    let again = r#"
        2 task.assigned {"taskId":"task_1","componentId":"c","token":1}
        3 task.attemptFailed {"taskId":"task_1","token":1,"lost":false}
        4 task.assigned {"taskId":"task_1","componentId":"c","token":2}"#;
    caught(&attempts(again), TOO_MANY_ATTEMPTS);
    let one_more = GOOD.replace("\"lost\":true", "\"lost\":false");
    check_as(&plans(), &one_more, &[(12, TOO_MANY_ATTEMPTS.name)]);
    check_as(&Expected::default(), &one_more, &[]);
}

#[test]
fn p12_attempts_are_miscounted() {
    caught(&GOOD.replace("\"attempts\":2", "\"attempts\":3"), MISCOUNTED);
}

#[test]
fn p14_attempts_before_their_time() {
    let retry = GOOD.replace("\"retryAt\":\"2026-01-01T00:00:04", "\"retryAt\":\"2026-01-01T00:00:05");
    caught(&retry, STARTED_EARLY);
    let timed_out = GOOD.replace("COMPONENT_LOST", "TASK_TIMEOUT");
    caught(&timed_out, TIMED_OUT_EARLY);
    check_as(&plans(), &timed_out.replace("00:05:00", "00:00:04"), &[]);
}

#[test]
fn p14_what_waits_for_a_time_is_not_early() {
    caught(&GOOD.replace("\"until\":\"2026-01-01T00:00:08", "\"until\":\"2026-01-01T00:00:09"), FIRED_EARLY);
    let grace = |until: u64| {
        format!(
            "2 component.lost {{\"componentId\":\"c\",\"until\":\"{}\"}}\n5 component.disconnected {{\"componentId\":\"c\"}}",
            at(until)
        )
    };
    check_as(&Expected::default(), &grace(5), &[]);
    caught(&grace(6), FIRED_EARLY);
}

#[test]
fn p14_each_instant_of_a_schedule_fires_once_and_not_early() {
    let fired = |rev: u64, instant: u64, manual: bool| {
        format!(
            "{rev} schedule.fired {{\"schedule\":\"s\",\"instant\":\"{}\",\"manual\":{manual},\"runId\":\"run_{rev}\"}}\n",
            at(instant)
        )
    };
    check_as(&Expected::default(), &(fired(5, 5, false) + &fired(6, 5, true) + &fired(7, 6, false)), &[]);
    caught(&(fired(5, 5, false) + &fired(6, 5, false)), FIRED_TWICE);
    caught(&fired(5, 6, false), FIRED_EARLY);
}

/// An attempt of a run, and before it what should have kept it.
fn stopped(how: &str) -> String {
    format!(
        r#"
        1 workflow.created {{"runId":"run_1","workflow":"w"}}
        1 workflow.created {{"runId":"run_2","workflow":"w","parentRunId":"run_1","parentStep":0}}
        1 workflow.childCreated {{"runId":"run_3","workflow":"w","parentRunId":"run_1","handler":"finally"}}
        2 {how}
        3 task.assigned {{"taskId":"task_1-0","runId":"run_1","componentId":"c","token":1}}"#
    )
}

#[test]
fn p15_attempt_after_a_pause_or_cancel() {
    for how in ["paused", "cancelling", "timingOut"] {
        let how = format!("workflow.{how} {{\"runId\":\"run_1\"}}");
        caught(&stopped(&how), STARTED_AFTER_STOP);
        let of_child = |child| {
            stopped(&how)
                .replace("task_1-0\",\"runId\":\"run_1", &format!("task_{child}-0\",\"runId\":\"run_{child}"))
        };
        caught(&of_child(2), STARTED_AFTER_STOP);
        let handler = if how.contains("paused") { vec![(15, STARTED_AFTER_STOP.name)] } else { vec![] };
        check_as(&Expected::default(), &of_child(3), &handler);
        let in_its_entry = stopped(&how).replace("3 task", "2 task");
        check_as(&Expected::default(), &in_its_entry, &[]);
    }
    let resumed = "workflow.paused {\"runId\":\"run_1\"}\n3 workflow.resumed {\"runId\":\"run_1\"}";
    check_as(&Expected::default(), &stopped(resumed), &[]);
    let own = r#"
        2 task.cancelling {"taskId":"task_1","deadline":"2026-01-01T00:00:09.000Z"}
        3 task.assigned {"taskId":"task_1","componentId":"c","token":1}"#;
    caught(&attempts(own), STARTED_AFTER_STOP);
}

#[test]
fn p16_decided_twice() {
    let again = GOOD.replace(
        "8 step.completed",
        "8 step.decided {\"runId\":\"run_1\",\"step\":1,\"value\":false}\n8 step.completed",
    );
    caught(&again, DECIDED_TWICE);
}

#[test]
fn an_event_of_another_shape_is_refused_with_its_place() {
    let log = Logged::events(r#"5 task.assigned {"taskId":"t","token":"one"}"#).log();
    let error = check(&log, &Expected::default(), &mut Findings::default()).expect_err("a token is a number");
    assert!(format!("{error:#}").starts_with("events-n1.jsonl:1"), "{error:#}");
}
