//! Callers that put in a closed loop while the leader is killed: how long no put was acknowledged,
//! when the rate was back, and whether a survivor has every acknowledged put.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, ConnectOptions, GetOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep, timeout},
};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// Rates are counted in bins, and so many together make a rate, as `orc bench` does it.
const BIN: Duration = Duration::from_millis(100);
const BINS: u32 = 3;
/// The part of the rate before at which it counts as back.
const BACK: f64 = 0.8;

/// The load, and who is killed when.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Crash {
    /// The pid of each node's server, in the order of the endpoints.
    #[arg(long, value_delimiter = ',', required = true)]
    pids: Vec<i32>,
    /// Callers; each has one put in flight.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// How long the load runs before the kill, in seconds.
    #[arg(long, default_value_t = 5.0)]
    before: f64,
    /// How long it runs after the kill, in seconds.
    #[arg(long, default_value_t = 10.0)]
    after: f64,
    /// When a caller gives up a put and goes to the next node, in milliseconds.
    #[arg(long, default_value_t = 250)]
    timeout_ms: u64,
}

/// An acknowledged put.
struct Acknowledged {
    key: String,
    at: Instant,
}

pub(crate) async fn run(endpoints: &[String], crash: &Crash) -> Result<()> {
    ensure!(crash.pids.len() == endpoints.len(), "one pid per endpoint is needed");
    let leader = leader(endpoints).await?;
    let pid = Pid::from_raw(crash.pids[leader]).context("0 is no pid")?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..crash.clients {
        let patience = Duration::from_millis(crash.timeout_ms);
        callers.spawn(write(endpoints.to_vec(), caller, patience, stop.clone()));
    }
    let began = Instant::now();
    sleep(Duration::from_secs_f64(crash.before)).await;
    let killed = Instant::now();
    kill_process(pid, Signal::KILL).context("cannot kill the leader")?;
    sleep(Duration::from_secs_f64(crash.after)).await;
    stop.store(true, Ordering::Relaxed);

    let (mut acknowledged, mut errors) = (Vec::new(), 0);
    for (keys, failed) in callers.join_all().await {
        acknowledged.extend(keys);
        errors += failed;
    }
    acknowledged.sort_unstable_by_key(|put| put.at);
    let before = acknowledged.partition_point(|put| put.at < killed);
    let rate = before as f64 / (killed - began).as_secs_f64();
    let end = killed + Duration::from_secs_f64(crash.after);
    let after = &acknowledged[before..acknowledged.partition_point(|put| put.at < end)];
    let (fell_silent, heard) = silence(after, killed, end);
    let back = back_after(after, (killed, heard), end, rate);
    let survivor = &endpoints[(leader + 1) % endpoints.len()];
    let lost = count_lost(survivor, crash.clients, &acknowledged).await?;
    let document = json!({
        "inFlight": crash.clients, "rate": rate, "acknowledged": acknowledged.len(), "errors": errors,
        "noWriteMs": (heard - fell_silent).as_secs_f64() * 1e3,
        "backTo80Ms": back.map(|time| time.as_secs_f64() * 1e3),
        "lost": lost, "killed": endpoints[leader],
    });
    println!("{document}");
    Ok(())
}

/// The index of the node that leads.
async fn leader(endpoints: &[String]) -> Result<usize> {
    for (index, endpoint) in endpoints.iter().enumerate() {
        let mut client = Client::connect([endpoint], None).await?;
        let status = client.status().await.with_context(|| format!("{endpoint} has no status"))?;
        if status.header().is_some_and(|header| header.member_id() == status.leader()) {
            return Ok(index);
        }
    }
    anyhow::bail!("no node leads")
}

/// One caller: bound to a node until a put fails there, then to the next. Every put has a key of its own.
async fn write(
    endpoints: Vec<String>,
    caller: usize,
    patience: Duration,
    stop: Arc<AtomicBool>,
) -> (Vec<Acknowledged>, u64) {
    let (mut node, mut connection, mut errors) = (caller % endpoints.len(), None, 0);
    let mut acknowledged = Vec::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("crash/{caller}/{number}");
        match timeout(patience, put(&endpoints[node], &mut connection, &key)).await {
            Ok(Ok(())) => acknowledged.push(Acknowledged { key, at: Instant::now() }),
            Ok(Err(_)) | Err(_) => {
                errors += 1;
                (node, connection) = ((node + 1) % endpoints.len(), None);
                sleep(Duration::from_millis(2)).await;
            }
        }
    }
    (acknowledged, errors)
}

async fn put(endpoint: &str, connection: &mut Option<Client>, key: &str) -> Result<()> {
    if connection.is_none() {
        let options = ConnectOptions::new().with_connect_timeout(CONNECT_TIMEOUT);
        *connection = Some(Client::connect([endpoint], Some(options)).await?);
    }
    let client = connection.as_mut().context("connected above")?;
    client.put(key, vec![b'v'; 256], None).await?;
    Ok(())
}

/// The longest time after the kill without an acknowledged put: when it began and when it ended.
fn silence(after: &[Acknowledged], killed: Instant, end: Instant) -> (Instant, Instant) {
    let (mut longest, mut last) = ((killed, killed), killed);
    for at in after.iter().map(|put| put.at).chain([end]) {
        if at - last > longest.1 - longest.0 {
            longest = (last, at);
        }
        last = at;
    }
    longest
}

/// From the kill to the end of the first three bins, not before `heard`, that together had 80 % of the rate.
fn back_after(
    after: &[Acknowledged],
    (killed, heard): (Instant, Instant),
    end: Instant,
    rate: f64,
) -> Option<Duration> {
    let length = BIN * BINS;
    let enough = BACK * rate * length.as_secs_f64();
    let count = |from: Instant| after.iter().filter(|put| put.at >= from && put.at < from + length).count();
    let mut from = killed;
    while from + length <= end {
        if from + length >= heard && count(from) as f64 >= enough {
            return Some(from + length - killed);
        }
        from += BIN;
    }
    None
}

/// Acknowledged puts that the survivors do not have.
async fn count_lost(survivor: &str, callers: usize, acknowledged: &[Acknowledged]) -> Result<usize> {
    let mut client = Client::connect([survivor], None).await?;
    let mut kept = HashSet::new();
    for caller in 0..callers {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let answer = client.get(format!("crash/{caller}/"), Some(options)).await;
        let answer = answer.context("cannot read back what was acknowledged")?;
        for pair in answer.kvs() {
            kept.insert(pair.key_str()?.to_owned());
        }
    }
    Ok(acknowledged.iter().filter(|put| !kept.contains(&put.key)).count())
}
