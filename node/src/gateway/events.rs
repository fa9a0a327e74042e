//! `/events`: pages of what has happened, and streams that begin anywhere.
//! Knows nothing of how events are kept.

use std::sync::Arc;

use orc_actors::Pattern;
use orc_client::wire::{EventPage, EventPosted, EventsQuery, PostEvent, codes, headers};
use orc_domain::{BadId, Command, Json, Recorded};
use orc_raft::store::EventsError;
use warp::http::StatusCode;

use super::{
    Gateway,
    call::Call,
    feed::Wanted,
    names::KnownNames,
    paging,
    problem::Refusal,
    render::event::envelope,
    reply::{Answered, Reply},
    tasks_create::PAYLOAD_MAX,
};
use crate::definition::own_event_type;

/// Looks through the kept events for one page.
const LOOKS_MAX: usize = 32;

/// `GET /events`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    page(&gateway, &call, call.query()?).await
}

/// `GET /runs/{id}/events`: those of the run itself; its children have events of their own.
pub async fn of_run(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = Some(call.run_id()?.to_string());
    page(&gateway, &call, EventsQuery { run, ..call.query()? }).await
}

/// `GET /events/{seq}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let text = call.param("seq")?;
    let seq: u64 = text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is not a number")))?;
    gateway.fresh(&call).await?;
    let found = match gateway.cluster.events_since(seq.saturating_sub(1), 1, |_| true).await {
        Ok(found) => found.events,
        Err(EventsError::Compacted { first_seq }) => return Err(compacted(first_seq)),
        Err(EventsError::Read(error)) => return Err(error.into()),
    };
    let event = found.first().filter(|event| event.seq == seq);
    let event = event.ok_or_else(|| Refusal::not_found(format!("there is no event {seq} yet")))?;
    let mut names = KnownNames::default();
    gateway.learn_names(std::slice::from_ref(event), &mut names).await;
    Ok(Reply::json(&envelope(event, &names)))
}

/// `POST /events`: an event of the caller's own, which may start runs.
pub async fn post(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: PostEvent = call.json()?;
    let kind = own_event_type(&body.kind).map_err(|message| Refusal::invalid("/type", message))?;
    let data = body.data.as_ref().map_or("null", |data| data.get());
    if data.len() > PAYLOAD_MAX {
        let detail = format!("the data of an event has at most {PAYLOAD_MAX} bytes");
        return Err(Refusal::new(codes::PAYLOAD_TOO_LARGE, detail));
    }
    let command = Command::PostEvent { kind, data: Json::from(data) };
    let accepted = gateway.command(&call, command).await?;
    let reply = Reply::json(&EventPosted { rev: accepted.rev }).status(StatusCode::ACCEPTED);
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

async fn page(gateway: &Gateway, call: &Call, query: EventsQuery) -> Answered {
    let limit = paging::limit(query.limit)?;
    let wanted = Arc::new(wanted(&query)?);
    gateway.fresh(call).await?;
    let last_seq = gateway.cluster.last_seq();
    let mut after = query.since.unwrap_or_else(|| gateway.cluster.first_seq().saturating_sub(1));
    let (mut found, mut bytes) = (Vec::new(), 0);
    for _ in 0..LOOKS_MAX {
        let wanted = wanted.clone();
        let filter = move |recorded: &Recorded| wanted.accepts(&recorded.event);
        let most = (limit - found.len(), paging::PAGE_BYTES.saturating_sub(bytes));
        match gateway.cluster.events_within(after, most, filter).await {
            Ok(page) => {
                bytes += page.events.iter().map(|event| event.weight()).sum::<usize>();
                found.extend(page.events);
                after = page.upto;
                if !page.more || found.len() >= limit || bytes >= paging::PAGE_BYTES {
                    break;
                }
            }
            // Compacted between two looks, or never asked for: go on with what there is.
            Err(EventsError::Compacted { first_seq }) if query.since.is_none() => after = first_seq - 1,
            Err(EventsError::Compacted { first_seq }) => return Err(compacted(first_seq)),
            Err(EventsError::Read(error)) => return Err(error.into()),
        }
    }
    let mut names = KnownNames::default();
    gateway.learn_names(&found, &mut names).await;
    let items = paging::within_bytes(found.iter().map(|recorded| envelope(recorded, &names)), |event| {
        event.data.get().len()
    });
    let first_seq = if last_seq == 0 { 0 } else { gateway.cluster.first_seq() };
    Ok(Reply::json(&EventPage { items, first_seq, last_seq }))
}

/// `GET /events/stream`
pub async fn stream(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: EventsQuery = call.query()?;
    let wanted = wanted(&query)?;
    let since = resume(&call, query.since)?;
    gateway.fresh(&call).await?;
    let after = since.unwrap_or_else(|| gateway.cluster.last_seq());
    gateway.feed(wanted, after).await
}

/// The event after which a stream goes on: what the client saw last wins over what it asked for first.
pub fn resume(call: &Call, since: Option<u64>) -> Result<Option<u64>, Refusal> {
    match call.text_header(headers::LAST_EVENT_ID)? {
        None | Some("") => Ok(since),
        Some(text) => {
            let wrong = |_| {
                Refusal::bad_request(format!("Last-Event-ID must be the number of an event, not `{text}`"))
            };
            text.trim().parse().map(Some).map_err(wrong)
        }
    }
}

/// Reads the filters.
fn wanted(query: &EventsQuery) -> Result<Wanted, Refusal> {
    let types = paging::words(query.types.as_deref()).into_iter();
    let types = types.map(|word| pattern(if word == "*" { "**" } else { &word }));
    let wrong = |error: BadId| Refusal::bad_request(format!("in the query: {error}"));
    Ok(Wanted {
        types: types.collect::<Result<_, _>>()?,
        run: query.run.as_deref().map(str::parse).transpose().map_err(wrong)?,
        key: query.key.as_deref().map(pattern).transpose()?,
        component: query.component.as_deref().map(str::parse).transpose().map_err(wrong)?,
        above_rev: 0,
    })
}

/// Reads a pattern.
pub fn pattern(text: &str) -> Result<Pattern, Refusal> {
    text.parse()
        .map_err(|error: orc_actors::BadPattern| Refusal::bad_request(format!("in the query: {error}")))
}

fn compacted(first_seq: u64) -> Refusal {
    Refusal::new(codes::EVENTS_COMPACTED, format!("events before {first_seq} are no longer kept"))
        .hint(format!("go on with ?since={}", first_seq.saturating_sub(1)))
}
