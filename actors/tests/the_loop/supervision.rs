//! Actors that die and are started again, and how they say that they are well.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use orc_actors::Options;
use orc_domain::{ClusterConfig, Command, Event, Labels, NodeId, RegisterComponent, SessionId, Text};

use crate::support::{Cluster, World, component_id, echo, next_task, options, single_task, until};

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

/// Connects `far` to a node that this test does not run.
async fn connect_far(cluster: &Cluster, node: NodeId, session: u128) {
    let component = component_id("far");
    let register = RegisterComponent {
        id: component.clone(),
        name: "far".into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: Vec::new(),
        labels: Labels::new(),
        slots: 1,
        ttl: None,
    };
    cluster.accept(Command::RegisterComponent(Box::new(register))).await;
    let session = SessionId(uuid::Uuid::from_u128(session));
    cluster.accept(Command::ConnectComponent { component, session, node, held: Vec::new() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sessions_of_nodes_that_are_silent_or_gone_end() {
    let cluster = Cluster::of(2);
    let session = cluster.connect(2, "ann", Vec::new()).await;
    let live = |name: &str| {
        let id = component_id(name);
        cluster.world.read(|state| state.components.get(&id).is_some_and(|row| row.live_session().is_some()))
    };
    *cluster.world.silent.lock() = vec![NodeId(7)];
    for (node, session) in [(NodeId(7), 1), (NodeId(7), 2), (NodeId(12), 3)] {
        connect_far(&cluster, node, session).await;
        until(|| !live("far")).await;
    }
    let ended = |command: &Command| matches!(command, Command::EndNodeSessions { node: NodeId(12), .. });
    assert!(cluster.world.count(ended) >= 1, "node 12 is no member");
    assert!(live("ann"), "who is connected to a healthy node stays");
    let component = echo(&cluster, session);
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_holds_ends() {
    let cluster = Cluster::of(2);
    let session = cluster.connect(2, "ann", Vec::new()).await;
    connect_far(&cluster, NodeId(1), 1).await;
    let far = component_id("far");
    until(|| {
        cluster.world.read(|state| state.components.get(&far).is_some_and(|row| row.live_session().is_none()))
    })
    .await;
    let component = echo(&cluster, session);
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stuck_and_the_sweep_says_so() {
    let cluster = Cluster::over(sweeping(), 1, options());
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let report = cluster.node(1).health.check().await.expect("the orchestrator answers");
    assert!(report.is_healthy() && report.heartbeats.expected == 0, "{report:?}");
    until(|| cluster.node(1).health.status().proposals_unanswered == 0).await;
    until(|| cluster.world.sweeps.load(Ordering::Acquire) > 1).await;
    let status = cluster.node(1).health.status();
    assert_eq!((status.totals.stuck, status.sessions), (0, 0));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_misses_its_heartbeat_is_overdue_until_it_is_heard() {
    let world = World::new(64);
    let config = ClusterConfig { heartbeat_interval: Duration::from_millis(100), ..Default::default() };
    world.apply(Command::Configure(Box::new(config)).into()).result.expect("the rules say yes");
    // Nobody looks at sessions, so that the silent one stays.
    let options = Options { session_check_interval: Duration::from_secs(3_600), ..options() };
    let cluster = Cluster::over(world, 1, options);
    let session = cluster.connect(1, "ann", Vec::new()).await;
    let heartbeats = || cluster.node(1).coordinator.heartbeats();
    until(|| heartbeats().overdue == [component_id("ann")]).await;
    let report = cluster.node(1).health.check().await.expect("the orchestrator answers");
    assert!(report.is_healthy() && report.heartbeats.silent_longest > Duration::from_millis(150));
    until(|| {
        session.link().heartbeat();
        heartbeats().overdue.is_empty()
    })
    .await;
    assert_eq!(heartbeats().expected, 1);
    cluster.shutdown().await;
}

/// A world whose leader sweeps often.
fn sweeping() -> Arc<World> {
    let world = World::new(64);
    let config = ClusterConfig { deadlock_interval: Duration::from_millis(100), ..Default::default() };
    world.apply(Command::Configure(Box::new(config)).into()).result.expect("the rules say yes");
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nothing_can_wake_is_reported_once_and_when_it_is_over() {
    let world = sweeping();
    *world.stuck.lock() = Some(["task 1 sleeps".into()].into());
    let cluster = Cluster::over(world, 2, options());
    let told = |of: fn(&Event) -> Option<&Text>| {
        cluster.world.history().iter().filter_map(|recorded| of(&recorded.event).cloned()).collect::<Vec<_>>()
    };
    let detected = |event: &Event| matches!(event, Event::DeadlockDetected { .. }).then_some(());
    cluster.world.event(detected).await;
    let swept = cluster.world.sweeps.load(Ordering::Acquire);
    until(|| cluster.world.sweeps.load(Ordering::Acquire) > swept + 1).await;
    *cluster.world.stuck.lock() = None;
    cluster.world.event(|event| matches!(event, Event::DeadlockResolved { .. }).then_some(())).await;
    let detections = told(|event| match event {
        Event::DeadlockDetected(work) => Some(work),
        _ => None,
    });
    assert_eq!(detections, ["task 1 sleeps".into()], "later sweeps, and other nodes, do not repeat it");
    cluster.shutdown().await;
}
