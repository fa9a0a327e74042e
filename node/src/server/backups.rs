//! Backups on the interval that the cluster's configuration sets: each node writes its own, and keeps the newest ones.
//! Knows nothing of what a backup holds.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use orc_raft::replica::Replica;
use tokio::{fs, time::sleep};

use super::Cluster;

/// Between looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// After one that failed.
const PAUSE: Duration = Duration::from_secs(60);
const ENDING: &str = "backup";

/// Writes one into `folder` whenever the newest there is older than the interval, for as long as the node runs.
pub async fn make(cluster: Cluster, folder: PathBuf) {
    let own = format!("orc-{}-", cluster.replica().cluster());
    loop {
        sleep(INTERVAL).await;
        let config = cluster.config();
        if !config.switches.backups {
            continue;
        }
        let kept = config.backups_kept as usize;
        let made = match is_due((&folder, &own), config.backup_interval).await {
            Ok(false) => Ok(()),
            Ok(true) => back_up(cluster.replica(), (&folder, &own), kept).await,
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            tracing::error!(folder = %folder.display(), %error, "no backup is made on the interval");
            sleep(PAUSE).await;
        }
    }
}

/// One from the future was made before the clock was set back: it says nothing.
async fn is_due(place: (&Path, &str), interval: Duration) -> io::Result<bool> {
    let Some(newest) = backups(place).await?.pop() else { return Ok(true) };
    let age = SystemTime::now().duration_since(fs::metadata(newest).await?.modified()?);
    Ok(age.map_or(true, |age| age >= interval))
}

async fn back_up(replica: &Replica, (folder, own): (&Path, &str), kept: usize) -> io::Result<()> {
    fs::create_dir_all(folder).await?;
    let (path, manifest) = replica.backup_into(folder).await.map_err(io::Error::other)?;
    tracing::info!(path = %path.display(), rev = manifest.rev(), "backed up");
    let all = backups((folder, own)).await?;
    for old in &all[..all.len().saturating_sub(kept)] {
        fs::remove_file(old).await?;
    }
    Ok(())
}

/// Those of this cluster, the oldest first: their names sort by log index.
async fn backups((folder, own): (&Path, &str)) -> io::Result<Vec<PathBuf>> {
    let mut entries = match fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let is_own = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(own));
        if is_own && path.extension().is_some_and(|ending| ending == ENDING) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_backup_is_due_when_there_is_none_or_the_newest_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = folder.path().join("none");
        assert!(is_due((&none, "orc-a-"), Duration::from_secs(60)).await.expect("it can be read"));
        std::fs::write(folder.path().join("orc-a-01.backup"), "").expect("written");
        let minute = Duration::from_secs(60);
        assert!(!is_due((folder.path(), "orc-a-"), minute).await.expect("it can be read"));
        assert!(is_due((folder.path(), "orc-a-"), Duration::ZERO).await.expect("it can be read"));
        assert!(
            is_due((folder.path(), "orc-b-"), minute).await.expect("it can be read"),
            "another cluster's"
        );
    }
}
