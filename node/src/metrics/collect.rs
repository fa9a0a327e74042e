//! What is looked up when somebody asks for the metrics, and their text.
//! Knows nothing of counters.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use prometheus::{IntGauge, IntGaugeVec, TextEncoder};

use super::{Metrics, maker::Maker};
use crate::{gateway::Gateway, health::Report, server::Census};

/// What is looked up when somebody asks.
pub(super) struct Gauges {
    runs_active: IntGauge,
    runs_queued: IntGauge,
    tasks_queued: IntGaugeVec,
    tasks_running: IntGauge,
    tasks_dead: IntGauge,
    tasks_dead_overflowed: IntGauge,
    durable: IntGauge,
    messages_dead: IntGauge,
    snapshots: IntGauge,
    actions_paused: IntGauge,
    stuck: IntGauge,
    components_connected: IntGauge,
    slots: IntGaugeVec,
    sessions: IntGauge,
    messages: IntGauge,
    message_queues: IntGaugeVec,
    state_keys: IntGauge,
    events: IntGauge,
    sse_clients: IntGauge,
    is_leader: IntGauge,
    term: IntGauge,
    commit: IntGauge,
    applied: IntGauge,
    lag: IntGaugeVec,
    waiting: IntGauge,
    storage: IntGauge,
    storage_free: IntGauge,
    memory_limit: IntGauge,
    storage_stage: IntGauge,
    health: IntGaugeVec,
}

impl Gauges {
    pub(super) fn new(make: &Maker) -> Gauges {
        Gauges {
            runs_active: make.gauge("orc_workflow_runs_active", "Runs that have started and not ended."),
            runs_queued: make.gauge("orc_workflow_runs_queued", "Runs that a limit holds back."),
            tasks_queued: make.gauges(
                "orc_tasks_queued",
                "Tasks that wait for a component.",
                &["action", "priority"],
            ),
            tasks_running: make.gauge("orc_tasks_running", "Attempts that run."),
            tasks_dead: make.gauge("orc_tasks_dead", "Tasks on the dead-letter list."),
            durable: make.gauge("orc_durable_messages", "Durable messages that are not acknowledged."),
            messages_dead: make.gauge("orc_durable_messages_dead", "Durable messages that were given up."),
            snapshots: make.gauge("orc_state_snapshots", "Named snapshots of the state keys."),
            tasks_dead_overflowed: make.gauge(
                "orc_tasks_dead_overflowed",
                "Tasks that left the dead-letter list because it was full.",
            ),
            actions_paused: make.gauge("orc_actions_paused", "Actions of which no tasks are assigned."),
            stuck: make.gauge("orc_stuck_work", "Pieces of work that nothing can wake: must be 0."),
            components_connected: make
                .gauge("orc_components_connected", "Components with a session, on any node."),
            slots: make.gauges("orc_component_slots", "Slots of connected components.", &["state"]),
            sessions: make.gauge("orc_sessions", "Sessions on this node."),
            messages: make.gauge("orc_messages_waiting", "Messages without a reply on this node."),
            message_queues: make.gauges(
                "orc_message_queue_depth",
                "Messages without a reply, by component connected to this node.",
                &["component"],
            ),
            state_keys: make.gauge("orc_state_keys", "State keys, deleted ones included."),
            events: make.gauge("orc_events_last_seq", "Number of the last event."),
            sse_clients: make.gauge("orc_sse_clients", "Readers of streams on this node."),
            is_leader: make.gauge("orc_raft_is_leader", "1 if this node leads."),
            term: make.gauge("orc_raft_term", "The term this node knows."),
            commit: make.gauge("orc_raft_commit_index", "The last log index known as committed."),
            applied: make.gauge("orc_raft_applied_index", "The last log index applied."),
            lag: make.gauges(
                "orc_raft_replication_lag",
                "On the leader: log entries that a peer has not acknowledged.",
                &["peer"],
            ),
            waiting: make.gauge("orc_store_rows_waiting", "Rows, events and answers that wait for the disk."),
            storage: make.gauge("orc_storage_bytes", "Bytes of the data folder on the disk."),
            storage_free: make
                .gauge("orc_storage_free_bytes", "Bytes that are free on the disk of the data folder."),
            storage_stage: make.gauge(
                "orc_storage_stage",
                "0: the disk has room; 1: little, new work is refused; 2: none, the node ends.",
            ),
            memory_limit: make
                .gauge("orc_memory_limit_bytes", "Resident memory above which new work is refused."),
            health: make.gauges(
                "orc_health_check_ok",
                "1 if the latest health check of this name found nothing.",
                &["check"],
            ),
        }
    }

