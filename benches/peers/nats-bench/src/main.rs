//! Loads NATS: request and answer between two components, and puts and watches on a key-value bucket
//! that is kept on as many nodes as there are addresses. Prints one JSON document.

use anyhow::{Context, Result, anyhow, ensure};
use async_nats::{
    Client, connect,
    jetstream::{self, kv},
};
use benchkit::{Load, Stamps, closed_loop, on_one_thread, paced};
use clap::{Parser, Subcommand};
use futures::StreamExt;
use tokio::time::{Duration, Instant, sleep};

const KEYS: u64 = 10_000;
const CONNECTIONS_MAX: usize = 6;
const WATCHED_KEYS: u64 = 100;
const BUCKET: &str = "bench";
const SUBJECT: &str = "bench.echo";
/// How long the nodes may take to agree on a bucket.
const BUCKET_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Parser)]
#[command(about = "Loads NATS and prints what it measured as JSON")]
struct Arguments {
    /// The nodes' addresses.
    #[arg(long, value_delimiter = ',', required = true)]
    urls: Vec<String>,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Answers requests until it is ended.
    Answer,
    /// Requests of 100 bytes in a closed loop; needs an `answer` elsewhere.
    Request(Load),
    /// Puts of 256 bytes over 10,000 keys in a closed loop.
    Put(Load),
    /// From before a put to its event on another node, at a steady rate.
    Watch {
        /// Puts a second.
        #[arg(long, default_value_t = 200.0)]
        rate: f64,
        /// How long, in seconds.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
}

fn main() -> Result<()> {
    let Arguments { urls, mode } = Arguments::parse();
    on_one_thread(async {
        match mode {
            Mode::Answer => answer(&urls).await,
            Mode::Request(load) => request(&urls, &load).await,
            Mode::Put(load) => put(&urls, &load).await,
            Mode::Watch { rate, seconds } => watch(&urls, rate, seconds).await,
        }
    })
}

async fn answer(urls: &[String]) -> Result<()> {
    let client = connect(urls).await.context("cannot connect")?;
    let mut requests = client.queue_subscribe(SUBJECT, "answerers".into()).await?;
    while let Some(request) = requests.next().await {
        if let Some(reply) = request.reply {
            client.publish(reply, request.payload).await?;
        }
    }
    Err(anyhow!("the subscription ended"))
}

async fn request(urls: &[String], load: &Load) -> Result<()> {
    let pool = pool(urls, load.clients as usize).await?;
    let request = move |caller: usize, _| {
        let client = pool[caller % pool.len()].clone();
        async move {
            let answer = client.request(SUBJECT, "x".repeat(100).into()).await?;
            ensure!(answer.payload.len() == 100, "an answer of another size");
            Ok(())
        }
    };
    closed_loop(load, request).await?.print()
}

async fn put(urls: &[String], load: &Load) -> Result<()> {
    let clients = pool(urls, load.clients as usize).await?;
    create_bucket(&clients[0], urls.len()).await?;
    let mut pool = Vec::new();
    for client in clients {
        pool.push(jetstream::new(client).get_key_value(BUCKET).await?);
    }
    let put = move |caller: usize, number| {
        let bucket = pool[caller % pool.len()].clone();
        async move { bucket.put(format!("k{}", number % KEYS), "v".repeat(256).into()).await.map(drop) }
    };
    closed_loop(load, put).await?.print()
}

async fn watch(urls: &[String], rate: f64, seconds: f64) -> Result<()> {
    let (first, last) = urls.first().zip(urls.last()).context("no address")?;
    let bucket = create_bucket(&connect(first).await?, urls.len()).await?;
    let watched = jetstream::new(connect(last).await?).get_key_value(BUCKET).await?;
    let mut events = watched.watch_all().await?;
    let stamps = Stamps::default();
    let seen = stamps.clone();
    let watching = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            seen.see(&event?.value)?;
        }
        anyhow::Ok(())
    });
    sleep(Duration::from_millis(300)).await;
    let put = |number| {
        let (bucket, value) = (bucket.clone(), stamps.send());
        async move { bucket.put(format!("w{}", number % WATCHED_KEYS), value.into()).await.map(drop) }
    };
    let failed = paced(rate, seconds, put).await?;
    ensure!(failed == 0, "{failed} puts failed");
    sleep(Duration::from_millis(500)).await;
    ensure!(!watching.is_finished(), "the watch ended: {:?}", watching.await);
    stamps.figures(seconds)?.print()
}

/// Every connection goes to one node, so that each node takes its share of the callers.
async fn pool(urls: &[String], callers: usize) -> Result<Vec<Client>> {
    let mut pool = Vec::new();
    for url in urls.iter().cycle().take(callers.min(CONNECTIONS_MAX)) {
        pool.push(connect(url).await.with_context(|| format!("cannot connect to {url}"))?);
    }
    Ok(pool)
}

/// An empty bucket on `replicas` nodes. A cluster that has just started refuses for some seconds.
async fn create_bucket(client: &Client, replicas: usize) -> Result<kv::Store> {
    let context = jetstream::new(client.clone());
    let deadline = Instant::now() + BUCKET_PATIENCE;
    loop {
        // There may be none to delete.
        let _ = context.delete_key_value(BUCKET).await;
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            num_replicas: replicas,
            history: 1,
            storage: jetstream::stream::StorageType::File,
            ..kv::Config::default()
        };
        match context.create_key_value(config).await {
            Ok(bucket) => return Ok(bucket),
            Err(error) if Instant::now() > deadline => {
                return Err(error).context("cannot create the bucket");
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}
