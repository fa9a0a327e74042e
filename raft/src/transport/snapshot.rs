//! A snapshot on its way: the files of a folder in chunks, each acknowledged before the next.
//! Knows nothing of what the files hold; the store checks them against their manifest before it installs them.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use orc_runtime::blocking;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CallError, Peers,
    message::{Request, Response},
};
use crate::types::{Snapshot, SnapshotFolder, SnapshotMeta, Vote};

const CHUNK: usize = 1 << 20;
const CHUNK_PATIENCE: Duration = Duration::from_secs(15);
/// The receiver reads everything again and opens a database; a dead one is noticed by the connection.
const INSTALL_PATIENCE: Duration = Duration::from_secs(600);

/// What is about to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Offer {
    /// Names this transfer.
    pub transfer: Uuid,
    /// The sender's claim to lead.
    pub vote: Vote,
    /// What the snapshot contains.
    pub meta: SnapshotMeta,
    /// Its files with their lengths.
    pub files: BTreeMap<String, u64>,
}

/// A part of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chunk {
    /// Which transfer.
    pub transfer: Uuid,
    /// Which file.
    pub name: String,
    /// Where it goes.
    pub offset: u64,
    /// What.
    pub bytes: Bytes,
}

/// Why a snapshot did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A file of it cannot be read.
    #[error("the snapshot cannot be read")]
    Read(#[from] io::Error),
    /// The receiver is not there.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The receiver cannot take it.
    #[error("the receiver cannot take it: {0}")]
    Unable(String),
}

/// Sends a snapshot; returns the receiver's vote, which is higher than `vote` if it follows another leader.
pub async fn send(peers: &Peers, node: u64, vote: Vote, snapshot: &Snapshot) -> Result<Vote, SendError> {
    // All files are opened first: a newer snapshot may delete their names at any time.
    let folder = snapshot.snapshot.path.clone();
    let files = blocking(move || open_all(&folder)).await.map_err(io::Error::other)??;
    let sizes = files.iter().map(|(name, (_, size))| (name.clone(), *size)).collect();
    let transfer = Uuid::new_v4();
    let offer = Offer { transfer, vote, meta: snapshot.meta.clone(), files: sizes };
    let theirs = ask(peers, node, &Request::SnapshotBegin(Box::new(offer)), CHUNK_PATIENCE).await?;
    if theirs > vote {
        return Ok(theirs);
    }
    for (name, (file, size)) in files {
        let file = Arc::new(file);
        let mut offset = 0;
        while offset < size {
            let file = file.clone();
            let bytes = blocking(move || part(&file)).await.map_err(io::Error::other)??;
            let length = bytes.len() as u64;
            let chunk = Chunk { transfer, name: name.clone(), offset, bytes };
            ask(peers, node, &Request::SnapshotChunk(chunk), CHUNK_PATIENCE).await?;
            offset += length;
        }
    }
    ask(peers, node, &Request::SnapshotEnd { transfer }, INSTALL_PATIENCE).await
}

async fn ask(peers: &Peers, node: u64, request: &Request, patience: Duration) -> Result<Vote, SendError> {
    match peers.call(node, request, patience).await? {
        Response::Snapshot(vote) => Ok(vote),
        Response::Unable(why) => Err(SendError::Unable(why)),
        _ => Err(CallError::Garbled { node }.into()),
    }
}

fn open_all(folder: &Path) -> io::Result<BTreeMap<String, (File, u64)>> {
    let mut files = BTreeMap::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidData)?;
            files.insert(name, (File::open(entry.path())?, metadata.len()));
        }
    }
    Ok(files)
}

/// What a file has next; it must have something.
fn part(file: &File) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(CHUNK);
    match file.take(CHUNK as u64).read_to_end(&mut bytes)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(bytes.into()),
    }
}

/// A snapshot that arrives in a folder made for it.
pub struct Receiving {
    offer: Offer,
    folder: SnapshotFolder,
    received: BTreeMap<String, u64>,
}

impl Receiving {
    /// Expects the files of the offer in an empty folder.
    pub async fn begin(offer: Offer, folder: SnapshotFolder) -> io::Result<Receiving> {
        let mut received = BTreeMap::new();
        for name in offer.files.keys() {
            let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0']);
            if !plain {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a file name that is none"));
            }
            let path = folder.path.join(name);
            blocking(move || File::create(path)).await.map_err(io::Error::other)??;
            received.insert(name.clone(), 0);
        }
        Ok(Receiving { offer, folder, received })
    }

    /// Which transfer it is.
    pub fn transfer(&self) -> Uuid {
        self.offer.transfer
    }

    /// Deletes what has arrived; what cannot be deleted goes at the next start.
    pub async fn discard(self) {
        let _ = blocking(move || std::fs::remove_dir_all(self.folder.path)).await;
    }

    /// Whether everything has arrived.
    pub fn is_complete(&self) -> bool {
        self.received == self.offer.files
    }

    /// Takes the next part.
    pub async fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        let misplaced =
            || io::Error::new(io::ErrorKind::InvalidData, "a chunk that does not follow the last one");
        let offset = self.received.get_mut(&chunk.name).ok_or_else(misplaced)?;
        let end = *offset + chunk.bytes.len() as u64;
        if chunk.offset != *offset || end > self.offer.files[&chunk.name] {
            return Err(misplaced());
        }
        let (path, bytes) = (self.folder.path.join(&chunk.name), chunk.bytes.clone());
        let append = move || OpenOptions::new().append(true).open(path)?.write_all(&bytes);
        blocking(append).await.map_err(io::Error::other)??;
        *offset = end;
        Ok(())
    }

    /// The whole of it; the store checks and syncs it when it installs it.
    pub fn finish(self) -> (Vote, Snapshot) {
        let Offer { vote, meta, .. } = self.offer;
        (vote, Snapshot { meta, snapshot: Box::new(self.folder) })
    }
}
