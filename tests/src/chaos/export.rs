//! What the nodes say at the end: the whole log of each, and the hashes of their states.
//! Knows nothing of what happened before.

use std::{collections::BTreeMap, io::Write as _};

use anyhow::{Context, Result, ensure};
use orc_check::log::StateHash;
use orc_client::Client;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Duration, Instant, sleep, timeout};

use super::scene::Scene;

const EQUAL_WITHIN: Duration = Duration::from_secs(30);
const PAGE_WITHIN: Duration = Duration::from_secs(10);
const EXPORTED_WITHIN: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Box<RawValue>>,
    last_seq: u64,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// Writes a file of hashes once every one of so many nodes tells its own at the same rev.
pub async fn hashes(scene: &Scene, (client, nodes): (&Client, usize), file: &str) -> Result<()> {
    let hashes = equal_hashes(scene, (client, nodes)).await?;
    Ok(serde_json::to_writer(scene.file(file)?, &hashes)?)
}

/// Writes the log of each node that is at one of these addresses.
pub async fn logs(scene: &Scene, urls: &[String]) -> Result<()> {
    for url in urls {
        let node = Scene::node(scene.place(url)?);
        let mut file = scene.file(&format!("events-{node}.jsonl"))?;
        let exported = timeout(EXPORTED_WITHIN, log(url, &mut file)).await;
        exported.map_err(anyhow::Error::from).flatten().with_context(|| format!("the log of {node}"))?;
    }
    Ok(())
}

async fn log(url: &str, to: &mut impl std::io::Write) -> Result<()> {
    let http = reqwest::Client::builder().timeout(PAGE_WITHIN).build()?;
    let mut since = 0;
    loop {
        let asked = http.get(format!("{url}/api/v1/events?since={since}&limit=500&consistency=stale"));
        let page: Page = asked.send().await?.error_for_status()?.json().await?;
        let mut text = Vec::new();
        for event in &page.items {
            since = serde_json::from_str::<Numbered>(event.get())?.seq;
            writeln!(text, "{}", event.get())?;
        }
        to.write_all(&text)?;
        if since >= page.last_seq {
            return Ok(());
        }
        ensure!(!page.items.is_empty(), "the log ends at {since}, not at {}", page.last_seq);
    }
}

async fn equal_hashes(
    scene: &Scene,
    (client, nodes): (&Client, usize),
) -> Result<BTreeMap<String, StateHash>> {
    let deadline = Instant::now() + EQUAL_WITHIN;
    loop {
        if let Ok(status) = client.cluster().status().await {
            let told = status.nodes.into_iter().filter_map(|node| {
                let place = scene.place(&format!("http://{}", node.http_addr)).ok()?;
                Some((Scene::node(place), StateHash { rev: node.applied?, hash: node.state_hash? }))
            });
            let hashes: BTreeMap<String, StateHash> = told.collect();
            let same_rev = hashes.values().all(|one| hashes.values().all(|other| other.rev == one.rev));
            if hashes.len() == nodes && same_rev {
                return Ok(hashes);
            }
            ensure!(Instant::now() < deadline, "not all nodes are at the same rev: {hashes:#?}");
        }
        ensure!(Instant::now() < deadline, "the cluster does not answer");
        sleep(Duration::from_millis(100)).await;
    }
}
