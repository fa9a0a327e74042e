//! What is counted on this node, and the text that Prometheus reads: `docs/metrics.md` says what each number means.
//! No ids in labels, and only so many words. Knows nothing of who asks.

mod collect;
mod counted;
mod feed;
mod maker;
mod storage;
#[cfg(test)]
mod tests;
mod tracker;
mod words;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use orc_domain::ComponentId;
use orc_raft::replica::Leadership;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry};
use tokio::sync::watch;
use warp::http::Method;

use collect::Gauges;
use counted::Counted;
use maker::Maker;
use storage::Storage;
use words::Words;

/// What is counted.
pub struct Metrics {
    registry: Registry,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    proposals: Histogram,
    proposals_unanswered: IntCounter,
    sse_clients: Arc<AtomicI64>,
    replies: HistogramVec,
    leader_changes: IntCounter,
    counted: Counted,
    gauges: Gauges,
    storage: Storage,
    actions: Words,
    components: Words,
    #[cfg(test)]
    known: Vec<maker::Known>,
}

/// Counts a reader of a stream while it reads.
pub struct SseClient(Arc<AtomicI64>);

impl Drop for SseClient {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Nothing counted yet, on a node with its data in this folder.
    pub fn new(data_dir: PathBuf) -> Metrics {
        let make = Maker::default();
        make.version();
        make.process();
        let actions = Words::default();
        let http_requests =
            make.counters("orc_http_requests_total", "Requests answered.", &["route", "method", "status"]);
        let http_duration =
            make.answers_by("orc_http_request_duration_seconds", "Time to answer, by route.", "route");
        let proposals = make.answers("orc_raft_proposal_seconds", "Time until a proposal was decided.");
        let proposals_unanswered =
            make.counter("orc_raft_proposals_unanswered_total", "Proposals nobody could decide.");
        let replies = make.answers_by(
            "orc_component_response_seconds",
            "Time until a component connected here replied to a message.",
            "component",
        );
        let leader_changes =
            make.counter("orc_raft_leader_changes_total", "Leaders seen since this node started.");
        let (counted, gauges) = (Counted::new(&make, actions.clone()), Gauges::new(&make));
        let (registry, _known) = make.finish();
        Metrics {
            registry,
            http_requests,
            http_duration,
            proposals,
            proposals_unanswered,
            sse_clients: Arc::default(),
            replies,
            leader_changes,
            counted,
            gauges,
            storage: Storage::new(data_dir),
            actions,
            components: Words::default(),
            #[cfg(test)]
            known: _known,
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

    /// A component connected here has replied to a message.
    pub fn replied(&self, component: &ComponentId, took: Duration) {
        let component = self.components.label(component.as_str());
        self.replies.with_label_values(&[component]).observe(took.as_secs_f64());
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
