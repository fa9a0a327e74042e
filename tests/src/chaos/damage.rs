//! Damaged files: where a node has what, what it must do when some of that is damaged, and how it comes back as its own
//! message says: removed, and under a new id with an empty folder. Knows nothing of the load.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use tokio::time::{Duration, Instant, sleep};

use super::faults::{ENDS_WITHIN, EXIT_DATA, Stage};
use crate::machines::rot::{self, ROTS};

/// A node under load has files of every kind by then.
const FILES_WITHIN: Duration = Duration::from_secs(30);
/// A running node has this long to come upon damage while everything is read from it.
const FOUND_WITHIN: Duration = Duration::from_secs(3);

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A file of the log: one that is written or a table.
    Log,
    /// A table of the state.
    Rows,
    /// The list of the files of the log or of the state.
    Manifest,
    /// A file of the newest snapshot, which may be one of the state's, too.
    Snapshot,
}

impl Part {
    /// The files of a node that are part of it.
    fn files(self, data: &Path) -> Result<Vec<PathBuf>> {
        let group = data.join("group-0");
        let state = group.join(fs::read_to_string(group.join("CURRENT-STATE"))?.trim_end());
        let folders = match self {
            Part::Log => vec![group.join("log")],
            Part::Rows => vec![state],
            Part::Manifest => vec![group.join("log"), state],
            Part::Snapshot => newest(&group.join("snapshots"))?.into_iter().collect(),
        };
        let mut found = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let is_part = match self {
                    Part::Log => name.ends_with(".log") || name.ends_with(".sst"),
                    Part::Rows => name.ends_with(".sst"),
                    Part::Manifest => name.starts_with("MANIFEST-"),
                    Part::Snapshot => true,
                };
                if is_part && fs::metadata(&path)?.len() > 0 {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn newest(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    let is_snapshot =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap-"));
    Ok(entries.into_iter().filter(is_snapshot).max())
}

/// Damages one of the files; which and how, or none if there is none.
fn damage(part: Part, data: &Path, rng: &mut Rng) -> Result<Option<String>> {
    let mut files = part.files(data)?;
    rng.shuffle(&mut files);
    for path in files {
        let kind = ROTS[rng.usize(..ROTS.len())];
        if kind.happen(&path, rng)? {
            return Ok(Some(format!("{kind:?} of {}", path.display())));
        }
    }
    Ok(None)
}

impl Stage<'_> {
    /// Damages a node while it is stopped; it must not go on with that.
    pub(super) async fn damage_stopped(&mut self, node: u64, part: Part) -> Result<()> {
        self.has_files(node, part).await?;
        self.cluster.kill_node(node)?;
        let what = damage(part, &self.cluster.data(node), &mut self.rng)?;
        self.cluster.start_node(node)?;
        self.refused_or_harmless(node, what).await
    }

    /// Damages a node while it runs; it has some time to find that out by itself, and is killed and started again then.
    pub(super) async fn damage_running(&mut self, node: u64, part: Part) -> Result<()> {
        self.has_files(node, part).await?;
        let what = damage(part, &self.cluster.data(node), &mut self.rng)?;
        self.read_all(node).await?;
        if !self.cluster.process(node)?.has_ended()? {
            self.cluster.kill_node(node)?;
            self.cluster.start_node(node)?;
        }
        self.refused_or_harmless(node, what).await
    }

    /// Waits until there is something to damage: tables are written when a node has some.
    async fn has_files(&self, node: u64, part: Part) -> Result<()> {
        let deadline = Instant::now() + FILES_WITHIN;
        // A file may go while the folder is read.
        while !part.files(&self.cluster.data(node)).is_ok_and(|files| !files.is_empty()) {
            ensure!(Instant::now() < deadline, "node-{node} has nothing to damage after {FILES_WITHIN:?}");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// What a power loss leaves of a write that was never synced is no damage.
    pub(super) async fn tear_logs(&mut self, node: u64) -> Result<()> {
        self.cluster.kill_node(node)?;
        let group = self.cluster.data(node).join("group-0");
        let files = Part::Log.files(&self.cluster.data(node))?;
        let written = files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "log")).max();
        rot::tear(written.with_context(|| format!("no log in {}", group.display()))?, &mut self.rng)?;
        self.cluster.start_node(node)?;
        self.cluster.ready(node).await
    }

    /// The node ends by itself, or what was damaged is nothing that it uses.
    async fn refused_or_harmless(&mut self, node: u64, what: Option<String>) -> Result<()> {
        let what = what.with_context(|| format!("node-{node} has no file to damage"))?;
        if !self.ends_before_ready(node).await? {
            self.read_all(node).await?;
        }
        let process = self.cluster.process(node)?;
        if !process.has_ended()? {
            println!("{what}: harmless");
            return Ok(());
        }
        let (status, said) = (process.ended(ENDS_WITHIN).await?, process.output());
        let last = said.lines().rev().find(|line| line.contains("--node-id NEW --join"));
        println!("{what}: refused");
        ensure!(status.code() == Some(EXIT_DATA), "{what}: node-{node} ended with {status}\n{said}");
        let last = last.with_context(|| format!("{what}: node-{node} says not how to go on\n{said}"))?;
        ensure!(last.contains("orc cluster remove node-N"), "{what}: {last}");
        self.rejoin(node).await
    }

    async fn ends_before_ready(&mut self, node: u64) -> Result<bool> {
        let deadline = Instant::now() + ENDS_WITHIN;
        while !self.cluster.process(node)?.has_ended()? {
            if self.cluster.is_ready(node).await {
                return Ok(false);
            }
            ensure!(Instant::now() < deadline, "node-{node} neither ends nor gets ready");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(true)
    }

    /// Reads what a node has on its disk, so that it comes upon what is damaged, until it ends or for some time.
    async fn read_all(&mut self, node: u64) -> Result<()> {
        let (http, deadline) = (reqwest::Client::new(), Instant::now() + FOUND_WITHIN);
        let url = self.cluster.url(node);
        let (mut since, mut failed) = (0, 0);
        while !self.cluster.process(node)?.has_ended()? && Instant::now() < deadline {
            let path = format!("{url}/api/v1/events?since={since}&limit=500&consistency=stale");
            let page = async { http.get(path).send().await?.json::<serde_json::Value>().await };
            let Ok(page) = page.await else {
                // It may be about to end.
                failed += 1;
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (last, end) = (page["items"].as_array().and_then(|items| items.last()), &page["lastSeq"]);
            match last.and_then(|event| event["seq"].as_u64()) {
                Some(seq) => since = seq,
                None if failed > 20 => bail!("node-{node} does not tell its events: {page}"),
                None => failed += 1,
            }
            if end.as_u64().is_some_and(|end| since >= end) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does what a node says that refuses its data.
    async fn rejoin(&mut self, node: u64) -> Result<()> {
        self.cluster.remove_node(node).await?;
        let new = self.cluster.replace_node(node)?;
        self.cluster.ready(new).await
    }
}
