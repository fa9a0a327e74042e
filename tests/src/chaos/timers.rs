//! Clients that let runs wait for a while and measure it by the monotonic clock of this program, which no fault touches: no
//! delay may be over too early. Knows nothing of faults.

use std::sync::Arc;

use anyhow::Result;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use super::scene::Scene;

const PAUSE: Duration = Duration::from_millis(100);
/// Longer than any delay; whoever has no answer then has measured nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Clocks are as exact as one part in so many: NTP moves them, and the cluster follows its own.
const EXACT: u32 = 500;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    /// Delays that were seen to end.
    pub ended: u64,
    /// Those that ended too early, in words.
    pub early: Vec<String>,
    /// The most that one ended too late, by what its client saw.
    pub latest: Duration,
}

impl Timers {
    /// Counts those of another client, too.
    pub fn add(&mut self, other: Timers) {
        self.ended += other.ended;
        self.early.extend(other.early);
        self.latest = self.latest.max(other.latest);
    }

    fn note(&mut self, run: &Value, delay: Duration, took: Duration) {
        self.ended += 1;
        self.latest = self.latest.max(took.saturating_sub(delay));
        if took + delay / EXACT < delay {
            self.early.push(format!("{} waited {took:?} instead of {delay:?}", run["id"]));
        }
    }
}

/// Starts one run after another until the load ends.
pub async fn work(scene: Arc<Scene>, mut rng: Rng) -> Result<Timers> {
    let http =
        reqwest::Client::builder().timeout(PATIENCE).connect_timeout(Duration::from_secs(1)).build()?;
    let mut timers = Timers::default();
    while scene.goes_on().await {
        let delay = Duration::from_millis(rng.u64(300..5000));
        let url = &scene.urls[rng.usize(..scene.urls.len())];
        let steps = json!([{"name": "Wait", "delay": delay.as_millis() as u64}]);
        let body = json!({"definition": {"name": "A while", "steps": steps}});
        let request = http.post(format!("{url}/api/v1/runs?wait=15000")).json(&body);
        let began = Instant::now();
        let run = async { request.send().await?.error_for_status()?.json::<Value>().await };
        if let Ok(run) = run.await
            && run["status"] == "completed"
        {
            timers.note(&run, delay, began.elapsed());
        }
        sleep(PAUSE).await;
    }
    Ok(timers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_that_ends_early_is_told_and_a_late_one_is_measured() {
        let (mut timers, run) = (Timers::default(), json!({"id": "r-1"}));
        timers.note(&run, Duration::from_secs(2), Duration::from_millis(2300));
        assert_eq!((timers.early.len(), timers.latest), (0, Duration::from_millis(300)));
        timers.note(&run, Duration::from_secs(2), Duration::from_millis(1990));
        assert_eq!((timers.ended, timers.early.len()), (2, 1));
    }
}
