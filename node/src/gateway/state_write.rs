//! Writing state keys: plain, or compared with where the caller expects them.
//! Knows nothing of versions beyond the condition; values stay the bytes they came as.

use std::sync::Arc;

use orc_client::wire::{self, SetState, StateDeleted, StateEntry, codes, headers};
use orc_domain::{Answer, Command, Expect, Json, KeyWrite};
use warp::http::header;

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
    state_kept::checked_ttl,
};

/// `PUT /state/keys/{key}`
pub async fn set(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    let expect = call.condition()?;
    let body: SetState = call.json()?;
    let value = Some(Json::from(body.value.get()));
    let command = match body.ttl {
        None => Command::SetState { key: key.clone(), value, expect },
        Some(ttl) => {
            let ttl = Some(checked_ttl("/ttl", ttl)?);
            let write = KeyWrite { ttl, ..KeyWrite::new(key.clone(), value, expect) };
            Command::Transact(Box::new(write.into()))
        }
    };
    let accepted = gateway.command(&call, command).await.map_err(|refusal| compared(refusal, expect))?;
    let version = match &accepted.answer {
        Answer::Key { version } => *version,
        Answer::Keys(versions) if versions.len() == 1 => versions[0],
        answer => return Err(unexpected(answer)),
    };
    // Of a repeated call nobody knows any more when it was made.
    let ttl = body.ttl.filter(|_| !accepted.replayed);
    let expires_at = ttl.map(|ttl| wire::Timestamp(gateway.cluster.now().0 + ttl.0));
    let entry =
        StateEntry { key: key.to_string(), value: body.value, version, rev: accepted.rev, expires_at };
    let reply = Reply::json(&entry).header(header::ETAG, &headers::entity_tag(version));
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

/// `DELETE /state/keys/{key}`
pub async fn delete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let key = call.state_key()?;
    let expect = match call.condition()? {
        Expect::Absent => return Err(Refusal::bad_request("If-None-Match makes no sense with DELETE")),
        expect => expect,
    };
    let command = Command::SetState { key: key.clone(), value: None, expect };
    let accepted = gateway.command(&call, command).await.map_err(|refusal| compared(refusal, expect))?;
    let Answer::Key { version } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let deleted = StateDeleted { key: key.to_string(), version, rev: accepted.rev };
    Ok(Reply::json(&deleted).rev(accepted.rev).replayed(accepted.replayed))
}

/// A conflict says also what the caller expected.
fn compared(refusal: Refusal, expect: Expect) -> Refusal {
    let expected = match expect {
        Expect::Version(version) => format!("you expected {version}"),
        Expect::Absent => "you expected it to have no value".to_owned(),
        Expect::Present => "you expected it to have a value".to_owned(),
        Expect::Any => return refusal,
    };
    if refusal.code() == codes::STATE_VERSION_CONFLICT { refusal.and(&expected) } else { refusal }
}
