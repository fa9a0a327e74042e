//! Bad news of this node: why it cannot start, why it must stop, why it cannot read.
//! Knows nothing of rejections or of other nodes.

use std::{path::PathBuf, sync::Arc};

use rocksdb::ErrorKind;
use uuid::Uuid;

use crate::codec::Corrupt;

/// The exit code of a node whose data cannot be trusted (`EX_IOERR`).
pub const EXIT_DATA: i32 = 74;
/// The exit code of a node whose folder is in use by another process (`EX_TEMPFAIL`).
pub const EXIT_IN_USE: i32 = 75;

/// This node is broken: it stops, the others go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// A write or sync of the log failed; what is on the disk is unknown.
    #[error("the log cannot be written")]
    Log(#[source] rocksdb::Error),
    /// A write or sync of the state failed.
    #[error("the state cannot be written")]
    State(#[source] rocksdb::Error),
    /// A file of a snapshot cannot be written or read.
    #[error("a snapshot cannot be handled")]
    Snapshot(#[source] SnapshotError),
    /// The database cannot be read.
    #[error("the disk cannot be read")]
    Read(#[source] rocksdb::Error),
    /// Stored bytes are damaged, or written by a newer program.
    #[error("stored data cannot be understood")]
    Corrupt(#[source] Corrupt),
    /// A record was appended that does not follow the last one.
    #[error("log record {found} was appended after {last}")]
    Hole {
        /// The last record's index.
        last: u64,
        /// The appended one's.
        found: u64,
    },
    /// A thread ended by a panic: we are wrong.
    #[error("the {0} thread ended by a panic")]
    Panic(&'static str),
}

impl Fatal {
    /// What a failed read means for the node; none: it is stopping anyway.
    pub fn of(error: ReadError) -> Option<Fatal> {
        match error {
            ReadError::Disk(source) => Some(Fatal::Read(source)),
            ReadError::Corrupt(source) => Some(Fatal::Corrupt(source)),
            ReadError::Stopped => None,
        }
    }

    /// Stored data is damaged: starting again does not help.
    fn is_damage(&self) -> bool {
        match self {
            Fatal::Corrupt(_)
            | Fatal::Snapshot(SnapshotError::Corrupt(_) | SnapshotError::Mismatch { .. }) => true,
            Fatal::Log(source)
            | Fatal::State(source)
            | Fatal::Read(source)
            | Fatal::Snapshot(SnapshotError::Database(source)) => source.kind() == ErrorKind::Corruption,
            Fatal::Snapshot(_) | Fatal::Hole { .. } | Fatal::Panic(_) => false,
        }
    }
}

/// Hears of the first [`Fatal`]; whoever waits for the failed work is never answered.
pub type FatalHandler = Arc<dyn Fn(&Fatal) + Send + Sync>;

/// The handler of a real node: says why and ends the process.
pub fn exit_when_fatal() -> FatalHandler {
    Arc::new(|fatal| {
        let error = Chain(fatal);
        if fatal.is_damage() {
            tracing::error!(%error, "this node cannot go on, its data is damaged; {REJOIN}");
        } else {
            tracing::error!(%error, "this node cannot go on");
        }
        std::process::exit(EXIT_DATA);
    })
}

/// An error with everything it came from, in one line.
pub struct Chain<'a>(pub &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

/// Why a snapshot could not be built, verified or installed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file or folder.
    #[error("{path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database.
    #[error("the database")]
    Database(#[source] rocksdb::Error),
    /// The manifest or a row.
    #[error("its content")]
    Corrupt(#[source] Corrupt),
    /// A file is not as the manifest says.
    #[error("file {name} is not as the manifest says")]
    Mismatch {
        /// Which.
        name: String,
    },
    /// It does not follow what was applied here (openraft #1892).
    #[error("it ends at {snapshot}, which does not follow the applied {applied}")]
    Stale {
        /// Its last log id.
        snapshot: String,
        /// What was applied here.
        applied: String,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database.
    #[error("the disk cannot be read")]
    Disk(#[source] rocksdb::Error),
    /// A row.
    #[error("a row cannot be understood")]
    Corrupt(#[source] Corrupt),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopped,
}

impl From<rocksdb::Error> for ReadError {
    fn from(error: rocksdb::Error) -> Self {
        ReadError::Disk(error)
    }
}

impl From<Corrupt> for ReadError {
    fn from(error: Corrupt) -> Self {
        ReadError::Corrupt(error)
    }
}

/// What to do when data cannot be trusted.
const REJOIN: &str = "to go on without this data, run `orc cluster remove node-N` on a healthy node, then start this one under \
                      an id never used before, with an empty data folder: `orc server --node-id NEW --join HOST:PORT`";

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has it.
    #[error("another process uses the data folder {path}: stop it first, or choose another --data-dir")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder.
    #[error("{path} cannot be read or written; check the disk and the permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A database cannot be read or written; nothing says that its data is damaged.
    #[error(
        "the database in {path} cannot be read or written: free some space, check the disk and the permissions, and start again; \
         only if the disk has lost files: {REJOIN}"
    )]
    Database {
        /// Which.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: rocksdb::Error,
    },
    /// The folder belongs to another node.
    #[error(
        "the data folder {path} belongs to node-{stored}, this is node-{given}: start with `--node-id {stored}`, or give node-{given} a folder of its own"
    )]
    OtherNode {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        stored: u64,
        /// Who wants it.
        given: u64,
    },
    /// The folder belongs to another cluster.
    #[error(
        "the data folder {path} belongs to cluster {stored}, not to {given}: choose another --data-dir, or join the right cluster"
    )]
    OtherCluster {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        stored: Uuid,
        /// Whose it should be.
        given: Uuid,
    },
    /// Written by a newer program.
    #[error("the data folder {path} has format {stored}, this program knows {known}: start a newer `orc`")]
    Format {
        /// The folder.
        path: PathBuf,
        /// What it has.
        stored: u32,
        /// What we know.
        known: u32,
    },
    /// The identity file cannot be understood.
    #[error("{path} cannot be understood, so whose data this is is unknown; {REJOIN}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// There is data and no identity file.
    #[error("{path} is missing beside existing data, so whose data this is is unknown; {REJOIN}")]
    IdentityMissing {
        /// The file.
        path: PathBuf,
    },
    /// A record of the log has lost its length, so what follows it would be lost, too.
    #[error(
        "the log file {path} is damaged at byte {at}, so votes and acknowledged writes may be lost; {REJOIN}"
    )]
    LogLength {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
    /// The log database does not open.
    #[error("the log in {path} is damaged, so votes and acknowledged writes may be lost; {REJOIN}")]
    Log {
        /// The folder.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: rocksdb::Error,
    },
    /// There is a state and no log.
    #[error("the log in {path} is gone, so votes and acknowledged writes are lost; {REJOIN}")]
    LogMissing {
        /// The folder.
        path: PathBuf,
    },
    /// A row of the log is damaged.
    #[error("the log in {path} is damaged at {at}, so acknowledged writes may be lost; {REJOIN}")]
    LogRecord {
        /// The folder.
        path: PathBuf,
        /// Which row.
        at: String,
        /// Why.
        #[source]
        source: Corrupt,
    },
    /// A record is missing.
    #[error(
        "the log has record {found} where {expected} should follow, so acknowledged writes are lost; {REJOIN}"
    )]
    LogGap {
        /// The index that should come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// The log ends too early.
    #[error(
        "the log ends at {last} but {reached} was {what} here before, so acknowledged writes are lost; {REJOIN}"
    )]
    LogShort {
        /// Its last index.
        last: u64,
        /// What it must reach.
        reached: u64,
        /// `applied` or `committed`.
        what: &'static str,
    },
    /// The state database does not open.
    #[error("the state in {path} is damaged; {REJOIN}")]
    State {
        /// The folder.
        path: PathBuf,
        /// What RocksDB says.
        #[source]
        source: rocksdb::Error,
    },
    /// A row of the state is damaged.
    #[error("a row of the state in {path} is damaged; {REJOIN}")]
    StateRow {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: Corrupt,
    },
    /// The pointer to the state folder is damaged.
    #[error("{path} does not name a state folder; {REJOIN}")]
    Pointer {
        /// The file.
        path: PathBuf,
    },
}

impl StartError {
    /// What the process should exit with.
    pub fn exit_code(&self) -> i32 {
        match self {
            StartError::InUse { .. } => EXIT_IN_USE,
            StartError::File { .. }
            | StartError::Database { .. }
            | StartError::OtherNode { .. }
            | StartError::OtherCluster { .. }
            | StartError::Format { .. }
            | StartError::Identity { .. }
            | StartError::IdentityMissing { .. }
            | StartError::Log { .. }
            | StartError::LogLength { .. }
            | StartError::LogMissing { .. }
            | StartError::LogRecord { .. }
            | StartError::LogGap { .. }
            | StartError::LogShort { .. }
            | StartError::State { .. }
            | StartError::StateRow { .. }
            | StartError::Pointer { .. } => EXIT_DATA,
        }
    }
}
