//! What is kept of attempts that have ended.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

/// Component, code of the failure, and whether it was lost.
fn told(history: &[Attempt]) -> Vec<(&str, Option<&str>, bool)> {
    let code = |attempt: &Attempt| attempt.failure.as_ref().map(|failure| failure.code.clone());
    let known = [None, Some("FLAKY"), Some("COMPONENT_LOST"), Some("CANCELLED"), Some("TASK_TIMEOUT")];
    let word = |attempt: &Attempt| known.into_iter().find(|known| *known == code(attempt).as_deref());
    history
        .iter()
        .map(|attempt| (attempt.component.as_str(), word(attempt).expect("a known code"), attempt.lost))
        .collect()
}

#[test]
fn a_task_keeps_its_attempts_with_how_each_ended() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(1, "a", &[])] });
    let started = cluster.clock;
    cluster.clock = cluster.clock + Duration::from_secs(4);
    cluster.fail(single(1), "FLAKY");
    assert_eq!(told(&cluster.task(1).history), [(ANN, Some("FLAKY"), false)]);
    let first = &cluster.task(1).history[0];
    assert_eq!((first.started_at, first.ended_at), (started, cluster.clock));
    cluster.pass(Duration::from_secs(1));
    cluster.connect(ANN, 0, vec![]);
    cluster.connect(BOB, 1, vec![]);
    cluster.complete(single(1), "1");
    let expected = [(ANN, Some("FLAKY"), false), (ANN, Some("COMPONENT_LOST"), true), (BOB, None, false)];
    assert_eq!(told(&cluster.task(1).history), expected, "an ended task has them, too");
}

#[test]
fn only_the_latest_attempts_are_kept_and_long_messages_are_cut() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let task = NewTask {
        retry: Some(Retry { limit: 30, delay: Duration::ZERO, ..retry() }),
        ..new_task(1, "a", &[])
    };
    cluster.ok(Command::CreateTasks { tasks: vec![task] });
    let mut tokens = Vec::new();
    for _ in 0..Task::HISTORY_MAX + 3 {
        let token = cluster.token(single(1));
        tokens.push(token);
        let failure = Failure::new("FLAKY", "ä".repeat(2_000));
        cluster.ok(Command::FailTask { task: single(1), token, failure, retryable: true, retry_after: None });
    }
    let history = &cluster.task(1).history;
    assert_eq!(history.iter().map(|attempt| attempt.token).collect::<Vec<_>>(), tokens[3..]);
    let longest =
        history.iter().filter_map(|attempt| attempt.failure.as_ref()).map(|failure| failure.message.len());
    assert_eq!(longest.max(), Some(1_024));
    assert_eq!(cluster.task(1).error.as_ref().map(|error| error.message.len()), Some(4_000));
}

#[test]
fn a_step_that_has_ended_keeps_the_attempts_of_its_task() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 2, vec![]);
    let twice = StepDef { retry: Retry { limit: 2, ..retry() }, ..step("one", &[], does("a")) };
    cluster.start_run(1, vec![twice, step("two", &[0], does("a"))]);
    cluster.fail(step_task(1, 0), "FLAKY");
    cluster.pass(Duration::from_secs(1));
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(told(&cluster.run(1).steps[0].history), [(ANN, Some("FLAKY"), false), (ANN, None, false)]);
    cluster.ok(Command::CancelRun { run: run_id(1), reason: "enough".into() });
    cluster.pass(Duration::from_secs(10));
    assert_eq!(told(&cluster.run(1).steps[1].history), [(ANN, Some("CANCELLED"), false)]);
}
