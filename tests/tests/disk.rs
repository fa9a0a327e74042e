//! A node whose disk fills: it refuses new work, then ends in order, and goes on when there is room again.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use orc_client::{Client, Workflow};
use orc_tests::{Cluster, Options};
use serde_json::json;
use tokio::time::{Instant, sleep};

const MIB: u64 = 1 << 20;

/// A small file system in memory; gone with its handle.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(folder: PathBuf, mebibytes: u64) -> Result<Self> {
        fs::create_dir(&folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "orc-test"])
            .arg(&folder)
            .status()?;
        ensure!(mounted.success(), "a tmpfs cannot be mounted");
        Ok(SmallDisk(folder))
    }

    /// Takes room until so much is free; nothing of what was taken before stays.
    fn leave(&self, mebibytes: u64) -> Result<()> {
        let filler = self.0.join("filler");
        let _ = fs::remove_file(&filler);
        File::create(&filler)?;
        let taken = free(&self.0)?.saturating_sub(mebibytes).to_string();
        let filled = Command::new("fallocate").args(["-l", &format!("{taken}MiB")]).arg(&filler).status()?;
        ensure!(filled.success(), "{taken} MiB cannot be taken");
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its node may not have ended; the mount goes when it has.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// MiB that are free there.
fn free(folder: &Path) -> Result<u64> {
    let found = Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output()?;
    let text = String::from_utf8(found.stdout)?;
    let bytes: u64 = text.lines().nth(1).context("df says something")?.trim().parse()?;
    Ok(bytes / MIB)
}

/// Waits until a node takes new state or refuses it with this code.
async fn until_it_says(client: &Client, code: Option<&str>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = client.state().set("disk", 1).await;
        let refused =
            said.as_ref().err().and_then(|error| error.problem()).map(|problem| problem.code.clone());
        if refused.as_deref() == code && (code.is_some() || said.is_ok()) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "it never says {code:?}: {said:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_fills_refuses_new_work_then_ends_and_goes_on_when_there_is_room() -> Result<()> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        println!("left out: only root mounts a small disk");
        return Ok(());
    }
    let limits = ["--set=disk.low-percent=50", "--set=disk.full-percent=20"].map(str::to_owned).to_vec();
    let mut cluster = Cluster::launch("disk", 0, Options { arguments: limits, ..Options::default() })?;
    let id = cluster.add_member()?;
    let disk = SmallDisk::new(cluster.data(id), 400)?;
    cluster.start_node(id)?;
    cluster.ready(id).await?;
    let client = Client::builder().nodes([cluster.url(id)]).without_retries().build()?;
    cluster.start_worker("w-1", 4)?;
    let gate = cluster.folder().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display());
    let definition = json!({"name": "waits", "steps": [{"name": "waits", "run": script}]});
    let run = client.runs().start(Workflow::definition(definition)).send().await?;

    disk.leave(150)?;
    until_it_says(&client, Some("INSUFFICIENT_STORAGE")).await?;
    let again = client
        .runs()
        .start(Workflow::definition(json!({"name": "more", "steps": [{"name": "it", "delay": "1ms"}]})));
    let refused =
        again.send().await.err().and_then(|error| error.problem().cloned()).context("it is refused")?;
    ensure!((refused.status, refused.executed) == (507, Some(false)), "{refused:?}");
    // What runs goes on to its end, and what is not needed any more can go.
    fs::write(&gate, "")?;
    ensure!(run.wait().timeout(Duration::from_secs(30)).await.is_ok(), "it completes");
    client.state().delete("disk", None).await?;
    let status = client.status().await?;
    let unwell = status.health.unhealthy_components;
    ensure!(unwell.is_empty() || unwell == ["diskSpace"], "{unwell:?}");

    disk.leave(60)?;
    let ended = cluster.process(id)?.ended(Duration::from_secs(30)).await?;
    let output = cluster.process(id)?.output();
    ensure!(ended.code() == Some(74) && output.contains("make room"), "{ended}\n{output}");
    cluster.start_node(id)?;
    let ended = cluster.process(id)?.ended(Duration::from_secs(30)).await?;
    ensure!(ended.code() == Some(74), "it does not start on a full disk: {ended}");

    disk.clear()?;
    cluster.start_node(id)?;
    cluster.ready(id).await?;
    until_it_says(&client, None).await?;
    ensure!(run.get().await?.status.is_terminal(), "everything is there");
    Ok(())
}
