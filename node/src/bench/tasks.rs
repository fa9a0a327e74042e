//! W2: tasks that do nothing, done by worker processes: their number by the time from the first enqueue to the last end,
//! and the latency of the enqueue's acknowledgement. Knows nothing of where the workers are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use orc_client::{
    Client, TaskHandle,
    wire::{self, Raw},
};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    BenchError, Options,
    load::{FOREVER, PAUSE},
    recorder::Recorder,
    report::Measured,
    scene::Scene,
};

/// With the name and the quotes, a task's payload and output are 92 bytes of JSON.
const TEXT_LENGTH: usize = 81;
/// How long the tasks that are left may take once the last is enqueued.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// Counts that a node answers may be so old.
const COUNT_AGE_MAX: Duration = Duration::from_millis(120);

/// Measures one round: `count` tasks, or as many as are accepted in the time.
pub(super) async fn measure(
    scene: &Scene,
    options: &Options,
    count: Option<u64>,
) -> Result<Measured, BenchError> {
    let clients = scene.clients();
    let begun = Instant::now();
    let dropped = Recorder::new(begun, begun + FOREVER);
    let last = enqueue(&clients, options, &dropped, (begun + options.warm_up, None)).await;
    all_done(&clients[0], last).await?;

    let begun = Instant::now();
    let recorder = Recorder::new(begun, begun + FOREVER);
    let until = if count.is_some() { begun + FOREVER } else { begun + options.length };
    let last = enqueue(&clients, options, &recorder, (until, count)).await;
    let done = all_done(&clients[0], last).await?;
    recorder.measured_over(done.duration_since(begun))
}

/// Enqueues until a time or a number is reached; the last task of each producer.
async fn enqueue(
    clients: &[Client],
    options: &Options,
    recorder: &Arc<Recorder>,
    (until, count): (Instant, Option<u64>),
) -> Vec<TaskHandle> {
    let payload = wire::raw(&json!({"text": "x".repeat(TEXT_LENGTH)})).expect("a document has a JSON form");
    let left = Arc::new(AtomicU64::new(count.unwrap_or(u64::MAX)));
    let mut producers = JoinSet::new();
    for place in 0..options.in_flight {
        let (client, payload) = (clients[place % clients.len()].clone(), payload.clone());
        let (recorder, left) = (recorder.clone(), left.clone());
        producers.spawn(async move {
            let mut last = None;
            while Instant::now() < until && take_one(&left) {
                last = enqueue_one(&client, &payload, &recorder).await.or(last);
            }
            last
        });
    }
    producers.join_all().await.into_iter().flatten().collect()
}

fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn enqueue_one(client: &Client, payload: &Raw, recorder: &Recorder) -> Option<TaskHandle> {
    let start = Instant::now();
    let result = client.tasks().schedule("bench").action("echo").payload(payload).send().await;
    recorder.ended(start, &result);
    if result.is_err() {
        sleep(PAUSE).await;
    }
    result.ok()
}

/// The moment when all tasks had ended: that of the last ones, if the counts then say that none is left.
async fn all_done(client: &Client, last: Vec<TaskHandle>) -> Result<Instant, BenchError> {
    let deadline = Instant::now() + DONE_WITHIN;
    try_join_all(last.iter().map(async |task| {
        let result = task.wait().timeout(DONE_WITHIN).await?;
        result.output::<IgnoredAny>()
    }))
    .await?;
    let mut done = Instant::now();
    sleep(COUNT_AGE_MAX).await;
    loop {
        let tasks = client.status().await?.components.task_scheduler;
        if tasks.running_tasks + tasks.queued_tasks == 0 {
            return Ok(done);
        }
        if Instant::now() > deadline {
            let (running, queued) = (tasks.running_tasks, tasks.queued_tasks);
            let text = format!("after {DONE_WITHIN:?}, {running} tasks are running and {queued} are queued");
            return Err(BenchError::Missing(text));
        }
        sleep(Duration::from_millis(20)).await;
        done = Instant::now();
    }
}
