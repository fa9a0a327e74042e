//! Approvals: what awaits somebody's decision, and the decisions.
//! Knows nothing of who may decide.

use crate::http::Call;
use crate::wire::{ApprovalView, Decide, Decided, Page, PageQuery, paths};
use crate::{Client, Error};

/// Calls about approvals: [`Client::approvals`].
#[derive(Clone, Debug)]
pub struct Approvals {
    client: Client,
}

impl Approvals {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A page of what waits, the oldest runs first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &PageQuery) -> Result<Page<ApprovalView>, Error> {
        self.client.call(Call::get(paths::APPROVALS).query(query)).await
    }

    /// Says yes.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn approve(&self, id: &str, words: &Decide) -> Result<Decided, Error> {
        self.client.call(Call::post(paths::fill(paths::APPROVAL_APPROVE, id), words)?).await
    }

    /// Says no.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn reject(&self, id: &str, words: &Decide) -> Result<Decided, Error> {
        self.client.call(Call::post(paths::fill(paths::APPROVAL_REJECT, id), words)?).await
    }
}
