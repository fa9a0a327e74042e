//! What is counted on this node, and the text that Prometheus reads. No ids in labels.
//! Knows nothing of who asks.

mod collect;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use orc_domain::{Event, RunStatus};
use orc_raft::replica::Leadership;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};
use tokio::sync::watch;
use warp::http::Method;

/// Buckets from half a millisecond to ten seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Buckets from ten milliseconds to a day.
const RUN_BUCKETS: [f64; 12] =
    [0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0];

/// What is counted.
pub struct Metrics {
    registry: Registry,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    proposals: Histogram,
    proposals_unanswered: IntCounter,
    sse_clients: Arc<AtomicI64>,
    runs: IntCounterVec,
    run_duration: Histogram,
    tasks: IntCounterVec,
    attempts_failed: IntCounter,
    state_writes: IntCounter,
    leader_changes: IntCounter,
    gauges: Gauges,
}

/// What is looked up when somebody asks.
struct Gauges {
    runs_active: IntGauge,
    runs_queued: IntGauge,
    tasks_queued: IntGauge,
    tasks_running: IntGauge,
    components_connected: IntGauge,
    sessions: IntGauge,
    messages: IntGauge,
    state_keys: IntGauge,
    sse_clients: IntGauge,
    is_leader: IntGauge,
    term: IntGauge,
    commit: IntGauge,
    applied: IntGauge,
    events: IntGauge,
    waiting: IntGauge,
    stuck: IntGauge,
    tasks_dead: IntGauge,
    tasks_dead_overflowed: IntGauge,
    actions_paused: IntGauge,
    lag: IntGaugeVec,
}

/// Counts a reader of a stream while it reads.
pub struct SseClient(Arc<AtomicI64>);

impl Drop for SseClient {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Registers metrics; a name used twice is our mistake.
struct Maker(Registry);

impl Maker {
    fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("names and labels of metrics are legal");
        self.0.register(Box::new(collector.clone())).expect("each metric has a name of its own");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn buckets(name: &str, help: &str) -> HistogramOpts {
        HistogramOpts::new(name, help).buckets(BUCKETS.to_vec())
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new() -> Metrics {
        let make = Maker(Registry::new());
        let version =
            Opts::new("orc_build_info", "1, by version.").const_label("version", env!("CARGO_PKG_VERSION"));
        make.add(IntGauge::with_opts(version)).set(1);
        let process = prometheus::process_collector::ProcessCollector::for_self();
        // On a system without /proc there is nothing to say about the process.
        if make.0.register(Box::new(process)).is_err() {
            tracing::debug!("no metrics of the process");
        }
        let duration = Maker::buckets("orc_http_request_duration_seconds", "Time to answer, by route.");
        let runs =
            HistogramOpts::new("orc_workflow_run_duration_seconds", "Time from a run's start to its end.");
        let runs = runs.buckets(RUN_BUCKETS.to_vec());
        let proposal = Maker::buckets("orc_raft_proposal_seconds", "Time until a proposal was decided.");
        Metrics {
            http_requests: make.counters(
                "orc_http_requests_total",
                "Requests answered.",
                &["route", "method", "status"],
            ),
            http_duration: make.add(HistogramVec::new(duration, &["route"])),
            proposals: make.add(Histogram::with_opts(proposal)),
            proposals_unanswered: make
                .counter("orc_raft_proposals_unanswered_total", "Proposals nobody could decide."),
            sse_clients: Arc::default(),
            runs: make.counters(
                "orc_workflow_runs_total",
                "Runs ended since this node started.",
                &["status"],
            ),
            run_duration: make.add(Histogram::with_opts(runs)),
            tasks: make.counters(
                "orc_tasks_total",
                "Tasks and task steps ended since this node started.",
                &["status"],
            ),
            attempts_failed: make
                .counter("orc_task_retries_total", "Attempts that failed and were tried again."),
            state_writes: make
                .counter("orc_state_writes_total", "State keys written since this node started."),
            leader_changes: make
                .counter("orc_raft_leader_changes_total", "Leaders seen since this node started."),
            gauges: Gauges::new(&make),
            registry: make.0,
        }
    }

    /// A request was answered. The route is its template.
    pub fn http(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let method = match *method {
            Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::PATCH
            | Method::OPTIONS => method.as_str(),
            _ => "OTHER",
        };
        let status = status.to_string();
        self.http_requests.with_label_values(&[route, method, status.as_str()]).inc();
        self.http_duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// A proposal was decided, or nobody could say.
    pub fn proposal(&self, took: Duration, decided: bool) {
        match decided {
            true => self.proposals.observe(took.as_secs_f64()),
            false => self.proposals_unanswered.inc(),
        }
    }

    /// A stream begins; it ends with the guard.
    pub fn sse_client(&self) -> SseClient {
        self.sse_clients.fetch_add(1, Ordering::Relaxed);
        SseClient(self.sse_clients.clone())
    }

    /// Something has happened.
    pub fn event(&self, event: &Event) {
        if let Event::TaskEnded { outcome, .. } = event {
            self.tasks.with_label_values(&[outcome.status().name()]).inc();
        }
        if let Event::AttemptFailed { retry_at: Some(_), .. } = event {
            self.attempts_failed.inc();
        }
        if let Event::StateChanged(_) = event {
            self.state_writes.inc();
        }
    }

    /// A run has ended.
    pub fn run_ended(&self, status: RunStatus, took: Option<Duration>) {
        self.runs.with_label_values(&[status.name()]).inc();
        if let Some(took) = took {
            self.run_duration.observe(took.as_secs_f64());
        }
    }

    /// Counts the leaders that this node sees.
    pub async fn follow_leadership(self: Arc<Self>, mut leadership: watch::Receiver<Leadership>) {
        let mut known = None;
        loop {
            let seen = *leadership.borrow_and_update();
            if seen.leader.is_some() && known != Some((seen.leader, seen.term)) {
                known = Some((seen.leader, seen.term));
                self.leader_changes.inc();
            }
            if leadership.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}
