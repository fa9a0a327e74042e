//! Named snapshots of the state keys: make, list, look into, compare, bring back, forget.
//! Knows nothing of how they are kept.

use std::sync::Arc;

use orc_client::wire::{
    CreateSnapshot, RestoreSnapshot as Body, SnapshotQuery, SnapshotRestored, StateEntry, paths,
};
use orc_domain::{
    Answer, Command, Json, KeyRecord, NewSnapshot, RestoreSnapshot, Snapshot, SnapshotId, StateKey, Text,
};
use orc_raft::store::{KeyDifference, Keys};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    paging,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};

/// What is said about a snapshot has at most so many bytes.
const METADATA_MAX: usize = 16 * 1024;
/// Changes that a dry run shows.
const SHOWN_MAX: usize = 500;
const SHOWN_BYTES_MAX: usize = 1024 * 1024;

/// `POST /state/snapshots`
pub async fn create(gateway: Arc<Gateway>, call: Call) -> Answered {
    let new = wanted(call.json_or_default()?)?;
    let accepted = gateway.command(&call, Command::CreateSnapshot(Box::new(new))).await?;
    gateway.cluster.wait_applied(accepted.rev).await?;
    let Answer::Snapshot(id) = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let made = gateway.cluster.snapshots().into_iter().find(|snapshot| snapshot.id == id);
    let snapshot = made.ok_or_else(|| Refusal::not_found("the snapshot was deleted since"))?;
    let shown = Reply::json(&render::snapshot::view(&snapshot));
    let location = paths::fill(paths::SNAPSHOT, &snapshot.id.to_string());
    Ok(shown.created(&location).rev(accepted.rev).replayed(accepted.replayed))
}

fn wanted(body: CreateSnapshot) -> Result<NewSnapshot, Refusal> {
    let mut metadata: Value = match &body.metadata {
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|error| Refusal::invalid("/metadata", error.to_string()))?,
        None => Value::Object(serde_json::Map::new()),
    };
    let Value::Object(map) = &mut metadata else {
        return Err(Refusal::invalid("/metadata", "`metadata` must be an object"));
    };
    if let Some(description) = body.description {
        map.insert("description".to_owned(), description.into());
    }
    let metadata = metadata.to_string();
    if metadata.len() > METADATA_MAX {
        return Err(Refusal::invalid("/metadata", format!("`metadata` has at most {METADATA_MAX} bytes")));
    }
    let legal = |name: &String| (1..=128).contains(&name.len()) && name.parse::<SnapshotId>().is_err();
    if body.name.as_ref().is_some_and(|name| !legal(name)) {
        return Err(Refusal::invalid("/name", "`name` has 1 to 128 bytes and is no snapshot id"));
    }
    let name = body.name.map(Text::from);
    Ok(NewSnapshot { id: SnapshotId(Uuid::now_v7()), name, metadata: Json::from(metadata), automatic: false })
}

/// `GET /state/snapshots`: newest first.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    gateway.fresh(&call).await?;
    let all: Vec<Arc<Snapshot>> = gateway.cluster.snapshots().into_iter().rev().collect();
    let mut page = paging::page(&all, None::<String>, |snapshot| render::snapshot::view(snapshot));
    page.total = u64::try_from(page.items.len()).ok();
    Ok(Reply::json(&page))
}

/// `GET /state/snapshots/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let snapshot = gateway.named_snapshot(&call).await?;
    Ok(Reply::json(&render::snapshot::view(&snapshot)))
}

/// `DELETE /state/snapshots/{id}`
pub async fn delete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let snapshot = gateway.meant_snapshot(&call).await?;
    let accepted = gateway.command(&call, Command::DeleteSnapshot { snapshot }).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

/// `GET /state/snapshots/{id}/keys`: what it holds.
pub async fn keys(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: SnapshotQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let wanted = keys_of(&query)?;
    let snapshot = gateway.named_snapshot(&call).await?;
    let rows = gateway.cluster.keys_at(Some(snapshot.number), wanted, limit + 1).await?;
    gateway.still_there(&snapshot)?;
    let shown = rows.iter().take(limit).filter_map(|row: &Arc<KeyRecord>| render::state::entry(row));
    let shown: Vec<StateEntry> = paging::within_bytes(shown, |entry| entry.value.get().len());
    let next = shown.last().filter(|_| shown.len() < rows.len()).map(|entry| entry.key.clone());
    Ok(Reply::json(&paging::page(&shown, next, Clone::clone)))
}

