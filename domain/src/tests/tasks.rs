//! Tasks and attempts, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

fn create(tasks: Vec<NewTask>) -> Command {
    Command::CreateTasks { tasks }
}

#[test]
fn a_result_counts_once() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[])]));
    let complete =
        Command::CompleteTask { task: single(1), token: cluster.token(single(1)), output: "1".into() };
    cluster.ok(complete.clone());
    assert!(matches!(cluster.refused(complete), Rejection::StaleAttempt { .. }));
    assert_eq!(cluster.task(1).status, TaskStatus::Completed);
}

#[test]
fn an_older_token_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[])]));
    let old = cluster.token(single(1));
    cluster.pass(Duration::from_secs(300));
    assert_eq!(cluster.task(1).status, TaskStatus::Retrying, "the attempt timed out");
    assert!(matches!(cluster.effects[..], [Effect::CancelAttempt { .. }]));
    cluster.pass(Duration::from_secs(1));
    let new = cluster.token(single(1));
    assert!(new > old, "tokens rise");
    let late = Command::CompleteTask { task: single(1), token: old, output: "1".into() };
    assert_eq!(cluster.refused(late), Rejection::StaleAttempt { task: single(1), token: old });
    assert_eq!(cluster.task(1).status, TaskStatus::Running);
}

#[test]
fn attempts_are_exact_and_apart() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let mut task = new_task(1, "a", &[]);
    task.retry = Some(Retry { limit: 3, delay: Duration::from_secs(2), backoff_percent: 200, ..retry() });
    cluster.ok(create(vec![task]));
    for pause in [2, 4] {
        cluster.fail(single(1), "FLAKY");
        assert_eq!(cluster.task(1).retry_at, Some(cluster.clock + Duration::from_secs(pause)));
        cluster.pass(Duration::from_secs(pause));
    }
    cluster.fail(single(1), "FLAKY");
    assert_eq!((cluster.task(1).status, cluster.task(1).attempts), (TaskStatus::Failed, 3));
}

#[test]
fn a_code_may_forbid_another_attempt() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let mut task = new_task(1, "a", &[]);
    task.retry = Some(Retry { non_retryable: vec!["HOPELESS".into()], ..retry() });
    cluster.ok(create(vec![task]));
    cluster.fail(single(1), "HOPELESS");
    assert_eq!(cluster.task(1).status, TaskStatus::Failed);
}

#[test]
fn jitter_stays_within_the_pause_and_is_the_same_everywhere() {
    let pause_of = |id| {
        let mut cluster = Cluster::new();
        cluster.connect(ANN, 1, vec![]);
        let mut task = new_task(id, "a", &[]);
        task.retry = Some(Retry { delay: Duration::from_secs(10), jitter: true, ..retry() });
        cluster.ok(create(vec![task]));
        cluster.fail(single(id), "FLAKY");
        cluster.task(id).retry_at.map_or(Duration::ZERO, |at| at.since(cluster.clock))
    };
    let pauses: Vec<Duration> = (1..50).map(pause_of).collect();
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(10)));
    assert!(pauses.iter().any(|pause| *pause < Duration::from_secs(3)), "{pauses:?}");
    assert!(pauses.iter().any(|pause| *pause > Duration::from_secs(7)), "{pauses:?}");
    assert_eq!(pauses, (1..50).map(pause_of).collect::<Vec<_>>());
}

#[test]
fn higher_priority_goes_first_and_nothing_starves() {
    let mut cluster = Cluster::new();
    let mut low = new_task(1, "a", &[]);
    low.priority = Priority::Low;
    cluster.ok(create(vec![low.clone()]));
    cluster.clock = cluster.clock + Duration::from_secs(60);
    let mut urgent = new_task(2, "a", &[]);
    urgent.priority = Priority::Urgent;
    cluster.ok(create(vec![urgent]));
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(cluster.task(2).status, TaskStatus::Running);
    cluster.clock = cluster.clock + Duration::from_secs(4 * 600);
    let mut late = new_task(3, "a", &[]);
    late.priority = Priority::Urgent;
    cluster.ok(create(vec![late]));
    cluster.complete(single(2), "1");
    assert_eq!(cluster.task(1).status, TaskStatus::Running, "four levels are worth 40 minutes, it waited 41");
}

