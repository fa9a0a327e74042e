//! From a backup file to the data folder of a node that is a new cluster by itself. Offline: no node runs meanwhile.
//! Everything is built and checked in a folder within the data folder, and then renamed: the identity last, without
//! which no node starts. Knows nothing of the members that join later; they get the state by Raft's own snapshot.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use orc_domain::{Command, Timestamp, Token};
use uuid::Uuid;

use super::{BackupError, BackupManifest, error::file, read::Source};
use crate::{
    codec::encode_proposal,
    identity::{FILE, Identity},
    log,
    store::{
        AdoptError, Folders, GROUP, adopt,
        files::{create_folder, remove_folder, sync_folder},
    },
    types::{Batch, LeaderId, LogEntry, LogId, Member, Payload},
};

/// Where the new data is until it is whole.
const UNFINISHED: &str = "restoring";

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The new cluster.
    pub cluster_id: Uuid,
    /// Its only member.
    pub node_id: u64,
    /// What the backup said of itself.
    pub manifest: BackupManifest,
}

/// Makes the data folder of a new cluster, of which this node is the only member, with the state of a backup; blocks. The
/// folder is new or empty, and after a failure it is as before.
pub fn restore(path: &Path, data: &Path, node_id: u64) -> Result<Restored, BackupError> {
    let source = Source::open(path)?;
    must_be_empty(data)?;
    let is_new = !data.exists();
    create_folder(data).map_err(file(data))?;
    let unfinished = data.join(UNFINISHED);
    // Whoever comes second fails here.
    fs::create_dir(&unfinished).map_err(file(&unfinished))?;
    let built = build(source, path, &unfinished, node_id).and_then(|restored| {
        put_in_place(&unfinished, data)?;
        Ok(restored)
    });
    if built.is_err() {
        // What cannot be removed is told by the next try.
        let _ = remove_folder(&unfinished);
        if is_new {
            let _ = fs::remove_dir(data);
        }
    }
    built
}

fn must_be_empty(data: &Path) -> Result<(), BackupError> {
    let mut entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(data)(error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let mut found = entry.map_err(file(data))?.file_name().to_string_lossy().into_owned();
            if found == UNFINISHED {
                found.push_str(", which a restore left that was cut short");
            }
            Err(BackupError::NotEmpty { data: data.to_owned(), found })
        }
    }
}

fn build(mut source: Source, path: &Path, data: &Path, node_id: u64) -> Result<Restored, BackupError> {
    let identity = Identity::open(data, node_id, None).map_err(BackupError::Folder)?;
    let folders = Folders::new(data.join(GROUP)).map_err(BackupError::Folder)?;
    let state = folders.next().map_err(file(data))?;
    create_folder(&state).map_err(file(&state))?;
    let mut files: Vec<PathBuf> = Vec::new();
    source.take_files(|part| {
        let path = state.join(&part.name);
        let made = File::create_new(&path).map_err(file(&path))?;
        files.push(path.clone());
        Ok((made, path))
    })?;
    for path in files {
        File::open(&path).and_then(|file| file.sync_all()).map_err(file(path))?;
    }
    let manifest = source.manifest().clone();
    // Its addresses are told to the cluster when it starts.
    let member = Member { incarnation: identity.incarnation, ..Member::default() };
    adopt(&folders, &state, &manifest, (node_id, member)).map_err(|error| match error {
        AdoptError::Database(source) => BackupError::Database { path: path.to_owned(), source },
        AdoptError::Rows(error) => BackupError::rows(path, &manifest.maker(), error),
        AdoptError::Folder(error) => BackupError::Folder(error),
    })?;
    let log_folder = folders.log();
    create_folder(&log_folder).map_err(file(&log_folder))?;
    let first = first_record(manifest.applied(), node_id);
    log::begin_after(&log_folder, identity.incarnation, manifest.applied(), &first)
        .map_err(BackupError::Folder)?;
    sync_folder(&log_folder).map_err(file(log_folder))?;
    Ok(Restored { cluster_id: identity.cluster_id, node_id, manifest })
}

/// Tokens of the old cluster are void in the new one from its first record on, which nothing overtakes. New ones begin at
/// the time in 1/1024 of a millisecond: above all that were ever handed out, and no two clusters of one backup share any.
fn first_record(after: LogId, node_id: u64) -> LogEntry {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(0);
    let command = Command::BeginAnew { token_min: Token(millis << 10) };
    // The time of the backup stays: only a leader moves it on.
    let batch =
        Batch::pack(Timestamp(0), &[encode_proposal(&command.into())]).expect("one small proposal fits");
    let leader = LeaderId::new(after.leader_id.term + 1, node_id);
    LogEntry { log_id: LogId::new(leader, after.index + 1), payload: Payload::Normal(batch) }
}

fn put_in_place(unfinished: &Path, data: &Path) -> Result<(), BackupError> {
    for name in [GROUP, FILE] {
        let place = data.join(name);
        fs::rename(unfinished.join(name), &place).and_then(|()| sync_folder(data)).map_err(file(place))?;
    }
    remove_folder(unfinished).and_then(|()| sync_folder(data)).map_err(file(unfinished))
}
