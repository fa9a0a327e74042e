//! `orc bench`: five works under load, each measured the way its peers are: closed loops, or a fixed rate.
//! Knows the cluster through the client library, and its own nodes as processes; prints nothing but progress.

mod crash;
mod load;
mod messages;
mod own;
mod progress;
mod recorder;
mod report;
mod runs;
mod scene;
mod state;
mod tasks;
mod tasks_paced;
mod timeline;
mod workers;

use std::{future::Future, time::Duration};

use progress::Progress;
pub use report::Report;
use report::{Measured, report};
use scene::Scene;

use crate::dev::DevError;

/// Writes a second that are watched unless told otherwise.
pub const WATCH_RATE: u32 = 200;

/// What is measured, where and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The operation.
    pub work: Work,
    /// The nodes of a cluster that runs; without any, one of our own is started and stopped.
    pub addresses: Vec<String>,
    /// Nodes of our own cluster.
    pub nodes: u16,
    /// Further flags of their `orc server`.
    pub server_flags: Vec<String>,
    /// Callers of a closed loop.
    pub in_flight: usize,
    /// What is measured lasts so long.
    pub length: Duration,
    /// Load before that, which does not count.
    pub warm_up: Duration,
    /// Operations a second, whatever the answers do; none: a closed loop.
    pub rate: Option<u32>,
    /// How often it is measured.
    pub repeat: usize,
    /// Worker processes; none: those that are connected.
    pub workers: u16,
    /// Tasks that each of them takes at once.
    pub slots: u32,
    /// Shows how far it is on stderr.
    pub progress: bool,
}

/// The five works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Runs of sequential steps, from the request to the result.
    Runs {
        /// How many steps each has.
        steps: usize,
    },
    /// Tasks without a run, from the first enqueue to the last end.
    Tasks {
        /// How many; none: as many as are accepted in the time.
        count: Option<u64>,
    },
    /// State keys.
    State(StateOp),
    /// Messages to a component at another node, and their replies.
    Messages,
    /// State writes while the leader is killed.
    Crash {
        /// How long after the warm-up.
        kill_at: Duration,
    },
}

/// What is done with state keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StateOp {
    /// Writes 256 bytes over 10,000 keys
    Put,
    /// Linearizable reads of them
    Get,
    /// From a write to its event at another node
    Watch,
}

impl Work {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Work::Runs { .. } => "w1",
            Work::Tasks { .. } => "w2",
            Work::State(_) => "w3",
            Work::Messages => "w4",
            Work::Crash { .. } => "w5",
        }
    }

    /// What is done with state keys, if it is about those.
    fn state_op(self) -> Option<&'static str> {
        match self {
            Work::State(StateOp::Put) => Some("put"),
            Work::State(StateOp::Get) => Some("get"),
            Work::State(StateOp::Watch) => Some("watch"),
            Work::Runs { .. } | Work::Tasks { .. } | Work::Messages | Work::Crash { .. } => None,
        }
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A call beside the load.
    #[error(transparent)]
    Call(#[from] orc_client::Error),
    /// A node cannot be started.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// A folder, a process.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        #[source]
        source: std::io::Error,
    },
    /// What should be there did not come, or went away.
    #[error("{0}")]
    Missing(String),
    /// Nothing ended in time.
    #[error("no operation ended in the time measured: {0}")]
    Nothing(String),
    /// It was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// It failed, and our own processes may have said why.
    #[error("{error}\n{logs}")]
    Told {
        /// What failed.
        #[source]
        error: Box<BenchError>,
        /// The ends of their logs.
        logs: String,
    },
}

impl BenchError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> BenchError {
        let what = what.into();
        move |source| BenchError::Io { what, source }
    }
}

/// Measures, unless `stop` returns before; either way nothing of it is left behind.
pub async fn run(options: &Options, stop: impl Future<Output = ()>) -> Result<Report, BenchError> {
    let mut scene = Scene::set(options)?;
    let done = tokio::select! {
        done = measure(&mut scene, options) => done,
        () = stop => Err(BenchError::Interrupted),
    };
    let done = match done {
        Err(error) if !matches!(error, BenchError::Interrupted) => Err(scene.with_logs(error).await),
        other => other,
    };
    scene.clear().await;
    done
}

async fn measure(scene: &mut Scene, options: &Options) -> Result<Report, BenchError> {
    let progress = Progress::new(options.progress);
    progress.stage("getting ready");
    let started = scene.prepare(options).await?;
    let idle = scene.memory();
    scene.start_workers(options).await?;
    if options.work == Work::State(StateOp::Get) {
        progress.stage("writing the keys");
        state::fill(scene).await?;
    }
    let mut rounds = Vec::new();
    for round in 1..=options.repeat {
        if round > 1 {
            scene.mend().await?;
        }
        progress.stage(&format!("{} · {round} of {}", options.work.name(), options.repeat));
        let length = options.warm_up + options.length;
        rounds.push(progress.during(length, one_round(scene, options)).await?);
    }
    progress.finish();
    let own = scene.is_own().then(|| report::Own::new(options, scene.memory(), idle, started));
    Ok(report(options, &rounds, own))
}

async fn one_round(scene: &mut Scene, options: &Options) -> Result<Measured, BenchError> {
    match (options.work, options.rate) {
        (Work::Runs { steps }, _) => runs::measure(scene, options, steps).await,
        (Work::Tasks { count }, None) => tasks::measure(scene, options, count).await,
        (Work::Tasks { .. }, Some(rate)) => tasks_paced::measure(scene, options, rate).await,
        (Work::State(StateOp::Put), _) => state::measure_put(scene, options).await,
        (Work::State(StateOp::Get), _) => state::measure_get(scene, options).await,
        (Work::State(StateOp::Watch), rate) => {
            state::measure_watch(scene, options, rate.unwrap_or(WATCH_RATE)).await
        }
        (Work::Messages, _) => messages::measure(scene, options).await,
        (Work::Crash { kill_at }, _) => crash::measure(scene, options, kill_at).await,
    }
}
