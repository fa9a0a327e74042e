//! Status, health and metrics of this node.
//! Knows nothing of what is behind them.

use std::sync::Arc;

use bytes::Bytes;
use orc_client::wire::{
    ComponentCoordinatorStatus, StateManagerStatus, StatusComponents, SystemStatus, TaskSchedulerStatus,
    WorkflowManagerStatus, codes,
};
use serde_json::json;

use super::{
    Gateway, Phase,
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
};

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /healthz`: the process lives.
pub async fn healthz(_: Arc<Gateway>, _: Call) -> Answered {
    Ok(Reply::bytes(TEXT, Bytes::from_static(b"ok\n")))
}

/// `GET /readyz`: a leader is known and this node has caught up with what was committed when it started.
pub async fn readyz(gateway: Arc<Gateway>, _: Call) -> Answered {
    match gateway.not_ready() {
        None => Ok(Reply::bytes(TEXT, Bytes::from_static(b"ready\n"))),
        Some(reason) => {
            let code =
                if gateway.phase() >= Phase::Draining { codes::SHUTTING_DOWN } else { codes::NO_LEADER };
            Err(Refusal::new(code, reason).retry_after(std::time::Duration::from_secs(1)))
        }
    }
}

/// `GET /metrics`
pub async fn metrics(gateway: Arc<Gateway>, _: Call) -> Answered {
    let text = gateway.metrics.render(&gateway).await;
    Ok(Reply::bytes(PROMETHEUS, Bytes::from(text)))
}

/// `GET /info`
pub async fn info(gateway: Arc<Gateway>, _: Call) -> Answered {
    Ok(Reply::json(&json!({
        "name": "orc",
        "version": env!("CARGO_PKG_VERSION"),
        "node": gateway.cluster.node().to_string(),
        "clusterId": gateway.cluster.replica().cluster().to_string(),
        "api": "/api/v1",
    })))
}

/// `GET /status`: the seed's `getStatus()`.
pub async fn status(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.fresh(&call).await?;
    let census = gateway.cluster.census().await?;
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let counts = census.counts;
    let cluster = serde_json::to_value(gateway.cluster_status().await).unwrap_or_default();
    let well = gateway.hands().is_ok_and(|hands| hands.health.reports().borrow().is_healthy());
    Ok(Reply::json(&SystemStatus {
        initialized: gateway.phase() >= Phase::Ready,
        healthy: well && gateway.not_ready().is_none(),
        uptime: u64::try_from(gateway.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        components: StatusComponents {
            workflow_manager: WorkflowManagerStatus {
                active_workflows: number(counts.runs_active),
                queued_workflows: number(counts.runs_queued),
            },
            task_scheduler: TaskSchedulerStatus {
                running_tasks: number(counts.tasks_running),
                queued_tasks: number(counts.tasks_queued),
                dead_tasks: number(counts.tasks_dead),
                dead_tasks_overflowed: census.dead_overflowed,
                paused_actions: census.paused_actions.iter().map(ToString::to_string).collect(),
                deadlocks: census.stuck.iter().map(ToString::to_string).collect(),
            },
            component_coordinator: ComponentCoordinatorStatus {
                connected_components: number(counts.components_connected),
            },
            state_manager: StateManagerStatus {
                keys: number(counts.keys),
                last_event: gateway.cluster.last_seq(),
                rev: gateway.cluster.applied(),
            },
        },
        cluster,
    }))
}

impl Gateway {
    /// Why callers should not be sent here; none: they may.
    pub fn not_ready(&self) -> Option<String> {
        match self.phase() {
            Phase::Starting => Some("this node is still starting".to_owned()),
            Phase::Draining | Phase::Closed => Some("this node is shutting down".to_owned()),
            Phase::Ready => self.cluster.replica().ready().err().map(|reason| reason.to_string()),
        }
    }
}