    fn count(&self, census: &Census) {
        self.runs_active.set(number(census.counts.runs_active));
        self.runs_queued.set(number(census.counts.runs_queued));
        self.tasks_running.set(number(census.counts.tasks_running));
        self.components_connected.set(number(census.counts.components_connected));
        self.slots.with_label_values(&["used"]).set(number(census.slots_used));
        self.slots.with_label_values(&["free"]).set(number(census.slots_free));
        self.state_keys.set(number(census.counts.keys));
        self.stuck.set(number(census.stuck.len()));
        self.tasks_dead.set(number(census.counts.tasks_dead));
        self.durable.set(number(census.counts.messages));
        self.messages_dead.set(number(census.counts.messages_dead));
        self.snapshots.set(number(census.counts.snapshots));
        self.tasks_dead_overflowed.set(number(census.dead_overflowed));
        self.actions_paused.set(number(census.paused_actions.len()));
    }

    fn examine(&self, report: &Report) {
        for check in &report.checks {
            self.health.with_label_values(&[check.name.as_str()]).set(i64::from(check.is_ok));
        }
    }
}

fn number<N: TryInto<i64>>(value: N) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Shows these values and no earlier ones; those of words that share a label are added up.
fn show<S: Ord + AsRef<str> + std::fmt::Debug, const LABELS: usize>(
    gauges: &IntGaugeVec,
    values: impl IntoIterator<Item = ([S; LABELS], i64)>,
) {
    let mut sums: BTreeMap<[S; LABELS], i64> = BTreeMap::new();
    for (labels, value) in values {
        *sums.entry(labels).or_default() += value;
    }
    gauges.reset();
    for (labels, value) in sums {
        gauges.with_label_values(&labels).set(value);
    }
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
            gauges.count(&census);
        }
        if let Ok(queued) = cluster.queued().await {
            let waiting = queued.iter().map(|((action, priority), count)| {
                ([self.actions.label(action), priority.name()], number(*count))
            });
            show(&gauges.tasks_queued, waiting);
        }
        if let Some(work) = gateway.work() {
            gauges.sessions.set(number(work.sessions));
            gauges.messages.set(number(work.messages_waiting));
        }
        let queues = gateway.message_queues();
        let waiting = queues
            .iter()
            .map(|(component, waiting)| ([self.components.label(component.as_str())], number(*waiting)));
        show(&gauges.message_queues, waiting);
        let leadership = cluster.leadership();
        gauges.is_leader.set(i64::from(leadership.is_leader));
        gauges.term.set(number(leadership.term));
        gauges.events.set(number(cluster.last_seq()));
        gauges.waiting.set(number(cluster.replica().reader().waiting()));
        gauges.sse_clients.set(self.sse_clients.load(Ordering::Relaxed));
        gauges.storage.set(number(self.storage.bytes().await));
        if let Some(room) = gateway.room() {
            gauges.storage_free.set(number(room.free));
            gauges.storage_stage.set(room.stage() as i64);
        }
        if let Some(memory) = gateway.memory() {
            gauges.memory_limit.set(number(memory.limit));
        }
        gauges.examine(&gateway.health());
        let progress = cluster.replica().progress().await;
        gauges.applied.set(number(progress.applied));
        if let Some(committed) = progress.committed {
            gauges.commit.set(number(committed));
        }
        let behind = progress.peers_behind.iter().map(|(peer, behind)| ([peer.to_string()], number(*behind)));
        show(&gauges.lag, behind);
    }
}
