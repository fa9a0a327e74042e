//! Loads an etcd cluster: puts and linearizable gets of 256 bytes over 10,000 keys in a closed loop,
//! a watch, and the time without writes when the leader is killed. Prints one JSON document.

mod crash;

use anyhow::{Context, Result, ensure};
use benchkit::{Load, Stamps, closed_loop, on_one_thread, paced};
use clap::{Parser, Subcommand};
use etcd_client::{Client, WatchOptions};
use tokio::time::{Duration, sleep};

const KEYS: u64 = 10_000;
/// Connections in all, spread over the nodes.
const CONNECTIONS_MAX: usize = 6;
const WATCHED_KEYS: u64 = 100;

#[derive(Parser)]
#[command(about = "Loads an etcd cluster and prints what it measured as JSON")]
struct Arguments {
    /// The nodes' client addresses.
    #[arg(long, value_delimiter = ',', required = true)]
    endpoints: Vec<String>,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Puts in a closed loop.
    Put(Load),
    /// Linearizable gets in a closed loop; all keys are put first.
    Get(Load),
    /// From before a put to its event on another node, at a steady rate.
    Watch {
        /// Puts a second.
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// How long, in seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Puts in a closed loop, the leader killed meanwhile.
    Crash(crash::Crash),
}

fn main() -> Result<()> {
    let Arguments { endpoints, mode } = Arguments::parse();
    on_one_thread(async {
        match mode {
            Mode::Put(load) => put(&endpoints, &load).await,
            Mode::Get(load) => get(&endpoints, &load).await,
            Mode::Watch { rate, seconds } => watch(&endpoints, rate, seconds).await,
            Mode::Crash(crash) => crash::run(&endpoints, &crash).await,
        }
    })
}

async fn put(endpoints: &[String], load: &Load) -> Result<()> {
    let pool = connect(endpoints, load.clients as usize).await?;
    let put = move |caller: usize, number| {
        let mut client = pool[caller % pool.len()].clone();
        async move { client.put(key(number), value(), None).await.map(drop) }
    };
    closed_loop(load, put).await?.print()
}

async fn get(endpoints: &[String], load: &Load) -> Result<()> {
    let pool = connect(endpoints, load.clients as usize).await?;
    fill(&pool).await?;
    let get = move |caller: usize, number| {
        let mut client = pool[caller % pool.len()].clone();
        async move {
            let answer = client.get(key(number), None).await?;
            ensure!(answer.kvs().len() == 1, "a key is missing");
            Ok(())
        }
    };
    closed_loop(load, get).await?.print()
}

async fn watch(endpoints: &[String], rate: f64, seconds: f64) -> Result<()> {
    let (first, last) = endpoints.first().zip(endpoints.last()).context("no endpoint")?;
    let writer = Client::connect([first], None).await.context("cannot connect")?;
    let mut watcher = Client::connect([last], None).await.context("cannot connect")?;
    let mut events = watcher.watch("watched/", Some(WatchOptions::new().with_prefix())).await?;
    let stamps = Stamps::default();
    let seen = stamps.clone();
    let watching = tokio::spawn(async move {
        while let Some(answer) = events.message().await? {
            for pair in answer.events().iter().filter_map(|event| event.kv()) {
                seen.see(pair.value())?;
            }
        }
        anyhow::Ok(())
    });
    let put = |number| {
        let (mut writer, value) = (writer.clone(), stamps.send());
        async move { writer.put(format!("watched/{}", number % WATCHED_KEYS), value, None).await.map(drop) }
    };
    let failed = paced(rate, seconds, put).await?;
    ensure!(failed == 0, "{failed} puts failed");
    sleep(Duration::from_millis(500)).await;
    ensure!(!watching.is_finished(), "the watch ended: {:?}", watching.await);
    stamps.figures(seconds)?.print()
}

/// Every connection goes to one node, so that each node takes its share of the callers.
async fn connect(endpoints: &[String], callers: usize) -> Result<Vec<Client>> {
    let mut pool = Vec::new();
    for endpoint in endpoints.iter().cycle().take(callers.min(CONNECTIONS_MAX)) {
        let client = Client::connect([endpoint], None).await;
        pool.push(client.with_context(|| format!("cannot connect to {endpoint}"))?);
    }
    Ok(pool)
}

/// Puts every key once, with 64 callers.
async fn fill(pool: &[Client]) -> Result<()> {
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let mut client = pool[caller as usize % pool.len()].clone();
        callers.spawn(async move {
            for number in (caller..KEYS).step_by(64) {
                client.put(key(number), value(), None).await?;
            }
            anyhow::Ok(())
        });
    }
    callers.join_all().await.into_iter().collect::<Result<()>>().context("cannot fill the keys")
}

/// All keys in turn, in an order that is not theirs.
fn key(number: u64) -> String {
    format!("bench/{:08}", number.wrapping_mul(2_654_435_761) % KEYS)
}

fn value() -> Vec<u8> {
    vec![b'v'; 256]
}
