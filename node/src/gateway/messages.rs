//! Messages to components and their replies. They are not in the log: one is asked, and answers or does not.
//! Knows nothing of where a component is connected.

use std::{sync::Arc, time::Duration};

use orc_actors::{MessageError, MessageId, Outgoing, RemoteError, Reply as ComponentReply};
use orc_client::wire::{
    BroadcastReplies, ErrorBody, MessageReply, ReplyMessage, SendMessage, WaitQuery, codes,
};
use orc_domain::{BadId, Json, Text};

use super::{
    Gateway,
    call::Call,
    durable,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
    tasks_create::PAYLOAD_MAX,
};

const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// `POST /components/{id}/messages`: 200 with what the component says, be it an error of its own.
pub async fn send(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    let (message, durable) = outgoing(&gateway, &call)?;
    if durable {
        return durable::send(&gateway, &call, id, (message.kind, message.payload)).await;
    }
    gateway.reach(&call).await?;
    let coordinator = gateway.hands()?.coordinator.clone();
    let sent = match coordinator.send(&id, message.clone()).await {
        // Nobody has heard of it, and this node may not have heard where the component is now.
        Err(MessageError::ComponentUnknown { .. } | MessageError::ComponentDisconnected { .. }) => {
            gateway.fresh(&call).await?;
            coordinator.send(&id, message).await
        }
        sent => sent,
    };
    match sent {
        Ok(payload) => Ok(Reply::json(&said(id.to_string(), Ok(payload)))),
        Err(MessageError::Remote(error)) => {
            Ok(Reply::json(&said(id.to_string(), Err(ErrorBody::new(&*error.code, &*error.message)))))
        }
        Err(error) => Err(refuse(error)),
    }
}

/// `POST /components/broadcast`: one entry for each connected component.
pub async fn broadcast(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (message, durable) = outgoing(&gateway, &call)?;
    if durable {
        return durable::broadcast(&gateway, &call, (message.kind, message.payload)).await;
    }
    gateway.fresh(&call).await?;
    let coordinator = gateway.hands()?.coordinator.clone();
    let replies = coordinator.broadcast(message).await;
    let responses = replies.into_iter().map(|(id, reply)| said(id.to_string(), reply.map_err(as_body)));
    Ok(Reply::json(&BroadcastReplies { responses: responses.collect() }))
}

/// `POST /messages/{id}/reply`
pub async fn reply(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.param("id")?;
    let message: MessageId = id.parse().map_err(|error: BadId| Refusal::not_found(error.to_string()))?;
    let body: ReplyMessage = call.json()?;
    let reply = component_reply(body.payload.as_deref().map(|raw| raw.get()), body.error);
    gateway.hands()?.coordinator.reply(message, reply).await.map_err(refuse)?;
    Ok(Reply::nothing())
}

/// What a component says, from the parts of a reply.
pub fn component_reply(payload: Option<&str>, error: Option<ErrorBody>) -> ComponentReply {
    match error {
        Some(error) => Err(RemoteError { code: error.code.into(), message: error.message.into() }),
        None => Ok(Json::from(payload.unwrap_or("null"))),
    }
}

fn outgoing(gateway: &Gateway, call: &Call) -> Result<(Outgoing, bool), Refusal> {
    let query: WaitQuery = call.query()?;
    let body: SendMessage = call.json()?;
    if body.kind.is_empty() || body.kind.len() > 256 {
        return Err(Refusal::invalid("/type", "`type` has 1 to 256 bytes"));
    }
    let payload = body.payload.as_ref().map_or("null", |raw| raw.get());
    if payload.len() > PAYLOAD_MAX {
        return Err(Refusal::new(
            codes::PAYLOAD_TOO_LARGE,
            format!("a payload has at most {PAYLOAD_MAX} bytes"),
        ));
    }
    let timeout = query.timeout.map_or(gateway.cluster.config().message_timeout, Duration::from_millis);
    let (kind, payload) = (Text::from(body.kind), Json::from(payload));
    Ok((Outgoing { kind, payload, timeout: timeout.min(TIMEOUT_MAX) }, body.durable))
}

fn said(component_id: String, reply: Result<Json, ErrorBody>) -> MessageReply {
    match reply {
        Ok(payload) => MessageReply { component_id, payload: Some(render::raw(&payload)), error: None },
        Err(error) => MessageReply { component_id, payload: None, error: Some(error) },
    }
}

fn as_body(error: MessageError) -> ErrorBody {
    match error {
        MessageError::Remote(error) => ErrorBody::new(&*error.code, &*error.message),
        other => {
            let refusal = refuse(other);
            ErrorBody::new(refusal.code(), refusal.detail())
        }
    }
}

fn refuse(error: MessageError) -> Refusal {
    let detail = error.to_string();
    match error {
        MessageError::ComponentUnknown { .. } | MessageError::MessageUnknown { .. } => {
            Refusal::not_found(detail)
        }
        MessageError::ComponentDisconnected { .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
            .hint("send it again when the component is connected"),
        MessageError::ConnectionBroke { .. } => {
            Refusal::new(codes::INVALID_TRANSITION, detail).maybe_executed()
        }
        MessageError::ComponentTimeout { .. } => {
            Refusal::new(codes::COMPONENT_TIMEOUT, detail).maybe_executed()
        }
        MessageError::QueueFull { .. } => {
            Refusal::new(codes::QUEUE_FULL, detail).retry_after(Duration::from_secs(1))
        }
        MessageError::Remote(_) => Refusal::new(codes::INTERNAL, detail),
    }
}