#[test]
fn dependencies_hold_back_free_and_fail() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[]), new_task(2, "a", &[1]), new_task(3, "a", &[1, 2])]));
    assert_eq!(cluster.task(3).status, TaskStatus::Blocked);
    cluster.complete(single(1), "1");
    assert_eq!((cluster.task(2).status, cluster.task(3).status), (TaskStatus::Running, TaskStatus::Blocked));
    cluster.complete(single(2), "1");
    assert_eq!(cluster.task(3).status, TaskStatus::Running);

    cluster.ok(create(vec![new_task(4, "a", &[]), new_task(5, "a", &[4]), new_task(6, "a", &[5])]));
    cluster.ok(Command::CancelTask { task: single(5), reason: "no".into() });
    assert_eq!(cluster.task(6).error.as_ref().map(|error| &*error.code), Some("DEPENDENCY_FAILED"));
}

#[test]
fn a_dependency_may_have_ended_long_ago() {
    let mut cluster = Cluster::new();
    let unknown = cluster.refused(create(vec![new_task(2, "a", &[1])]));
    assert_eq!(unknown, Rejection::DependencyUnknown { task: single(1) });
    for (id, ended, status) in
        [(3, TaskStatus::Completed, TaskStatus::Queued), (4, TaskStatus::Failed, TaskStatus::Failed)]
    {
        let mut task = new_task(id, "a", &[1]);
        task.dependencies[0].ended = Some(ended);
        cluster.ok(create(vec![task]));
        assert_eq!(cluster.task(id).status, status);
    }
}

#[test]
fn a_batch_is_all_or_nothing() {
    let mut cluster = Cluster::new();
    cluster.refused(create(vec![new_task(1, "a", &[]), new_task(2, "a", &[77])]));
    assert!(cluster.state.tasks.is_empty());
    cluster.refused(create(vec![new_task(1, "a", &[]), new_task(1, "a", &[])]));
    assert!(cluster.state.tasks.is_empty());
}

#[test]
fn waiting_too_long_for_a_component_times_out() {
    let mut cluster = Cluster::new();
    let mut task = new_task(1, "a", &[]);
    task.queue_timeout = Some(Duration::from_secs(3));
    cluster.ok(create(vec![task]));
    cluster.pass(Duration::from_secs(3));
    assert_eq!(cluster.task(1).status, TaskStatus::TimedOut);
}

#[test]
fn the_limit_of_running_tasks_holds() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.tasks_running_max = 2);
    cluster.connect(ANN, 10, vec![]);
    cluster.ok(create((1..=4).map(|id| new_task(id, "a", &[])).collect()));
    let running =
        |cluster: &Cluster| (1..=4).filter(|id| cluster.task(*id).status == TaskStatus::Running).count();
    assert_eq!(running(&cluster), 2);
    cluster.complete(single(1), "1");
    assert_eq!(running(&cluster), 2);
}

#[test]
fn a_task_of_a_step_is_ended_through_its_run() {
    let mut cluster = Cluster::new();
    cluster.start_run(1, vec![step("one", &[], does("a"))]);
    let refused = cluster.refused(Command::CancelTask { task: step_task(1, 0), reason: "no".into() });
    assert_eq!(refused, Rejection::TaskOfRun { task: step_task(1, 0) });
}

#[test]
fn state_versions_never_repeat() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.versions_max = 2);
    let key: StateKey = "app.version".parse().expect("a legal key");
    let set = |value: Option<&str>, expect| Command::SetState {
        key: key.clone(),
        value: value.map(Json::from),
        expect,
    };
    assert_eq!(cluster.ok(set(Some("1"), Expect::Absent)), Answer::Key { version: 1 });
    let conflict = |version, present| Rejection::StateVersionConflict { key: key.clone(), version, present };
    assert_eq!(cluster.refused(set(Some("2"), Expect::Absent)), conflict(1, true));
    assert_eq!(cluster.refused(set(Some("2"), Expect::Version(2))), conflict(1, true));
    assert_eq!(cluster.ok(set(None, Expect::Version(1))), Answer::Key { version: 2 });
    assert_eq!(cluster.refused(set(None, Expect::Any)), Rejection::StateKeyAbsent { key: key.clone() });
    assert_eq!(cluster.refused(set(Some("2"), Expect::Present)), conflict(2, false));
    assert_eq!(cluster.ok(set(Some("3"), Expect::Any)), Answer::Key { version: 3 });
    assert_eq!(cluster.state.keys.get(&key).map(|record| record.version_min), Some(2));
    assert!(cluster.state.versions.latest(&(key.clone(), 1)).is_none(), "only the last two are kept");
    assert!(cluster.state.versions.latest(&(key, 2)).is_some());
}
