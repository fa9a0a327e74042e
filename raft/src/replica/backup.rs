//! A backup of a running node, whoever leads: as a stream of pieces, or as a file in a folder.
//! Knows nothing of HTTP, nor of when backups are made.

use std::path::{Path, PathBuf};

use super::Replica;
use crate::backup::{Backup, BackupError, BackupManifest};

impl Replica {
    /// Begins a backup of what is applied here now; nothing waits for it. Whoever wants all that was acknowledged calls
    /// [`Replica::read_barrier`] before.
    pub async fn backup(&self) -> Result<Backup, BackupError> {
        Backup::make(self.reader(), self.cluster(), self.node().0, self.now().0).await
    }

    /// Writes a backup of what is applied here now into a folder, whole or not at all. Names begin with `orc-` and the
    /// cluster, end with `.backup` and sort by log index, so that whoever keeps some knows which are the oldest.
    pub async fn backup_into(&self, folder: &Path) -> Result<(PathBuf, BackupManifest), BackupError> {
        let backup = self.backup().await?;
        let manifest = backup.manifest().clone();
        Ok((backup.write_into(folder).await?, manifest))
    }
}
