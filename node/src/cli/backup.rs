//! `orc cluster backup` and `orc cluster restore`: a node's state as a file, and a new cluster's data folder made of one.
//! Restoring is offline, so this is the one command of the tree that hands files to `orc_raft` by itself.

use std::{
    fs::File as StdFile,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use orc_client::{Cluster, Download, wire::Timestamp};
use orc_domain::NodeId;
use orc_raft::backup::{self, BackupManifest};
use serde::Serialize;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Failure, Global, Out, cluster::confirm, connect::interrupted, output::note};

/// What is backed up into which file.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Takes what the node has, whether or not anybody leads
    #[arg(long)]
    stale: bool,
}

/// What is restored where.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A file that `orc cluster backup` wrote
    file: PathBuf,
    /// The data folder to make: a new or an empty one
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The number of the node that will have it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX)))]
    node_id: u64,
}

/// A backup in its form for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    file: &'a Path,
    bytes: u64,
    #[serde(flatten)]
    told: Told<'a>,
}

/// A new data folder in its form for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    data_dir: &'a Path,
    node: String,
    new_cluster_id: String,
    #[serde(flatten)]
    told: Told<'a>,
}

/// What a backup says of itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    rev: u64,
    state_hash: String,
    cluster_id: String,
    made_by: String,
    made_at: Timestamp,
    version: &'a str,
}

impl<'a> Told<'a> {
    fn of(manifest: &'a BackupManifest) -> Told<'a> {
        Told {
            rev: manifest.rev(),
            state_hash: format!("{:016x}", manifest.state_hash),
            cluster_id: manifest.cluster_id.to_string(),
            made_by: NodeId(manifest.node_id).to_string(),
            made_at: Timestamp(manifest.made_at),
            version: &manifest.version,
        }
    }
}

/// Writes a backup.
pub(super) async fn backup(
    global: &Global,
    out: &Out,
    cluster: &Cluster,
    args: &BackupArgs,
) -> Result<(), Failure> {
    let file = &args.file;
    if file.is_dir() {
        return Err(Failure::Usage(format!("{} is a folder: name the file to write", file.display())));
    }
    if file.exists() {
        confirm(global, &format!("{} is there already. Replace it?", file.display()))?;
    }
    let manifest = tokio::select! {
        written = write(global, out, cluster, args) => written?,
        () = interrupted() => {
            note("interrupted: no file was written");
            return Err(Failure::Interrupted);
        }
    };
    let bytes = file.metadata().map_err(|error| Failure::file(file, &error))?.len();
    let told = Told::of(&manifest);
    let text = format!(
        "{}: rev {} of cluster {} · {} · state hash {}",
        file.display(),
        told.rev,
        told.cluster_id,
        HumanBytes(bytes),
        told.state_hash
    );
    out.item(&Written { file, bytes, told }, &manifest.rev().to_string(), || text)
}

/// Under another name first, which goes unless all of it is there and fits its checksums.
async fn write(
    global: &Global,
    out: &Out,
    cluster: &Cluster,
    args: &BackupArgs,
) -> Result<BackupManifest, Failure> {
    let mut backup = if args.stale { cluster.backup_stale().await? } else { cluster.backup().await? };
    let part = Part::beside(&args.file);
    let wrong = |error: std::io::Error| Failure::file(&part.0, &error);
    let mut to = File::create_new(&part.0).await.map_err(wrong)?;
    out.hint(&format!("rev {}, {}", backup.rev(), HumanBytes(backup.size())));
    let bar = bar(global, &backup);
    while let Some(piece) = backup.next_piece().await? {
        to.write_all(&piece).await.map_err(wrong)?;
        bar.set_position(backup.received());
    }
    bar.finish_and_clear();
    to.sync_all().await.map_err(wrong)?;
    let path = part.0.clone();
    let manifest = blocking(move || backup::verify(&path)).await??;
    tokio::fs::rename(&part.0, &args.file).await.map_err(|error| Failure::file(&args.file, &error))?;
    // The name, too, survives a power cut.
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = StdFile::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Failure::file(folder, &error))?;
    Ok(manifest)
}

/// How far it is, redrawn in place on a terminal.
fn bar(global: &Global, backup: &Download) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(backup.size()), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    bar.set_style(style.expect("a template without mistakes"));
    bar
}

/// A file that goes unless it was renamed.
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> Part {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        Part(file.with_file_name(name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Renamed, or never made: then there is nothing to remove.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Makes a data folder.
pub(super) async fn restore(out: &Out, args: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { file, data_dir, node_id } = args;
    let (file, folder, node_id) = (file.clone(), data_dir.clone(), *node_id);
    let restored = blocking(move || backup::restore(&file, &folder, node_id)).await??;
    let (node, told) = (NodeId(restored.node_id).to_string(), Told::of(&restored.manifest));
    let text = format!(
        "{}: cluster {} of {node}, from rev {} of cluster {} · state hash {}",
        data_dir.display(),
        restored.cluster_id,
        told.rev,
        told.cluster_id,
        told.state_hash
    );
    let new_cluster_id = restored.cluster_id.to_string();
    let made = Made { data_dir, node, new_cluster_id: new_cluster_id.clone(), told };
    out.item(&made, &new_cluster_id, || text)?;
    out.hint(&format!("start it: orc server --node-id {node_id} --data-dir {}", data_dir.display()));
    out.hint("other nodes join it with new numbers and empty folders: orc server … --join HOST:PORT");
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::Unexpected(error.to_string()))
}
