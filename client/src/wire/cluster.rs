//! The cluster, its nodes and the system's status as requests and answers.
//! Knows nothing of consensus.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HealthStatus;

open_enum! {
    /// What a node is in the cluster.
    NodeRole {
        /// It decides the order of the log.
        Leader => "leader",
        /// A voter that follows.
        Follower => "follower",
        /// It follows without a vote.
        Learner => "learner",
        /// It stands for election.
        Candidate => "candidate",
        /// It does not answer.
        Down => "down",
    }
}

/// `GET /cluster`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The cluster's id.
    #[serde(default)]
    pub cluster_id: String,
    /// The leader, if one is known.
    #[serde(default)]
    pub leader: Option<String>,
    /// The term.
    #[serde(default)]
    pub term: u64,
    /// The node whose view this is.
    #[serde(default)]
    pub seen_by: String,
    /// All nodes.
    #[serde(default)]
    pub nodes: Vec<ClusterNode>,
}

/// A node in a [`ClusterStatus`]; what a node that is down would have said is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNode {
    /// `node-1`
    pub id: String,
    /// What it is.
    pub role: NodeRole,
    /// The last log index it applied.
    #[serde(default)]
    pub applied: Option<u64>,
    /// The last log index it knows to be committed.
    #[serde(default)]
    pub committed: Option<u64>,
    /// The last log index it has.
    #[serde(default)]
    pub last_log: Option<u64>,
    /// A hash of its state at `applied`; equal on all nodes at the same index.
    #[serde(default)]
    pub state_hash: Option<String>,
    /// The log index of its newest snapshot.
    #[serde(default)]
    pub snapshot: Option<u64>,
    /// Where peers reach it.
    #[serde(default)]
    pub peer_addr: String,
    /// Where clients reach it.
    #[serde(default)]
    pub http_addr: String,
    /// How long it has run.
    #[serde(default)]
    pub uptime_ms: Option<u64>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// How many log entries it is behind the leader.
    #[serde(default)]
    pub lag: Option<u64>,
}

/// `POST /cluster/nodes`: adds a node as a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AddNode {
    /// `node-4`
    pub id: String,
    /// Where peers reach it: `host:port`.
    pub peer_addr: String,
    /// Where clients reach it: `host:port`.
    pub http_addr: String,
}

/// The answer to `POST /cluster/nodes`, `.../promote` and `DELETE /cluster/nodes/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The voters now.
    pub voters: Vec<String>,
    /// The learners now.
    pub learners: Vec<String>,
}

/// `POST /cluster/transfer-leadership`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TransferLeadership {
    /// Who shall lead, such as `node-2`; none: the voter whose log is longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The answer to `POST /cluster/transfer-leadership`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadershipTransferred {
    /// Who leads now.
    pub leader: String,
}

/// The answer to `POST /cluster/snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMade {
    /// The log index that the snapshot ends with.
    pub snapshot: u64,
}

/// `GET /status`: the seed's `getStatus()`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SystemStatus {
    /// Whether the node has started.
    pub initialized: bool,
    /// Whether the latest health checks found nothing, and the node is ready right now.
    pub healthy: bool,
    /// Milliseconds since the node started.
    pub uptime: u64,
    /// The seed's four components.
    pub components: StatusComponents,
    /// The latest health checks of the node that answers.
    pub health: HealthStatus,
    /// The settings `enable…` of the cluster's configuration that are off.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// The cluster in short; its fields are those of [`ClusterStatus`].
    pub cluster: Value,
}

/// The seed's four components in a [`SystemStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusComponents {
    /// Runs.
    pub workflow_manager: WorkflowManagerStatus,
    /// Tasks.
    pub task_scheduler: TaskSchedulerStatus,
    /// Components.
    pub component_coordinator: ComponentCoordinatorStatus,
    /// State keys.
    pub state_manager: StateManagerStatus,
}

/// Runs in a [`SystemStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkflowManagerStatus {
    /// Runs that are at work.
    pub active_workflows: u64,
    /// Runs that a limit holds back.
    pub queued_workflows: u64,
}

/// Tasks in a [`SystemStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskSchedulerStatus {
    /// Tasks that a component works on.
    pub running_tasks: u64,
    /// Tasks that wait for a component.
    pub queued_tasks: u64,
    /// Tasks on the dead-letter list.
    pub dead_tasks: u64,
    /// Tasks that left that list because it was full.
    pub dead_tasks_overflowed: u64,
    /// Actions of which no tasks are assigned.
    pub paused_actions: Vec<String>,
    /// Work that nothing can wake, as the leader's last sweep found it: there should be none.
    pub deadlocks: Vec<String>,
}

/// Components in a [`SystemStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentCoordinatorStatus {
    /// Components with a session, on any node.
    pub connected_components: u64,
    /// Components that are known, connected or not.
    pub registered_components: u64,
    /// Tasks that connected components can take now.
    pub free_slots: u64,
    /// Messages without a reply, of components connected to the node that answers.
    pub messages_waiting: u64,
}

/// State keys in a [`SystemStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StateManagerStatus {
    /// How many keys there are, deleted ones included.
    pub keys: u64,
    /// The newest event.
    pub last_event: u64,
    /// The rev that this answer is as new as.
    pub rev: u64,
}
