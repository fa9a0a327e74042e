//! Numbers that the actors of a node keep for status and metrics; they outlive the actors.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened since the node started.
#[derive(Debug, Default)]
pub struct Gauges {
    pub(crate) evaluations: AtomicU64,
    pub(crate) alarms: AtomicU64,
    pub(crate) stuck: AtomicU64,
    pub(crate) deliveries: AtomicU64,
    pub(crate) sessions_cut: AtomicU64,
    pub(crate) subscriptions_cut: AtomicU64,
}

/// What the actors of a node have done since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Steps and outputs evaluated.
    pub evaluations: u64,
    /// `AdvanceTime` commands proposed.
    pub alarms: u64,
    /// Pieces of work found that nothing can wake: must be 0.
    pub stuck: u64,
    /// Orders given to components: tasks, cancels and messages.
    pub deliveries: u64,
    /// Sessions cut because the component read too slowly.
    pub sessions_cut: u64,
    /// Subscriptions cut because the subscriber read too slowly.
    pub subscriptions_cut: u64,
}

pub(crate) fn count(gauge: &AtomicU64) {
    gauge.fetch_add(1, Ordering::Relaxed);
}

impl Gauges {
    pub(crate) fn totals(&self) -> Totals {
        let of = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        Totals {
            evaluations: of(&self.evaluations),
            alarms: of(&self.alarms),
            stuck: of(&self.stuck),
            deliveries: of(&self.deliveries),
            sessions_cut: of(&self.sessions_cut),
            subscriptions_cut: of(&self.subscriptions_cut),
        }
    }
}
