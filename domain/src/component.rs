//! A component: a program connected to the cluster, and its session.
//! Knows nothing of sockets; which tasks it runs is an index over the tasks.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::ids::{ActionName, ComponentId, Labels, NodeId, SessionId, TaskId, Text, Timestamp, Token};

/// A program connected to the cluster; with `slots > 0` it takes tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Identity.
    pub id: ComponentId,
    /// Name as the user wrote it.
    pub name: Text,
    /// Free word, such as `worker`.
    pub kind: Text,
    /// Free word.
    pub version: Text,
    /// Actions it offers.
    pub capabilities: Vec<ActionName>,
    /// What tasks may demand.
    pub labels: Labels,
    /// Tasks it takes at once.
    pub slots: u32,
    /// When it first registered.
    pub registered_at: Timestamp,
    /// It takes no new tasks.
    pub draining: bool,
    /// Its attempts that have not ended by then are lost to it.
    pub drain_until: Option<Timestamp>,
    /// Its connection, also while a lost one is within its grace time.
    pub session: Option<Session>,
    /// Without a connection it is forgotten after so long.
    pub ttl: Option<Duration>,
    /// Since when it has no session.
    pub idle_since: Option<Timestamp>,
    /// How often durable messages went back into its queue.
    pub rounds: u64,
}

/// One connection of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Identity.
    pub id: SessionId,
    /// The node it is connected to.
    pub node: NodeId,
    /// Since when.
    pub connected_at: Timestamp,
    /// The connection is lost; without another by then the component is disconnected.
    pub lost_until: Option<Timestamp>,
}

/// An attempt that a connecting component says it still works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAttempt {
    /// The task.
    pub task: TaskId,
    /// The attempt's token.
    pub token: Token,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionEnd {
    /// The connection broke: grace time.
    Lost,
    /// The component said goodbye: at once.
    Closed,
}

/// Where a component stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComponentStatus {
    /// Registered, never connected or disconnected.
    Disconnected,
    /// Connected.
    Connected,
    /// Its connection is lost and within the grace time.
    Lost,
    /// Connected, takes no new tasks.
    Draining,
}

impl ComponentStatus {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            ComponentStatus::Disconnected => "disconnected",
            ComponentStatus::Connected => "connected",
            ComponentStatus::Lost => "lost",
            ComponentStatus::Draining => "draining",
        }
    }
}

impl Component {
    /// Where it stands.
    pub fn status(&self) -> ComponentStatus {
        match &self.session {
            None => ComponentStatus::Disconnected,
            Some(session) if session.lost_until.is_some() => ComponentStatus::Lost,
            Some(_) if self.draining => ComponentStatus::Draining,
            Some(_) => ComponentStatus::Connected,
        }
    }

    /// Time alone changes it then: a lost connection is over, or it should have been drained.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        let lost_until = self.session.as_ref().and_then(|session| session.lost_until);
        lost_until.into_iter().chain(self.drain_until).chain(self.forgotten_at()).min()
    }

    /// When it is forgotten for want of a connection.
    pub(crate) fn forgotten_at(&self) -> Option<Timestamp> {
        Some(self.idle_since? + self.ttl?)
    }

    /// The connected session, unless it is lost.
    pub fn live_session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| session.lost_until.is_none())
    }

    /// Whether it has every label demanded.
    pub fn has_labels(&self, demanded: &Labels) -> bool {
        demanded.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}
