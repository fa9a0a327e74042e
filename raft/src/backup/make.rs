//! A backup in the making: pieces of a file, one after the other, of a copy of the state that stays as it is.
//! Memory holds one piece. Knows nothing of where the pieces go, unless they go into a file here.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
};
use uuid::Uuid;

use super::{BackupEnd, BackupError, BackupManifest, BackupPart, MAGIC, end_length, error::file};
use crate::{
    codec,
    store::{
        StateCopy, StateReader,
        files::{create_folder, file_names, sync_folder},
    },
};

/// About what one piece has.
const PIECE_BYTES: usize = 256 << 10;
/// What is written is synced so often that nobody else's sync has to wait for all of it.
const SYNC_BYTES: u64 = 8 << 20;

/// A backup in the making. Dropped, it leaves nothing behind.
pub struct Backup {
    manifest: BackupManifest,
    copy: StateCopy,
    size: u64,
    next: Next,
    /// Of the files that went out.
    checksums: Vec<[u8; 4]>,
}

/// What goes out next.
enum Next {
    Beginning,
    File(usize),
    Rest { number: usize, file: File, left: u64, checksum: u32 },
    Nothing,
}

impl Backup {
    /// Of a node's state as it is now; `made_at` in milliseconds since 1970.
    pub async fn make(
        reader: &StateReader,
        cluster_id: Uuid,
        node_id: u64,
        made_at: u64,
    ) -> Result<Backup, BackupError> {
        let copy = reader.copy().await?;
        let manifest = BackupManifest::new(cluster_id, node_id, made_at, &copy.position);
        let mut manifest = manifest.ok_or(BackupError::Nothing)?;
        let folder = copy.path.clone();
        let listed = orc_runtime::blocking(move || list(&folder)).await;
        manifest.files = listed.map_err(|_| BackupError::Stopped)??;
        let beginning = MAGIC.len() + codec::encode(&manifest).len();
        let files: u64 = manifest.files.iter().map(|part| part.size).sum();
        let size = beginning as u64 + files + end_length(manifest.files.len());
        Ok(Backup { manifest, copy, size, next: Next::Beginning, checksums: Vec::new() })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &BackupManifest {
        &self.manifest
    }

    /// The length of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next piece of the file; none after the last.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, BackupError> {
        loop {
            match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Beginning => {
                    self.next = Next::File(0);
                    let beginning = [&MAGIC[..], &codec::encode(&self.manifest)].concat();
                    return Ok(Some(beginning.into()));
                }
                Next::File(number) => {
                    let Some(part) = self.manifest.files.get(number) else {
                        let end = BackupEnd { checksums: std::mem::take(&mut self.checksums) };
                        return Ok(Some(codec::encode(&end).into()));
                    };
                    let path = self.copy.path.join(&part.name);
                    let file = File::open(&path).await.map_err(file(path))?;
                    self.next = Next::Rest { number, file, left: part.size, checksum: 0 };
                }
                Next::Rest { number, left: 0, checksum, .. } => {
                    self.checksums.push(checksum.to_be_bytes());
                    self.next = Next::File(number + 1);
                }
                Next::Rest { number, mut file, left, checksum } => {
                    let piece = self.read(number, &mut file, left).await?;
                    let checksum = crc32c::crc32c_append(checksum, &piece);
                    self.next = Next::Rest { number, file, left: left - piece.len() as u64, checksum };
                    return Ok(Some(piece));
                }
                Next::Nothing => return Ok(None),
            }
        }
    }

    async fn read(&self, number: usize, from: &mut File, left: u64) -> Result<Bytes, BackupError> {
        let wrap = || file(self.copy.path.join(&self.manifest.files[number].name));
        let wanted = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = BytesMut::with_capacity(wanted);
        let mut limited = from.take(wanted as u64);
        while piece.len() < wanted {
            if limited.read_buf(&mut piece).await.map_err(wrap())? == 0 {
                return Err(wrap()(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Ok(piece.freeze())
    }

    /// Writes the whole into a folder, which is made if it is missing: under a name of its cluster and log index that
    /// sorts by the latter, and only once all of it is on the disk. Returns where it is.
    pub async fn write_into(mut self, folder: &Path) -> Result<PathBuf, BackupError> {
        let cluster = self.manifest.cluster_id.as_fields().0;
        let path = folder.join(format!("orc-{cluster:08x}-{:020}.backup", self.manifest.rev()));
        let unfinished = Unfinished::begin(folder, self.manifest.node_id).await?;
        let wrap = || file(&unfinished.path);
        let mut out = File::create_new(&unfinished.path).await.map_err(wrap())?;
        let mut unsynced = 0;
        while let Some(piece) = self.next_piece().await? {
            out.write_all(&piece).await.map_err(wrap())?;
            unsynced += piece.len() as u64;
            if unsynced >= SYNC_BYTES {
                out.sync_data().await.map_err(wrap())?;
                unsynced = 0;
            }
        }
        out.sync_all().await.map_err(wrap())?;
        tokio::fs::rename(&unfinished.path, &path).await.map_err(file(&path))?;
        let folder = folder.to_owned();
        let synced = orc_runtime::blocking(move || sync_folder(&folder).map_err(file(folder))).await;
        synced.map_err(|_| BackupError::Stopped)??;
        Ok(path)
    }
}

/// A file that goes unless it is renamed.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// Its name in a folder, from which what this node left behind after a crash goes.
    async fn begin(folder: &Path, node: u64) -> Result<Unfinished, BackupError> {
        let (prefix, folder) = (format!("orc-node-{node}-"), folder.to_owned());
        let path = folder.join(format!("{prefix}{}.part", Uuid::new_v4().simple()));
        let prepare = move || {
            create_folder(&folder)?;
            let is_left = |name: &String| name.starts_with(&prefix) && name.ends_with(".part");
            file_names(&folder)?
                .iter()
                .filter(|name| is_left(name))
                .try_for_each(|name| std::fs::remove_file(folder.join(name)))
        };
        let prepared = orc_runtime::blocking(prepare).await.map_err(|_| BackupError::Stopped)?;
        prepared.map_err(file(&path))?;
        Ok(Unfinished { path })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone by its final name, or not made: then there is nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn list(folder: &Path) -> Result<Vec<BackupPart>, BackupError> {
    let names = file_names(folder).map_err(file(folder))?;
    let part = |name: String| {
        let path = folder.join(&name);
        let size = path.metadata().map_err(file(path))?.len();
        Ok(BackupPart { name, size })
    };
    names.into_iter().map(part).collect()
}
