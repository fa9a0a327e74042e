//! The actors' view of the replica: the two seams of `orc-actors` over `orc-raft`.
//! Translates and nothing else.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use orc_actors::{Effects, Events, Leadership, Peers, ReplicatedState, WeakCoordinator};
use orc_domain::{
    ChildStart, ClusterConfig, Component, ComponentId, Definition, DefinitionId, Effect, Failure, Json,
    NodeId, Outcome, Proposal, QueuedMessage, Run, RunId, Schedule, ScheduleId, State, StateKey, Task,
    TaskId, Text, Timestamp, Unavailable, outstanding,
};
use orc_raft::replica::Replica;
use tokio::sync::{broadcast, watch};

use super::Catalog;
use crate::logs::{self, LogStore};

/// The replica as the actors see it.
pub struct Seams {
    replica: Replica,
    catalog: Arc<Catalog>,
    leadership: watch::Receiver<Leadership>,
}

impl Seams {
    /// Over a running node; a task follows who leads for as long as the node runs.
    pub fn new(replica: Replica, catalog: Arc<Catalog>) -> Arc<Seams> {
        let mut theirs = replica.leadership();
        let translate = |leadership: &orc_raft::replica::Leadership| Leadership {
            leader: leadership.leader,
            term: leadership.term,
            is_leader: leadership.is_leader,
        };
        let (ours, leadership) = watch::channel(translate(&theirs.borrow_and_update()));
        tokio::spawn(async move {
            while theirs.changed().await.is_ok() {
                ours.send_replace(translate(&theirs.borrow_and_update()));
            }
        });
        Arc::new(Seams { replica, catalog, leadership })
    }

    /// Lets other nodes ask the components connected here, and read the logs kept here.
    pub fn answer_with(&self, coordinator: WeakCoordinator, logs: Arc<LogStore>) {
        self.replica.set_ask_handler(Arc::new(move |_, request| {
            let (coordinator, logs) = (coordinator.clone(), logs.clone());
            Box::pin(async move {
                match logs::Request::of_bytes(&request) {
                    Some(request) => logs.read(request).await.to_bytes(),
                    // A node that stops has nothing to say.
                    None => match coordinator.upgrade() {
                        Some(coordinator) => coordinator.handle_ask(&request).await,
                        None => Vec::new(),
                    },
                }
            })
        }));
    }
}

impl ReplicatedState for Seams {
    fn node(&self) -> NodeId {
        self.replica.node()
    }

    fn submit(&self, proposals: Vec<Proposal>) -> BoxFuture<'static, Vec<Result<Outcome, Unavailable>>> {
        self.replica.submit(proposals)
    }

    fn effects(&self) -> broadcast::Receiver<Effects> {
        self.replica.reader().effects()
    }

    fn events(&self) -> broadcast::Receiver<Events> {
        self.replica.reader().events()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    fn next_due(&self) -> watch::Receiver<Option<Timestamp>> {
        self.replica.reader().next_due()
    }

    fn outstanding(&self) -> BoxFuture<'static, Vec<Effect>> {
        let replica = self.replica.clone();
        // A node that stops owes the world nothing.
        Box::pin(async move {
            replica.reader().inspect(|state| outstanding(state).collect()).await.unwrap_or_default()
        })
    }

    fn stuck_news(&self) -> BoxFuture<'static, Option<BTreeSet<Text>>> {
        let replica = self.replica.clone();
        // A node that stops cannot say.
        Box::pin(async move { replica.reader().inspect(State::stuck_news).await.unwrap_or_default() })
    }

    fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        self.replica.reader().run(id)
    }

    fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.replica.reader().task(id)
    }

    fn component(&self, id: &ComponentId) -> Option<Arc<Component>> {
        self.replica.reader().component(id)
    }

    fn messages(&self, component: &ComponentId, limit: usize) -> Vec<Arc<QueuedMessage>> {
        self.replica.reader().messages(component, 0, limit)
    }

    fn components(&self) -> Vec<Arc<Component>> {
        self.replica.reader().components()
    }

    fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>> {
        self.replica.reader().definition(id)
    }

    fn key(&self, key: &StateKey) -> Option<Json> {
        self.replica.reader().key(key)?.value.clone()
    }

    fn child(
        &self,
        name: Text,
        version: Option<u32>,
        inputs: Json,
    ) -> BoxFuture<'static, Result<ChildStart, Failure>> {
        let catalog = self.catalog.clone();
        Box::pin(async move { catalog.child(&name, version, &inputs).await })
    }

    fn schedule(&self, id: &ScheduleId) -> Option<Arc<Schedule>> {
        self.replica.reader().schedule(id)
    }

    fn config(&self) -> Arc<ClusterConfig> {
        self.replica.reader().config()
    }

    fn awake_for(&self) -> Duration {
        self.replica.awake_for()
    }

    fn silent_nodes(&self, longer_than: Duration) -> Vec<NodeId> {
        self.replica.silent_nodes(longer_than)
    }

    fn members(&self) -> Vec<NodeId> {
        self.replica.members()
    }

    fn now(&self) -> Timestamp {
        self.replica.now()
    }
}

impl Peers for Seams {
    fn ask(&self, node: NodeId, request: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, Unavailable>> {
        let replica = self.replica.clone();
        Box::pin(async move { replica.ask(node, request).await })
    }
}
