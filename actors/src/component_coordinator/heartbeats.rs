//! When the components connected to this node were last heard, as a health check sees it.
//! Knows nothing of what happens to a silent one; `check` ends its session.

use std::{sync::Arc, time::Duration};

use orc_domain::{ClusterConfig, ComponentId};

use super::{
    desk::Desk,
    session::{Kind, Session},
};

/// When the components with a session at one node were last heard. Only sessions that owe heartbeats count: whoever
/// polls may stop polling at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heartbeats {
    /// Sessions that owe heartbeats.
    pub expected: usize,
    /// The components of those that are overdue.
    pub overdue: Vec<ComponentId>,
    /// The longest silence of all.
    pub silent_longest: Duration,
}

/// Time after which a session that owes heartbeats is taken for lost.
pub(super) fn lost_after(config: &ClusterConfig) -> Duration {
    config.heartbeat_interval * 2
}

/// Half an interval late, and half an interval before the session is lost.
fn overdue_after(config: &ClusterConfig) -> Duration {
    config.heartbeat_interval * 3 / 2
}

impl Desk {
    pub(super) fn heartbeats(&self) -> Heartbeats {
        let (config, sessions) = (self.state.config(), self.sessions.lock().all());
        let streams = sessions.iter().filter(|session| session.kind == Kind::Stream);
        let awake_for = self.state.awake_for();
        let silent = |session: &Arc<Session>| (session.component.clone(), session.silent_for(awake_for));
        let mut heartbeats = Heartbeats::default();
        for (component, silent_for) in streams.map(silent) {
            heartbeats.expected += 1;
            heartbeats.silent_longest = heartbeats.silent_longest.max(silent_for);
            if silent_for > overdue_after(&config) {
                heartbeats.overdue.push(component);
            }
        }
        heartbeats
    }
}
