//! Snapshots: checkpoints of the state's database with a manifest, built, verified, kept and installed.
//! Knows nothing of how they travel. Whatever a crash interrupts, either the old state counts or the new one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use orc_domain::{Bug, planted};
use orc_runtime::fail_point;
use parking_lot::Mutex;
use rocksdb::WriteOptions;
use uuid::Uuid;

use super::{
    disk::{Loaded, StateDisk},
    files::{self, file_names, link_folder, measure, remove_folder, snapshot_error, sync_folder},
    folders::Folders,
    keys,
};
use crate::{
    codec::{self, Manifest, ManifestFile, Position},
    error::{ReadError, SnapshotError},
    types::{LogId, Snapshot, SnapshotFolder, SnapshotMeta},
};

/// The name of a snapshot's manifest within its folder.
pub const MANIFEST: &str = "ORC-MANIFEST";
/// Snapshots kept: one may be on its way to another node while the next is built.
const KEPT_MAX: usize = 2;
const NAME: &str = "snap-";

/// The snapshots of a group.
pub struct Snapshots {
    folders: Folders,
    current: Mutex<Option<(SnapshotMeta, PathBuf)>>,
}

impl Snapshots {
    /// Those that are there; damaged ones are deleted, and those that were received and not installed before the node ended:
    /// openraft takes any snapshot for a part of what is applied.
    pub fn load(folders: Folders, applied: Option<LogId>) -> std::io::Result<Snapshots> {
        let mut found = Vec::new();
        for path in folders.finished()? {
            match read_manifest(&path) {
                Ok(manifest) if manifest.meta().last_log_id <= applied => found.push((manifest.meta(), path)),
                Ok(_) => {
                    tracing::info!(
                        ?path,
                        "a snapshot was not installed before the node ended, it is deleted"
                    );
                    remove_folder(&path)?;
                }
                Err(error) => {
                    tracing::warn!(?path, error = %crate::error::Chain(&error), "a snapshot cannot be read, it is deleted");
                    remove_folder(&path)?;
                }
            }
        }
        let newest = found.into_iter().max_by_key(|(meta, _)| meta.last_log_id);
        Ok(Snapshots { folders, current: Mutex::new(newest) })
    }

    /// The newest one.
    pub fn current(&self) -> Option<Snapshot> {
        let current = self.current.lock().clone();
        current.map(|(meta, path)| Snapshot { meta, snapshot: Box::new(SnapshotFolder { path }) })
    }

    /// Where to build the next one.
    pub fn unfinished(&self) -> PathBuf {
        self.folders.unfinished()
    }

    /// Where to copy the state for a backup, which is no snapshot.
    pub fn backup_folder(&self) -> PathBuf {
        self.folders.backup()
    }

    /// A new folder to receive one.
    pub fn receive(&self) -> Result<SnapshotFolder, SnapshotError> {
        let path = self.folders.incoming();
        files::create_folder(&path).map_err(snapshot_error(&path))?;
        Ok(SnapshotFolder { path })
    }

    /// Makes a checkpoint a snapshot.
    pub fn finish(&self, checkpoint: &Path, position: &Position) -> Result<Snapshot, SnapshotError> {
        let place = position.applied();
        let (term, index) = place.map_or((0, 0), |id| (id.leader_id.term, id.index));
        let id = format!("{NAME}{index:020}-{term}-{}", Uuid::new_v4().simple());
        let wrap = |name: &str| snapshot_error(checkpoint.join(name));
        let mut listed = Vec::new();
        for name in file_names(checkpoint).map_err(wrap(""))? {
            let path = checkpoint.join(&name);
            File::open(&path).and_then(|file| file.sync_all()).map_err(wrap(&name))?;
            let (size, checksum) = measure(&path).map_err(wrap(&name))?;
            listed.push(ManifestFile { name, size, checksum });
        }
        fail_point("snapshot.files");
        let manifest = Manifest::new(id, position, listed);
        files::replace(&checkpoint.join(MANIFEST), &codec::encode(&manifest)).map_err(wrap(MANIFEST))?;
        self.keep(checkpoint, &manifest)
    }

    /// Gives a synced folder its final name and forgets old snapshots.
    fn keep(&self, folder: &Path, manifest: &Manifest) -> Result<Snapshot, SnapshotError> {
        let all = self.folders.snapshots();
        let path = all.join(&manifest.id);
        sync_folder(folder).map_err(snapshot_error(folder))?;
        remove_folder(&path).map_err(snapshot_error(&path))?;
        fs::rename(folder, &path).and_then(|()| sync_folder(&all)).map_err(snapshot_error(&path))?;
        fail_point("snapshot.named");
        let meta = manifest.meta();
        let mut current = self.current.lock();
        // A build that began before an installation may end after it: the newer one stays.
        if current.as_ref().is_none_or(|(newest, _)| newest.last_log_id <= meta.last_log_id) {
            *current = Some((meta.clone(), path.clone()));
        }
        drop(current);
        self.forget_old().map_err(snapshot_error(all))?;
        Ok(Snapshot { meta, snapshot: Box::new(SnapshotFolder { path }) })
    }

