//! Damaged files: where a node has what, what it must do when some of that is damaged, and how it comes back as its own
//! message says: removed, and under a new id with an empty folder. Knows nothing of the load.

use std::{
    fmt, fs,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;
use tokio::time::{Duration, Instant, sleep};

use super::stage::{ENDS_WITHIN, EXIT_DATA, Stage};
use crate::machines::rot::{self, ROTS, Rot};

/// A node under load has files of every kind by then.
const FILES_WITHIN: Duration = Duration::from_secs(30);
/// A log that is longer has records behind whatever is damaged.
const LOG_MIN: u64 = 64 << 10;
/// A running node has this long to come upon damage while everything is read from it.
const FOUND_WITHIN: Duration = Duration::from_secs(3);

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The file that the log is written to.
    Log,
    /// A table of the state.
    Rows,
    /// The list of the files of the log or of the state that counts.
    Manifest,
    /// A file of the newest snapshot, which may be one of the state's, too.
    Snapshot,
}

impl Part {
    /// The files of a node that are part of it.
    fn files(self, data: &Path) -> Result<Vec<PathBuf>> {
        let group = data.join("group-0");
        let log = group.join("log");
        let state = group.join(named_in(&group.join("CURRENT-STATE"))?);
        let mut found = match self {
            Part::Log => last(files(&log)?, |name| name.ends_with(".log")).into_iter().collect(),
            Part::Rows => files(&state)?.into_iter().filter(|path| name(path).ends_with(".sst")).collect(),
            Part::Manifest => {
                vec![log.join(named_in(&log.join("CURRENT"))?), state.join(named_in(&state.join("CURRENT"))?)]
            }
            Part::Snapshot => {
                match last(files(&group.join("snapshots"))?, |name| name.starts_with("snap-")) {
                    Some(snapshot) => files(&snapshot)?,
                    None => Vec::new(),
                }
            }
        };
        let least = if self == Part::Log { LOG_MIN } else { 1 };
        // One that is gone by now is none.
        found.retain(|path| fs::metadata(path).is_ok_and(|file| file.len() >= least));
        Ok(found)
    }

    /// Where it is damaged, in tenths of a file. The end of a list of files that is damaged looks like one never written.
    fn tenths(self) -> Range<usize> {
        match self {
            Part::Log | Part::Rows | Part::Snapshot => 1..9,
            Part::Manifest => 0..5,
        }
    }

    /// All of it is read when a node starts. Of the state only what lives is, and nobody may ask for the rest, or the table may
    /// have been replaced by then; a snapshot is read when another node needs it.
    fn is_read_at_start(self) -> bool {
        match self {
            Part::Log | Part::Manifest => true,
            Part::Rows | Part::Snapshot => false,
        }
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    found.sort();
    Ok(found)
}

fn last(files: Vec<PathBuf>, is_one: impl Fn(&str) -> bool) -> Option<PathBuf> {
    files.into_iter().rfind(|path| is_one(&name(path)))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn named_in(pointer: &Path) -> Result<String> {
    Ok(fs::read_to_string(pointer)?.trim_end().to_owned())
}

/// What was damaged, and how.
struct Damage {
    part: Part,
    path: PathBuf,
    rot: Rot,
}

impl Damage {
    /// Damages one of the files, if there is one.
    fn of(part: Part, data: &Path, rng: &mut Rng) -> Result<Option<Damage>> {
        let mut files = part.files(data)?;
        rng.shuffle(&mut files);
        for path in files {
            let rot = ROTS[rng.usize(..ROTS.len())];
            if rot.happen(&path, part.tenths(), rng)? {
                return Ok(Some(Damage { part, path, rot }));
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} of {}", self.rot, self.path.display())
    }
}

impl Stage<'_> {
    /// Damages a node while it is stopped; it must not go on with that.
    pub(super) async fn damage_stopped(&mut self, node: u64, part: Part) -> Result<()> {
        self.has_files(node, part).await?;
        self.cluster.kill_node(node)?;
        let damage = Damage::of(part, &self.cluster.data(node), &mut self.rng)?;
        self.cluster.start_node(node)?;
        self.refused_or_unread(node, damage).await
    }

    /// Damages a node while it runs; it has some time to find that out by itself, and is killed and started again then.
    pub(super) async fn damage_running(&mut self, node: u64, part: Part) -> Result<()> {
        self.has_files(node, part).await?;
        let damage = Damage::of(part, &self.cluster.data(node), &mut self.rng)?;
        self.read_all(node).await?;
        if !self.cluster.process(node)?.has_ended()? {
            self.cluster.kill_node(node)?;
            self.cluster.start_node(node)?;
        }
        self.refused_or_unread(node, damage).await
    }

    /// Damages each snapshot of a leader that makes one after the other, while another node needs one.
    pub(super) async fn damage_snapshots(&mut self, leader: u64) -> Result<()> {
        let (data, deadline) = (self.cluster.data(leader), Instant::now() + FILES_WITHIN);
        let mut damage: Option<Damage> = None;
        while !self.cluster.process(leader)?.has_ended()? {
            let damaged = damage.as_ref().and_then(|damage| damage.path.parent());
            // One that is gone by now is damaged no more.
            let newest = Part::Snapshot.files(&data).unwrap_or_default();
            if newest.first().is_some_and(|file| file.parent() != damaged) {
                damage = Damage::of(Part::Snapshot, &data, &mut self.rng).ok().flatten().or(damage);
            }
            ensure!(Instant::now() < deadline, "node-{leader} goes on with damaged snapshots");
            sleep(Duration::from_millis(5)).await;
        }
        self.refused_or_unread(leader, damage).await
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
        let log = self.cluster.data(node).join("group-0/log");
        let written = last(files(&log)?, |name| name.ends_with(".log"));
        rot::tear(&written.with_context(|| format!("no log in {}", log.display()))?, &mut self.rng)?;
        self.cluster.start_node(node)?;
        self.cluster.ready(node).await
    }

    /// The node ends by itself, or has not read what was damaged.
    async fn refused_or_unread(&mut self, node: u64, damage: Option<Damage>) -> Result<()> {
        let damage = damage.with_context(|| format!("node-{node} has no file to damage"))?;
        if !self.ends_before_ready(node).await? {
            self.read_all(node).await?;
        }
        let process = self.cluster.process(node)?;
        if !process.has_ended()? {
            ensure!(!damage.part.is_read_at_start(), "node-{node} goes on after this: {damage}");
            let why = if damage.path.exists() { "nobody read what was damaged" } else { "the file is gone" };
            println!("{damage}: harmless, {why}");
            return Ok(());
        }
        let (status, said) = (process.ended(ENDS_WITHIN).await?, process.output());
        let last = said.lines().rev().find(|line| line.contains("--node-id NEW --join"));
        println!("{damage}: refused");
        ensure!(status.code() == Some(EXIT_DATA), "{damage}: node-{node} ended with {status}\n{said}");
        let last = last.with_context(|| format!("{damage}: node-{node} says not how to go on\n{said}"))?;
        ensure!(last.contains("orc cluster remove node-N"), "{damage}: {last}");
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
