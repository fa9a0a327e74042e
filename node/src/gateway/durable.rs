//! Durable messages: sending, reading, acknowledging over plain HTTP, and the dead-letter list.
//! Knows nothing of requests and their replies; `messages` has those.

use std::sync::Arc;

use orc_client::wire::{
    AckMessage, BroadcastAccepted, MessageAccepted, MessagesMoved, MessagesQuery, NackMessage,
    SelectDeadMessages, codes, paths,
};
use orc_domain::{
    Answer, BadId, Command, ComponentId, DeadMessage, DeadMessages, Json, MessageCommand, MessageId,
    NewMessage, QueuedMessage, Rejection, Text, Token,
};
use uuid::Uuid;
use warp::http::{StatusCode, header};

use super::{
    Gateway,
    access::{Accepted, unexpected},
    attempts::failure,
    call::Call,
    paging,
    problem::Refusal,
    render::message as render,
    reply::{Answered, Reply},
};

/// What a durable broadcast may put into the log at once.
const BROADCAST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Messages that one call may name.
const IDS_MAX: usize = 1_000;

/// A message for one component: 202, it is in the log.
pub async fn send(
    gateway: &Gateway,
    call: &Call,
    to: ComponentId,
    (kind, payload): (Text, Json),
) -> Answered {
    let new = NewMessage { id: MessageId(Uuid::now_v7()), component: to, kind, payload };
    let (accepted, sent) = gateway.enqueue(call, vec![new]).await?;
    let Some(message) = sent.into_iter().next() else { return Err(unexpected(&accepted.answer)) };
    let location = paths::fill(paths::MESSAGE, &message.message_id);
    let reply = Reply::json(&message).status(StatusCode::ACCEPTED).header(header::LOCATION, &location);
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

/// A message for every registered component, all or none.
pub async fn broadcast(gateway: &Gateway, call: &Call, (kind, payload): (Text, Json)) -> Answered {
    gateway.fresh(call).await?;
    let to = gateway.cluster.components();
    if to.len() * (payload.as_str().len() + 128) > BROADCAST_BYTES_MAX {
        let detail =
            format!("{} components times this payload are more than {BROADCAST_BYTES_MAX} bytes", to.len());
        let refusal = Refusal::new(codes::PAYLOAD_TOO_LARGE, detail);
        return Err(refusal.hint("send a reference to the data, or send to single components"));
    }
    let new = to.iter().map(|row| NewMessage {
        id: MessageId(Uuid::now_v7()),
        component: row.id.clone(),
        kind: kind.clone(),
        payload: payload.clone(),
    });
    let (accepted, messages) = gateway.enqueue(call, new.collect()).await?;
    let reply = Reply::json(&BroadcastAccepted { messages }).status(StatusCode::ACCEPTED);
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

/// `GET /messages/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = message_id(&call)?;
    gateway.fresh(&call).await?;
    if let Some(message) = gateway.cluster.message(id) {
        return Ok(Reply::json(&render::queued(&message)));
    }
    match gateway.cluster.dead_message(id) {
        Some(dead) => Ok(Reply::json(&render::dead(&dead))),
        None => Err(Rejection::MessageUnknown { message: id }.into()),
    }
}

/// `GET /components/{id}/messages`: its queue, in order.
pub async fn queue(gateway: Arc<Gateway>, call: Call) -> Answered {
    let component = call.component_id()?;
    let query: MessagesQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let from = paging::cursor::<u64>(query.cursor.as_deref())?.map_or(0, |last| last + 1);
    gateway.fresh(&call).await?;
    if gateway.cluster.component(&component).is_none() {
        return Err(Rejection::ComponentUnknown { component }.into());
    }
    let found = gateway.cluster.messages(&component, from, limit + 1);
    let shown = paging::within_bytes(found.iter().take(limit), |message| message.payload.as_str().len());
    let next = shown.last().filter(|_| shown.len() < found.len()).map(|message| message.number);
    Ok(Reply::json(&paging::page(&shown, next, |message: &&Arc<QueuedMessage>| render::queued(message))))
}

/// `POST /messages/{id}/ack`
pub async fn acknowledge(gateway: Arc<Gateway>, call: Call) -> Answered {
    let message = message_id(&call)?;
    let AckMessage { token } = call.json()?;
    let command = MessageCommand::Acknowledge { message, token: Token(token) };
    let accepted = gateway.command(&call, Command::Message(command)).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /messages/{id}/nack`
pub async fn give_back(gateway: Arc<Gateway>, call: Call) -> Answered {
    let message = message_id(&call)?;
    let NackMessage { token, error, retry_after } = call.json()?;
    let command = MessageCommand::Return {
        message,
        token: Token(token),
        failure: failure(&error.code, &gateway.secrets.redact(&error.message)),
        retry_after: retry_after.map(Into::into),
    };
    let accepted = gateway.command(&call, Command::Message(command)).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

/// `GET /messages/dead`: newest first.
pub async fn list_dead(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: MessagesQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor::<MessageId>(query.cursor.as_deref())?;
    let component = query.component.map(|text| text.parse::<ComponentId>()).transpose();
    let component = component.map_err(|error| Refusal::bad_request(format!("in the query: {error}")))?;
    gateway.fresh(&call).await?;
    let wanted = |dead: &DeadMessage| component.as_ref().is_none_or(|of| dead.message.component == *of);
    let found = gateway.cluster.dead_messages(before, limit + 1, wanted);
    let shown = paging::within_bytes(found.iter().take(limit), |dead| dead.message.payload.as_str().len());
    let next = shown.last().filter(|_| shown.len() < found.len()).map(|dead| dead.message.id);
    Ok(Reply::json(&paging::page(&shown, next, |dead: &&Arc<DeadMessage>| render::dead(dead))))
}

/// `POST /messages/dead/requeue`
pub async fn requeue(gateway: Arc<Gateway>, call: Call) -> Answered {
    let which = selection(call.json()?)?;
    gateway.moved(&call, MessageCommand::Requeue(which)).await
}

/// `POST /messages/dead/drop`
pub async fn drop_dead(gateway: Arc<Gateway>, call: Call) -> Answered {
    let which = selection(call.json()?)?;
    gateway.moved(&call, MessageCommand::Drop(which)).await
}

fn message_id(call: &Call) -> Result<MessageId, Refusal> {
    call.param("id")?.parse().map_err(|error: BadId| Refusal::not_found(error.to_string()))
}

fn selection(body: SelectDeadMessages) -> Result<DeadMessages, Refusal> {
    match body {
        SelectDeadMessages { ids: Some(ids), component: None, all: false } => {
            if ids.is_empty() || ids.len() > IDS_MAX {
                return Err(Refusal::invalid("/ids", format!("`ids` names 1 to {IDS_MAX} messages")));
            }
            let id = |(place, id): (usize, &String)| {
                id.parse()
                    .map_err(|error: BadId| Refusal::invalid(format!("/ids/{place}"), error.to_string()))
            };
            Ok(DeadMessages::Messages(ids.iter().enumerate().map(id).collect::<Result<_, Refusal>>()?))
        }
        SelectDeadMessages { ids: None, component: Some(component), all: false } => {
            let component = component.parse();
            Ok(DeadMessages::Component(
                component.map_err(|error: BadId| Refusal::invalid("/component", error.to_string()))?,
            ))
        }
        SelectDeadMessages { ids: None, component: None, all: true } => Ok(DeadMessages::All),
        SelectDeadMessages { .. } => {
            let refusal =
                Refusal::invalid("", "say which messages: exactly one of `ids`, `component` and `all`");
            Err(refusal.hint("{\"ids\": [\"msg_…\"]}, {\"component\": \"mailer\"} or {\"all\": true}"))
        }
    }
}

impl Gateway {
    /// A repeated call is answered with the ids of the first one.
    async fn enqueue(
        &self,
        call: &Call,
        new: Vec<NewMessage>,
    ) -> Result<(Accepted, Vec<MessageAccepted>), Refusal> {
        self.has_room()?;
        let accepted = self.command(call, Command::Message(MessageCommand::Send(new))).await?;
        let Answer::Messages(sent) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
        let rev = accepted.rev;
        let sent = sent.iter().map(|(id, component)| MessageAccepted {
            message_id: id.to_string(),
            component_id: component.to_string(),
            rev,
        });
        let sent = sent.collect();
        Ok((accepted, sent))
    }

    async fn moved(&self, call: &Call, command: MessageCommand) -> Answered {
        let accepted = self.command(call, Command::Message(command)).await?;
        let Answer::Count(count) = accepted.answer else { return Err(unexpected(&accepted.answer)) };
        let reply = Reply::json(&MessagesMoved { count: count.into() });
        Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
    }
}
