//! What waits: priorities, pauses of an action, counts, and work that nothing can wake, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

fn create(tasks: Vec<NewTask>) -> Command {
    Command::CreateTasks { tasks }
}

fn prefer(id: u128, priority: Priority) -> Command {
    Command::SetTaskPriority { task: single(id), priority }
}

#[test]
fn a_waiting_task_may_get_another_priority() {
    let mut cluster = Cluster::new();
    cluster.ok(create(vec![new_task(1, "a", &[]), new_task(2, "a", &[]), new_task(3, "a", &[1])]));
    let answer = cluster.ok(prefer(2, Priority::Urgent));
    assert_eq!(answer, Answer::Tasks(vec![(single(2), TaskStatus::Queued)]));
    cluster.ok(prefer(3, Priority::Low));
    cluster.connect(ANN, 1, vec![]);
    assert_eq!(cluster.task(2).status, TaskStatus::Running, "it overtook the first");
    assert_eq!(cluster.task(3).priority, Priority::Low, "a blocked one, too");
    cluster.fail(single(2), "FLAKY");
    assert_eq!(cluster.task(2).status, TaskStatus::Retrying);
    cluster.ok(prefer(2, Priority::High));
    assert_eq!(cluster.task(2).priority, Priority::High, "and one between two attempts");
}

#[test]
fn the_priority_of_a_task_that_runs_or_has_ended_stays() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[])]));
    let started = Rejection::TaskStarted { task: single(1), status: TaskStatus::Running };
    assert_eq!(cluster.refused(prefer(1, Priority::High)), started);
    cluster.complete(single(1), "1");
    assert_eq!(cluster.refused(prefer(1, Priority::High)), Rejection::TaskNotLive { task: single(1) });
}

#[test]
fn tasks_of_a_paused_action_are_not_assigned() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 3, vec![]);
    cluster.ok(create(vec![new_task(1, "a", &[])]));
    cluster.ok(Command::PauseAction { action: "a".into() });
    cluster.ok(create(vec![new_task(2, "a", &[]), new_task(3, "b", &[])]));
    let status = |cluster: &Cluster| [1, 2, 3].map(|id| cluster.task(id).status);
    assert_eq!(status(&cluster), [TaskStatus::Running, TaskStatus::Queued, TaskStatus::Running]);
    cluster.complete(single(1), "1");
    assert_eq!(cluster.task(1).status, TaskStatus::Completed, "running ones go on");
    cluster.ok(Command::PauseAction { action: "a".into() });
    cluster.ok(Command::ResumeAction { action: "a".into() });
    assert_eq!(cluster.task(2).status, TaskStatus::Running, "in the same entry");
    let paused = cluster.event_names().iter().filter(|name| *name == "ActionPaused").count();
    assert_eq!(paused, 1, "pausing twice is one pause");
}

#[test]
fn the_backlog_counts_what_waits_and_runs() {
    let mut cluster = Cluster::new();
    let at = cluster.clock + Duration::from_secs(3600);
    let later = NewTask { run_at: Some(at), ..new_task(5, "a", &[]) };
    cluster.ok(create(vec![new_task(1, "a", &[]), new_task(2, "b", &[])]));
    cluster.clock = cluster.clock + Duration::from_secs(1);
    cluster.ok(create(vec![new_task(3, "b", &[]), new_task(4, "b", &[1]), later, new_task(6, "c", &[])]));
    cluster.ok(Command::PauseAction { action: "b".into() });
    cluster.connect(ANN, 3, vec![]);
    cluster.fail(single(1), "FLAKY");
    cluster.ok(create(vec![new_task(7, "a", &[])]));
    cluster.start_run(1, vec![step("one", &[], does("c"))]);
    cluster.ok(Command::PauseRun { run: run_id(1) });
    let first = Timestamp(1_000_000);
    let idle = ActionBacklog { slots_free: 2, ..ActionBacklog::default() };
    let expected = [
        ("a", ActionBacklog { running: 1, retrying: 1, blocked: 1, ..idle.clone() }),
        ("b", ActionBacklog { queued: 2, blocked: 1, oldest: Some(first), paused: true, ..idle }),
        ("c", ActionBacklog { queued: 2, held: 1, oldest: Some(cluster.clock), ..ActionBacklog::default() }),
    ];
    let expected = expected.map(|(action, counts)| (Text::from(action), counts));
    assert_eq!(cluster.state.backlog(), expected.into());
}

#[test]
fn work_that_nothing_can_wake_is_reported_once() {
    let mut cluster = Cluster::new();
    let report =
        |found: &[&str]| Command::ReportStuck { found: found.iter().map(|work| Text::from(*work)).collect() };
    let events = |cluster: &Cluster| {
        cluster.event_names().into_iter().filter(|name| name.starts_with("Deadlock")).collect::<Vec<_>>()
    };
    cluster.ok(report(&["x", "y"]));
    assert_eq!(events(&cluster), ["DeadlockDetected"; 2]);
    cluster.ok(report(&["x", "y"]));
    assert_eq!(events(&cluster).len(), 2, "the same finding is not reported again");
    cluster.ok(report(&["y", "z"]));
    assert_eq!(events(&cluster)[2..], ["DeadlockResolved", "DeadlockDetected"]);
    assert_eq!(cluster.state.meta.stuck.iter().map(|work| &**work).collect::<Vec<_>>(), ["y", "z"]);
}
