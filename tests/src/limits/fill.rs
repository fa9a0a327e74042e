//! Fills every queue and table of a cluster to its limit: each kind is made until the cluster refuses one more.
//! Knows nothing of what goes on when they are full.

use std::{
    cell::Cell,
    future::{Future, ready},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, stream};
use orc_client::{
    Client, Error, Workflow,
    wire::{CreateSnapshot, RegisterComponent, ScheduleTask, SetSchedule},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::scene::{Scene, refusal};

/// A component that is never connected.
pub const INBOX: &str = "inbox";
/// The action of the tasks that wait until the pressure is off.
pub const LATER: &str = "later";
/// More of anything than a cluster takes.
const ENOUGH: u64 = 1_000_000;
const WITHIN: Duration = Duration::from_secs(300);
const AT_ONCE: usize = 256;

/// A run of one step that takes half a second of a worker.
pub fn short_run() -> Value {
    json!({"name": "short", "steps": [{"name": "rest", "type": "task", "config": {"action": "sleep", "ms": 500}}]})
}

/// Fills everything, one kind after another.
pub async fn everything(scene: &Arc<Scene>) -> Result<()> {
    let client = scene.client()?;
    client.components().register(INBOX, &RegisterComponent::default()).await?;
    client.workflows().apply(&short_run(), None).await?;
    let filled = |what: &str, count: u64, began: Instant| {
        println!("filled {what:<28} {count:>9}  {:.1} s", began.elapsed().as_secs_f64());
    };
    for (what, limit) in KINDS {
        let began = Instant::now();
        let count = until_refused(scene, what, |number| one(scene.clone(), client.clone(), limit, number));
        filled(what, count.await?, began);
    }
    let began = Instant::now();
    let mut count = 0;
    for size in [1_000, 100, 10] {
        count += tasks(scene, &client, size).await? * size;
    }
    filled("live tasks", count, began);
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Run,
    Message,
    Workflow,
    Version,
    Schedule,
    Snapshot,
    Pause,
    Signal,
}

const KINDS: [(&str, Kind); 8] = [
    ("versions of a workflow", Kind::Version),
    ("workflows", Kind::Workflow),
    ("schedules", Kind::Schedule),
    ("snapshots", Kind::Snapshot),
    ("paused actions", Kind::Pause),
    ("durable messages", Kind::Message),
    ("live runs", Kind::Run),
    ("signals of a run", Kind::Signal),
];

async fn one(scene: Arc<Scene>, client: Client, kind: Kind, number: u64) -> Result<(), Error> {
    match kind {
        Kind::Run => {
            let run = client.runs().start(Workflow::named("short")).send().await?;
            scene.runs.add(run.id().to_owned());
        }
        Kind::Message => {
            let text = "x".repeat(4096);
            let note = json!({"number": number, "text": text});
            let sent = client.components().send_durable(INBOX, "note", note).await?;
            scene.messages.add(sent.message_id);
        }
        Kind::Workflow => drop(client.workflows().apply(&kept(&format!("kept-{number}"), 0), None).await?),
        Kind::Version => drop(client.workflows().apply(&kept("changed", number), None).await?),
        Kind::Schedule => {
            let text = json!({"id": format!("s-{number}"), "workflow": "short", "cron": "0 0 29 2 *"});
            let schedule: SetSchedule = serde_json::from_value(text).map_err(Error::Decode)?;
            client.schedules().create(&schedule).await?;
        }
        Kind::Snapshot => drop(client.state().snapshots().create(&CreateSnapshot::default()).await?),
        Kind::Signal => {
            let run = scene.queued.get_or_init(|| scene.runs.last().unwrap_or_default());
            client.runs().handle(run).signal("go", &number).await?;
        }
        Kind::Pause => client.tasks().pause_action(&format!("paused-{number}")).await.map(drop)?,
    }
    Ok(())
}

fn kept(name: &str, number: u64) -> Value {
    let config = json!({"action": "echo", "number": number});
    json!({"name": name, "steps": [{"name": "one", "type": "task", "config": config}]})
}

/// Makes one after another until the cluster refuses one; how many it took.
async fn until_refused<F>(scene: &Scene, what: &'static str, one: impl Fn(u64) -> F) -> Result<u64>
where
    F: Future<Output = Result<(), Error>>,
{
    let deadline = Instant::now() + WITHIN;
    let (mut made, full) = (0, Cell::new(false));
    let numbers = stream::iter(0..ENOUGH).take_while(|_| ready(!full.get()));
    let mut calls = pin!(numbers.map(one).buffer_unordered(AT_ONCE));
    while let Some(done) = calls.next().await {
        match done {
            Ok(()) => made += 1,
            Err(error) => {
                let refused = refusal(&error);
                ensure!(refused.starts_with("429"), "{what}: {error}");
                full.set(full.get() || !refused.ends_with("OVERLOADED"));
                scene.tally.count(what, refused);
            }
        }
        ensure!(Instant::now() < deadline, "{what}: {made} were taken within {WITHIN:?} and none refused");
    }
    ensure!(full.get(), "{what}: {made} were taken and none refused");
    Ok(made)
}

/// Batches of tasks until one does not fit; how many did.
async fn tasks(scene: &Scene, client: &Client, size: u64) -> Result<u64> {
    let deadline = Instant::now() + WITHIN;
    let task = json!({"name": "waits", "action": LATER, "queueTimeout": 86_400_000});
    let task: ScheduleTask = serde_json::from_value(task).context("a task")?;
    for number in 0.. {
        ensure!(Instant::now() < deadline, "{number} batches of {size} were taken within {WITHIN:?}");
        match client.tasks().schedule_batch(vec![task.clone(); usize::try_from(size)?]).await {
            Ok(made) => made.iter().for_each(|task| scene.tasks.add(task.id().to_owned())),
            Err(error) => {
                let refused = refusal(&error);
                ensure!(refused == "429 LIMIT_EXCEEDED", "live tasks: {error}");
                scene.tally.count("live tasks", refused);
                return Ok(number);
            }
        }
    }
    unreachable!("a range without an end")
}
