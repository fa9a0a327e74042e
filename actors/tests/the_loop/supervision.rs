//! Actors that die and are started again, and how they say that they are well.

use std::sync::atomic::Ordering;

use orc_domain::{Command, Event, NodeId};

use crate::support::{
    Cluster, World, component_id, definition, echo, next_task, options, run_of, single_task, task_step, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_panics_is_recreated_and_work_goes_on() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let coordinator = |report: &orc_actors::HealthReport| {
        report
            .actors
            .iter()
            .find(|actor| actor.name == "ComponentCoordinator")
            .expect("it is listed")
            .restarts
    };
    let before = cluster.node(1).health.check().await.expect("the orchestrator answers");
    assert!(before.is_healthy() && before.actors.len() == 5);
    assert_eq!(coordinator(&before), 0);

    cluster.world.faults.store(1, Ordering::Release);
    let (task, create) = single_task("1");
    cluster.accept(create).await;
    let (delivered, token) = next_task(&mut session).await;
    assert_eq!(delivered, task);
    cluster.complete(task, token, "1").await.expect("the attempt counts");
    let after = cluster.node(1).health.check().await.expect("the orchestrator answers");
    assert!(after.is_healthy());
    assert_eq!(coordinator(&after), 1);

    // And again, many times over, with everything else going on.
    for _ in 0..5 {
        cluster.world.faults.store(1, Ordering::Release);
        let (task, create) = single_task("1");
        cluster.accept(create).await;
        let (delivered, token) = next_task(&mut session).await;
        assert_eq!(delivered, task);
        cluster.complete(task, token, "1").await.expect("the attempt counts");
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sessions_of_a_silent_node_end_once() {
    let cluster = Cluster::of(2);
    let session = cluster.connect(2, "ann", Vec::new()).await;
    let of_node = |command: &Command| matches!(command, Command::EndNodeSessions { node: NodeId(7), .. });
    *cluster.world.silent.lock() = vec![NodeId(7)];
    until(|| cluster.world.count(of_node) == 1).await;
    let (run, create) = run_of(&definition(vec![task_step("a", "{}")]), "{}");
    let component = echo(&cluster, session);
    cluster.accept(create).await;
    cluster
        .world
        .event(|event| matches!(event, Event::RunEnded { run: ended, .. } if *ended == run).then_some(()))
        .await;
    assert_eq!(cluster.world.count(of_node), 1, "once per silence");
    cluster.world.silent.lock().clear();
    let connected = |state: &orc_domain::State| {
        state.components.get(&component_id("ann")).is_some_and(|row| row.live_session().is_some())
    };
    assert!(cluster.world.read(connected));
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_and_the_sweep_says_so() {
    let cluster = Cluster::over(World::new(64), 1, options());
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let mut reports = cluster.node(1).health.reports();
    assert!(reports.borrow_and_update().checked_at.is_none(), "the first regular check is yet to come");
    let report = cluster.node(1).health.check().await.expect("the orchestrator answers");
    assert_eq!(*reports.borrow_and_update(), report);
    until(|| cluster.node(1).health.status().proposals_unanswered == 0).await;
    let status = cluster.node(1).health.status();
    assert_eq!((status.totals.stuck, status.sessions), (0, 0));
    cluster.shutdown().await;
}
