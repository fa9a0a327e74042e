//! What is looked up when somebody asks for the metrics, and their text.
//! Knows nothing of counters.

use std::sync::atomic::Ordering;

use orc_raft::status::{NodeStatus, Role};
use prometheus::{Opts, TextEncoder};

use super::{Gauges, Maker, Metrics};
use crate::gateway::Gateway;

impl Gauges {
    pub(super) fn new(make: &Maker) -> Gauges {
        let lag =
            Opts::new("orc_raft_replication_lag", "On the leader: log records that a peer has not applied.");
        Gauges {
            runs_active: make.gauge("orc_workflow_runs_active", "Runs that have started and not ended."),
            runs_queued: make.gauge("orc_workflow_runs_queued", "Runs that a limit holds back."),
            tasks_queued: make.gauge("orc_tasks_queued", "Tasks that wait for a component."),
            tasks_running: make.gauge("orc_tasks_running", "Attempts that run."),
            components_connected: make
                .gauge("orc_components_connected", "Components with a session, on any node."),
            sessions: make.gauge("orc_sessions", "Sessions on this node."),
            messages: make.gauge("orc_messages_waiting", "Messages without a reply on this node."),
            state_keys: make.gauge("orc_state_keys", "State keys, deleted ones included."),
            sse_clients: make.gauge("orc_sse_clients", "Readers of streams on this node."),
            is_leader: make.gauge("orc_raft_is_leader", "1 if this node leads."),
            term: make.gauge("orc_raft_term", "The term this node knows."),
            commit: make.gauge("orc_raft_commit_index", "The last log index known as committed."),
            applied: make.gauge("orc_raft_applied_index", "The last log index applied."),
            events: make.gauge("orc_events_last_seq", "Number of the last event."),
            waiting: make.gauge("orc_store_rows_waiting", "Rows, events and answers that wait for the disk."),
            stuck: make.gauge("orc_stuck_work", "Pieces of work that nothing can wake: must be 0."),
            tasks_dead: make.gauge("orc_tasks_dead", "Tasks on the dead-letter list."),
            tasks_dead_overflowed: make.gauge(
                "orc_tasks_dead_overflowed",
                "Tasks that left the dead-letter list because it was full.",
            ),
            actions_paused: make.gauge("orc_actions_paused", "Actions of which no tasks are assigned."),
            lag: make.add(prometheus::IntGaugeVec::new(lag, &["peer"])),
        }
    }
}

fn number<N: TryInto<i64>>(value: N) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl Metrics {
    /// The metrics as text.
    pub async fn render(&self, gateway: &Gateway) -> String {
        self.look(gateway).await;
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics have no text form");
        }
        text
    }

    async fn look(&self, gateway: &Gateway) {
        let gauges = &self.gauges;
        let cluster = &gateway.cluster;
        if let Ok(census) = cluster.census().await {
            gauges.runs_active.set(number(census.counts.runs_active));
            gauges.runs_queued.set(number(census.counts.runs_queued));
            gauges.tasks_queued.set(number(census.counts.tasks_queued));
            gauges.tasks_running.set(number(census.counts.tasks_running));
            gauges.components_connected.set(number(census.counts.components_connected));
            gauges.state_keys.set(number(census.counts.keys));
            gauges.stuck.set(number(census.stuck.len()));
            gauges.tasks_dead.set(number(census.counts.tasks_dead));
            gauges.tasks_dead_overflowed.set(number(census.dead_overflowed));
            gauges.actions_paused.set(number(census.paused_actions.len()));
        }
        if let Some(work) = gateway.work() {
            gauges.sessions.set(number(work.sessions));
            gauges.messages.set(number(work.messages_waiting));
        }
        let leadership = cluster.leadership();
        gauges.is_leader.set(i64::from(leadership.is_leader));
        gauges.term.set(number(leadership.term));
        gauges.applied.set(number(cluster.applied()));
        gauges.events.set(number(cluster.last_seq()));
        gauges.waiting.set(number(cluster.replica().reader().waiting()));
        gauges.sse_clients.set(self.sse_clients.load(Ordering::Relaxed));
        let own = cluster.replica().node_status().await;
        gauges.commit.set(number(own.committed.unwrap_or(0)));
        gauges.lag.reset();
        if leadership.is_leader {
            let nodes = cluster.replica().status().await.nodes;
            nodes.iter().filter(|node| node.id != own.id).for_each(|node| self.lag(node, own.last_log));
        }
    }

    /// A peer that is down has no lag that anybody knows.
    fn lag(&self, node: &NodeStatus, last_log: Option<u64>) {
        if node.role != Role::Down {
            let behind = last_log.unwrap_or(0).saturating_sub(node.applied.unwrap_or(0));
            let peer = orc_domain::NodeId(node.id).to_string();
            self.gauges.lag.with_label_values(&[peer.as_str()]).set(number(behind));
        }
    }
}
