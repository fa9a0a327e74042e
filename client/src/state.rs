//! State keys: to set, read, delete and watch them.
//! Knows nothing of how versions are kept.

use std::future::IntoFuture;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use reqwest::Method;
use serde::Serialize;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::events::subscribe;
use crate::http::Call;
use crate::run_wait::BoxedCall;
use crate::snapshots::Snapshots;
use crate::wire::{
    self, Event, ExportQuery, KeysQuery, Page, SetState, StateChanged, StateDeleted, StateDiff, StateEntry,
    StateTransaction, StateVersion, StateVersions, StateWritten, VersionsDiffQuery, WatchQuery, codes,
    headers, paths,
};
use crate::{Client, Download, Error};

/// Calls about state keys: [`Client::state`].
#[derive(Clone, Debug)]
pub struct State {
    client: Client,
}

impl State {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Writes a key: `state.set("config.workers", 20).if_version(2).await?`.
    pub fn set<V: Serialize>(&self, key: impl Into<String>, value: V) -> Set {
        let (client, value) = (self.client.clone(), wire::raw(&value));
        Set { client, key: key.into(), value, ttl: None, condition: None, idempotency_key: None }
    }

    /// Writes several keys in one entry, all or none.
    ///
    /// # Errors
    /// As every call: [`Error`]; `STATE_VERSION_CONFLICT` when a condition does not hold.
    pub async fn transact(&self, transaction: &StateTransaction) -> Result<StateWritten, Error> {
        self.client.call(Call::mutation(Method::POST, paths::STATE_TXN).json(transaction)?).await
    }

    /// Brings an earlier version back, as a new one.
    ///
    /// # Errors
    /// As every call: [`Error`]; `NOT_FOUND` when the version is no longer kept.
    pub async fn restore(&self, key: &str, version: u64) -> Result<StateEntry, Error> {
        let path = paths::fill(&paths::fill(paths::STATE_RESTORE, key), &version.to_string());
        self.client.call(Call::mutation(Method::POST, path)).await
    }

    /// How two versions of a key differ.
    ///
    /// # Errors
    /// As every call: [`Error`]; `NOT_FOUND` when a version is no longer kept.
    pub async fn diff(&self, key: &str, from: u64, to: u64) -> Result<StateDiff, Error> {
        let query = VersionsDiffQuery { from, to };
        self.client.call(Call::get(paths::fill(paths::STATE_DIFF, key)).query(&query)).await
    }

    /// Every key that has a value, now or when a snapshot was made: a line of JSON each, all of one log index.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn export(&self, query: &ExportQuery) -> Result<Download, Error> {
        Download::begin(&self.client, &format!("{}{}", paths::STATE_EXPORT, wire::write_query(query))).await
    }

    /// Named snapshots of all keys.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.client.clone())
    }

    /// The key's newest version, or `None` when there is no such key.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, key: &str) -> Result<Option<StateEntry>, Error> {
        match self.client.call(Call::get(paths::fill(paths::STATE_KEY, key))).await {
            Ok(entry) => Ok(Some(entry)),
            Err(Error::Problem(problem)) if problem.code == codes::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of keys, in their order.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &KeysQuery) -> Result<Page<StateEntry>, Error> {
        self.client.call(Call::get(paths::STATE_KEYS).query(query)).await
    }

    /// The versions of a key that are kept, newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn versions(&self, key: &str) -> Result<Vec<StateVersion>, Error> {
        let versions: StateVersions =
            self.client.call(Call::get(paths::fill(paths::STATE_VERSIONS, key))).await?;
        Ok(versions.items)
    }

    /// Deletes a key; `version` deletes only that version.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn delete(&self, key: &str, version: Option<u64>) -> Result<StateDeleted, Error> {
        let mut call = Call::mutation(Method::DELETE, paths::fill(paths::STATE_KEY, key));
        if let Some(version) = version {
            call = call.header(headers::IF_MATCH, headers::entity_tag(version));
        }
        self.client.call(call).await
    }

    /// Follows the changes, from now on, of the keys that match an exact name or a glob (`app.*`, `**`).
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn watch(&self, pattern: &str) -> Result<Changes, Error> {
        let since = self.client.events().last_seq().await?;
        Ok(self.watch_since(pattern, since))
    }

    /// Follows the changes after an event's `seq`.
    #[must_use]
    pub fn watch_since(&self, pattern: &str, since: u64) -> Changes {
        self.changes(pattern, None, Some(since))
    }

    /// Follows the changes after a `rev`, which every read and write tells; it may be one that is still to come.
    /// The stream ends with `EVENTS_COMPACTED` where they are no longer all kept: then take [`crate::Events::last_seq`], read
    /// the keys, and [`State::watch_since`] it.
    #[must_use]
    pub fn watch_from_rev(&self, pattern: &str, rev: u64) -> Changes {
        self.changes(pattern, Some(rev), None)
    }

    fn changes(&self, pattern: &str, rev: Option<u64>, since: Option<u64>) -> Changes {
        let query = WatchQuery { pattern: pattern.to_owned(), since: None, rev };
        let target = format!("{}{}", paths::STATE_WATCH, wire::write_query(&query));
        let changes = subscribe(self.client.clone(), target, since).map(|event| Change::from_event(event?));
        Changes { inner: changes.boxed() }
    }
}

/// A write about to happen.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Set {
    client: Client,
    key: String,
    value: Result<wire::Raw, serde_json::Error>,
    ttl: Option<Duration>,
    condition: Option<(&'static str, String)>,
    idempotency_key: Option<String>,
}

impl Set {
    /// Writes only if the key is at this version.
    pub fn if_version(mut self, version: u64) -> Self {
        self.condition = Some((headers::IF_MATCH, headers::entity_tag(version)));
        self
    }

    /// It goes away by itself after so long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Writes only if there is no such key.
    pub fn if_absent(mut self) -> Self {
        self.condition = Some((headers::IF_NONE_MATCH, "*".to_owned()));
        self
    }

    /// A key of your own: the same key and value are written only once, whoever asks how often.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

impl IntoFuture for Set {
    type Output = Result<StateEntry, Error>;
    type IntoFuture = BoxedCall<StateEntry>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let value = self.value.map_err(|error| Error::no_json_form("the value", &error))?;
            let path = paths::fill(paths::STATE_KEY, &self.key);
            let body = SetState { value, ttl: self.ttl.map(Into::into) };
            let mut call = Call::mutation(Method::PUT, path).key(self.idempotency_key).json(&body)?;
            if let Some((name, condition)) = self.condition {
                call = call.header(name, condition);
            }
            self.client.call(call).await
        })
    }
}

/// A change of a key.
#[derive(Clone, Debug)]
pub struct Change {
    /// The event that says so.
    pub event: Event,
    /// What changed.
    pub change: StateChanged,
}

impl Change {
    fn from_event(event: Event) -> Result<Self, Error> {
        let change = event.data().map_err(Error::Decode)?;
        Ok(Self { event, change })
    }
}

/// The changes of keys, in their order, without gaps or doubles; it reconnects by itself.
pub struct Changes {
    inner: BoxStream<'static, Result<Change, Error>>,
}

impl Stream for Changes {
    type Item = Result<Change, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}
