//! Components that come for their orders over plain HTTP.

use std::time::Duration;

use orc_actors::{ConnectError, Outgoing, Polled};
use orc_domain::{ClusterConfig, Command, ComponentStatus, Json, Rejection};

use crate::support::{Cluster, component, component_id, single_task};

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

async fn poll(cluster: &Cluster, node: usize, max: usize, wait: Duration) -> Polled {
    cluster.node(node).coordinator.poll(&component_id("ann"), max, wait).await.expect("it polls")
}

async fn registered(nodes: u64) -> Cluster {
    let cluster = Cluster::of(nodes);
    cluster.accept(Command::RegisterComponent(Box::new(component("ann", 4)))).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_brings_what_waits_or_waits_for_it() {
    let cluster = registered(1).await;
    let unknown = cluster.node(1).coordinator.poll(&component_id("bob"), 1, NOW).await;
    assert_eq!(
        unknown,
        Err(ConnectError::Rejected(Rejection::ComponentUnknown { component: component_id("bob") }))
    );
    assert_eq!(poll(&cluster, 1, 1, NOW).await, Polled::default(), "the first poll connects");
    let mut tasks = Vec::new();
    let (polled, ()) = tokio::join!(poll(&cluster, 1, 2, LONG), async {
        let (_, create) = single_task("1");
        cluster.accept(create).await;
    });
    tasks.extend(polled.tasks);
    for _ in 0..2 {
        let (_, create) = single_task("2");
        cluster.accept(create).await;
    }
    while tasks.len() < 3 {
        tasks.extend(poll(&cluster, 1, 1, LONG).await.tasks);
    }
    for delivery in tasks {
        cluster.complete(delivery.task.id, delivery.token, "1").await.expect("it counts");
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_may_ask_any_node() {
    let cluster = registered(2).await;
    poll(&cluster, 1, 1, NOW).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    let polled = poll(&cluster, 2, 1, LONG).await;
    assert_eq!(polled.tasks.len(), 1);
    assert!(cluster.node(2).coordinator.heartbeat(&component_id("ann")).await);
    assert_eq!((cluster.node(1).coordinator.sessions(), cluster.node(2).coordinator.sessions()), (1, 0));

    // Its node is gone: it goes on here, and what it works on stays its own.
    cluster.unplug(1);
    let attempt = &polled.tasks[0];
    let again = poll(&cluster, 2, 1, LONG).await;
    assert_eq!(
        again.tasks.iter().map(|again| again.token).collect::<Vec<_>>(),
        [attempt.token],
        "with the same token"
    );
    cluster.complete(attempt.task.id, attempt.token, "1").await.expect("the attempt was kept");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_that_stays_away_is_disconnected() {
    let cluster = registered(1).await;
    let config = ClusterConfig {
        component_timeout: Duration::from_secs(1),
        disconnect_grace: Duration::from_millis(50),
        ..Default::default()
    };
    cluster.accept(Command::Configure(Box::new(config))).await;
    poll(&cluster, 1, 1, NOW).await;
    let status = |state: &orc_domain::State| {
        state.components.get(&component_id("ann")).expect("it is registered").status()
    };
    assert_eq!(cluster.world.read(status), ComponentStatus::Connected);
    cluster.world.until(|state| status(state) == ComponentStatus::Disconnected).await;
    let (_, create) = single_task("1");
    cluster.accept(create).await;
    assert_eq!(poll(&cluster, 1, 1, LONG).await.tasks.len(), 1, "it may come back");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poller_gets_messages() {
    let cluster = registered(2).await;
    poll(&cluster, 1, 1, NOW).await;
    let message = Outgoing { kind: "ask".into(), payload: Json::from("1"), timeout: LONG };
    let ann = component_id("ann");
    let (reply, ()) = tokio::join!(cluster.node(2).coordinator.send(&ann, message), async {
        let polled = poll(&cluster, 1, 1, LONG).await;
        let asked = &polled.messages[0];
        cluster.node(2).coordinator.reply(asked.id, Ok(Json::from("2"))).await.expect("somebody waits");
    });
    assert_eq!(reply, Ok(Json::from("2")));
    cluster.shutdown().await;
}
