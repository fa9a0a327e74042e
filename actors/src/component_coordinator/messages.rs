//! Requests to components and their replies, across nodes without touching the log: the node of the session asks the
//! component, any other node asks that node.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use orc_domain::{ComponentId, Json, NodeId, SessionId, Text, Unavailable};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    desk::Desk,
    order::{Message, MessageId, Order},
    peer::{Request, Response},
    session::{NotTaken, Session},
};
use crate::gauges::count;

/// What a component says to a message.
pub type Reply = Result<Json, RemoteError>;

/// A component's refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RemoteError {
    /// The component's word.
    pub code: Text,
    /// A sentence.
    pub message: Text,
}

/// Why a message has no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MessageError {
    /// Nobody registered it.
    #[error("component {component} is not registered")]
    ComponentUnknown {
        /// As given.
        component: ComponentId,
    },
    /// It is not connected: it has not heard of the message.
    #[error("component {component} is not connected")]
    ComponentDisconnected {
        /// Which.
        component: ComponentId,
    },
    /// It may have heard of the message.
    #[error("the connection of component {component} broke before it replied")]
    ConnectionBroke {
        /// Which.
        component: ComponentId,
    },
    /// No reply in time.
    #[error("component {component} did not reply in time")]
    ComponentTimeout {
        /// Which.
        component: ComponentId,
    },
    /// As many messages as may wait for one component (`components.maxQueueSize`), or it reads too slowly.
    #[error("too many messages wait for component {component}")]
    QueueFull {
        /// Which.
        component: ComponentId,
    },
    /// It replied with an error.
    #[error(transparent)]
    Remote(RemoteError),
    /// Nobody waits for this reply: too late, given before, or never asked for.
    #[error("nobody waits for a reply to message {message}")]
    MessageUnknown {
        /// As given.
        message: String,
    },
}

/// A message as its sender gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The sender's word for it.
    pub kind: Text,
    /// JSON.
    pub payload: Json,
    /// Time for the reply.
    pub timeout: Duration,
}

/// A message without a reply; dropping the sender says that there will be none.
pub(super) struct Pending {
    pub(super) session: SessionId,
    reply: oneshot::Sender<Reply>,
}

