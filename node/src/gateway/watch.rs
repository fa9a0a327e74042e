//! `GET /state/watch`: changes of the state keys that match, as a stream that begins anywhere.
//! Knows nothing of streams' inside.

use std::sync::Arc;

use orc_client::wire::{WatchQuery, codes};
use orc_raft::store::EventsError;

use super::{
    Gateway,
    call::Call,
    events::{pattern, resume},
    feed::Wanted,
    problem::Refusal,
    reply::Answered,
};

/// Watches keys by an exact name or a glob.
pub async fn watch(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: WatchQuery = call.query()?;
    if query.since.is_some() && query.rev.is_some() {
        return Err(Refusal::bad_request("`since` and `rev` both say where to begin: give one of them"));
    }
    let above_rev = query.rev.unwrap_or(0);
    let wanted = Wanted { key: Some(pattern(&query.pattern)?), above_rev, ..Wanted::default() };
    let since = resume(&call, query.since)?;
    gateway.fresh(&call).await?;
    let after = match (since, query.rev) {
        (Some(seq), _) => seq,
        (None, Some(rev)) => last_seq_of(&gateway, rev).await?,
        (None, None) => gateway.cluster.last_seq(),
    };
    gateway.feed(wanted, after).await
}

/// The number of the last event up to this rev, as far as events are kept: they are in the order of their revs.
async fn last_seq_of(gateway: &Gateway, rev: u64) -> Result<u64, Refusal> {
    let rev_of = async |seq: u64| {
        let page = gateway.cluster.events_since(seq - 1, 1, |_| true).await?;
        Ok::<_, EventsError>(page.events.first().map(|event| event.rev))
    };
    let refuse = |error| match error {
        EventsError::Compacted { .. } => {
            Refusal::new(codes::EVENTS_COMPACTED, format!("changes after rev {rev} are no longer all kept"))
                .hint("read the keys, then watch from the highest rev read")
        }
        EventsError::Read(error) => error.into(),
    };
    let (first, end) = (gateway.cluster.first_seq(), gateway.cluster.last_seq() + 1);
    if first > 1 && rev_of(first).await.map_err(refuse)?.is_some_and(|oldest| oldest > rev + 1) {
        return Err(refuse(EventsError::Compacted { first_seq: first }));
    }
    let (mut low, mut high) = (first, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match rev_of(middle).await.map_err(refuse)? {
            Some(found) if found <= rev => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low - 1)
}
