//! Which folder of a group is what: the state that counts, snapshots, and leftovers of interrupted work.
//! Knows nothing of what is in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::files::{create_folder, remove_folder, replace, start_error};
use crate::error::StartError;

const POINTER: &str = "CURRENT-STATE";
const STATE: &str = "state-";
const UNFINISHED: &str = "tmp-";
const INCOMING: &str = "incoming-";
const BACKUP: &str = "backup-";

/// The folders of a group.
#[derive(Debug, Clone)]
pub struct Folders {
    group: PathBuf,
}

impl Folders {
    /// Those in the folder of a group; created where missing.
    pub fn new(group: PathBuf) -> Result<Folders, StartError> {
        let folders = Folders { group };
        let snapshots = folders.snapshots();
        create_folder(&snapshots).map_err(start_error(snapshots))?;
        Ok(folders)
    }

    /// The log's.
    pub fn log(&self) -> PathBuf {
        self.group.join("log")
    }

    /// Where snapshots are.
    pub fn snapshots(&self) -> PathBuf {
        self.group.join("snapshots")
    }

    /// Where a snapshot is built.
    pub fn unfinished(&self) -> PathBuf {
        self.snapshots().join(format!("{UNFINISHED}{}", Uuid::new_v4().simple()))
    }

    /// Where a snapshot is received.
    pub fn incoming(&self) -> PathBuf {
        self.snapshots().join(format!("{INCOMING}{}", Uuid::new_v4().simple()))
    }

    /// Where the state is copied for a backup.
    pub fn backup(&self) -> PathBuf {
        self.group.join(format!("{BACKUP}{}", Uuid::new_v4().simple()))
    }

    /// Whether a snapshot was received here.
    pub fn is_incoming(&self, folder: &Path) -> bool {
        let named = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(INCOMING));
        named && folder.parent() == Some(&self.snapshots())
    }

    /// The state's folder that counts, if one does.
    pub fn current(&self) -> Result<Option<PathBuf>, StartError> {
        let path = self.group.join(POINTER);
        let name = match fs::read_to_string(&path) {
            Ok(name) => name,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(StartError::Pointer { path });
            }
            Err(source) => return Err(StartError::File { path, source }),
        };
        let folder = self.group.join(name.trim_end());
        if number_of(name.trim_end()).is_some() && folder.is_dir() {
            return Ok(Some(folder));
        }
        Err(StartError::Pointer { path })
    }

    /// A state's folder that does not exist yet.
    pub fn next(&self) -> io::Result<PathBuf> {
        let numbers = names(&self.group)?.into_iter().filter_map(|name| number_of(&name));
        Ok(self.group.join(format!("{STATE}{}", numbers.max().map_or(0, |number| number + 1))))
    }

    /// Lets another folder count; after a crash the old one does or the new one.
    pub fn switch(&self, folder: &Path) -> io::Result<()> {
        let name = folder.file_name().expect("a state's folder has a name").to_string_lossy().into_owned();
        replace(&self.group.join(POINTER), format!("{name}\n").as_bytes())
    }

    /// Deletes what interrupted work left behind.
    pub fn clean(&self, current: Option<&Path>) -> io::Result<()> {
        for name in names(&self.group)? {
            let folder = self.group.join(&name);
            let is_old = number_of(&name).is_some() && Some(folder.as_path()) != current;
            if is_old || name.starts_with(BACKUP) {
                remove_folder(&folder)?;
            }
        }
        for name in names(&self.snapshots())? {
            if name.starts_with(UNFINISHED) || name.starts_with(INCOMING) {
                remove_folder(&self.snapshots().join(name))?;
            }
        }
        Ok(())
    }

    /// Finished snapshots.
    pub fn finished(&self) -> io::Result<Vec<PathBuf>> {
        let names = names(&self.snapshots())?;
        let finished =
            names.iter().filter(|name| !name.starts_with(UNFINISHED) && !name.starts_with(INCOMING));
        Ok(finished.map(|name| self.snapshots().join(name)).collect())
    }
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(STATE)?.parse().ok()
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect()
}
