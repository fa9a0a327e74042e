//! The hands: actors that act on the world when the state says so.
//! Knows neither consensus nor disk nor HTTP; the replicated state is behind [`ReplicatedState`].

pub mod calendar;
mod component_coordinator;
pub mod expression;
mod following;
mod gauges;
mod options;
mod orchestrator;
mod planner;
mod proposer;
mod seam;
mod state_manager;
mod supervision;
mod task_scheduler;
mod workflow_manager;

pub use component_coordinator::{
    Cancel, ComponentCoordinator, ConnectError, CoordinatorHandle, Delivery, Goodbye, Heartbeats, Message,
    MessageError, MessageId, Order, Outgoing, Polled, RemoteError, Reply, SessionHandle, SessionLink,
    WeakCoordinator,
};
pub use gauges::Totals;
pub use options::{Options, ReplyListener};
pub use orchestrator::{
    ActorHealth, Handles, HealthHandle, HealthReport, NodeStatus, Orchestrator, StartError,
    SystemOrchestrator,
};
pub use proposer::{Proposer, ProposerHandle};
pub use seam::{Effects, Events, Leadership, Peers, ReplicatedState};
pub use state_manager::{
    BadPattern, Cut, Filter, Pattern, StateManager, StateManagerHandle, SubscribeError, Subscription,
};
pub use supervision::NoAnswer;
pub use task_scheduler::TaskScheduler;
pub use workflow_manager::WorkflowManager;
