//! Named snapshots of the state keys: to make, look into, compare and bring back.
//! Knows nothing of how they are kept.

use reqwest::Method;

use crate::http::Call;
use crate::wire::{
    CreateSnapshot, KeyDifference, Page, RestoreSnapshot, SnapshotQuery, SnapshotRestored, SnapshotView,
    StateEntry, paths,
};
use crate::{Client, Error};

/// Calls about snapshots: [`State::snapshots`](crate::State::snapshots). A snapshot is named by its id or its name.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: Client,
}

impl Snapshots {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes one of the keys as they are.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn create(&self, snapshot: &CreateSnapshot) -> Result<SnapshotView, Error> {
        self.client.call(Call::mutation(Method::POST, paths::SNAPSHOTS).json(snapshot)?).await
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self) -> Result<Page<SnapshotView>, Error> {
        self.client.call(Call::get(paths::SNAPSHOTS)).await
    }

    /// One of them.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, name: &str) -> Result<SnapshotView, Error> {
        self.client.call(Call::get(paths::fill(paths::SNAPSHOT, name))).await
    }

    /// Forgets it.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::DELETE, paths::fill(paths::SNAPSHOT, name))).await
    }

    /// A page of the keys that it holds, in their order.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn keys(&self, name: &str, query: &SnapshotQuery) -> Result<Page<StateEntry>, Error> {
        self.client.call(Call::get(paths::fill(paths::SNAPSHOT_KEYS, name)).query(query)).await
    }

    /// A page of what differs between it and a later one (`to`), or now.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn diff(&self, name: &str, query: &SnapshotQuery) -> Result<Page<KeyDifference>, Error> {
        self.client.call(Call::get(paths::fill(paths::SNAPSHOT_DIFF, name)).query(query)).await
    }

    /// Brings its keys back, in one entry; or, for a dry run, says what that would change.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn restore(&self, name: &str, restore: &RestoreSnapshot) -> Result<SnapshotRestored, Error> {
        let path = paths::fill(paths::SNAPSHOT_RESTORE, name);
        self.client.call(Call::mutation(Method::POST, path).json(restore)?).await
    }
}
