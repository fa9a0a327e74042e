//! A cluster of three nodes, what a test asks of it, and the record of which promises of a topic were kept.
//! Knows nothing of single promises.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use orc_client::wire::{Event, RunView};
use orc_client::{Client, Events, TaskCtx, TaskError, Worker};
use orc_tests::{Cluster, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

/// Nothing that a promise awaits takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the promises of a topic one after another, all of them, and names those that are broken.
macro_rules! keeps {
    ($scene:expr; $($promise:ident),+ $(,)?) => {{
        let mut broken: Vec<String> = Vec::new();
        $(
            let begun = tokio::time::Instant::now();
            match tokio::time::timeout($crate::scene::PATIENCE * 2, $promise($scene)).await {
                Ok(Ok(())) => println!("kept in {:>7.1?}: {}", begun.elapsed(), stringify!($promise)),
                Ok(Err(error)) => broken.push(format!("{}: {error:?}", stringify!($promise))),
                Err(_) => broken.push(format!("{}: it takes too long", stringify!($promise))),
            }
        )+
        anyhow::ensure!(broken.is_empty(), "{} broken promises:\n{}", broken.len(), broken.join("\n"));
    }};
}

pub struct Scene {
    pub cluster: Cluster,
    pub orc: Client,
}

impl Scene {
    pub async fn start(name: &str) -> Result<Scene> {
        let cluster = Cluster::start(&format!("seed-{name}"), 3, Options::default()).await?;
        let orc = cluster.client()?;
        Ok(Scene { cluster, orc })
    }

    /// A component with slots that lives in this process.
    pub fn worker(&self, id: &str) -> Worker {
        Worker::new(self.orc.clone()).id(id).slots(8)
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<(u16, Value)> {
        call(&self.cluster.url(1), "POST", path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<(u16, Value)> {
        call(&self.cluster.url(2), "PUT", path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, answer) = call(&self.cluster.url(3), "GET", path, None).await?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Starts a run of a definition; its id.
    pub async fn create_workflow(&self, definition: Value) -> Result<String> {
        let (status, answer) = self.post("/runs", json!({ "definition": definition })).await?;
        ensure!(status == 201, "{status} {answer}");
        Ok(answer["workflowId"].as_str().context("an id")?.to_owned())
    }

    /// Schedules a task; its id.
    pub async fn schedule_task(&self, task: Value) -> Result<String> {
        let (status, answer) = self.post("/tasks", task).await?;
        ensure!(status == 201, "{status} {answer}");
        Ok(answer["taskId"].as_str().context("an id")?.to_owned())
    }

    /// The run once it has ended.
    pub async fn ended(&self, run: &str) -> Result<RunView> {
        Ok(self.orc.runs().handle(run).wait().timeout(PATIENCE).await?.view().clone())
    }

    /// All events of a run.
    pub async fn events_of(&self, run: &str) -> Result<Vec<Event>> {
        Ok(self.orc.events().run(run).since(0).list(500).await?.items)
    }

    /// Sets settings for the time of `work` only.
    pub async fn with_config(&self, changes: Value, work: impl Future<Output = Result<()>>) -> Result<()> {
        let before = self.orc.cluster().config().await?;
        self.orc.cluster().set_config(&changes).await?;
        let done = work.await;
        self.orc.cluster().set_config(&before).await?;
        done
    }
}

/// A call as any program would make it; paths are those below `/api/v1`.
pub async fn call(node: &str, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
    let (status, text) = http(node, method, &format!("/api/v1{path}"), body).await?;
    let answer = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    Ok((status, answer))
}

pub async fn http(node: &str, method: &str, path: &str, body: Option<Value>) -> Result<(u16, String)> {
    let address = node.strip_prefix("http://").context("an address")?;
    let body = body.map_or_else(String::new, |body| body.to_string());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let kind = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("{head}{kind}{body}").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PATIENCE * 2, exchange).await??;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok((status, body.to_owned()))
}

/// The first event that fits, since the beginning.
pub async fn told(events: Events, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut events = events.since(0).stream().await?;
    let awaited = async {
        loop {
            let event = events.next().await.context("a stream goes on")??;
            let data: Value = event.data()?;
            if fits(&data) {
                return anyhow::Ok(data);
            }
        }
    };
    timeout(PATIENCE, awaited).await.context("nobody told of it")?
}

/// Waits until something can be seen.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if Instant::now() > deadline {
            bail!("waited in vain for {what}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// An action whose attempts end when the test lets them.
#[derive(Clone)]
pub struct Gate {
    open: Arc<Semaphore>,
    begun: watch::Sender<usize>,
}

impl Gate {
    pub fn closed() -> Gate {
        Gate { open: Arc::new(Semaphore::new(0)), begun: watch::Sender::new(0) }
    }

    /// Lets one attempt end for each permit.
    pub fn open(&self, permits: usize) {
        self.open.add_permits(permits);
    }

    /// Waits until so many attempts have begun: their components have them.
    pub async fn begun(&self, attempts: usize) -> Result<()> {
        let mut begun = self.begun.subscribe();
        timeout(PATIENCE, begun.wait_for(|begun| *begun >= attempts))
            .await
            .context("an attempt to begin")??;
        Ok(())
    }

    /// The worker with the action `gated`.
    pub fn on(&self, worker: Worker) -> Worker {
        let gate = self.clone();
        worker.task_fn("gated", move |ctx: TaskCtx, _: Value| {
            let gate = gate.clone();
            async move {
                gate.begun.send_modify(|begun| *begun += 1);
                tokio::select! {
                    permit = gate.open.acquire() => permit.expect("never closed").forget(),
                    () = ctx.cancelled() => return Err(TaskError::cancelled("told to stop")),
                }
                Ok(json!({ "token": ctx.token() }))
            }
        })
    }
}

/// The worker with the action `echo`.
pub fn echoing(worker: Worker) -> Worker {
    worker.task_fn("echo", |_: TaskCtx, given: Value| async move { Ok::<_, TaskError>(given) })
}

/// The worker with the action `broken`, of which every attempt fails.
pub fn broken(worker: Worker) -> Worker {
    worker.task_fn("broken", |_: TaskCtx, _: Value| async {
        Err::<(), _>(TaskError::new("BROKEN", "it broke"))
    })
}
