//! W5: state writes by clients of their own while the leader is killed, and every acknowledged write read back.
//! Knows nothing of the arithmetic; that is the timeline's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use orc_client::Client;
use tokio::task::JoinSet;

use super::{
    BenchError, Options,
    load::PAUSE,
    recorder::Recorder,
    report::{Crash, Measured},
    scene::Scene,
    state::{key, number_of, place_of, value_of},
    timeline::{Timeline, lost},
};

/// How long a client waits for one node before it asks another.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(250);
/// Keys read back at once.
const READ_AT_ONCE: usize = 32;

/// An acknowledged write.
struct Acknowledged {
    at: Instant,
    place: u64,
    version: u64,
    number: u64,
}

/// Measures one round.
pub(super) async fn measure(
    scene: &mut Scene,
    options: &Options,
    kill_at: Duration,
) -> Result<Measured, BenchError> {
    let recorder = Recorder::starting(options);
    let mut writers = JoinSet::new();
    for writer in 0..options.in_flight {
        let nodes = scene.urls_from(writer);
        let client = Client::builder().nodes(nodes).attempt_timeout(ATTEMPT_TIMEOUT).build()?;
        let (recorder, step) = (recorder.clone(), options.in_flight);
        writers.spawn(async move { write(&client, &recorder, (writer as u64..).step_by(step)).await });
    }
    let client = scene.clients()[0].clone();
    tokio::time::sleep_until((recorder.from() + kill_at).into()).await;
    let killed = scene.own()?.kill_leader(&client).await?;
    let mut acknowledged: Vec<Acknowledged> = writers.join_all().await.into_iter().flatten().collect();
    acknowledged.sort_by_key(|write| write.at);

    let since = |at: Instant| at.saturating_duration_since(recorder.from());
    let times: Vec<Duration> = acknowledged
        .iter()
        .filter(|write| write.at >= recorder.from())
        .map(|write| since(write.at))
        .collect();
    let (killed, ended) = (since(killed), since(recorder.until()));
    let timeline = Timeline { acknowledged: &times, killed, ended };
    let (from, to) = timeline.silence();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let crash = Crash {
        no_write_ms: millis(to - from),
        back_to_80_ms: timeline.back().map(millis),
        lost: read_back(&client, &acknowledged).await?,
        acknowledged: acknowledged.len() as u64,
        rate_before: timeline.rate_before(),
    };
    Ok(Measured { crash: Some(crash), ..recorder.measured()? })
}

/// Writes one value after another; what was acknowledged.
async fn write(
    client: &Client,
    recorder: &Recorder,
    numbers: impl Iterator<Item = u64>,
) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for number in numbers {
        let start = Instant::now();
        if start >= recorder.until() {
            break;
        }
        let place = place_of(number);
        let result = client.state().set(key(place), value_of(number)).await;
        recorder.ended(start, &result);
        match result {
            Ok(entry) => {
                acknowledged.push(Acknowledged { at: Instant::now(), place, version: entry.version, number });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    acknowledged
}

/// How many acknowledged writes are not there.
async fn read_back(client: &Client, acknowledged: &[Acknowledged]) -> Result<u64, BenchError> {
    let mut by_key: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for write in acknowledged {
        by_key.entry(write.place).or_default().push((write.version, write.number));
    }
    let lost_of_keys = by_key.into_iter().map(async |(place, written)| {
        let versions = client.state().versions(&key(place)).await?;
        let kept = versions.iter().map(|kept| (kept.version, kept.value.as_ref().and_then(number_of)));
        Ok::<_, BenchError>(lost(&written, &kept.collect::<Vec<_>>()) as u64)
    });
    stream::iter(lost_of_keys)
        .buffer_unordered(READ_AT_ONCE)
        .try_fold(0, |all, lost| std::future::ready(Ok(all + lost)))
        .await
}
