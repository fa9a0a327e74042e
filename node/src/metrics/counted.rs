//! What is counted of what happens in the cluster, alike on every node.
//! Knows nothing of how it is found out.

use std::time::Duration;

use orc_domain::{RunStatus, StepOutcome};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::{maker::Maker, words::Words};

/// Counters that the events feed.
pub(super) struct Counted {
    workflows: Words,
    actions: Words,
    runs: IntCounterVec,
    run_duration: Histogram,
    step_duration: HistogramVec,
    tasks: IntCounterVec,
    queue_wait: HistogramVec,
    attempt_duration: HistogramVec,
    retries: IntCounter,
    recoveries: IntCounterVec,
    state_writes: IntCounter,
    missed: IntCounter,
}

impl Counted {
    pub(super) fn new(make: &Maker, actions: Words) -> Self {
        Counted {
            workflows: Words::default(),
            actions,
            runs: make.counters("orc_workflow_runs_total", "Runs ended.", &["workflow", "status"]),
            run_duration: make
                .work("orc_workflow_run_duration_seconds", "Time from a run's start to its end."),
            step_duration: make.work_by(
                "orc_step_duration_seconds",
                "Time from a step's start to its end, by the type of the step.",
                "type",
            ),
            tasks: make.counters("orc_tasks_total", "Tasks of their own ended.", &["status"]),
            queue_wait: make.work_by(
                "orc_task_queue_wait_seconds",
                "Time that a task waited for a component.",
                "action",
            ),
            attempt_duration: make.work_by(
                "orc_task_duration_seconds",
                "Time from an attempt's start to its end.",
                "action",
            ),
            retries: make.counter("orc_task_retries_total", "Attempts that failed and were tried again."),
            recoveries: make.counters(
                "orc_error_recoveries_total",
                "Tasks and task steps of which an attempt had failed, ended.",
                &["result"],
            ),
            state_writes: make.counter("orc_state_writes_total", "State keys written or deleted."),
            missed: make.counter(
                "orc_metrics_entries_missed_total",
                "Log entries whose events were not counted because this node was too busy.",
            ),
        }
    }

    pub(super) fn run_ended(&self, workflow: Option<&str>, status: RunStatus, took: Option<Duration>) {
        let workflow = self.workflows.label(workflow.unwrap_or("unknown"));
        self.runs.with_label_values(&[workflow, status.name()]).inc();
        if let Some(took) = took {
            self.run_duration.observe(took.as_secs_f64());
        }
    }

    pub(super) fn step_ended(&self, kind: &str, took: Duration) {
        self.step_duration.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    pub(super) fn task_ended(&self, outcome: &StepOutcome) {
        self.tasks.with_label_values(&[outcome.status().name()]).inc();
    }

    pub(super) fn assigned(&self, action: &str, waited: Duration) {
        let action = self.actions.label(action);
        self.queue_wait.with_label_values(&[action]).observe(waited.as_secs_f64());
    }

    pub(super) fn attempt_ended(&self, action: &str, took: Duration) {
        let action = self.actions.label(action);
        self.attempt_duration.with_label_values(&[action]).observe(took.as_secs_f64());
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    /// A task of which an attempt had failed has ended, well or not.
    pub(super) fn recovery(&self, recovered: bool) {
        let result = if recovered { "recovered" } else { "failed" };
        self.recoveries.with_label_values(&[result]).inc();
    }

    pub(super) fn state_written(&self) {
        self.state_writes.inc();
    }

    pub(super) fn missed(&self, entries: u64) {
        self.missed.inc_by(entries);
    }
}
