//! What the actors need of the replicated state and of other nodes: the seams that `node` fills with `raft`
//! and that tests fill with a bare state.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::BoxFuture;
use orc_domain::{
    ChildStart, ClusterConfig, Component, ComponentId, Definition, DefinitionId, Effect, Failure, Json,
    NodeId, Outcome, Proposal, QueuedMessage, Recorded, Run, RunId, Schedule, ScheduleId, StateKey, Task,
    TaskId, Text, Timestamp, Unavailable,
};
use tokio::sync::{broadcast, watch};

/// Effects of one log record, in order.
pub type Effects = Arc<[Effect]>;
/// Events of one log record, in order.
pub type Events = Arc<[Arc<Recorded>]>;

/// Who leads, as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// This node leads, and has applied everything committed before its term.
    pub is_leader: bool,
}

/// The replicated state as the actors of one node see it. Reads are local; only `submit` and `ask` wait for others.
pub trait ReplicatedState: Send + Sync + 'static {
    /// This node.
    fn node(&self) -> NodeId;
    /// Proposes in order; one answer each. Called by the [`Proposer`](crate::Proposer) alone.
    fn submit(&self, proposals: Vec<Proposal>) -> BoxFuture<'static, Vec<Result<Outcome, Unavailable>>>;
    /// Effects from now on; whoever lags reads [`ReplicatedState::outstanding`].
    fn effects(&self) -> broadcast::Receiver<Effects>;
    /// Events from now on.
    fn events(&self) -> broadcast::Receiver<Events>;
    /// Who leads.
    fn leadership(&self) -> watch::Receiver<Leadership>;
    /// The earliest time at which time alone changes the state.
    fn next_due(&self) -> watch::Receiver<Option<Timestamp>>;
    /// What the hands still owe the world.
    fn outstanding(&self) -> BoxFuture<'static, Vec<Effect>>;
    /// All work that nothing can ever wake, as sentences, if it is not what was reported last.
    fn stuck_news(&self) -> BoxFuture<'static, Option<BTreeSet<Text>>>;
    /// A live run.
    fn run(&self, id: &RunId) -> Option<Arc<Run>>;
    /// A live task.
    fn task(&self, id: &TaskId) -> Option<Arc<Task>>;
    /// A registered component.
    fn component(&self, id: &ComponentId) -> Option<Arc<Component>>;
    /// Every registered component.
    fn components(&self) -> Vec<Arc<Component>>;
    /// At most `limit` durable messages in the queue of a component, in order.
    fn messages(&self, component: &ComponentId, limit: usize) -> Vec<Arc<QueuedMessage>>;
    /// A definition in use.
    fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>>;
    /// The value of a state key.
    fn key(&self, key: &StateKey) -> Option<Json>;
    /// A workflow by its name, with these inputs checked against what it accepts, as a step starts it; or why not.
    fn child(
        &self,
        name: Text,
        version: Option<u32>,
        inputs: Json,
    ) -> BoxFuture<'static, Result<ChildStart, Failure>>;
    /// A schedule.
    fn schedule(&self, id: &ScheduleId) -> Option<Arc<Schedule>>;
    /// The cluster's settings.
    fn config(&self) -> Arc<ClusterConfig>;
    /// On the leader: voters and learners that have not answered for at least this long.
    fn silent_nodes(&self, longer_than: std::time::Duration) -> Vec<NodeId>;
    /// How long this node has run without a standstill: for no longer anybody was silent.
    fn awake_for(&self) -> std::time::Duration;
    /// The nodes of the cluster as this one knows them, itself included.
    fn members(&self) -> Vec<NodeId>;
    /// The leader's clock.
    fn now(&self) -> Timestamp;
}

/// Requests between nodes that need no agreement, such as a message for a component connected elsewhere.
pub trait Peers: Send + Sync + 'static {
    /// Asks a node and waits for its answer.
    fn ask(&self, node: NodeId, request: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, Unavailable>>;
}