/// `GET /state/snapshots/{id}/diff`: against a later snapshot, or now.
pub async fn diff(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: SnapshotQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let wanted = keys_of(&query)?;
    let from = gateway.named_snapshot(&call).await?;
    let to = query.to.as_deref().map(|name| gateway.find_snapshot(name)).transpose()?;
    if to.as_ref().is_some_and(|to| to.number < from.number) {
        return Err(Refusal::bad_request(
            "in the query: `to` is older than the snapshot it is compared with",
        ));
    }
    let numbers = (from.number, to.as_ref().map(|to| to.number));
    let found = gateway.cluster.key_differences(numbers, wanted, limit + 1).await?;
    gateway.still_there(&from)?;
    to.iter().try_for_each(|to| gateway.still_there(to))?;
    let size = |found: &&KeyDifference| {
        let value = |row: &Option<KeyRecord>| {
            row.as_ref().and_then(|row| row.value.as_ref()).map_or(0, |json| json.as_str().len())
        };
        value(&found.before) + value(&found.after)
    };
    let shown = paging::within_bytes(found.iter().take(limit), size);
    let next = shown.last().filter(|_| shown.len() < found.len()).map(|found| found.key.clone());
    Ok(Reply::json(&paging::page(&shown, next, |found| render::snapshot::difference(found))))
}

/// `POST /state/snapshots/{id}/restore`
pub async fn restore(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: Body = call.json_or_default()?;
    if body.dry_run {
        let snapshot = gateway.named_snapshot(&call).await?;
        return gateway.would_restore(&snapshot, &body).await;
    }
    let snapshot = gateway.meant_snapshot(&call).await?;
    let prefix = body.prefix.map(Text::from);
    let restore = RestoreSnapshot { snapshot, prefix, keep_new: body.keep_new };
    let accepted = gateway.command(&call, Command::RestoreSnapshot(Box::new(restore))).await?;
    let Answer::Count(count) = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let (keys, rev, snapshot_id) = (count.into(), Some(accepted.rev), snapshot.to_string());
    let reply =
        Reply::json(&SnapshotRestored { snapshot_id, dry_run: false, keys, rev, changes: Vec::new() });
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

fn keys_of(query: &SnapshotQuery) -> Result<Keys, Refusal> {
    let after = paging::cursor::<StateKey>(query.cursor.as_deref())?;
    Ok(Keys { prefix: query.prefix.clone().unwrap_or_default(), after })
}

impl Gateway {
    /// The snapshot that the path names, by its id or its name.
    async fn named_snapshot(&self, call: &Call) -> Result<Arc<Snapshot>, Refusal> {
        let name = call.param("id")?;
        self.fresh(call).await?;
        self.find_snapshot(&name)
    }

    /// The id of the snapshot that the path names. A repeated call that was answered before need not find it any more.
    async fn meant_snapshot(&self, call: &Call) -> Result<SnapshotId, Refusal> {
        if let Ok(id) = call.param("id")?.parse() {
            return Ok(id);
        }
        match (self.named_snapshot(call).await, call.idempotency()?) {
            (Err(_), Some(idempotency)) if self.cluster.was_answered(idempotency).await? => {
                Ok(SnapshotId(Uuid::nil()))
            }
            (found, _) => Ok(found?.id),
        }
    }

    /// What a restore would change.
    async fn would_restore(&self, snapshot: &Snapshot, body: &Body) -> Answered {
        let wanted = Keys { prefix: body.prefix.clone().unwrap_or_default(), after: None };
        let now = self.cluster.now();
        let (mut keys, mut changes, mut bytes) = (0, Vec::new(), 0);
        let keep_new = body.keep_new;
        let count = move |found: KeyDifference| {
            let lives = |row: &KeyRecord| row.expires_at.is_none_or(|at| at > now);
            // What a restore does is the difference the other way round.
            let (before, after) = (found.after, found.before.filter(lives));
            if (before.is_none() && after.is_none()) || (after.is_none() && keep_new) {
                return None;
            }
            Some(KeyDifference { key: found.key, before, after })
        };
        let found = self.cluster.key_differences((snapshot.number, None), wanted, usize::MAX).await?;
        self.still_there(snapshot)?;
        for change in found.into_iter().filter_map(count) {
            keys += 1;
            let size = |row: &Option<KeyRecord>| {
                row.as_ref().and_then(|row| row.value.as_ref()).map_or(0, |json| json.as_str().len())
            };
            bytes += size(&change.before) + size(&change.after);
            if changes.len() < SHOWN_MAX && bytes < SHOWN_BYTES_MAX {
                changes.push(render::snapshot::difference(&change));
            }
        }
        let snapshot_id = snapshot.id.to_string();
        Ok(Reply::json(&SnapshotRestored { snapshot_id, dry_run: true, keys, rev: None, changes }))
    }

    /// A snapshot by its id or its name.
    pub fn find_snapshot(&self, name: &str) -> Result<Arc<Snapshot>, Refusal> {
        let is_it = |snapshot: &Arc<Snapshot>| {
            snapshot.id.to_string() == name || snapshot.name.as_deref() == Some(name)
        };
        self.cluster.snapshots().into_iter().find(is_it).ok_or_else(|| {
            let refusal = Refusal::not_found(format!("there is no snapshot `{name}`"));
            refusal.hint("GET /api/v1/state/snapshots lists those that there are")
        })
    }

    /// A snapshot that was deleted while it was read was not read whole.
    pub fn still_there(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        self.find_snapshot(&snapshot.id.to_string()).map(|_| ())
    }
}
