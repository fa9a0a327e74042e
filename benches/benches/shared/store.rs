//! The store of one node on the disk that holds the build, without a network: it writes when it is told to.
//! Knows nothing of what is written.

use std::{path::Path, sync::Arc, time::Duration};

use orc_raft::{
    error::Chain,
    store::{self, OpenOptions, Opened},
};
use tempfile::TempDir;

/// A data folder that goes with its handle.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build can write there")
}

/// Opens a data folder. The tail of the log that is kept in memory is this long; nothing is drained on its own.
pub fn open(data: &Path, log_cache_bytes: usize) -> Opened {
    let options = OpenOptions {
        fatal: Arc::new(|fatal| panic!("fatal: {}", Chain(fatal))),
        drain_interval: Duration::from_secs(3_600),
        log_cache_bytes,
        ..OpenOptions::new(1)
    };
    store::open(data, options).expect("the folder is ours")
}

/// What the store's threads answer is awaited here.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread")
}
