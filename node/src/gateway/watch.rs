//! `GET /state/watch`: changes of the state keys that match, as a stream.
//! Knows nothing of streams' inside.

use std::sync::Arc;

use orc_client::wire::WatchQuery;

use super::{
    Gateway,
    call::Call,
    events::{pattern, resume},
    feed::Wanted,
    reply::Answered,
};

/// Watches keys by an exact name or a glob.
pub async fn watch(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: WatchQuery = call.query()?;
    let wanted = Wanted { key: Some(pattern(&query.pattern)?), ..Wanted::default() };
    let since = resume(&call, query.since)?;
    gateway.fresh(&call).await?;
    let after = since.unwrap_or_else(|| gateway.cluster.last_seq());
    gateway.feed(wanted, after).await
}
