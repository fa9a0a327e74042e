//! Sessions: who keeps an attempt, who loses it, who takes over, and what a slow or silent component costs.

use std::time::Duration;

use orc_actors::{Goodbye, Order};
use orc_domain::{
    ClusterConfig, Command, Component, ComponentStatus, Effect, Event, HeldAttempt, NodeId, Rejection,
    SessionEnd, SessionId, State, TaskStatus, Token,
};
use uuid::Uuid;

use crate::support::{Cluster, World, component, component_id, next, next_task, options, single_task, until};

fn ann(state: &State) -> &Component {
    state.components.get(&component_id("ann")).expect("it is registered")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_within_the_grace_keeps_its_attempt() {
    let cluster = Cluster::of(2);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (id, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    drop(session);
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Lost).await;
    let mut session = cluster.connect(2, "ann", vec![HeldAttempt { task, token }]).await;
    let (other, create) = single_task("2");
    cluster.accept(create).await;
    assert_eq!(next_task(&mut session).await.0, other, "what it holds does not come again");
    cluster.complete(id, token, "1").await.expect("the attempt was kept");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_held_is_lost_and_comes_again() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    drop(session);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (again, second) = next_task(&mut session).await;
    assert!(again == task && second > token);
    assert_eq!(cluster.complete(task, token, "1").await, Err(Rejection::StaleAttempt { task, token }));
    cluster.complete(task, second, "1").await.expect("the new attempt counts");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stays_away_loses_its_attempt_to_another() {
    let cluster = Cluster::of(1);
    let config = ClusterConfig { disconnect_grace: Duration::from_millis(50), ..Default::default() };
    cluster.accept(Command::Configure(Box::new(config))).await;
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (task, create) = single_task("1");
    cluster.accept(create).await;
    next_task(&mut session).await;
    let mut other = cluster.connect(1, "bob", Vec::new()).await;
    drop(session);
    let (again, token) = next_task(&mut other).await;
    assert_eq!(again, task);
    cluster.complete(task, token, "1").await.expect("it counts");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_takes_over_on_any_node() {
    let cluster = Cluster::of(2);
    let mut first = cluster.connect(1, "ann", Vec::new()).await;
    let mut second = cluster.connect(1, "ann", Vec::new()).await;
    assert_eq!(next(&mut first).await, Some(Order::Bye(Goodbye::Superseded)));
    assert_eq!(next(&mut first).await, None);
    let third = cluster.connect(2, "ann", Vec::new()).await;
    assert_eq!(next(&mut second).await, Some(Order::Bye(Goodbye::Superseded)));
    drop((first, second));
    let live = cluster.world.read(|state| ann(state).live_session().map(|session| session.id));
    assert_eq!(live, Some(third.link().id()), "the end of the old ones does not touch the new one");
    cluster.accept(Command::DeregisterComponent { component: component_id("ann") }).await;
    let mut third = third;
    assert_eq!(next(&mut third).await, Some(Order::Bye(Goodbye::Deregistered)));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_delivered_once() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    for _ in 0..10 {
        cluster.world.repeat(Effect::DeliverTask { component: component_id("ann"), task, token });
    }
    let (other, create) = single_task("2");
    cluster.accept(create).await;
    assert_eq!(next_task(&mut session).await.0, other);
    cluster.complete(task, token, "1").await.expect("it counts");
    cluster.world.repeat(Effect::DeliverTask { component: component_id("ann"), task, token });
    let (third, create) = single_task("3");
    cluster.accept(create).await;
    assert_eq!(next_task(&mut session).await.0, third);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_cut_and_others_are_not_held_up() {
    let cluster = Cluster::of(1);
    let coordinator = &cluster.node(1).coordinator;
    let mut slow = coordinator.connect(component("ann", 50), Vec::new(), 2).await.expect("it connects");
    for _ in 0..10 {
        let (_, create) = single_task("1");
        cluster.accept(create).await;
    }
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Lost).await;
    let mut given = 0;
    while next(&mut slow).await.is_some() {
        given += 1;
    }
    assert_eq!(given, 2);
    assert_eq!(cluster.node(1).health.status().totals.sessions_cut, 1);
    let mut other = cluster.connect(1, "bob", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut other).await;
    cluster.complete(task, token, "1").await.expect("it counts");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_component_loses_its_session() {
    let cluster = Cluster::of(1);
    let config = ClusterConfig { heartbeat_interval: Duration::from_millis(100), ..Default::default() };
    cluster.accept(Command::Configure(Box::new(config))).await;
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let lively = cluster.connect(1, "bob", Vec::new()).await;
    let link = lively.link();
    let beats = tokio::spawn(async move {
        loop {
            link.heartbeat();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Lost).await;
    assert_eq!(next(&mut session).await, None);
    let bob = cluster.world.read(|state| state.components.get(&component_id("bob")).map(Component::status));
    assert_eq!(bob, Some(ComponentStatus::Connected));
    beats.abort();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stood_still_takes_nobody_for_silent() {
    let cluster = Cluster::of(1);
    let config = ClusterConfig { heartbeat_interval: Duration::from_millis(100), ..Default::default() };
    cluster.accept(Command::Configure(Box::new(config))).await;
    *cluster.world.awake_for.lock() = Duration::from_millis(120);
    let _session = cluster.connect(1, "ann", Vec::new()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let heard = cluster.node(1).coordinator.heartbeats();
    assert_eq!((heard.expected, heard.overdue.len()), (1, 0), "{heard:?}");
    cluster.world.read(|state| assert_eq!(ann(state).status(), ComponentStatus::Connected));
    *cluster.world.awake_for.lock() = Duration::MAX;
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Lost).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_component_finishes_and_is_dismissed() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    session.link().drain().await.expect("there is a leader").result.expect("the rules say yes");
    let (later, create) = single_task("2");
    cluster.accept(create).await;
    cluster.complete(task, token, "1").await.expect("it counts");
    assert_eq!(next(&mut session).await, Some(Order::Bye(Goodbye::Drained)));
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Disconnected).await;
    let status = cluster.world.read(|state| state.tasks.get(&later).map(|task| task.status));
    assert_eq!(status, Some(TaskStatus::Queued));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_session_that_was_given_up_is_connected_again() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    let connects = |command: &Command| {
        matches!(command, Command::ConnectComponent { .. } | Command::ReconnectComponent { .. })
    };
    let connections = || cluster.world.count(connects);
    cluster.accept(Command::EndNodeSessions { node: NodeId(1), except: Vec::new() }).await;
    until(|| connections() == 2).await;
    cluster.world.until(|state| ann(state).status() == ComponentStatus::Connected).await;
    cluster.complete(task, token, "1").await.expect("the attempt was kept");
    assert_eq!(connections(), 2);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sessions_of_an_earlier_life_end_at_the_start() {
    let world = World::new(64);
    world.apply(Command::RegisterComponent(Box::new(component("ann", 1))).into());
    let session = SessionId(Uuid::new_v4());
    let connect =
        |node| Command::ConnectComponent { component: component_id("ann"), session, node, held: Vec::new() };
    world.apply(connect(NodeId(1)).into());
    let cluster = Cluster::over(world, 1, options());
    let lost = |event: &Event| match event {
        Event::SessionEnded { session: ended, end: SessionEnd::Lost, .. } => {
            (*ended == session).then_some(())
        }
        _ => None,
    };
    cluster.world.event(lost).await;
    let now = cluster.connect(1, "ann", Vec::new()).await;
    let ends = |command: &Command| matches!(command, Command::EndNodeSessions { .. });
    assert_eq!(cluster.world.count(ends), 1);
    drop(now);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_says_goodbye_and_leaves_the_grace_time() {
    let cluster = Cluster::of(2);
    let mut session = cluster.connect(2, "ann", Vec::new()).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    let mut nodes = cluster.nodes;
    let (first, second) = (nodes.remove(0), nodes.remove(0));
    second.shutdown().await;
    assert_eq!(next(&mut session).await, Some(Order::Bye(Goodbye::Shutdown)));
    assert_eq!(cluster.world.read(|state| ann(state).status()), ComponentStatus::Lost);
    let held = vec![HeldAttempt { task, token }];
    let again = first.coordinator.connect(component("ann", 4), held, 8).await.expect("it connects elsewhere");
    let complete = Command::CompleteTask { task, token, output: "1".into() };
    first.proposer.propose(complete).await.expect("there is a leader").result.expect("the attempt was kept");
    drop(again);
    first.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_without_a_sign_of_life_is_given_again() {
    let cluster = Cluster::of(2);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    for create in [watched_task(), watched_task()] {
        cluster.accept(create).await;
    }
    let (alive, kept) = next_task(&mut session).await;
    let (silent, token) = next_task(&mut session).await;
    let link = session.link();
    let beats = tokio::spawn(async move {
        loop {
            link.attempt_heartbeat(&HeldAttempt { task: alive, token: kept });
            // One of another attempt, and those of the component, keep nothing.
            link.attempt_heartbeat(&HeldAttempt { task: silent, token: Token(token.0 + 7) });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let cancelled = next(&mut session).await;
    assert!(matches!(&cancelled, Some(Order::Cancel(cancel)) if cancel.task == silent), "{cancelled:?}");
    let (task, again) = next_task(&mut session).await;
    assert!(task == silent && again > token, "tried again");
    assert_eq!(cluster.world.count(|command| matches!(command, Command::ExpireHeartbeat { .. })), 1);
    beats.abort();
    drop(session);
    let held = [(alive, kept), (silent, again)].map(|(task, token)| HeldAttempt { task, token });
    let mut session = cluster.connect(2, "ann", held.into()).await;
    assert!(matches!(next(&mut session).await, Some(Order::Cancel(_))), "the next node watches them, too");
    cluster.shutdown().await;
}

fn watched_task() -> Command {
    let (_, create) = single_task("1");
    let Command::CreateTasks { mut tasks } = create else { unreachable!("it creates a task") };
    tasks[0].heartbeat_timeout = Some(Duration::from_millis(1_500));
    Command::CreateTasks { tasks }
}
