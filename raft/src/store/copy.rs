//! Copies of the state's database that are no snapshots: made for backups, and taken as the beginning of another cluster.
//! Knows nothing of the form of a backup file.

use std::path::{Path, PathBuf};

use rocksdb::{WriteBatch, WriteOptions};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    disk::StateDisk,
    drain::{Drainer, Order},
    files::{remove_folder, sync_folder},
    folders::Folders,
    keys,
    reader::StateReader,
};
use crate::{
    backup::BackupError,
    codec::{self, BackupManifest, Corrupt, Kind, Position, Why},
    error::{ReadError, StartError},
    types::Member,
};

/// Copies of one node at once: each keeps tables on the disk that the state has done with.
pub const COPIES_MAX: usize = 2;

/// A copy of the state's database in a folder of its own, which goes with this.
pub(crate) struct StateCopy {
    /// Where it is.
    pub path: PathBuf,
    /// Where it stands.
    pub position: Position,
    _permit: OwnedSemaphorePermit,
}

impl Drop for StateCopy {
    fn drop(&mut self) {
        remove_later(std::mem::take(&mut self.path));
    }
}

/// What cannot be deleted goes at the next start.
fn remove_later(path: PathBuf) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            // Once it is queued it is done, whatever becomes of the runtime.
            drop(runtime.spawn_blocking(move || {
                let _ = remove_folder(&path);
            }));
        }
        Err(_) => {
            let _ = remove_folder(&path);
        }
    }
}

impl StateReader {
    /// Copies the database as it is after all that is applied now; tables are shared, so it costs little.
    pub(crate) async fn copy(&self) -> Result<StateCopy, BackupError> {
        let permit = self.core.copies.clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let path = self.snapshots.backup_folder();
        let mut copy = StateCopy { path: path.clone(), position: Position::default(), _permit: permit };
        let drainer = Drainer::new(self.core.clone());
        let made = drainer.order(|done| Order::Checkpoint(path, done)).await.ok_or(BackupError::Stopped)?;
        copy.position = made.map_err(BackupError::Copy)?;
        Ok(copy)
    }
}

/// Makes a copied database the state of a new group of one member, after a look at every row; blocks.
pub(crate) fn adopt(
    folders: &Folders,
    folder: &Path,
    manifest: &BackupManifest,
    (node, member): (u64, Member),
) -> Result<(), AdoptError> {
    let disk = StateDisk::open(folder).map_err(AdoptError::Database)?;
    let loaded = disk.load().map_err(AdoptError::Rows)?;
    let mut position = loaded.encoder.position().clone();
    if !manifest.describes(&position) || disk.hash_rows().map_err(AdoptError::Rows)? != position.hash {
        return Err(AdoptError::Rows(Corrupt { what: Kind::Position, why: Why::Parts }.into()));
    }
    position.found_with(node, member);
    let (mut writes, mut options) = (WriteBatch::default(), WriteOptions::default());
    writes.put(keys::POSITION, codec::encode(&position));
    writes.delete(keys::GONE);
    options.set_sync(true);
    disk.db.write_opt(writes, &options).map_err(AdoptError::Database)?;
    drop(disk);
    let file = |source| AdoptError::Folder(StartError::File { path: folder.to_owned(), source });
    sync_folder(folder).and_then(|()| folders.switch(folder)).map_err(file)
}

/// Why a copied database is no state.
#[derive(Debug)]
pub(crate) enum AdoptError {
    /// It cannot be opened or written.
    Database(rocksdb::Error),
    /// Its rows cannot be read, or are not those that were copied.
    Rows(ReadError),
    /// Its folder.
    Folder(StartError),
}
