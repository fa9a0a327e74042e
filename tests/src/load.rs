//! Load with its bookkeeping: runs started at a fixed rate, and writes whose acknowledgements are timed.
//! Knows nothing of faults; whoever injects them reads the reports.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orc_client::{Client, Workflow};
use serde_json::{Value, json};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

/// The definition of a run of three steps that workers echo.
pub fn three_echo_steps() -> Value {
    let step =
        |name: &str| json!({"name": name, "type": "task", "config": {"action": "echo", "text": "hello"}});
    json!({"name": "three steps", "steps": [step("one"), step("two"), step("three")]})
}

/// What became of the calls of a load.
#[derive(Debug, Default)]
pub struct Report {
    /// Ids of runs that were accepted.
    pub accepted: Vec<String>,
    /// Calls that failed for good, with their errors.
    pub failed: Vec<String>,
    /// From each call's start to its answer.
    pub latencies: Vec<Duration>,
    /// How long the load went on.
    pub lasted: Duration,
}

/// Runs started at a fixed rate until told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Report>,
}

impl Load {
    /// Starts `rate` runs a second.
    pub fn start(client: Client, rate: u32, definition: Value) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(drive(client, rate, definition, stop.clone()));
        Load { stop, task }
    }

    /// Ends the load, waits for the answers on the way, and reports.
    pub async fn finish(self) -> anyhow::Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

async fn drive(client: Client, rate: u32, definition: Value, stop: Arc<AtomicBool>) -> Report {
    let mut report = Report::default();
    let mut calls = JoinSet::new();
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (client, definition) = (client.clone(), definition.clone());
        calls.spawn(async move {
            let start = Instant::now();
            let answer = client.runs().start(Workflow::definition(definition)).send().await;
            (start.elapsed(), answer.map(|run| run.id().to_owned()))
        });
        while let Some(call) = calls.try_join_next() {
            report.take(call);
        }
    }
    report.lasted = began.elapsed();
    while let Some(call) = calls.join_next().await {
        report.take(call);
    }
    report
}

type Call = Result<(Duration, Result<String, orc_client::Error>), tokio::task::JoinError>;

impl Report {
    fn take(&mut self, call: Call) {
        match call {
            Ok((took, Ok(id))) => {
                self.latencies.push(took);
                self.accepted.push(id);
            }
            Ok((_, Err(error))) => self.failed.push(error.to_string()),
            Err(error) => self.failed.push(error.to_string()),
        }
    }
}

/// Writes one after another, with the times of their calls and acknowledgements.
pub struct Probe {
    acknowledged: Arc<Mutex<Vec<(Instant, Instant)>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts writing `probe` through all nodes.
    pub fn start(urls: Vec<String>) -> anyhow::Result<Self> {
        let client = Client::builder()
            .nodes(urls)
            .timeout(Duration::from_secs(1))
            .attempt_timeout(Duration::from_millis(250))
            .build()?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let list = acknowledged.clone();
        let task = tokio::spawn(async move {
            for number in 0u64.. {
                let start = Instant::now();
                if client.state().set("probe", number).await.is_ok() {
                    list.lock().unwrap_or_else(PoisonError::into_inner).push((start, Instant::now()));
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        Ok(Probe { acknowledged, task })
    }

    /// Waits for the first write that was begun and acknowledged after `since`; the time from `since` to its answer.
    pub async fn next_after(&self, since: Instant, within: Duration) -> anyhow::Result<Duration> {
        let deadline = since + within;
        loop {
            let found = {
                let list = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                list.iter().rev().take_while(|(start, _)| *start >= since).last().map(|(_, end)| *end - since)
            };
            if let Some(took) = found {
                return Ok(took);
            }
            anyhow::ensure!(Instant::now() < deadline, "no write was acknowledged within {within:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}
