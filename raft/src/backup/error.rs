//! Why there is no backup, or why one cannot be restored. Each says what to do.
//! Knows nothing of how it is told.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    codec::{Corrupt, Why},
    error::{EXIT_DATA, ReadError, StartError},
};

/// The version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Too many at once.
    #[error("as many backups as a node makes at once are under way: try again when one has ended")]
    Busy,
    /// Nothing is applied yet.
    #[error("this node has no state yet: try again once it has joined a cluster")]
    Nothing,
    /// The node is stopping.
    #[error("the node is stopping: ask another one")]
    Stopped,
    /// The database cannot be copied.
    #[error("the state cannot be copied: check the space on the disk of this node, or ask another one")]
    Copy(#[source] rocksdb::Error),
    /// A file or folder.
    #[error("{path} cannot be read or written: check the path, the disk and the permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another kind of file.
    #[error("{path} is not a backup made by `orc cluster backup`: it does not begin like one")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The end is missing.
    #[error("{path} is cut off: it has {found} bytes of {expected}; copy it again, or take another backup")]
    Short {
        /// The file.
        path: PathBuf,
        /// As it says itself.
        expected: u64,
        /// As found.
        found: u64,
    },
    /// It does not fit its checksums.
    #[error("{path} is damaged at {at}: copy it again, or take another backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        at: String,
    },
    /// Its form or its rows are not known here.
    #[error(
        "{path} was made by {maker}, and this is orc {OWN}, which cannot read it: restore it with that version or a newer one"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Which program made it.
        maker: String,
        /// What cannot be read.
        #[source]
        source: Corrupt,
    },
    /// What is in the way would be lost.
    #[error(
        "the data folder {data} is not empty, it has {found} in it: a backup is restored into a new folder only; \
         choose another --data-dir, or delete what is there if nobody needs it"
    )]
    NotEmpty {
        /// The folder.
        data: PathBuf,
        /// One thing in it.
        found: String,
    },
    /// The new data folder cannot be made.
    #[error("the new data folder cannot be made")]
    Folder(#[source] StartError),
    /// The database that was in it does not open.
    #[error("the database that was in {path} does not open: take another backup")]
    Database {
        /// The file.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: rocksdb::Error,
    },
}

impl BackupError {
    /// What the process should exit with: 2 where the command can be given better, 74 where the data is at fault.
    pub fn exit_code(&self) -> i32 {
        match self {
            BackupError::NotEmpty { .. } => 2,
            BackupError::File { source, .. } if source.kind() == io::ErrorKind::NotFound => 2,
            BackupError::Folder(error) => error.exit_code(),
            BackupError::Busy
            | BackupError::Nothing
            | BackupError::Stopped
            | BackupError::Copy(_)
            | BackupError::File { .. }
            | BackupError::Foreign { .. }
            | BackupError::Short { .. }
            | BackupError::Damaged { .. }
            | BackupError::TooNew { .. }
            | BackupError::Database { .. } => EXIT_DATA,
        }
    }

    pub(super) fn damaged(path: &Path, at: impl Into<String>) -> BackupError {
        BackupError::Damaged { path: path.to_owned(), at: at.into() }
    }

    /// Bytes that fit their checksum and are not known come from a newer program.
    pub(super) fn corrupt(path: &Path, at: &str, maker: &str, source: Corrupt) -> BackupError {
        match source.why {
            Why::Version(_) | Why::Body(_) => {
                BackupError::TooNew { path: path.to_owned(), maker: maker.to_owned(), source }
            }
            _ => BackupError::damaged(path, at),
        }
    }

    pub(super) fn rows(path: &Path, maker: &str, error: ReadError) -> BackupError {
        match error {
            ReadError::Disk(source) => BackupError::Database { path: path.to_owned(), source },
            ReadError::Corrupt(source) => BackupError::corrupt(path, "the rows of its state", maker, source),
            ReadError::Stopped => BackupError::Stopped,
        }
    }
}

/// Names the file in an error.
pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.into();
    move |source| BackupError::File { path, source }
}
