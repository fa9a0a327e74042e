//! What the actors of a node are started with: limits and intervals of this node, not of the cluster.

use std::{sync::Arc, time::Duration};

use orc_domain::ComponentId;
use tokio::runtime::Handle;

/// Limits and intervals of one node's actors.
#[derive(Debug, Clone)]
pub struct Options {
    /// The multi-thread runtime on which everything but the actors' own handlers runs.
    pub runtime: Handle,
    /// Proposals that may wait here; beyond it callers hear `Overloaded`.
    pub proposals_waiting_max: usize,
    /// Calls of [`ReplicatedState::submit`](crate::ReplicatedState::submit) at once.
    pub submits_in_flight_max: usize,
    /// Time after which a proposal's outcome is `Unknown`.
    pub proposal_deadline: Duration,
    /// Sessions of components that may be connected here.
    pub sessions_max: usize,
    /// Orders that may wait for one polling component.
    pub poll_orders_max: usize,
    /// Events that may wait for one subscriber, shared with all others; beyond it the subscription is cut. More than a record of
    /// many commands makes at once.
    pub subscriber_events_max: usize,
    /// Subscriptions at once.
    pub subscriptions_max: usize,
    /// Time an actor has to answer a health check.
    pub health_check_deadline: Duration,
    /// Time between looks for actors that have died.
    pub watchdog_interval: Duration,
    /// Time between looks at the sessions of this node.
    pub session_check_interval: Duration,
    /// Time a graceful shutdown may take.
    pub shutdown_deadline: Duration,
    /// Told how long each reply of a component connected here took.
    pub replied: ReplyListener,
}

type Listen = dyn Fn(&ComponentId, Duration) + Send + Sync;

/// Is told how long a component connected here took to reply to a message, by the task that waited for it.
#[derive(Clone)]
pub struct ReplyListener(Arc<Listen>);

impl ReplyListener {
    /// Calls this: keep it quick.
    pub fn new(listen: impl Fn(&ComponentId, Duration) + Send + Sync + 'static) -> Self {
        ReplyListener(Arc::new(listen))
    }

    pub(crate) fn tell(&self, component: &ComponentId, took: Duration) {
        (self.0)(component, took);
    }
}

impl Default for ReplyListener {
    fn default() -> Self {
        ReplyListener::new(|_, _| ())
    }
}

impl std::fmt::Debug for ReplyListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyListener")
    }
}

impl Options {
    /// The defaults, on a runtime.
    pub fn new(runtime: Handle) -> Self {
        Options {
            runtime,
            proposals_waiting_max: 4096,
            submits_in_flight_max: 8,
            proposal_deadline: Duration::from_secs(10),
            sessions_max: 10_000,
            poll_orders_max: 1024,
            subscriber_events_max: orc_runtime::bound(8_192, 64),
            subscriptions_max: 10_000,
            health_check_deadline: Duration::from_secs(1),
            watchdog_interval: Duration::from_millis(100),
            session_check_interval: Duration::from_millis(500),
            shutdown_deadline: Duration::from_secs(10),
            replied: ReplyListener::default(),
        }
    }
}
