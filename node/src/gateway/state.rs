//! Reading state keys and their versions.
//! Knows nothing of writes.

use std::sync::Arc;

use orc_client::wire::{KeysQuery, StateEntry, StateVersion, StateVersions, headers};
use orc_domain::{KeyRecord, StateKey};
use warp::http::{StatusCode, header};

use super::{
    Gateway,
    call::Call,
    paging,
    problem::Refusal,
    render::state::{entry, version as show_version},
    reply::{Answered, Reply},
};

/// `GET /state/keys/{key}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    gateway.fresh(&call).await?;
    let shown = gateway.cluster.key(&key).and_then(|record| entry(&record));
    let shown = shown.ok_or_else(|| no_value(&key))?;
    let tag = headers::entity_tag(shown.version);
    if call
        .text_header(headers::IF_NONE_MATCH)?
        .is_some_and(|known| known.split(',').any(|one| one.trim() == tag))
    {
        return Ok(Reply::nothing().status(StatusCode::NOT_MODIFIED).header(header::ETAG, &tag));
    }
    Ok(Reply::json(&shown).header(header::ETAG, &tag))
}

fn no_value(key: &StateKey) -> Refusal {
    Refusal::not_found(format!("{key} has no value")).hint("GET /api/v1/state/keys lists keys")
}

/// `GET /state/keys`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: KeysQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let after = paging::cursor::<StateKey>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    let prefix = query.prefix.unwrap_or_default();
    let has_value = |record: &KeyRecord| record.value.is_some();
    let mut rows = gateway.cluster.keys(&prefix, after.as_ref(), limit + 1, has_value);
    let found = rows.len();
    rows.truncate(limit);
    let entries = rows.iter().filter_map(|record| entry(record));
    let entries: Vec<StateEntry> = paging::within_bytes(entries, |entry| entry.value.get().len());
    let more = entries.len() < found;
    let next = entries.last().filter(|_| more).map(|entry| entry.key.clone());
    Ok(Reply::json(&paging::page(&entries, next, Clone::clone)))
}

/// `GET /state/keys/{key}/versions`: the kept ones, newest first.
pub async fn versions(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    gateway.fresh(&call).await?;
    if gateway.cluster.key(&key).is_none() {
        return Err(no_value(&key));
    }
    let kept = gateway.cluster.versions(key).await?;
    // Older ones that do not fit are still there by their number.
    let shown = kept.iter().map(|record| show_version(record));
    let items =
        paging::within_bytes(shown, |version| version.value.as_ref().map_or(0, |value| value.get().len()));
    Ok(Reply::json(&StateVersions { items }))
}

/// `GET /state/keys/{key}/versions/{version}`
pub async fn version(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    let text = call.param("version")?;
    let number = text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is not a version")))?;
    gateway.fresh(&call).await?;
    let found = gateway.cluster.version(key.clone(), number).await?;
    let record = found.ok_or_else(|| {
        Refusal::not_found(format!("{key} has no version {number}, or it is no longer kept"))
            .hint(format!("GET /api/v1/state/keys/{key}/versions lists those that are"))
    })?;
    let shown: StateVersion = show_version(&record);
    Ok(Reply::json(&shown))
}
