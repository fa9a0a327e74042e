//! Status, health and metrics of this node.
//! Knows nothing of what is behind them.

use std::sync::Arc;

use bytes::Bytes;
use orc_client::wire::{
    ComponentCoordinatorStatus, HealthCheck, HealthState, HealthStatus, StateManagerStatus, StatusComponents,
    SystemStatus, TaskSchedulerStatus, WorkflowManagerStatus, codes,
};
use serde_json::json;

use super::{
    Gateway, Phase,
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};
use crate::{
    config::switched_off,
    health::{self, Check, Report},
};

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /healthz`: the process lives.
pub async fn healthz(_: Arc<Gateway>, _: Call) -> Answered {
    Ok(Reply::bytes(TEXT, Bytes::from_static(b"ok\n")))
}

/// `GET /readyz`: a leader is known, this node has applied what it knows as committed but for a little, and it can write.
pub async fn readyz(gateway: Arc<Gateway>, _: Call) -> Answered {
    let refuse =
        |code, reason| Err(Refusal::new(code, reason).retry_after(std::time::Duration::from_secs(1)));
    if let Some(reason) = gateway.not_ready() {
        let code = if gateway.phase() >= Phase::Draining { codes::SHUTTING_DOWN } else { codes::NO_LEADER };
        return refuse(code, reason);
    }
    let behind = health::apply_lag(&gateway.cluster.replica().progress().await);
    let reasons = unfit(&behind, &gateway.health());
    match reasons.is_empty() {
        true => Ok(Reply::bytes(TEXT, Bytes::from_static(b"ready\n"))),
        false => refuse(codes::NOT_READY, reasons.join("; ")),
    }
}

/// Why callers are better served elsewhere. A disk that is slow makes no node unready: it serves, and when every disk is
/// slow somebody has to.
fn unfit(behind: &Check, report: &Report) -> Vec<String> {
    let cannot_write = |check: &&Check| match check.name.as_str() {
        health::DISK_SPACE => true,
        health::DISK_LATENCY => check.measured.is_none(),
        _ => false,
    };
    // Consensus that does not say where it is has its own check, and says whether somebody leads.
    let lags = Some(behind).filter(|check| !check.is_ok && check.measured.is_some());
    let unfit = lags.into_iter().chain(report.unhealthy().filter(cannot_write));
    unfit.map(|check| format!("{}: {}", check.name, check.message)).collect()
}

/// `GET /metrics`
pub async fn metrics(gateway: Arc<Gateway>, _: Call) -> Answered {
    if !gateway.cluster.config().switches.monitoring {
        let refusal = Refusal::not_found("monitoring is off (enableMonitoring)");
        return Err(refusal.hint("switch it on: orc cluster config --set enableMonitoring=true"));
    }
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
    let report = gateway.health();
    let waiting = gateway.work().map_or(0, |work| work.messages_waiting);
    Ok(Reply::json(&SystemStatus {
        initialized: gateway.phase() >= Phase::Ready,
        healthy: report.is_healthy() && gateway.not_ready().is_none(),
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
                registered_components: number(counts.components),
                free_slots: census.slots_free,
                messages_waiting: number(waiting),
            },
            state_manager: StateManagerStatus {
                keys: number(counts.keys),
                last_event: gateway.cluster.last_seq(),
                rev: gateway.cluster.applied(),
            },
        },
        health: show_health(&report),
        disabled: switched_off(&gateway.cluster.config()),
        cluster,
    }))
}

fn show_health(report: &Report) -> HealthStatus {
    let show = |check: &Check| HealthCheck {
        name: check.name.clone(),
        status: if check.is_ok { HealthState::Ok } else { HealthState::Unhealthy },
        measured: check.measured,
        limit: check.limit,
        unit: check.unit.to_owned(),
        message: check.message.clone(),
    };
    HealthStatus {
        healthy: report.is_healthy(),
        checked_at: report.checked_at.map(render::time),
        checks: report.checks.iter().map(show).collect(),
        unhealthy_components: report.unhealthy().map(|check| check.name.clone()).collect(),
    }
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
