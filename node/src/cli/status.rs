//! `orc status`: the system in a few lines.
//! Knows nothing of what a node does to find out.

use clap::Args;
use orc_client::{
    Client,
    wire::{ClusterStatus, HealthState, SystemStatus},
};

use super::{
    Failure, Global, Out, cluster,
    connect::{client, in_time},
    style, values,
    watch::{Frame, watch},
};

/// Shows the system in a few lines.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  orc status\n  orc status -w")]
pub struct StatusArgs {
    /// Goes on showing it
    #[arg(short, long)]
    watch: bool,
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, args: StatusArgs) -> Result<(), Failure> {
    let client = client(global)?;
    if args.watch {
        return in_time(global, watch(out, || frame(client.clone()))).await;
    }
    in_time(global, async {
        let status = client.status().await?;
        out.item(&status, health(&status), || text(&status))
    })
    .await
}

async fn frame(client: Client) -> Result<Frame, Failure> {
    let status = client.status().await?;
    let json = serde_json::to_value(&status).map_err(Failure::unreadable)?;
    let (runs, tasks) = (&status.components.workflow_manager, &status.components.task_scheduler);
    let line = format!(
        "{} · runs {} active {} queued · tasks {} running {} queued · components {}",
        health(&status),
        runs.active_workflows,
        runs.queued_workflows,
        tasks.running_tasks,
        tasks.queued_tasks,
        status.components.component_coordinator.connected_components
    );
    Ok(Frame { full: text(&status), line, json })
}

fn health(status: &SystemStatus) -> &'static str {
    if status.healthy { "healthy" } else { "unhealthy" }
}

fn text(status: &SystemStatus) -> String {
    let parts = &status.components;
    let word = if status.healthy { style::status("ok") } else { style::status("error") };
    let mut lines = vec![format!(
        "System      {word}, up {}",
        values::rough(std::time::Duration::from_millis(status.uptime))
    )];
    let unhealthy = status.health.checks.iter().filter(|check| check.status != HealthState::Ok);
    lines.extend(unhealthy.map(|check| format!("Unhealthy   {}: {}", check.name, check.message)));
    lines.extend([
        format!(
            "Runs        {} active, {} queued",
            parts.workflow_manager.active_workflows, parts.workflow_manager.queued_workflows
        ),
        format!(
            "Tasks       {} running, {} queued, {} dead",
            parts.task_scheduler.running_tasks,
            parts.task_scheduler.queued_tasks,
            parts.task_scheduler.dead_tasks
        ),
        format!(
            "Components  {} connected of {}, {} slots free",
            parts.component_coordinator.connected_components,
            parts.component_coordinator.registered_components,
            parts.component_coordinator.free_slots
        ),
        format!(
            "State       {} keys, event {}, rev {}",
            parts.state_manager.keys, parts.state_manager.last_event, parts.state_manager.rev
        ),
    ]);
    let paused = &parts.task_scheduler.paused_actions;
    if !paused.is_empty() {
        lines.push(format!("Paused      {}", paused.join(", ")));
    }
    lines.extend(parts.task_scheduler.deadlocks.iter().map(|work| format!("Deadlock    {work}")));
    if let Ok(cluster) = serde_json::from_value::<ClusterStatus>(status.cluster.clone()) {
        lines.push(cluster::headline(&cluster));
    }
    lines.join("\n")
}
