//! The storage half of the crate against real disks: openraft's own suite, crashes, damage, snapshots and queries.
//! Knows nothing of the network.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "storage_suite/backups.rs"]
mod backups;
#[path = "storage_suite/crashes.rs"]
mod crashes;
#[path = "storage_suite/node.rs"]
mod node;
#[path = "storage_suite/queries.rs"]
mod queries;
#[path = "storage_suite/search.rs"]
mod search;
#[path = "storage_suite/snapshots.rs"]
mod snapshots;

use openraft::testing::{StoreBuilder, Suite};
use orc_raft::{
    log::LogStore,
    store::StateMachine,
    types::{StorageError, TypeConfig},
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let folder = tempfile::tempdir().unwrap();
        let opened = orc_raft::store::open(folder.path(), node::options(1)).unwrap();
        Ok((folder, opened.log, opened.machine))
    }
}

#[test]
fn openraft_is_content() {
    Suite::test_all(Builder).unwrap();
}