/// A message's place among those that wait for its component, given back however its wait ends.
struct Place<'a> {
    desk: &'a Desk,
    session: &'a Session,
    id: Uuid,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.desk.pending.lock().remove(&self.id);
        self.session.messages_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Desk {
    pub(super) async fn send(
        &self,
        component: &ComponentId,
        message: Outgoing,
    ) -> Result<Json, MessageError> {
        let disconnected = || MessageError::ComponentDisconnected { component: component.clone() };
        let row = self.state.component(component);
        let row = row.ok_or_else(|| MessageError::ComponentUnknown { component: component.clone() })?;
        let node = row.live_session().ok_or_else(disconnected)?.node;
        if node == self.state.node() {
            return self.send_here(component, message).await;
        }
        let timeout = message.timeout;
        let request = Request::Send { component: component.clone(), message };
        match self.ask(node, &request, timeout).await {
            Ok(Response::Sent(reply)) => reply,
            Ok(_) => Err(MessageError::ConnectionBroke { component: component.clone() }),
            Err(error) => Err(unreachable(component, &error)),
        }
    }

    /// Sends to a component connected here.
    pub(super) async fn send_here(
        &self,
        component: &ComponentId,
        message: Outgoing,
    ) -> Result<Json, MessageError> {
        let disconnected = || MessageError::ComponentDisconnected { component: component.clone() };
        let full = || MessageError::QueueFull { component: component.clone() };
        let session = self.session_of(component).ok_or_else(disconnected)?;
        let waiting_max = self.state.config().messages_waiting_max as usize;
        let waiting = session.messages_waiting.fetch_add(1, Ordering::AcqRel);
        let place = Place { desk: self, session: &session, id: Uuid::new_v4() };
        if waiting >= waiting_max {
            return Err(full());
        }
        let (reply, replied) = oneshot::channel();
        self.pending.lock().insert(place.id, Pending { session: session.id, reply });
        let order = Message {
            id: MessageId { node: self.state.node(), id: place.id },
            kind: message.kind,
            payload: message.payload,
            reply_before: self.state.now() + message.timeout,
        };
        session.offer(Order::Message(order)).map_err(|error| match error {
            NotTaken::Full => full(),
            NotTaken::Ended => disconnected(),
        })?;
        count(&self.gauges.deliveries);
        let asked_at = Instant::now();
        match tokio::time::timeout(message.timeout, replied).await {
            Ok(Ok(reply)) => {
                self.options.replied.tell(component, asked_at.elapsed());
                reply.map_err(MessageError::Remote)
            }
            Ok(Err(_)) => Err(MessageError::ConnectionBroke { component: component.clone() }),
            Err(_) => {
                *self.timeouts.lock().entry(component.clone()).or_default() += 1;
                Err(MessageError::ComponentTimeout { component: component.clone() })
            }
        }
    }

    /// Sends to every connected component; one entry each.
    pub(super) async fn broadcast(
        &self,
        message: Outgoing,
    ) -> BTreeMap<ComponentId, Result<Json, MessageError>> {
        let mut by_node: BTreeMap<NodeId, Vec<ComponentId>> = BTreeMap::new();
        for row in self.state.components() {
            if let Some(session) = row.live_session() {
                by_node.entry(session.node).or_default().push(row.id.clone());
            }
        }
        let of_nodes =
            by_node.into_iter().map(|(node, components)| self.send_at(node, components, message.clone()));
        of_nodes.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await.into_iter().flatten().collect()
    }

    async fn send_at(
        &self,
        node: NodeId,
        components: Vec<ComponentId>,
        message: Outgoing,
    ) -> Vec<(ComponentId, Result<Json, MessageError>)> {
        if node == self.state.node() {
            return self.send_to_all(components, message).await;
        }
        let timeout = message.timeout;
        let request = Request::SendToAll { components: components.clone(), message };
        let answer = self.ask(node, &request, timeout).await;
        match answer {
            Ok(Response::SentToAll(replies)) => replies,
            Ok(_) => {
                let none = |component: ComponentId| {
                    (component.clone(), Err(MessageError::ConnectionBroke { component }))
                };
                components.into_iter().map(none).collect()
            }
            Err(error) => {
                let none = |component: ComponentId| (component.clone(), Err(unreachable(&component, &error)));
                components.into_iter().map(none).collect()
            }
        }
    }

    pub(super) async fn send_to_all(
        &self,
        components: Vec<ComponentId>,
        message: Outgoing,
    ) -> Vec<(ComponentId, Result<Json, MessageError>)> {
        let sent = components.into_iter().map(|component| {
            let message = message.clone();
            async move {
                let reply = self.send_here(&component, message).await;
                (component, reply)
            }
        });
        join_all(sent).await
    }

    /// Takes a reply, from the session it was asked of if that is known.
    pub(super) fn reply_here(
        &self,
        message: MessageId,
        from: Option<SessionId>,
        reply: Reply,
    ) -> Result<(), MessageError> {
        let unknown = || MessageError::MessageUnknown { message: message.to_string() };
        let mut waiting = self.pending.lock();
        let asked =
            waiting.get(&message.id).filter(|pending| from.is_none_or(|session| session == pending.session));
        if asked.is_none() {
            return Err(unknown());
        }
        let pending = waiting.remove(&message.id).ok_or_else(unknown)?;
        pending.reply.send(reply).map_err(|_| unknown())
    }

    /// Takes a reply at any node.
    pub(super) async fn reply(&self, message: MessageId, reply: Reply) -> Result<(), MessageError> {
        if message.node == self.state.node() {
            return self.reply_here(message, None, reply);
        }
        let request = Request::Reply { message, reply };
        match self.ask(message.node, &request, Duration::from_secs(5)).await {
            Ok(Response::Replied(result)) => result,
            Ok(_) | Err(_) => Err(MessageError::MessageUnknown { message: message.to_string() }),
        }
    }
}

fn unreachable(component: &ComponentId, error: &Unavailable) -> MessageError {
    let component = component.clone();
    if error.is_certainly_not_executed() {
        MessageError::ComponentDisconnected { component }
    } else {
        MessageError::ComponentTimeout { component }
    }
}
