//! The dead-letter list, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

fn create(tasks: Vec<NewTask>) -> Command {
    Command::CreateTasks { tasks }
}

fn once(id: u128) -> NewTask {
    NewTask { retry: Some(Retry { limit: 1, lost_max: 0, ..retry() }), ..new_task(id, "a", &[]) }
}

/// A task that has used up its attempts, one moment after the one before.
fn die(cluster: &mut Cluster, id: u128) {
    cluster.clock = cluster.clock + Duration::from_millis(1);
    cluster.ok(create(vec![once(id)]));
    cluster.fail(single(id), "BROKEN");
}

fn dead(cluster: &Cluster) -> Vec<TaskId> {
    cluster.state.dead.iter().map(|(task, _)| *task).collect()
}

#[test]
fn a_task_that_gave_up_is_on_the_list() {
    type End = fn(&mut Cluster);
    let ends: [(&str, End, bool); 7] = [
        ("attempts used up", |cluster| cluster.fail(single(1), "BROKEN"), true),
        (
            "its attempt lost",
            |cluster| {
                cluster.connect(ANN, 1, vec![]);
            },
            true,
        ),
        ("its attempt took too long", |cluster| cluster.pass(Duration::from_secs(300)), true),
        ("its total time is up", |cluster| cluster.pass(Duration::from_secs(200)), true),
        (
            "no sign of life",
            |cluster| {
                let token = cluster.token(single(1));
                cluster.ok(Command::ExpireHeartbeat { task: single(1), token });
            },
            true,
        ),
        ("completed", |cluster| cluster.complete(single(1), "1"), false),
        (
            "cancelled",
            |cluster| {
                cluster.ok(Command::CancelTask { task: single(1), reason: "no".into() });
                cluster.pass(Duration::from_secs(10));
            },
            false,
        ),
    ];
    for (how, end, expected) in ends {
        let mut cluster = Cluster::new();
        cluster.connect(ANN, 1, vec![]);
        let mut task = once(1);
        task.total_timeout = (how == "its total time is up").then_some(Duration::from_secs(200));
        task.heartbeat_timeout = Some(Duration::from_secs(1));
        cluster.ok(create(vec![task]));
        end(&mut cluster);
        assert!(cluster.task(1).status.is_terminal(), "{how}");
        assert_eq!(dead(&cluster) == [single(1)], expected, "{how}");
    }
}

#[test]
fn a_task_that_nobody_took_is_on_the_list_and_its_dependant_is_not() {
    let mut cluster = Cluster::new();
    let waits = NewTask { queue_timeout: Some(Duration::from_secs(1)), ..new_task(1, "a", &[]) };
    cluster.ok(create(vec![waits, new_task(2, "a", &[1])]));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.task(2).error.as_ref().map(|error| &*error.code), Some("DEPENDENCY_FAILED"));
    assert_eq!(dead(&cluster), [single(1)]);
}

#[test]
fn a_task_of_a_step_is_not_on_the_list() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.start_run(1, vec![step("one", &[], does("a"))]);
    cluster.fail(step_task(1, 0), "BROKEN");
    assert_eq!(dead(&cluster), []);
}

#[test]
fn a_requeued_task_is_a_new_one_and_the_old_one_leaves_the_list() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    die(&mut cluster, 1);
    let again = |id| NewTask { requeued_from: Some(single(1)), ..once(id) };
    let twice = cluster.refused(create(vec![again(2), again(3)]));
    assert_eq!(twice, Rejection::TaskNotDead { task: single(1) });
    assert_eq!((dead(&cluster).len(), cluster.state.tasks.len()), (1, 0), "all or none");
    cluster.ok(create(vec![again(2)]));
    assert_eq!(dead(&cluster), []);
    assert_eq!(cluster.task(2).requeued_from, Some(single(1)));
    assert_eq!((cluster.task(2).status, cluster.task(1).status), (TaskStatus::Running, TaskStatus::Failed));
    let again = cluster.refused(create(vec![again(3)]));
    assert_eq!(again, Rejection::TaskNotDead { task: single(1) });
    cluster.fail(single(2), "BROKEN");
    assert_eq!(dead(&cluster), [single(2)], "a requeued task may die, too");
}

#[test]
fn dead_tasks_are_dropped_by_id_by_action_or_all() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    (1..=4).for_each(|id| die(&mut cluster, id));
    let drop_dead = |which| Command::DropDeadTasks { which };
    let absent = cluster.refused(drop_dead(DeadSelection::Tasks(vec![single(1), single(9)])));
    assert_eq!(absent, Rejection::TaskNotDead { task: single(9) });
    assert_eq!(dead(&cluster).len(), 4, "all or none");
    assert_eq!(cluster.ok(drop_dead(DeadSelection::Tasks(vec![single(1)]))), Answer::Count(1));
    assert_eq!(cluster.ok(drop_dead(DeadSelection::Action("b".into()))), Answer::Count(0));
    assert_eq!(cluster.ok(drop_dead(DeadSelection::Action("a".into()))), Answer::Count(3));
    die(&mut cluster, 5);
    assert_eq!(cluster.ok(drop_dead(DeadSelection::All)), Answer::Count(1));
    assert_eq!(cluster.state.meta.dead_overflowed, 0, "only the full list counts");
}

#[test]
fn an_action_that_fails_all_the_time_pushes_no_other_off_the_list() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 9, vec![]);
    cluster.configure(|config| config.tasks_dead_max = 4);
    [1, 2].into_iter().for_each(|id| die(&mut cluster, id));
    for id in 11..=20 {
        cluster.clock = cluster.clock + Duration::from_millis(1);
        cluster.ok(create(vec![NewTask { action: "b".into(), ..once(id) }]));
        cluster.fail(single(id), "BROKEN");
    }
    assert_eq!(dead(&cluster), [1, 2, 19, 20].map(single));
    die(&mut cluster, 3);
    assert_eq!(dead(&cluster), [2, 3, 19, 20].map(single));
    cluster.configure(|config| config.tasks_dead_max = 3);
    assert_eq!(dead(&cluster), [3, 19, 20].map(single), "of two that have the same the older leaves");
}

#[test]
fn the_oldest_leave_a_full_list_and_are_counted() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 9, vec![]);
    cluster.configure(|config| config.tasks_dead_max = 2);
    // The list is in the order of the ends, whatever the ids.
    [5, 1, 3].into_iter().for_each(|id| die(&mut cluster, id));
    assert_eq!(dead(&cluster), [single(1), single(3)]);
    assert_eq!(cluster.state.meta.dead_overflowed, 1);
    cluster.ok(create((11..=14).map(once).collect()));
    cluster.connect(ANN, 9, vec![]);
    assert_eq!((dead(&cluster).len(), cluster.state.meta.dead_overflowed), (2, 5), "four lost at once");
    cluster.configure(|config| config.tasks_dead_max = 0);
    assert_eq!((dead(&cluster).len(), cluster.state.meta.dead_overflowed), (0, 7));
    die(&mut cluster, 20);
    assert_eq!(dead(&cluster), [], "0 keeps none");
}
