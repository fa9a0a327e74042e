//! State keys over time: transactions, earlier versions brought back or compared, all keys at one index.
//! Knows nothing of snapshots beyond their number.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use orc_client::wire::{
    ExportQuery, Millis, StateCondition, StateDiff, StateEntry, StateOp, StateOperation, StateTransaction,
    StateWritten, VersionsDiffQuery, headers,
};
use orc_domain::{
    Answer, BadId, Command, Expect, Json, KeyRecord, KeyWrite, StateKey, Transaction, VersionRecord,
};
use orc_raft::store::Keys;
use serde_json::Value;
use similar::TextDiff;
use tokio::{runtime::Handle, sync::mpsc};
use warp::{Reply as _, http::header};

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    problem::Refusal,
    render::{self, state::entry},
    reply::{Answered, Reply},
};

/// Bytes of one piece of an export, and pieces that may wait for the reader.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_MAX: usize = 4;
/// The longest time to live of a value.
const TTL_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);
/// A reader of an export that takes nothing for this long is cut.
const PATIENCE: Duration = Duration::from_secs(30);

/// `POST /state/txn`
pub async fn transact(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: StateTransaction = call.json()?;
    let transaction = transaction(&body)?;
    let accepted = gateway.command(&call, Command::Transact(Box::new(transaction))).await?;
    let Answer::Keys(written) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let keys = body.ops.into_iter().map(|op| op.key);
    let versions: BTreeMap<String, u64> = keys.zip(written.iter().copied()).collect();
    let reply = Reply::json(&StateWritten { versions, rev: accepted.rev });
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

fn transaction(body: &StateTransaction) -> Result<Transaction, Refusal> {
    let compare = body.compare.iter().enumerate().map(|(place, condition)| {
        let at = format!("/compare/{place}");
        Ok((key(&at, &condition.key)?, expect(&at, condition)?))
    });
    let writes = body.ops.iter().enumerate().map(|(place, op)| write(&format!("/ops/{place}"), op));
    let compare = compare.collect::<Result<_, Refusal>>()?;
    Ok(Transaction { compare, writes: writes.collect::<Result<_, Refusal>>()? })
}

fn key(at: &str, text: &str) -> Result<StateKey, Refusal> {
    text.parse().map_err(|error: BadId| Refusal::invalid(format!("{at}/key"), error.to_string()))
}

fn expect(at: &str, condition: &StateCondition) -> Result<Expect, Refusal> {
    match (condition.version, condition.exists) {
        (Some(version), None) => Ok(Expect::Version(version)),
        (None, Some(true)) => Ok(Expect::Present),
        (None, Some(false)) => Ok(Expect::Absent),
        (None, None) | (Some(_), Some(_)) => {
            Err(Refusal::invalid(at, "a condition has exactly one of `version` and `exists`"))
        }
    }
}

fn write(at: &str, op: &StateOperation) -> Result<KeyWrite, Refusal> {
    let plain = KeyWrite::new(key(at, &op.key)?, None, Expect::Any);
    match (op.op, &op.value, op.ttl) {
        (StateOp::Set, Some(value), ttl) => {
            let ttl = ttl.map(|ttl| checked_ttl(&format!("{at}/ttl"), ttl)).transpose()?;
            Ok(KeyWrite { value: Some(Json::from(value.get())), ttl, ..plain })
        }
        (StateOp::Set, None, _) => Err(Refusal::invalid(format!("{at}/value"), "`set` needs a `value`")),
        (StateOp::Delete, None, None) => Ok(plain),
        (StateOp::Delete, ..) => Err(Refusal::invalid(at, "`delete` has neither `value` nor `ttl`")),
    }
}

/// A time to live within reason.
pub fn checked_ttl(pointer: &str, ttl: Millis) -> Result<Duration, Refusal> {
    let ttl = Duration::from(ttl);
    match ttl <= TTL_MAX {
        true => Ok(ttl),
        false => Err(Refusal::invalid(pointer, "a time to live is at most ten years")),
    }
}

/// `POST /state/keys/{key}/versions/{version}/restore`: a new version with the old value.
pub async fn restore(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (key, number) = (call.state_key()?, number(&call)?);
    let expect = call.condition()?;
    gateway.fresh(&call).await?;
    let kept = gateway.kept_version(&key, number).await;
    let was_answered = match call.idempotency()? {
        Some(idempotency) => gateway.cluster.was_answered(idempotency).await?,
        None => false,
    };
    // A repeated call that was answered before need not find the version any more.
    let value = match kept {
        Err(_) if was_answered => Some(Json::null()),
        kept => kept?.value.clone(),
    };
    let Some(value) = value else {
        let refusal = Refusal::invalid("", format!("version {number} of {key} is a delete, it has no value"));
        return Err(refusal.hint("delete the key, or restore the version before it"));
    };
    let write = KeyWrite { restores: Some(number), ..KeyWrite::new(key.clone(), Some(value), expect) };
    let accepted = gateway.command(&call, Command::Transact(Box::new(write.into()))).await?;
    let Answer::Keys(versions) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let made = versions.first().copied().unwrap_or_default();
    gateway.cluster.wait_applied(accepted.rev).await?;
    let written = gateway.kept_version(&key, made).await?;
    let value = render::raw(written.value.as_ref().unwrap_or(&Json::null()));
    let shown = StateEntry { key: key.to_string(), value, version: made, rev: written.rev, expires_at: None };
    let reply = Reply::json(&shown).header(header::ETAG, &headers::entity_tag(shown.version));
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

/// `GET /state/keys/{key}/diff`
pub async fn diff(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    let VersionsDiffQuery { from, to } = call.query()?;
    gateway.fresh(&call).await?;
    let (before, after) = (gateway.kept_version(&key, from).await?, gateway.kept_version(&key, to).await?);
    let (before, after) = (lines(&before), lines(&after));
    let titles = (format!("{key}@{from}"), format!("{key}@{to}"));
    let text = TextDiff::from_lines(&before, &after);
    let diff = text.unified_diff().header(&titles.0, &titles.1).to_string();
    Ok(Reply::json(&StateDiff { key: key.to_string(), from, to, same: before == after, diff }))
}

/// A value over several lines; nothing for a delete.
fn lines(version: &VersionRecord) -> String {
    let Some(json) = &version.value else { return String::new() };
    let value: Value = serde_json::from_str(json.as_str()).unwrap_or(Value::Null);
    format!("{value:#}\n")
}

fn number(call: &Call) -> Result<u64, Refusal> {
    let text = call.param("version")?;
    text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is not a version")))
}

/// `GET /state/export`: every key that has a value, a line each, all of one log index.
pub async fn export(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: ExportQuery = call.query()?;
    gateway.fresh(&call).await?;
    let snapshot = query.snapshot.as_deref().map(|name| gateway.find_snapshot(name)).transpose()?;
    let wanted = Keys { prefix: query.prefix.unwrap_or_default(), after: None };
    let (pieces, mut body) = mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES_MAX);
    let number = snapshot.as_ref().map(|snapshot| snapshot.number);
    tokio::spawn(async move {
        let (lines, mut piece, runtime) = (pieces.clone(), BytesMut::new(), Handle::current());
        let written = gateway.cluster.each_key(number, wanted, move |row| {
            // A reader that takes nothing is given up: the view of the database must not stay open for it.
            let send = |piece: &mut BytesMut| {
                runtime.block_on(lines.send_timeout(Ok(piece.split().freeze()), PATIENCE)).is_ok()
            };
            match row {
                Some(row) => line(&mut piece, &row),
                None => return send(&mut piece),
            }
            piece.len() < PIECE_BYTES || send(&mut piece)
        });
        let broken = match (written.await, &snapshot) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(()), Some(snapshot)) => {
                gateway.still_there(snapshot).err().map(|refusal| refusal.detail().to_owned())
            }
            (Ok(()), None) => None,
        };
        if let Some(why) = broken {
            tracing::warn!(why, "an export is cut off");
            // Whoever reads hears the broken connection: what they have is not whole.
            let _ = pieces.send(Err(std::io::Error::other(why))).await;
        }
    });
    let stream = futures::stream::poll_fn(move |context| body.poll_recv(context));
    let mut response = warp::reply::stream(stream).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
    Ok(Reply::ready(response))
}

fn line(piece: &mut BytesMut, row: &KeyRecord) {
    if let Some(shown) = entry(row)
        && let Ok(text) = serde_json::to_vec(&shown)
    {
        piece.put_slice(&text);
        piece.put_u8(b'\n');
    }
}

impl Gateway {
    async fn kept_version(&self, key: &StateKey, number: u64) -> Result<Arc<VersionRecord>, Refusal> {
        let found = self.cluster.version(key.clone(), number).await?;
        found.ok_or_else(|| {
            Refusal::not_found(format!("{key} has no version {number}, or it is no longer kept"))
                .hint(format!("GET /api/v1/state/keys/{key}/versions lists those that are"))
        })
    }
}
