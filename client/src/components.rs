//! Components: to register, list and drain them, to send them messages, and the long polls of one.
//! Knows nothing of sessions; [`crate::worker`] speaks those.

use std::future::IntoFuture;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::http::Call;
use crate::run_wait::BoxedCall;
use crate::wire::{
    self, AckMessage, BroadcastAccepted, BroadcastReplies, ComponentView, ComponentsQuery, DrainComponent,
    DurableMessage, MessageAccepted, MessageReply, MessagesMoved, MessagesQuery, NackMessage, Page, Poll,
    Polled, RegisterComponent, ReplyMessage, SelectDeadMessages, WaitQuery, paths,
};
use crate::{Client, Error};

/// How long a message waits for its reply, unless told otherwise.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls about components: [`Client::components`].
#[derive(Clone, Debug)]
pub struct Components {
    client: Client,
}

impl Components {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Registers a component, or changes its registration.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn register(&self, id: &str, component: &RegisterComponent) -> Result<ComponentView, Error> {
        let call = Call::mutation(Method::PUT, paths::fill(paths::COMPONENT, id)).json(component)?;
        self.client.call(call).await
    }

    /// The component as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, id: &str) -> Result<ComponentView, Error> {
        self.client.call(Call::get(paths::fill(paths::COMPONENT, id))).await
    }

    /// The components that the query asks for, all of them without.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &ComponentsQuery) -> Result<Page<ComponentView>, Error> {
        self.client.call(Call::get(paths::COMPONENTS).query(query)).await
    }

    /// Removes a component; its session ends.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::DELETE, paths::fill(paths::COMPONENT, id))).await
    }

    /// No new tasks for the component; with a deadline, what it has not done by then is taken back.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn drain(&self, id: &str, body: &DrainComponent) -> Result<ComponentView, Error> {
        let path = paths::fill(paths::COMPONENT_DRAIN, id);
        self.client.call(Call::mutation(Method::POST, path).json(body)?).await
    }

    /// Says that a polling component lives.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn heartbeat(&self, id: &str) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::POST, paths::fill(paths::COMPONENT_HEARTBEAT, id))).await
    }

    /// Asks for work, for at most `wait`. An answer that is lost is not asked for again by itself: poll again.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn poll(&self, id: &str, max: u32, wait: Duration) -> Result<Polled, Error> {
        let body = Poll { max: Some(max), wait: Some(wait.into()) };
        let call = Call::post(paths::fill(paths::COMPONENT_POLL, id), &body)?;
        self.client.call(call.patience(wait).once()).await
    }

    /// Begins to send a message and to wait for its reply: `components.send("linear", "sync", payload).await?`.
    pub fn send<P: Serialize>(&self, id: &str, kind: impl Into<String>, payload: P) -> Send {
        let (client, path) = (self.client.clone(), paths::fill(paths::COMPONENT_MESSAGES, id));
        Send { client, path, kind: kind.into(), payload: wire::raw(&payload), timeout: REPLY_TIMEOUT }
    }

    /// Puts a message into the component's queue: it is delivered at least once and in order, also when the component
    /// comes later. Its id is returned.
    ///
    /// # Errors
    /// As every call: [`Error`]; `QUEUE_FULL` when too many wait.
    pub async fn send_durable<P: Serialize>(
        &self,
        id: &str,
        kind: impl Into<String>,
        payload: P,
    ) -> Result<MessageAccepted, Error> {
        let payload = wire::raw(&payload).map_err(|error| Error::no_json_form("the payload", &error))?;
        let body = wire::SendMessage { kind: kind.into(), payload: Some(payload), durable: true };
        let path = paths::fill(paths::COMPONENT_MESSAGES, id);
        self.client.call(Call::mutation(Method::POST, path).json(&body)?).await
    }

    /// Puts a message into the queue of every registered component.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn broadcast_durable<P: Serialize>(
        &self,
        kind: impl Into<String>,
        payload: P,
    ) -> Result<Vec<MessageAccepted>, Error> {
        let payload = wire::raw(&payload).map_err(|error| Error::no_json_form("the payload", &error))?;
        let body = wire::SendMessage { kind: kind.into(), payload: Some(payload), durable: true };
        let call = Call::mutation(Method::POST, paths::COMPONENTS_BROADCAST).json(&body)?;
        let accepted: BroadcastAccepted = self.client.call(call).await?;
        Ok(accepted.messages)
    }

    /// A durable message that is in a queue or was given up.
    ///
    /// # Errors
    /// As every call: [`Error`]; `NOT_FOUND` once it is acknowledged.
    pub async fn message(&self, id: &str) -> Result<DurableMessage, Error> {
        self.client.call(Call::get(paths::fill(paths::MESSAGE, id))).await
    }

    /// A page of the queue of a component, in order.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn queue(&self, id: &str, query: &MessagesQuery) -> Result<Page<DurableMessage>, Error> {
        self.client.call(Call::get(paths::fill(paths::COMPONENT_MESSAGES, id)).query(query)).await
    }

    /// A page of the messages that were given up, the newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn dead_messages(&self, query: &MessagesQuery) -> Result<Page<DurableMessage>, Error> {
        self.client.call(Call::get(paths::MESSAGES_DEAD).query(query)).await
    }

    /// Puts messages that were given up back into their queues, at the end; how many.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn requeue_dead(&self, which: &SelectDeadMessages) -> Result<u64, Error> {
        let moved: MessagesMoved =
            self.client.call(Call::mutation(Method::POST, paths::MESSAGES_DEAD_REQUEUE).json(which)?).await?;
        Ok(moved.count)
    }

    /// Drops messages that were given up for good; how many.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn drop_dead(&self, which: &SelectDeadMessages) -> Result<u64, Error> {
        let moved: MessagesMoved =
            self.client.call(Call::mutation(Method::POST, paths::MESSAGES_DEAD_DROP).json(which)?).await?;
        Ok(moved.count)
    }

    /// Acknowledges a durable message that a poll brought.
    ///
    /// # Errors
    /// As every call: [`Error`]; `STALE_ATTEMPT` when it was delivered again since.
    pub async fn acknowledge(&self, message_id: &str, token: u64) -> Result<(), Error> {
        let path = paths::fill(paths::MESSAGE_ACK, message_id);
        self.client.call_unit(Call::mutation(Method::POST, path).json(&AckMessage { token })?).await
    }

    /// Gives a durable message that a poll brought back: it comes again.
    ///
    /// # Errors
    /// As every call: [`Error`]; `STALE_ATTEMPT` when it was delivered again since.
    pub async fn give_back(&self, message_id: &str, nack: &NackMessage) -> Result<(), Error> {
        let path = paths::fill(paths::MESSAGE_NACK, message_id);
        self.client.call_unit(Call::mutation(Method::POST, path).json(nack)?).await
    }

    /// Sends a message to all connected components and waits for their replies.
    ///
    /// # Errors
    /// As every call: [`Error`]; a component that does not answer is an entry with an `error`.
    pub async fn broadcast<P: Serialize>(
        &self,
        kind: &str,
        payload: P,
        timeout: Duration,
    ) -> Result<Vec<MessageReply>, Error> {
        let (client, path) = (self.client.clone(), paths::COMPONENTS_BROADCAST.to_owned());
        let send = Send { client, path, kind: kind.to_owned(), payload: wire::raw(&payload), timeout };
        let replies: BroadcastReplies = self.client.call(send.into_call()?).await?;
        Ok(replies.responses)
    }

    /// Answers a message that a poll brought.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn reply(&self, message_id: &str, reply: &ReplyMessage) -> Result<(), Error> {
        self.client.call_unit(Call::post(paths::fill(paths::MESSAGE_REPLY, message_id), reply)?).await
    }
}

/// A message about to be sent. Messages are not part of the replicated state, so one is sent again only when it certainly
/// reached nobody.
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Send {
    client: Client,
    path: String,
    kind: String,
    payload: Result<wire::Raw, serde_json::Error>,
    timeout: Duration,
}

impl Send {
    /// How long to wait for the reply (default 30 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn into_call(self) -> Result<Call, Error> {
        let payload = self.payload.map_err(|error| Error::no_json_form("the payload", &error))?;
        let body = wire::SendMessage { kind: self.kind, payload: Some(payload), durable: false };
        let query = WaitQuery { timeout: Some(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)) };
        Ok(Call::post(self.path, &body)?.query(&query).patience(self.timeout).once())
    }
}

impl IntoFuture for Send {
    type Output = Result<Value, Error>;
    type IntoFuture = BoxedCall<Value>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let client = self.client.clone();
            let reply: MessageReply = client.call(self.into_call()?).await?;
            if let Some(error) = reply.error {
                return Err(Error::Component { component: reply.component_id, error });
            }
            serde_json::from_str(reply.payload.as_deref().map_or("null", |raw| raw.get()))
                .map_err(Error::Decode)
        })
    }
}
