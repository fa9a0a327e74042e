//! Whether and when another attempt follows, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

/// A running task with this policy.
fn running(retry: Retry) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let task = NewTask { retry: Some(retry), ..new_task(1, "a", &[]) };
    cluster.ok(Command::CreateTasks { tasks: vec![task] });
    cluster
}

/// The pauses before each further attempt when every attempt fails, in seconds.
fn pauses(retry: Retry) -> Vec<u64> {
    let mut cluster = running(retry);
    let mut pauses = Vec::new();
    loop {
        cluster.fail(single(1), "FLAKY");
        let Some(at) = cluster.task(1).retry_at else { return pauses };
        let pause = at.since(cluster.clock);
        pauses.push(pause.as_secs());
        cluster.pass(pause);
    }
}

#[test]
fn pauses_grow_by_the_factor_up_to_the_longest() {
    let base = Retry { limit: 5, delay: Duration::from_secs(2), ..retry() };
    assert_eq!(pauses(base.clone()), [2, 2, 2, 2], "constant by default");
    assert_eq!(pauses(Retry { backoff_percent: 300, ..base.clone() }), [2, 6, 18, 54]);
    let longest = Retry { backoff_percent: 300, delay_max: Duration::from_secs(10), ..base.clone() };
    assert_eq!(pauses(longest), [2, 6, 10, 10]);
    assert_eq!(pauses(Retry { limit: 1, ..base }), [0; 0]);
}

#[test]
fn only_the_codes_of_on_are_tried_again() {
    let policy = |on: &[&str], non_retryable: &[&str]| Retry {
        on: on.iter().map(|code| Text::from(*code)).collect(),
        non_retryable: non_retryable.iter().map(|code| Text::from(*code)).collect(),
        ..retry()
    };
    let table: [(&[&str], &[&str], &str, TaskStatus); 6] = [
        (&[], &[], "FLAKY", TaskStatus::Retrying),
        (&["FLAKY"], &[], "FLAKY", TaskStatus::Retrying),
        (&["OTHER", "FLAKY"], &[], "FLAKY", TaskStatus::Retrying),
        (&["OTHER"], &[], "FLAKY", TaskStatus::Failed),
        (&[], &["FLAKY"], "FLAKY", TaskStatus::Failed),
        (&["FLAKY"], &["FLAKY"], "FLAKY", TaskStatus::Failed),
    ];
    for (on, non_retryable, code, expected) in table {
        let mut cluster = running(policy(on, non_retryable));
        cluster.fail(single(1), code);
        assert_eq!(cluster.task(1).status, expected, "on {on:?}, not {non_retryable:?}, {code}");
    }
}

#[test]
fn on_holds_for_time_outs_and_not_for_lost_attempts() {
    let on = |code: &str| Retry { on: vec![code.into()], ..retry() };
    let mut cluster = running(on("FLAKY"));
    cluster.pass(Duration::from_secs(300));
    assert_eq!(cluster.task(1).status, TaskStatus::TimedOut);
    let mut cluster = running(on("TASK_TIMEOUT"));
    cluster.pass(Duration::from_secs(300));
    assert_eq!(cluster.task(1).status, TaskStatus::Retrying);
    let mut cluster = running(on("FLAKY"));
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(
        (cluster.task(1).status, cluster.task(1).lost),
        (TaskStatus::Running, 1),
        "tried again at once"
    );
}

#[test]
fn the_component_may_set_the_pause_or_say_that_it_is_hopeless() {
    let mut cluster = running(Retry { delay: Duration::from_secs(2), ..retry() });
    let token = cluster.token(single(1));
    let fail = |token, retryable, retry_after| Command::FailTask {
        task: single(1),
        token,
        failure: Failure::new("BUSY", "come back later"),
        retryable,
        retry_after,
    };
    cluster.ok(fail(token, true, Some(Duration::from_secs(45))));
    assert_eq!(cluster.task(1).retry_at, Some(cluster.clock + Duration::from_secs(45)));
    cluster.pass(Duration::from_secs(45));
    let token = cluster.token(single(1));
    cluster.ok(fail(token, false, Some(Duration::from_secs(45))));
    assert_eq!((cluster.task(1).status, cluster.task(1).attempts), (TaskStatus::Failed, 2));
}

#[test]
fn lost_attempts_are_counted_apart_up_to_their_own_limit() {
    let mut cluster = running(Retry { limit: 2, lost_max: 2, ..retry() });
    for lost in 1..=2 {
        cluster.connect(ANN, 1, vec![]);
        assert_eq!((cluster.task(1).status, cluster.task(1).lost), (TaskStatus::Running, lost));
    }
    cluster.fail(single(1), "FLAKY");
    assert_eq!(cluster.task(1).status, TaskStatus::Retrying, "lost attempts do not count against `limit`");
    cluster.pass(Duration::from_secs(1));
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(cluster.task(1).status, TaskStatus::Failed);
    assert_eq!(cluster.task(1).error.as_ref().map(|error| &*error.code), Some("COMPONENT_LOST"));
}
