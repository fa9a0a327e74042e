//! Clients that let runs wait for a while and measure it by the monotonic clock of this program, which no fault touches: no
//! delay may be over too early, nor much later than writes are possible again. All nodes are asked for the end at once, so that
//! one that is cut off does not delay the news. Knows nothing of faults.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use futures::future::select_ok;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::{outages::Outages, scene::Scene};

const PAUSE: Duration = Duration::from_millis(100);
/// Whoever has not heard of the start by then measures nothing.
const TO_START: Duration = Duration::from_secs(20);
/// Longer than any delay and any time without a leader.
const PATIENCE: Duration = Duration::from_secs(60);

/// Clocks are as exact as one part in so many: NTP moves them, and the cluster follows its own.
const EXACT: u32 = 500;
/// What a delay may be late besides the time without writes.
const LATE_MAX: Duration = Duration::from_secs(2);
/// Shorter times without writes are none: clients wait for their answers and pause.
const OUTAGE_MIN: Duration = Duration::from_millis(250);

/// A delay that was seen to end, or not; times in nanoseconds.
#[derive(Clone, Debug)]
struct Delay {
    run: String,
    /// It was asked for, and begins with the earliest.
    asked: u64,
    /// It has begun, as was answered.
    begun: u64,
    lasts: Duration,
    ended: u64,
}

impl Delay {
    fn took(&self) -> Duration {
        Duration::from_nanos(self.ended - self.asked)
    }

    fn late(&self) -> Duration {
        Duration::from_nanos(self.ended - self.begun).saturating_sub(self.lasts)
    }
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    delays: Vec<Delay>,
    /// Runs whose end nobody told, in words.
    endless: Vec<String>,
}

impl Timers {
    /// Counts those of another client, too.
    pub fn add(&mut self, other: Timers) {
        self.delays.extend(other.delays);
        self.endless.extend(other.endless);
    }

    /// Delays that were seen to end.
    pub fn ended(&self) -> usize {
        self.delays.len()
    }

    /// The most that one ended too late.
    pub fn latest(&self) -> Duration {
        self.delays.iter().map(Delay::late).max().unwrap_or_default()
    }

    /// The most that one ended later than the time without writes explains.
    pub fn latest_beyond(&self, outages: &Outages) -> Duration {
        self.delays.iter().map(|delay| beyond(delay, outages)).max().unwrap_or_default()
    }

    /// Those that ended too early, in words.
    pub fn early(&self) -> Vec<String> {
        let early = self.delays.iter().filter(|delay| delay.took() + delay.lasts / EXACT < delay.lasts);
        { early }
            .map(|delay| format!("{} waited {:?} instead of {:?}", delay.run, delay.took(), delay.lasts))
            .collect()
    }

    /// Those that ended much too late, in words, and those that nobody saw end.
    pub fn late(&self, outages: &Outages) -> Vec<String> {
        let late = self.delays.iter().filter(|delay| beyond(delay, outages) > LATE_MAX);
        let told = late.map(|delay| {
            let beyond = beyond(delay, outages);
            format!("{} was {:?} late, {beyond:?} beyond the time without writes", delay.run, delay.late())
        });
        told.chain(self.endless.iter().cloned()).collect()
    }
}

/// Nothing can happen without a leader; what is left of the lateness is the cluster's own.
fn beyond(delay: &Delay, outages: &Outages) -> Duration {
    delay.late().saturating_sub(outages.within((delay.begun, delay.ended), OUTAGE_MIN))
}

/// Starts one run after another until the load ends.
pub async fn work(scene: Arc<Scene>, mut rng: Rng) -> Result<Timers> {
    let http = Client::builder().timeout(TO_START).connect_timeout(Duration::from_secs(1)).build()?;
    let mut timers = Timers::default();
    while scene.goes_on().await {
        let lasts = Duration::from_millis(rng.u64(300..5000));
        let url = &scene.urls[rng.usize(..scene.urls.len())];
        let steps = json!([{"name": "Wait", "delay": lasts.as_millis() as u64}]);
        let body = json!({"definition": {"name": "A while", "steps": steps}});
        let request = http.post(format!("{url}/api/v1/runs")).json(&body);
        let asked = scene.now();
        let run = async { request.send().await?.error_for_status()?.json::<Value>().await };
        if let Ok(run) = run.await
            && let Some(run) = run["runId"].as_str()
        {
            let (begun, deadline) = (scene.now(), Instant::now() + PATIENCE);
            let waits = scene.urls.iter().map(|url| Box::pin(ends(&http, url, run, deadline)));
            let run = run.to_owned();
            match select_ok(waits).await {
                Ok(_) => timers.delays.push(Delay { run, asked, begun, lasts, ended: scene.now() }),
                Err(_) => timers.endless.push(format!("{run} was not seen to end after {PATIENCE:?}")),
            }
        }
        sleep(PAUSE).await;
    }
    Ok(timers)
}

/// Returns once a node says that the run has ended.
async fn ends(http: &Client, url: &str, run: &str, deadline: Instant) -> Result<(), ()> {
    while Instant::now() < deadline {
        let asked = http.get(format!("{url}/api/v1/runs/{run}/wait?timeout=15000")).send();
        let run = async { asked.await?.error_for_status()?.json::<Value>().await };
        if run.await.is_ok_and(|run| run["status"] == "completed") {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Err(())
}

#[cfg(test)]
mod tests {
    use orc_check::history::History;

    use super::*;

    fn timers(lasts: u64, took: u64) -> Timers {
        let nanos = |ms: u64| ms * 1_000_000;
        let (run, lasts, asked) = ("run_1".to_owned(), Duration::from_millis(lasts), nanos(1_000));
        let delay = Delay { run, asked, begun: asked, lasts, ended: asked + nanos(took) };
        Timers { delays: vec![delay], endless: Vec::new() }
    }

    #[test]
    fn a_delay_that_ends_early_is_told_and_a_late_one_is_measured() {
        let late = timers(2_000, 2_300);
        assert_eq!((late.early().len(), late.latest()), (0, Duration::from_millis(300)));
        let mut both = timers(2_000, 1_990);
        both.add(late);
        assert_eq!((both.ended(), both.early().len()), (2, 1));
    }

    #[test]
    fn a_delay_may_be_late_by_the_time_without_writes_and_a_little_more() {
        let (never, long) = (Outages::of(&History::default()), Outages::of_times(&[1_500, 4_500]));
        assert_eq!(timers(2_000, 3_900).late(&never), Vec::<String>::new());
        assert_eq!(timers(2_000, 4_100).late(&never).len(), 1);
        assert_eq!(timers(2_000, 6_900).late(&long), Vec::<String>::new());
        assert_eq!(timers(2_000, 7_100).late(&long).len(), 1);
    }

    #[test]
    fn an_answer_that_comes_late_makes_no_delay_late() {
        let mut slow = timers(2_000, 6_100);
        slow.delays[0].begun += 4_000_000_000;
        assert_eq!((slow.late(&Outages::of(&History::default())).len(), slow.early().len()), (0, 0));
    }

    #[test]
    fn a_delay_without_end_is_told() {
        let endless = Timers { endless: vec!["run_1 was not seen to end".to_owned()], ..Timers::default() };
        assert_eq!(endless.late(&Outages::of(&History::default())).len(), 1);
    }
}
