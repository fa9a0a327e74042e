//! What nodes ask of each other about components, and how it is written: JSON, so that nodes of different versions
//! understand each other. Knows nothing of how it travels.

use std::{sync::Arc, time::Duration};

use orc_domain::{ComponentId, HeldAttempt, Json, NodeId, Unavailable};
use serde::{Deserialize, Serialize};

use super::{
    desk::Desk,
    messages::{MessageError, Outgoing, Reply},
    order::MessageId,
    poll::Polled,
};

/// What a node asks of the node that holds a component's session.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Send {
        component: ComponentId,
        message: Outgoing,
    },
    SendToAll {
        components: Vec<ComponentId>,
        message: Outgoing,
    },
    Reply {
        message: MessageId,
        reply: Reply,
    },
    Poll {
        component: ComponentId,
        max: usize,
        wait: Duration,
    },
    Heartbeat {
        component: ComponentId,
        /// Nodes that know of none leave it out.
        #[serde(default)]
        attempt: Option<HeldAttempt>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Response {
    Sent(Result<Json, MessageError>),
    SentToAll(Vec<(ComponentId, Result<Json, MessageError>)>),
    Replied(Result<(), MessageError>),
    /// None: it does not poll here.
    Polled(Option<Polled>),
    Heard(bool),
    /// The request is of a version that this node does not know.
    NotUnderstood,
}

/// Time an answer may take beyond that of the message itself.
const TRAVEL: Duration = Duration::from_secs(1);

impl Desk {
    pub(super) async fn ask(
        &self,
        node: NodeId,
        request: &Request,
        timeout: Duration,
    ) -> Result<Response, Unavailable> {
        let bytes = serde_json::to_vec(request).expect("a request has only string keys");
        let answer = tokio::time::timeout(timeout + TRAVEL, self.peers.ask(node, bytes)).await;
        let bytes = answer.map_err(|_| Unavailable::Unknown)??;
        serde_json::from_slice(&bytes).or_else(|error| {
            tracing::warn!(%node, %error, "an answer was not understood");
            Ok(Response::NotUnderstood)
        })
    }

    /// Answers what another node asks.
    pub(super) async fn answer(self: &Arc<Self>, request: &[u8]) -> Vec<u8> {
        let response = match serde_json::from_slice(request) {
            Ok(Request::Send { component, message }) => {
                Response::Sent(self.send_here(&component, message).await)
            }
            Ok(Request::SendToAll { components, message }) => {
                Response::SentToAll(self.send_to_all(components, message).await)
            }
            Ok(Request::Reply { message, reply }) => Response::Replied(self.reply_here(message, None, reply)),
            Ok(Request::Poll { component, max, wait }) => {
                Response::Polled(self.poll_here(&component, max, wait).await)
            }
            Ok(Request::Heartbeat { component, attempt }) => {
                Response::Heard(self.hear_here(&component, attempt.as_ref()))
            }
            Err(error) => {
                tracing::warn!(%error, "a request of another node was not understood");
                Response::NotUnderstood
            }
        };
        serde_json::to_vec(&response).expect("an answer has only string keys")
    }
}
