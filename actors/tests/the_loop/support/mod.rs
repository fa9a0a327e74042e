//! Nodes without Raft: several sets of actors over one [`World`], components that are a few lines each.

mod build;
mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use orc_actors::{CoordinatorHandle, Handles, Options, Orchestrator, Order, Peers, SessionHandle};
use orc_domain::{
    Command, HeldAttempt, Json, MessageCommand, NodeId, Outcome, Rejection, TaskId, Token, Unavailable,
};
use parking_lot::RwLock;

pub(crate) use build::{component, component_id, condition, definition, run_of, single_task, task_step};
pub(crate) use world::World;

/// Far more than any of these tests takes; a wait this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The way from node to node.
#[derive(Default)]
pub(crate) struct Wires(RwLock<BTreeMap<NodeId, CoordinatorHandle>>);

impl Peers for Wires {
    fn ask(&self, node: NodeId, request: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, Unavailable>> {
        let there = self.0.read().get(&node).cloned();
        Box::pin(async move {
            match there {
                Some(there) => Ok(there.handle_ask(&request).await),
                None => Err(Unavailable::NoLeader),
            }
        })
    }
}

/// Nodes 1, 2, … over one world; node 1 leads.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    pub(crate) nodes: Vec<Handles>,
    wires: Arc<Wires>,
}

/// Quick intervals, so that no test waits for long.
pub(crate) fn options() -> Options {
    Options {
        watchdog_interval: Duration::from_millis(10),
        session_check_interval: Duration::from_millis(20),
        ..Options::new(tokio::runtime::Handle::current())
    }
}

impl Cluster {
    pub(crate) fn of(nodes: u64) -> Cluster {
        Cluster::over(World::new(4096), nodes, options())
    }

    pub(crate) fn over(world: Arc<World>, nodes: u64, options: Options) -> Cluster {
        let wires = Arc::new(Wires::default());
        let mut cluster = Cluster { world, nodes: Vec::new(), wires };
        for node in 1..=nodes {
            cluster.add(NodeId(node), options.clone());
        }
        cluster.world.lead(Some(NodeId(1)));
        cluster
    }

    fn add(&mut self, node: NodeId, options: Options) {
        let view = Arc::new(self.world.view(node));
        let handles = Orchestrator::start(view, self.wires.clone(), options).expect("a thread starts");
        self.wires.0.write().insert(node, handles.coordinator.clone());
        self.nodes.push(handles);
    }

    /// Cuts a node off from the questions of others.
    pub(crate) fn unplug(&self, node: u64) {
        self.wires.0.write().remove(&NodeId(node));
    }

    pub(crate) fn node(&self, number: usize) -> &Handles {
        &self.nodes[number - 1]
    }

    /// Proposes at the first node.
    pub(crate) async fn propose(&self, command: Command) -> Result<Outcome, Unavailable> {
        self.node(1).proposer.propose(command).await
    }

    /// Proposes what must be accepted.
    pub(crate) async fn accept(&self, command: Command) {
        let outcome = self.propose(command).await.expect("there is a leader");
        outcome.result.expect("the rules say yes");
    }

    /// Connects a component with slots for the action `echo` at a node.
    pub(crate) async fn connect(&self, node: usize, id: &str, held: Vec<HeldAttempt>) -> SessionHandle {
        let coordinator = &self.node(node).coordinator;
        coordinator.connect(component(id, 4), held, 64).await.expect("it connects")
    }

    pub(crate) async fn complete(&self, task: TaskId, token: Token, output: &str) -> Result<(), Rejection> {
        let command = Command::CompleteTask { task, token, output: Json::from(output) };
        self.propose(command).await.expect("there is a leader").result.map(|_| ())
    }

    pub(crate) async fn shutdown(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
    }
}

/// Answers every task of a session with its payload, every message with its payload, until the session is over.
pub(crate) fn echo(cluster: &Cluster, mut session: SessionHandle) -> tokio::task::JoinHandle<()> {
    let (proposer, link) = (cluster.node(1).proposer.clone(), session.link());
    tokio::spawn(async move {
        while let Some(order) = session.next().await {
            match order {
                Order::Task(delivery) => {
                    let output = delivery.task.payload.clone();
                    let command =
                        Command::CompleteTask { task: delivery.task.id, token: delivery.token, output };
                    let _ = proposer.propose(command).await;
                }
                Order::Message(message) => {
                    let _ = link.reply(message.id, Ok(message.payload));
                }
                Order::Durable(message) => {
                    let token = message.delivery.as_ref().expect("it was delivered").token;
                    let done = MessageCommand::Acknowledge { message: message.id, token };
                    let _ = proposer.propose(Command::Message(done)).await;
                }
                Order::Cancel(_) | Order::Bye(_) => {}
            }
        }
    })
}

/// The next order of a session.
pub(crate) async fn next(session: &mut SessionHandle) -> Option<Order> {
    tokio::time::timeout(PATIENCE, session.next()).await.expect("an order comes, or the end")
}

/// The next order of a session, which is an attempt.
pub(crate) async fn next_task(session: &mut SessionHandle) -> (TaskId, Token) {
    match next(session).await {
        Some(Order::Task(delivery)) => (delivery.task.id, delivery.token),
        other => panic!("not a task: {other:?}"),
    }
}

/// Waits until something holds that is not in the state.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it holds in the end");
}
