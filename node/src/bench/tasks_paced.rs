//! W2 at a fixed rate: from the moment a task should have been enqueued to the start of its handler. Two workers inside
//! the bench, connected to different nodes, do the tasks, so that one clock measures both ends.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use orc_client::{Client, TaskCtx, TaskError, TaskHandler, Worker, wire::Raw};
use tokio::time::sleep;

use super::{
    BenchError, Options, load::open_loop, recorder::Recorder, report::Measured, scene::Scene, workers::Inside,
};

/// Tasks that each worker takes at once.
const SLOTS: u32 = 256;
/// How long tasks may take to start once the last is enqueued.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Does nothing but look at the clock: its payload is when it should have been enqueued, in nanoseconds since `begun`.
struct Clock {
    begun: Instant,
    /// Set when the load begins: the workers are connected before.
    recorder: OnceLock<Arc<Recorder>>,
    started: AtomicU64,
}

impl TaskHandler for Clock {
    fn run(&self, _: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        let intended = payload.get().parse().map(|nanos| self.begun + Duration::from_nanos(nanos));
        if let (Ok(intended), Some(recorder)) = (intended, self.recorder.get()) {
            recorder.ended(intended, &Ok::<_, TaskError>(()));
            self.started.fetch_add(1, Ordering::Relaxed);
        }
        std::future::ready(Ok(payload)).boxed()
    }
}

/// Measures one round.
pub(super) async fn measure(scene: &mut Scene, options: &Options, rate: u32) -> Result<Measured, BenchError> {
    let action = format!("bench-{}", std::process::id());
    let clients = scene.clients();
    let clock = Clock { begun: Instant::now(), recorder: OnceLock::new(), started: AtomicU64::new(0) };
    let clock = Arc::new(clock);
    let mut workers = Vec::new();
    for place in 0..2 {
        let client = Client::builder().nodes(scene.urls_from(place)).build()?;
        let worker = Worker::new(client).slots(SLOTS).handler(&action, clock.clone());
        workers.push((scene.guest(&format!("clock{place}")), worker));
    }
    let inside = Inside::start(&clients[0], workers).await?;
    let recorder = clock.recorder.get_or_init(|| Recorder::starting(options));
    let accepted = Arc::new(AtomicU64::new(0));
    open_loop(rate, recorder.until(), |number, intended| {
        let client = clients[usize::try_from(number).unwrap_or_default() % clients.len()].clone();
        let (recorder, accepted, action) = (recorder.clone(), accepted.clone(), action.clone());
        let nanos = u64::try_from(intended.duration_since(clock.begun).as_nanos()).unwrap_or(u64::MAX);
        async move {
            match client.tasks().schedule("bench").action(action).payload(nanos).send().await {
                Ok(_) => drop(accepted.fetch_add(1, Ordering::Relaxed)),
                Err(error) => recorder.failed(1, &error),
            }
        }
    })
    .await;
    let deadline = Instant::now() + STARTED_WITHIN;
    let missing = || accepted.load(Ordering::Relaxed).saturating_sub(clock.started.load(Ordering::Relaxed));
    while missing() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    if missing() > 0 {
        recorder.failed(missing(), &format!("not started within {STARTED_WITHIN:?}"));
    }
    inside.end().await;
    recorder.measured()
}
