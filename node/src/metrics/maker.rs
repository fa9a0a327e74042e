//! Makes metrics and registers them; remembers each, so that the documentation can be held against them.
//! Knows nothing of what they mean.

use std::cell::RefCell;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// Buckets for answers: from half a millisecond to ten seconds.
const ANSWER_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets for work: from five milliseconds to a day; the cluster's time has milliseconds.
const WORK_BUCKETS: [f64; 13] =
    [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0];

/// What a metric is called, what it is, and its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) labels: Vec<String>,
}

/// Registers metrics; a name used twice is our mistake.
#[derive(Default)]
pub(super) struct Maker {
    registry: Registry,
    known: RefCell<Vec<Known>>,
}

impl Maker {
    /// Everything made so far.
    pub(super) fn finish(self) -> (Registry, Vec<Known>) {
        (self.registry, self.known.into_inner())
    }

    fn add<C: Collector + Clone + 'static>(&self, kind: &'static str, made: prometheus::Result<C>) -> C {
        let collector = made.expect("names and labels of metrics are legal");
        self.know(kind, &collector);
        self.registry.register(Box::new(collector.clone())).expect("each metric has a name of its own");
        collector
    }

    fn know(&self, kind: &'static str, collector: &impl Collector) {
        let known = collector.desc().into_iter().map(|desc| {
            let fixed = desc.const_label_pairs.iter().map(|pair| pair.name().to_owned());
            let labels = fixed.chain(desc.variable_labels.iter().cloned()).collect();
            Known { name: desc.fq_name.clone(), kind, labels }
        });
        self.known.borrow_mut().extend(known);
    }

    /// What the system says of this process; nothing where it has no `/proc`.
    pub(super) fn process(&self) {
        let process = prometheus::process_collector::ProcessCollector::for_self();
        self.know("gauge", &process);
        let mut known = self.known.borrow_mut();
        known
            .iter_mut()
            .filter(|known| known.name.ends_with("_total"))
            .for_each(|known| known.kind = "counter");
        if self.registry.register(Box::new(process)).is_err() {
            tracing::debug!("no metrics of the process");
        }
    }

    /// 1, by the version of this program.
    pub(super) fn version(&self) {
        let version =
            Opts::new("orc_build_info", "1, by version.").const_label("version", env!("CARGO_PKG_VERSION"));
        self.add("gauge", IntGauge::with_opts(version)).set(1);
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add("counter", IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add("counter", IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add("gauge", IntGauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// Times of answers.
    pub(super) fn answers(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(ANSWER_BUCKETS.to_vec());
        self.add("histogram", Histogram::with_opts(options))
    }

    /// Times of answers by a label.
    pub(super) fn answers_by(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(ANSWER_BUCKETS.to_vec());
        self.add("histogram", HistogramVec::new(options, &[label]))
    }

    /// Times of work.
    pub(super) fn work(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(WORK_BUCKETS.to_vec());
        self.add("histogram", Histogram::with_opts(options))
    }

    /// Times of work by a label.
    pub(super) fn work_by(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(WORK_BUCKETS.to_vec());
        self.add("histogram", HistogramVec::new(options, &[label]))
    }
}
