//! `GET /state/watch`: changes of the state keys that match, as a stream that begins anywhere.
//! Knows nothing of streams' inside.

use std::{sync::Arc, time::Duration};

use orc_client::wire::{WatchQuery, codes};
use orc_domain::Unavailable;
use orc_raft::store::EventsError;

use super::{
    Gateway,
    call::Call,
    events::{pattern, resume},
    feed::Wanted,
    problem::Refusal,
    reply::Answered,
};

/// How often the place to begin at is looked for while events go.
const LOOKS_MAX: usize = 8;

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

/// The number of the last event up to this rev, if every later one is kept.
async fn last_seq_of(gateway: &Gateway, rev: u64) -> Result<u64, Refusal> {
    for _ in 0..LOOKS_MAX {
        match search(gateway, rev).await {
            Ok(Some(seq)) => return Ok(seq),
            Ok(None) => {
                let detail = format!("changes after rev {rev} are no longer all kept");
                return Err(Refusal::new(codes::EVENTS_COMPACTED, detail)
                    .hint("take the Orc-Index of any answer, then read the keys, then watch from that rev"));
            }
            // Events went meanwhile: look among those that are left.
            Err(EventsError::Compacted { .. }) => {}
            Err(EventsError::Read(error)) => return Err(error.into()),
        }
    }
    Err(Unavailable::Overloaded { retry_after: Duration::from_secs(1) }.into())
}

/// Events are in the order of their revs. Those of one rev may be kept in part.
async fn search(gateway: &Gateway, rev: u64) -> Result<Option<u64>, EventsError> {
    let rev_of = async |seq: u64| {
        let page = gateway.cluster.events_since(seq - 1, 1, |_| true).await?;
        Ok::<_, EventsError>(page.events.first().map(|event| event.rev))
    };
    let (first, end) = (gateway.cluster.first_seq(), gateway.cluster.last_seq() + 1);
    if first > 1 && rev_of(first).await?.unwrap_or_else(|| gateway.cluster.applied()) > rev {
        return Ok(None);
    }
    let (mut low, mut high) = (first, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match rev_of(middle).await? {
            Some(found) if found <= rev => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Some(low - 1))
}
