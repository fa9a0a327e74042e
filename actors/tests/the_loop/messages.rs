//! Requests to components: replies, refusals, silence, bounds, and components that are connected elsewhere.

use std::{sync::Arc, time::Duration};

use orc_actors::{MessageError, Options, Order, Outgoing, RemoteError, ReplyListener};
use orc_domain::{ClusterConfig, Command, Json, SessionEnd};
use parking_lot::Mutex;

use crate::support::{Cluster, World, component_id, echo, next, options, until};

fn message(timeout: u64) -> Outgoing {
    let timeout = Duration::from_millis(timeout);
    Outgoing { kind: "ask".into(), payload: Json::from(r#"{"q":"why"}"#), timeout }
}

const LONG: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_answers_here_and_from_another_node() {
    let cluster = Cluster::of(2);
    let session = cluster.connect(2, "ann", Vec::new()).await;
    let component = echo(&cluster, session);
    for node in [1, 2] {
        let reply = cluster.node(node).coordinator.send(&component_id("ann"), message(LONG)).await;
        assert_eq!(reply, Ok(Json::from(r#"{"q":"why"}"#)), "asked at node {node}");
    }
    assert_eq!(cluster.node(2).coordinator.messages_waiting(), 0);
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_refusal_and_absence_are_told_apart() {
    let cluster = Cluster::of(2);
    let coordinator = cluster.node(1).coordinator.clone();
    let ann = component_id("ann");
    let unknown = MessageError::ComponentUnknown { component: ann.clone() };
    assert_eq!(coordinator.send(&ann, message(LONG)).await, Err(unknown));

    let mut session = cluster.connect(2, "ann", Vec::new()).await;
    let timeout = MessageError::ComponentTimeout { component: ann.clone() };
    assert_eq!(coordinator.send(&ann, message(20)).await, Err(timeout));
    let Some(Order::Message(late)) = next(&mut session).await else { panic!("not a message") };
    let gone = MessageError::MessageUnknown { message: late.id.to_string() };
    assert_eq!(session.link().reply(late.id, Ok(Json::null())), Err(gone.clone()));

    // A reply by HTTP may arrive at any node.
    let refusal = RemoteError { code: "NO".into(), message: "not now".into() };
    let (asked, ()) = tokio::join!(coordinator.send(&ann, message(LONG)), async {
        let Some(Order::Message(order)) = next(&mut session).await else { panic!("not a message") };
        assert_eq!((&*order.kind, order.payload.as_str()), ("ask", r#"{"q":"why"}"#));
        coordinator.reply(order.id, Err(refusal.clone())).await.expect("somebody waits");
    });
    assert_eq!(asked, Err(MessageError::Remote(refusal)));

    let disconnected = MessageError::ComponentDisconnected { component: ann.clone() };
    let (asked, ()) = tokio::join!(coordinator.send(&ann, message(LONG)), async {
        next(&mut session).await.expect("the message");
        session.link().disconnect(SessionEnd::Closed);
    });
    assert_eq!(asked, Err(MessageError::ConnectionBroke { component: ann.clone() }));
    cluster.world.until(|state| state.components.get(&ann).is_some_and(|row| row.session.is_none())).await;
    assert_eq!(coordinator.send(&ann, message(LONG)).await, Err(disconnected.clone()));

    let session = cluster.connect(2, "ann", Vec::new()).await;
    cluster.unplug(2);
    assert_eq!(coordinator.send(&ann, message(LONG)).await, Err(disconnected), "its node does not answer");
    drop(session);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_reply_is_told_once_at_the_node_of_its_component() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let replied = ReplyListener::new({
        let told = told.clone();
        move |component, _| told.lock().push(component.clone())
    });
    let cluster = Cluster::over(World::new(4096), 2, Options { replied, ..options() });
    let session = cluster.connect(2, "ann", Vec::new()).await;
    let (near, far) = (cluster.node(2).coordinator.clone(), cluster.node(1).coordinator.clone());
    let ann = component_id("ann");
    let unanswered = far.send(&ann, message(20)).await;
    assert_eq!(unanswered, Err(MessageError::ComponentTimeout { component: ann.clone() }));
    let asked = tokio::spawn({
        let (far, ann) = (far.clone(), ann.clone());
        async move { far.send(&ann, message(LONG)).await }
    });
    until(|| near.message_queues() == [(ann.clone(), 1)]).await;
    assert_eq!(far.message_queues(), []);
    let component = echo(&cluster, session);
    assert!(asked.await.expect("no panic").is_ok());
    assert_eq!((near.message_queues(), &*told.lock()), (vec![(ann.clone(), 0)], &vec![ann]));
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_messages_wait_for_a_component() {
    let cluster = Cluster::of(1);
    let config = ClusterConfig { messages_waiting_max: 3, ..Default::default() };
    cluster.accept(Command::Configure(Box::new(config))).await;
    let session = cluster.connect(1, "ann", Vec::new()).await;
    let (coordinator, ann) = (cluster.node(1).coordinator.clone(), component_id("ann"));
    let asked: Vec<_> = (0..3)
        .map(|_| {
            let (coordinator, ann) = (coordinator.clone(), ann.clone());
            tokio::spawn(async move { coordinator.send(&ann, message(LONG)).await })
        })
        .collect();
    until(|| coordinator.messages_waiting() == 3).await;
    let full = MessageError::QueueFull { component: ann.clone() };
    assert_eq!(coordinator.send(&ann, message(LONG)).await, Err(full));
    let component = echo(&cluster, session);
    for asked in asked {
        assert!(asked.await.expect("no panic").is_ok());
    }
    assert!(coordinator.send(&ann, message(LONG)).await.is_ok(), "there is room again");
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_has_one_entry_for_each_connected_component() {
    let cluster = Cluster::of(2);
    let mut components = Vec::new();
    for (node, id) in [(1, "ann"), (2, "bob"), (2, "cid")] {
        let session = cluster.connect(node, id, Vec::new()).await;
        components.push(echo(&cluster, session));
    }
    let deaf = cluster.connect(2, "dan", Vec::new()).await;
    cluster.accept(Command::RegisterComponent(Box::new(crate::support::component("eve", 1)))).await;
    let replies = cluster.node(1).coordinator.broadcast(message(200)).await;
    let payload = || Ok(Json::from(r#"{"q":"why"}"#));
    let timeout = Err(MessageError::ComponentTimeout { component: component_id("dan") });
    let expected = [("ann", payload()), ("bob", payload()), ("cid", payload()), ("dan", timeout)];
    let expected = expected.map(|(id, reply)| (component_id(id), reply));
    assert_eq!(replies.into_iter().collect::<Vec<_>>(), expected);
    drop(deaf);
    cluster.shutdown().await;
    for component in components {
        component.await.expect("the component ends with its session");
    }
}
