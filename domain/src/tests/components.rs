//! Components and sessions, rule by rule.

use super::*;

fn single(id: u128) -> TaskId {
    TaskId::Single(Uuid::from_u128(id))
}

fn lose(name: &str, session: SessionId) -> Command {
    Command::EndSession { component: name.parse().expect("a legal name"), session, end: SessionEnd::Lost }
}

#[test]
fn a_lost_connection_gets_its_grace_time() {
    let mut cluster = Cluster::new();
    let session = cluster.connect(ANN, 2, vec![]);
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(1, "a", &[])] });
    let token = cluster.token(single(1));
    cluster.ok(lose(ANN, session));
    cluster.pass(Duration::from_millis(4_999));
    assert_eq!(cluster.token(single(1)), token);
    cluster.connect(ANN, 2, vec![HeldAttempt { task: single(1), token }]);
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.token(single(1)), token, "who comes back keeps its attempts");
    assert!(
        cluster.refused(lose("nobody", session).connect_instead()).to_string().contains("not registered")
    );
}

impl Command {
    /// The same component, connecting with the same session.
    fn connect_instead(self) -> Command {
        match self {
            Command::EndSession { component, session, .. } => {
                Command::ConnectComponent { component, session, node: NodeId(1), held: Vec::new() }
            }
            other => other,
        }
    }
}

#[test]
fn a_session_that_was_given_up_does_not_come_back_in_place_of_a_newer_one() {
    let mut cluster = Cluster::new();
    let old = cluster.connect(ANN, 2, vec![]);
    let again = |cluster: &mut Cluster| {
        let (component, node): (ComponentId, _) = (ANN.parse().expect("a legal name"), NodeId(1));
        let known = component.clone();
        cluster.ok(Command::ReconnectComponent { component, session: old, node, held: vec![] });
        let found = cluster.state.components.get(&known).expect("it is registered");
        found.live_session().map(|live| live.id)
    };
    cluster.ok(lose(ANN, old));
    assert_eq!(again(&mut cluster), Some(old));
    cluster.ok(lose(ANN, old));
    let new = cluster.connect(ANN, 2, vec![]);
    assert_eq!(again(&mut cluster), Some(new));
    cluster.ok(lose(ANN, new));
    assert_eq!(again(&mut cluster), None, "nor while the newer one may come back");
    cluster.pass(Duration::from_secs(60));
    assert_eq!(again(&mut cluster), Some(old), "nobody else is there");
}

#[test]
fn a_component_that_stays_away_loses_its_attempts() {
    let mut cluster = Cluster::new();
    let session = cluster.connect(ANN, 1, vec![]);
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(1, "a", &[])] });
    cluster.connect(BOB, 1, vec![]);
    cluster.ok(lose(ANN, session));
    cluster.pass(Duration::from_secs(5));
    let assignment = cluster.task(1).assignment.clone().expect("tried again at once");
    assert_eq!(assignment.component.as_str(), BOB);
    assert_eq!((cluster.task(1).lost, cluster.task(1).failures), (1, 0), "lost attempts are counted apart");
}

#[test]
fn at_most_once_is_possible() {
    let mut cluster = Cluster::new();
    let session = cluster.connect(ANN, 1, vec![]);
    let mut task = new_task(1, "a", &[]);
    task.retry = Some(Retry { limit: 1, lost_max: 0, ..retry() });
    cluster.ok(Command::CreateTasks { tasks: vec![task] });
    cluster.ok(lose(ANN, session));
    cluster.pass(Duration::from_secs(5));
    assert_eq!((cluster.task(1).status, cluster.task(1).attempts), (TaskStatus::Failed, 1));
}

#[test]
fn attempts_that_a_new_session_does_not_hold_are_lost_at_once() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 2, vec![]);
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(1, "a", &[]), new_task(2, "a", &[])] });
    let (kept, old) = (cluster.token(single(1)), cluster.token(single(2)));
    cluster.connect(ANN, 2, vec![HeldAttempt { task: single(1), token: kept }]);
    assert_eq!(cluster.token(single(1)), kept);
    assert!(cluster.token(single(2)) > old, "tried again");
    assert_eq!(cluster.task(2).lost, 1);
    let closes = |effect: &&Effect| matches!(effect, Effect::CloseSession { .. });
    assert_eq!(cluster.effects.iter().filter(closes).count(), 1, "the newer session takes over");
}

#[test]
fn an_old_session_cannot_end_a_newer_one() {
    let mut cluster = Cluster::new();
    let old = cluster.connect(ANN, 2, vec![]);
    cluster.connect(ANN, 2, vec![]);
    cluster.ok(lose(ANN, old));
    let ann = ANN.parse().expect("a legal name");
    assert_eq!(cluster.state.components.get(&ann).map(Component::status), Some(ComponentStatus::Connected));
}

