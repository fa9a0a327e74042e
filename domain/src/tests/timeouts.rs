//! When a task may start and how long it may take, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

fn create(tasks: Vec<NewTask>) -> Command {
    Command::CreateTasks { tasks }
}

fn code(cluster: &Cluster, id: u128) -> Option<Text> {
    cluster.task(id).error.as_ref().map(|error| error.code.clone())
}

#[test]
fn a_task_does_not_start_before_its_time() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 2, vec![]);
    let at = cluster.clock + Duration::from_secs(60);
    let later = NewTask { run_at: Some(at), ..new_task(1, "a", &[]) };
    let past = NewTask { run_at: Some(Timestamp(1)), ..new_task(2, "a", &[]) };
    cluster.ok(create(vec![later, past]));
    assert_eq!((cluster.task(1).status, cluster.task(2).status), (TaskStatus::Blocked, TaskStatus::Running));
    assert_eq!(cluster.task(1).wake_up(), Some(WakeUp::Timer(at)));
    cluster.pass(Duration::from_millis(59_999));
    assert_eq!(cluster.task(1).status, TaskStatus::Blocked);
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.task(1).status, TaskStatus::Running);
    assert_eq!(cluster.task(1).ready_at, at, "its place in the queue is that of its time");
}

#[test]
fn a_time_and_dependencies_both_hold_a_task_back() {
    for (first_ends_after, starts_after) in [(10, 60), (90, 90)] {
        let mut cluster = Cluster::new();
        cluster.connect(ANN, 2, vec![]);
        let at = cluster.clock + Duration::from_secs(60);
        let both = NewTask { run_at: Some(at), ..new_task(2, "a", &[1]) };
        cluster.ok(create(vec![new_task(1, "a", &[]), both]));
        cluster.pass(Duration::from_secs(first_ends_after));
        assert_eq!(cluster.task(2).status, TaskStatus::Blocked);
        cluster.complete(single(1), "1");
        cluster.pass(Duration::from_secs(starts_after - first_ends_after));
        assert_eq!(cluster.task(2).status, TaskStatus::Running);
        assert_eq!(cluster.task(2).ready_at.since(cluster.task(2).created_at).as_secs(), starts_after);
    }
}

#[test]
fn the_total_time_ends_a_task_wherever_it_stands() {
    let total = Duration::from_secs(100);
    let limited = |id, dependencies: &[u128]| NewTask {
        total_timeout: Some(total),
        retry: Some(Retry { limit: 9, delay: Duration::from_secs(80), ..retry() }),
        ..new_task(id, "a", dependencies)
    };
    let check = |prepare: fn(&mut Cluster), before: TaskStatus| {
        let mut cluster = Cluster::new();
        cluster.ok(create(vec![new_task(9, "b", &[]), limited(1, &[])]));
        prepare(&mut cluster);
        let passed = cluster.clock.since(cluster.task(1).created_at);
        cluster.pass(total - passed - Duration::from_millis(1));
        assert_eq!(cluster.task(1).status, before);
        cluster.pass(Duration::from_millis(1));
        assert_eq!(cluster.task(1).status, TaskStatus::TimedOut, "it was {before:?}");
        assert_eq!(code(&cluster, 1).as_deref(), Some("TOTAL_TIMEOUT"));
        cluster.effects.clone()
    };
    check(|_| {}, TaskStatus::Queued);
    let effects = check(
        |cluster| {
            cluster.connect(ANN, 2, vec![]);
        },
        TaskStatus::Running,
    );
    assert!(matches!(effects[..], [Effect::CancelAttempt { .. }]), "the component is told: {effects:?}");
    let fail = |cluster: &mut Cluster| {
        cluster.connect(ANN, 2, vec![]);
        cluster.pass(Duration::from_secs(50));
        cluster.fail(single(1), "FLAKY");
    };
    check(fail, TaskStatus::Retrying);

    let mut cluster = Cluster::new();
    cluster.ok(create(vec![new_task(9, "b", &[]), limited(1, &[9])]));
    cluster.pass(total);
    assert_eq!(cluster.task(1).status, TaskStatus::TimedOut, "blocked");
}

#[test]
fn an_attempt_has_no_longer_than_the_total_time() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let task = NewTask { total_timeout: Some(Duration::from_secs(20)), ..new_task(1, "a", &[]) };
    cluster.ok(create(vec![task]));
    let deadline = cluster.task(1).assignment.as_ref().map(|assignment| assignment.deadline);
    assert_eq!(deadline, Some(cluster.clock + Duration::from_secs(20)));
}

