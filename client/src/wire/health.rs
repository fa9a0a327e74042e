//! The health of a node in the answer to `GET /status`: what was checked, what was measured, what is not well.
//! Knows nothing of how anything is measured.

use serde::{Deserialize, Serialize};

use super::Timestamp;

open_enum! {
    /// What a health check found.
    HealthState {
        /// Within its limit.
        Ok => "ok",
        /// Beyond it, or it could not be measured.
        Unhealthy => "unhealthy",
    }
}

/// The latest health checks of the node that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// No check found anything.
    pub healthy: bool,
    /// When they were made; none before the first ones.
    pub checked_at: Option<Timestamp>,
    /// Each check.
    pub checks: Vec<HealthCheck>,
    /// The names of the checks that found something: the seed's `unhealthyComponents`.
    pub unhealthy_components: Vec<String>,
}

/// One health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// `leader`, `applyLag`, `diskLatency`, `diskSpace`, `memory`, `heartbeats`, on the leader `nodes`, or an actor such as `workflowManager`.
    pub name: String,
    /// What it found.
    pub status: HealthState,
    /// The number measured; absent: it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<u64>,
    /// The most it may be; of `diskSpace` the least.
    #[serde(default)]
    pub limit: u64,
    /// What both count: `ms`, `us`, `entries`, `bytes`, `components`, `nodes`.
    #[serde(default)]
    pub unit: String,
    /// The finding as a sentence.
    #[serde(default)]
    pub message: String,
}
