//! Batches: to start, follow and cancel them.
//! Knows nothing of how they are carried out.

use crate::http::Call;
use crate::wire::{BatchStarted, BatchView, Page, Reason, StartBatch, paths};
use crate::{Client, Error};

/// Calls about batches: [`Client::batches`]. A batch is known to the node that took it only.
#[derive(Clone, Debug)]
pub struct Batches {
    client: Client,
}

impl Batches {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Starts a batch, or says how many runs it would be about.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn start(&self, batch: &StartBatch) -> Result<BatchStarted, Error> {
        self.client.call(Call::post(paths::BATCHES, batch)?).await
    }

    /// The batches of the node that answers, the newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self) -> Result<Page<BatchView>, Error> {
        self.client.call(Call::get(paths::BATCHES)).await
    }

    /// A batch as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, id: &str) -> Result<BatchView, Error> {
        self.client.call(Call::get(paths::fill(paths::BATCH, id))).await
    }

    /// Stops a batch: what was done stays done.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn cancel(&self, id: &str) -> Result<BatchView, Error> {
        self.client.call(Call::post(paths::fill(paths::BATCH_CANCEL, id), &Reason::default())?).await
    }
}