#[test]
fn the_sessions_of_a_node_that_is_gone_are_lost() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let kept = cluster.connect(BOB, 1, vec![]);
    cluster.ok(Command::EndNodeSessions { node: NodeId(2), except: vec![] });
    assert_eq!(cluster.state.counts().components_connected, 2);
    cluster.ok(Command::EndNodeSessions { node: NodeId(1), except: vec![kept] });
    assert_eq!(cluster.state.counts().components_connected, 1);
    cluster.pass(Duration::from_secs(5));
    let ann = ANN.parse().expect("a legal name");
    assert_eq!(
        cluster.state.components.get(&ann).map(Component::status),
        Some(ComponentStatus::Disconnected)
    );
}

#[test]
fn draining_and_labels_decide_who_gets_work() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 5, vec![]);
    cluster.ok(Command::DrainComponent { component: ANN.parse().expect("a legal name"), within: None });
    let mut task = new_task(1, "a", &[]);
    task.labels.insert("gpu".into(), "true".into());
    cluster.ok(Command::CreateTasks { tasks: vec![task, new_task(2, "a", &[])] });
    assert_eq!(cluster.task(2).status, TaskStatus::Queued, "who drains gets nothing");
    cluster.connect(BOB, 5, vec![]);
    assert_eq!(cluster.task(2).status, TaskStatus::Running);
    assert_eq!(cluster.task(1).status, TaskStatus::Queued, "nobody has the label");
    cluster.ok(Command::RegisterComponent(Box::new(RegisterComponent {
        id: BOB.parse().expect("a legal name"),
        name: BOB.into(),
        kind: "worker".into(),
        version: "2".into(),
        capabilities: vec!["a".into()],
        labels: [("gpu".into(), "true".into())].into(),
        slots: 5,
        ttl: None,
    })));
    assert_eq!(cluster.task(1).status, TaskStatus::Running, "known differently, it fits");
}

#[test]
fn most_free_first() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 2, vec![]);
    cluster.connect(BOB, 5, vec![]);
    cluster.ok(Command::CreateTasks { tasks: (1..=4).map(|id| new_task(id, "a", &[])).collect() });
    let runner = |id| cluster.task(id).assignment.as_ref().map(|assignment| assignment.component.to_string());
    let on = |name: &str| (1..=4).filter(|id| runner(*id).as_deref() == Some(name)).count();
    assert_eq!((on(ANN), on(BOB)), (1, 3));
}

#[test]
fn a_drain_with_a_deadline_takes_back_what_has_not_ended() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 2, vec![]);
    cluster.ok(Command::CreateTasks { tasks: vec![new_task(1, "a", &[])] });
    cluster.connect(BOB, 1, vec![]);
    let (component, within) = (ANN.parse().expect("a legal name"), Some(Duration::from_secs(3)));
    cluster.ok(Command::DrainComponent { component, within });
    cluster.pass(Duration::from_millis(2_999));
    let of = |cluster: &Cluster| cluster.task(1).assignment.clone().expect("an attempt runs").component;
    assert_eq!(of(&cluster).as_str(), ANN, "until then it may end");
    cluster.pass(Duration::from_millis(1));
    assert_eq!((of(&cluster).as_str(), cluster.task(1).lost), (BOB, 1));
    let told = |effect: &Effect| matches!(effect, Effect::CancelAttempt { component, .. } if component.as_str() == ANN);
    assert!(cluster.effects.iter().any(told), "the component hears that its attempt is over");
    let row = &cluster.state.components.get(&ANN.parse().expect("a legal name")).expect("it is registered");
    assert!(row.draining && row.session.is_some(), "it stays connected and takes nothing new");
}

#[test]
fn a_component_that_nobody_connects_is_forgotten_after_its_time() {
    let mut cluster = Cluster::new();
    let Command::RegisterComponent(mut info) = registration(ANN, 1) else {
        unreachable!("that is what it is")
    };
    info.ttl = Some(Duration::from_secs(60));
    cluster.ok(Command::RegisterComponent(info.clone()));
    cluster.pass(Duration::from_secs(59));
    let component: ComponentId = ANN.parse().expect("a legal name");
    let session = SessionId(Uuid::from_u128(7));
    cluster.ok(Command::ConnectComponent {
        component: component.clone(),
        session,
        node: NodeId(1),
        held: vec![],
    });
    cluster.pass(Duration::from_secs(600));
    assert!(cluster.state.components.contains(&component), "a connection keeps it");
    cluster.ok(lose(ANN, session));
    cluster.pass(Duration::from_secs(5));
    cluster.pass(Duration::from_secs(59));
    assert!(cluster.state.components.contains(&component));
    cluster.pass(Duration::from_secs(1));
    assert!(!cluster.state.components.contains(&component));
}