#[test]
fn the_total_time_of_a_step_ends_the_step() {
    let mut cluster = Cluster::new();
    let limited = StepDef { total_timeout: Some(Duration::from_secs(7)), ..step("one", &[], does("a")) };
    cluster.start_run(1, vec![limited]);
    cluster.pass(Duration::from_secs(7));
    assert_eq!(cluster.steps(1), ["timed_out"]);
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("TOTAL_TIMEOUT"));
}

#[test]
fn an_attempt_without_a_sign_of_life_is_tried_again() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let silent = NewTask {
        heartbeat_timeout: Some(Duration::from_secs(5)),
        retry: Some(Retry { limit: 2, ..retry() }),
        ..new_task(1, "a", &[])
    };
    cluster.ok(create(vec![silent]));
    let old = cluster.token(single(1));
    let expire = |token| Command::ExpireHeartbeat { task: single(1), token };
    cluster.ok(expire(old));
    assert_eq!((cluster.task(1).status, cluster.task(1).failures), (TaskStatus::Retrying, 1));
    assert_eq!(code(&cluster, 1).as_deref(), Some("HEARTBEAT_TIMEOUT"));
    assert!(matches!(cluster.effects[..], [Effect::CancelAttempt { .. }]), "the component is told");
    assert_eq!(cluster.refused(expire(old)), Rejection::StaleAttempt { task: single(1), token: old });
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.refused(expire(old)), Rejection::StaleAttempt { task: single(1), token: old });
    let last = cluster.token(single(1));
    cluster.ok(expire(last));
    assert_eq!(cluster.task(1).status, TaskStatus::Failed, "attempts used up");
}

#[test]
fn an_attempt_that_owes_no_signs_of_life_cannot_miss_them() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[])]));
    let token = cluster.token(single(1));
    let refused = cluster.refused(Command::ExpireHeartbeat { task: single(1), token });
    assert_eq!(refused, Rejection::StaleAttempt { task: single(1), token });
    assert_eq!(cluster.task(1).status, TaskStatus::Running);
}

#[test]
fn a_step_takes_over_its_signs_of_life() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let watched = StepDef { heartbeat_timeout: Some(Duration::from_secs(2)), ..step("one", &[], does("a")) };
    cluster.start_run(1, vec![watched]);
    let token = cluster.token(step_task(1, 0));
    cluster.ok(Command::ExpireHeartbeat { task: step_task(1, 0), token });
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("HEARTBEAT_TIMEOUT"));
}

/// Lets everything that is due take effect: how many records that takes, and the most events that one of them makes.
fn work_off(cluster: &mut Cluster) -> (u32, u64) {
    let (mut records, mut most) = (0, 0);
    while cluster.state.next_due().is_some_and(|due| due <= cluster.clock) {
        let before = cluster.state.meta.seq;
        cluster.ok(Command::AdvanceTime);
        most = most.max(cluster.state.meta.seq - before);
        records += 1;
        assert!(records < 1_000, "it never ends");
    }
    (records, most)
}

#[test]
fn ten_thousand_timers_of_one_instant_are_worked_off_in_bounded_records() {
    let mut cluster = Cluster::new();
    let minute = Duration::from_secs(60);
    let at = cluster.clock + minute;
    let tasks = (1..=10_000).map(|id| NewTask { run_at: Some(at), ..new_task(id, "a", &[]) });
    cluster.ok(Command::CreateTasks { tasks: tasks.collect() });
    cluster.clock = at;
    let (records, most) = work_off(&mut cluster);
    assert!((40..50).contains(&records) && most <= 500, "{records} records of up to {most} events");
    assert_eq!(cluster.task(10_000).status, TaskStatus::Queued);
}

#[test]
fn ten_thousand_attempts_that_run_out_at_one_instant_are_worked_off_in_bounded_records() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.tasks_running_max = 20_000);
    let minute = Duration::from_secs(60);
    let tasks = (1..=10_000).map(|id| NewTask { timeout: Some(minute), ..new_task(id, "a", &[]) });
    cluster.ok(Command::CreateTasks { tasks: tasks.collect() });
    cluster.connect(ANN, 10_000, vec![]);
    assert_eq!(cluster.task(10_000).status, TaskStatus::Running);
    cluster.clock = cluster.clock + minute;
    let (records, most) = work_off(&mut cluster);
    assert!((40..100).contains(&records) && most <= 2_000, "{records} records of up to {most} events");
    assert_eq!(cluster.task(10_000).status, TaskStatus::Retrying);
}
