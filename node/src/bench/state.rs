//! W3: 256 bytes over 10,000 keys: writes, linearizable reads, and events of writes at another node.
//! Knows nothing of crashes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt, stream};
use orc_client::{
    Change, Client, Error,
    wire::{self, Raw},
};

use super::{
    BenchError, Options,
    load::{load, open_loop},
    recorder::Recorder,
    report::Measured,
    scene::Scene,
};

/// Keys that are written and read.
pub(super) const KEYS: u64 = 10_000;
/// Numbers times this prime go over all keys before one comes again.
const STRIDE: u64 = 7_919;
/// With its quotes, a value is 256 bytes of JSON.
const VALUE_LENGTH: usize = 254;
/// Digits at the beginning of a value that carries a number.
const NUMBER_LENGTH: usize = 20;
/// Keys that are watched.
const WATCHED: u64 = 100;
/// How long events may take once the last write is acknowledged.
const SEEN_WITHIN: Duration = Duration::from_secs(5);
/// Writes at once when all keys are filled.
const FILL_AT_ONCE: usize = 64;

/// The place among the keys of an operation.
pub(super) fn place_of(number: u64) -> u64 {
    number.wrapping_mul(STRIDE) % KEYS
}

/// The key at a place.
pub(super) fn key(place: u64) -> String {
    format!("bench.{place}")
}

/// A value that can be told from all others.
pub(super) fn value_of(number: u64) -> String {
    format!("{number:0NUMBER_LENGTH$}{:v<1$}", "", VALUE_LENGTH - NUMBER_LENGTH)
}

/// The number that a value carries.
pub(super) fn number_of(value: &Raw) -> Option<u64> {
    value.get().get(1..=NUMBER_LENGTH)?.parse().ok()
}

/// Measures one round of writes.
pub(super) async fn measure_put(scene: &Scene, options: &Options) -> Result<Measured, BenchError> {
    let (clients, value) = (scene.clients(), value());
    let recorder = Recorder::starting(options);
    load(options, &recorder, move |place, number| {
        let set = clients[place % clients.len()].state().set(key(place_of(number)), &value);
        async move { set.await.map(|_| ()) }
    })
    .await;
    recorder.measured()
}

/// Measures one round of linearizable reads.
pub(super) async fn measure_get(scene: &Scene, options: &Options) -> Result<Measured, BenchError> {
    let clients = scene.clients();
    let recorder = Recorder::starting(options);
    load(options, &recorder, move |place, number| {
        let client = clients[place % clients.len()].clone();
        async move {
            let key = key(place_of(number));
            let found = client.state().get(&key).await?;
            found.map(|_| ()).ok_or_else(|| Error::Usage(format!("{key} was written and is not there")))
        }
    })
    .await;
    recorder.measured()
}

/// Writes every key once.
pub(super) async fn fill(scene: &Scene) -> Result<(), BenchError> {
    let (clients, value) = (scene.clients(), value());
    let writes = (0..KEYS).zip(clients.iter().cycle()).map(|(place, client)| {
        let set = client.state().set(key(place), &value);
        async move { set.await.map(|_| ()) }
    });
    stream::iter(writes).buffer_unordered(FILL_AT_ONCE).try_collect::<()>().await?;
    Ok(())
}

/// Measures one round of events: from the moment a write should have begun to its event, read at another node.
pub(super) async fn measure_watch(
    scene: &Scene,
    options: &Options,
    rate: u32,
) -> Result<Measured, BenchError> {
    let writer = scene.clients()[0].clone();
    let reader = Client::builder().nodes(scene.urls_from(1)).build()?;
    let mut changes = reader.state().watch("bench.watched.*").await?;
    let recorder = Recorder::starting(options);
    let begun = Instant::now();
    let (seen, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (recorded, count) = (recorder.clone(), seen.clone());
    let reading = async move {
        while let Some(change) = changes.next().await {
            let intended =
                change.as_ref().ok().and_then(nanos).map(|nanos| begun + Duration::from_nanos(nanos));
            recorded.ended(intended.unwrap_or(begun), &change);
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let writing = open_loop(rate, recorder.until(), |number, intended| {
        let nanos = u64::try_from(intended.saturating_duration_since(begun).as_nanos()).unwrap_or(u64::MAX);
        let set = writer.state().set(format!("bench.watched.{}", number % WATCHED), value_of(nanos));
        let (recorder, written) = (recorder.clone(), written.clone());
        async move {
            match set.await {
                Ok(_) => drop(written.fetch_add(1, Ordering::Relaxed)),
                Err(error) => recorder.failed(1, &error),
            }
        }
    });
    let missing = || written.load(Ordering::Relaxed).saturating_sub(seen.load(Ordering::Relaxed));
    let all_seen = async {
        writing.await;
        let deadline = Instant::now() + SEEN_WITHIN;
        while missing() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = all_seen => {}
        () = reading => return Err(BenchError::Missing("the stream of events ended".to_owned())),
    }
    if missing() > 0 {
        recorder.failed(missing(), &format!("no event within {SEEN_WITHIN:?}"));
    }
    recorder.measured()
}

fn nanos(change: &Change) -> Option<u64> {
    number_of(change.change.new_value.as_ref()?)
}

/// Written once: every request carries the same bytes.
fn value() -> Raw {
    wire::raw(&"v".repeat(VALUE_LENGTH)).expect("text has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_256_bytes_and_give_their_number_back() {
        for number in [0, 1, 123_456_789, u64::MAX] {
            let raw = wire::raw(&value_of(number)).expect("text has a JSON form");
            assert_eq!((raw.get().len(), number_of(&raw)), (256, Some(number)));
        }
        assert_eq!(value().get().len(), 256);
        assert_eq!(number_of(&value()), None);
    }

    #[test]
    fn all_keys_have_their_turn() {
        let mut places: Vec<u64> = (0..KEYS).map(place_of).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len() as u64, KEYS);
    }
}