    fn forget_old(&self) -> std::io::Result<()> {
        let mut finished = self.folders.finished()?;
        // Names begin with the index.
        finished.sort_unstable_by(|one, other| other.cmp(one));
        let current = self.current.lock().as_ref().map(|(_, path)| path.clone());
        let old = finished.into_iter().filter(|path| Some(path) != current.as_ref()).skip(KEPT_MAX - 1);
        old.into_iter().try_for_each(|path| remove_folder(&path))
    }

    /// Verifies a received snapshot, keeps it, and lets a new state made of it count. The caller then goes on with it.
    pub fn install(
        &self,
        meta: &SnapshotMeta,
        folder: &Path,
        applied: Option<LogId>,
    ) -> Result<(Arc<StateDisk>, Loaded), SnapshotError> {
        let manifest = verify_snapshot(folder)?;
        if manifest.meta() != *meta {
            return Err(SnapshotError::Mismatch { name: MANIFEST.to_owned() });
        }
        must_follow(applied, meta.last_log_id)?;
        let copy = self.folders.unfinished();
        link_folder(folder, &copy).map_err(snapshot_error(&copy))?;
        let kept = self.keep(&copy, &manifest)?.snapshot.path;
        fail_point("install.kept");
        if self.folders.is_incoming(folder) {
            remove_folder(folder).map_err(snapshot_error(folder))?;
        }
        let next = self.folders.next().map_err(snapshot_error(&kept))?;
        link_folder(&kept, &next).map_err(snapshot_error(&next))?;
        fs::remove_file(next.join(MANIFEST)).map_err(snapshot_error(&next))?;
        let (disk, loaded) = open_installed(&next)?;
        if loaded.encoder.position().applied() != meta.last_log_id {
            return Err(SnapshotError::Mismatch { name: MANIFEST.to_owned() });
        }
        fail_point("install.opened");
        self.folders.switch(&next).map_err(snapshot_error(&next))?;
        fail_point("install.switched");
        Ok((Arc::new(disk), loaded))
    }
}

fn open_installed(folder: &Path) -> Result<(StateDisk, Loaded), SnapshotError> {
    let disk = StateDisk::open(folder).map_err(SnapshotError::Database)?;
    let failed = |error| match error {
        ReadError::Disk(source) => SnapshotError::Database(source),
        ReadError::Corrupt(source) => SnapshotError::Corrupt(source),
        ReadError::Stopped => SnapshotError::Stopped,
    };
    if planted(Bug::SnapshotMissesLeases) {
        disk.forget_attempts().map_err(failed)?;
    }
    let mut loaded = disk.load().map_err(failed)?;
    loaded.encoder.mark_installed();
    let mut options = WriteOptions::default();
    options.set_sync(true);
    let position = codec::encode(loaded.encoder.position());
    disk.db.put_opt(keys::POSITION, position, &options).map_err(SnapshotError::Database)?;
    sync_folder(folder).map_err(snapshot_error(folder))?;
    Ok((disk, loaded))
}

/// A leader's snapshot continues what was applied here; openraft 0.9 does not check (#1892).
fn must_follow(applied: Option<LogId>, snapshot: Option<LogId>) -> Result<(), SnapshotError> {
    let follows = match (applied, snapshot) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(applied), Some(snapshot)) => {
            snapshot.index > applied.index && snapshot.leader_id >= applied.leader_id
        }
    };
    if follows {
        return Ok(());
    }
    let shown = |id: Option<LogId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    Err(SnapshotError::Stale { snapshot: shown(snapshot), applied: shown(applied) })
}

/// Why this node's own snapshot is not as it was made; none if it is, or if a newer one has just taken its place. Blocks.
pub fn snapshot_damage(folder: &Path) -> Option<SnapshotError> {
    match verify_snapshot(folder).err()? {
        // Files go with their snapshot, and none changes.
        SnapshotError::Mismatch { name } if !folder.join(&name).exists() => None,
        SnapshotError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => None,
        error => Some(error),
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, SnapshotError> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read(&path).map_err(snapshot_error(path))?;
    codec::decode(&bytes).map_err(SnapshotError::Corrupt)
}

/// Checks that a folder holds exactly what its manifest says; blocks. A receiver calls it before it offers the snapshot to
/// Raft, which stops the node over a bad one.
pub fn verify_snapshot(folder: &Path) -> Result<Manifest, SnapshotError> {
    let manifest = read_manifest(folder)?;
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !manifest.id.starts_with(NAME) || !manifest.id.bytes().all(legal) {
        return Err(SnapshotError::Mismatch { name: MANIFEST.to_owned() });
    }
    let mut names = file_names(folder).map_err(snapshot_error(folder))?;
    names.retain(|name| name != MANIFEST);
    for ManifestFile { name, size, checksum } in &manifest.files {
        let found = names.iter().position(|found| found == name);
        let measured = found.map(|place| measure(&folder.join(names.swap_remove(place))));
        match measured.transpose().map_err(snapshot_error(folder.join(name)))? {
            Some(measured) if measured == (*size, *checksum) => {}
            Some(_) | None => return Err(SnapshotError::Mismatch { name: name.clone() }),
        }
    }
    match names.pop() {
        Some(name) => Err(SnapshotError::Mismatch { name }),
        None => Ok(manifest),
    }
}
