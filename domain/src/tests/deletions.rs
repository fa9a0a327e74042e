//! What has ended may be deleted; what lives may not.

use super::*;

fn delete(runs: &[u128], tasks: &[u128]) -> Command {
    Command::DeleteEnded(DeleteEnded {
        runs: runs.iter().map(|run| run_id(*run)).collect(),
        fans: runs.iter().map(|run| (run_id(*run), 0, 0)).collect(),
        tasks: tasks.iter().map(|task| TaskId::Single(Uuid::from_u128(*task))).collect(),
    })
}

fn ended() -> Cluster {
    let mut cluster = Cluster::new();
    for run in [1, 2] {
        cluster.start_run(run, vec![step("one", &[], does("a"))]);
    }
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(8, "a", &[]), new_task(9, "a", &[])] });
    cluster.ok(Command::CancelRun { run: run_id(1), reason: "enough".into() });
    let task = TaskId::Single(Uuid::from_u128(8));
    cluster.ok(Command::CancelTask { task, reason: "enough".into() });
    cluster
}

#[test]
fn what_has_ended_is_deleted_from_the_archive() {
    let mut cluster = ended();
    store::Store::default().drain(&mut cluster.state);
    cluster.ok(delete(&[1], &[8]));
    assert_eq!(cluster.event_names(), ["RunsDeleted", "TasksDeleted"]);
    let runs = cluster.state.runs.drain();
    assert!(matches!(runs.as_slice(), [Change::Forget(run)] if *run == run_id(1)), "{runs:?}");
    assert!(matches!(cluster.state.fans.drain().as_slice(), [Change::Forget(_)]));
    assert!(matches!(cluster.state.tasks.drain().as_slice(), [Change::Forget(_)]));
}

#[test]
fn what_lives_is_not_deleted_and_nothing_beside_it() {
    let mut cluster = ended();
    store::Store::default().drain(&mut cluster.state);
    let refused = cluster.refused(delete(&[1, 2], &[8]));
    assert_eq!(refused, Rejection::RunNotEnded { run: run_id(2), status: RunStatus::Running });
    let refused = cluster.refused(delete(&[1], &[8, 9]));
    assert!(matches!(refused, Rejection::TaskNotEnded { status: TaskStatus::Queued, .. }));
    assert_eq!((cluster.event_names().len(), cluster.state.waiting()), (0, 0));
}

#[test]
fn one_command_deletes_only_so_many() {
    let mut cluster = Cluster::new();
    let many: Vec<u128> = (0..=DeleteEnded::MAX as u128 / 2).collect();
    assert!(matches!(cluster.refused(delete(&many, &[])), Rejection::Invalid(_)));
    cluster.ok(delete(&many[1..], &[]));
}
