//! Messages to a worker: handlers by type, each run in its own task, at most so many at a time.
//! Knows nothing of tasks or sessions; replies go into a channel.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::attempt::panicked;
use super::handler::{TaskError, decode, encode, time_until};
use crate::wire::session::{MessageOrder, Reply};
use crate::wire::{Raw, codes};

/// How many messages are handled at a time; more are answered with `BUSY`.
const HANDLING_MAX: usize = 64;

type Handler = Arc<dyn Fn(Raw) -> BoxFuture<'static, Result<Raw, TaskError>> + Send + Sync>;

/// The handlers of a worker. `ping` is built in: it returns its payload.
#[derive(Clone)]
pub(super) struct MessageHandlers {
    handlers: BTreeMap<String, Handler>,
    slots: Arc<Semaphore>,
}

impl MessageHandlers {
    pub(super) fn new() -> Self {
        let ping: Handler = Arc::new(|payload| std::future::ready(Ok(payload)).boxed());
        Self {
            handlers: BTreeMap::from([("ping".to_owned(), ping)]),
            slots: Arc::new(Semaphore::new(HANDLING_MAX)),
        }
    }

    pub(super) fn add<F, In, Out, Work>(&mut self, kind: String, function: F)
    where
        F: Fn(In) -> Work + Send + Sync + 'static,
        In: DeserializeOwned,
        Out: Serialize,
        Work: Future<Output = Result<Out, TaskError>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |payload| match decode(&payload) {
            Ok(input) => function(input).map(|output| encode(&output?)).boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        });
        self.handlers.insert(kind, handler);
    }

    /// The work of a message, whatever becomes of it.
    pub(super) fn work(&self, kind: &str, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        let Some(handler) = self.handlers.get(kind).cloned() else {
            let text = format!("this component has no handler for {kind}");
            return std::future::ready(Err(TaskError::permanent(codes::NO_HANDLER, text))).boxed();
        };
        let work = AssertUnwindSafe(async move { handler(payload).await }).catch_unwind();
        work.map(|result| result.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))).boxed()
    }

    /// Handles a message in a task of its own. An answer known at once is returned, any other goes to `replies`.
    pub(super) fn handle(&self, message: MessageOrder, replies: &mpsc::Sender<Reply>) -> Option<Reply> {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            let text = format!("{HANDLING_MAX} messages are being handled");
            return Some(reply(message.message_id, Err(TaskError::new(codes::BUSY, text))));
        };
        let (work, replies) = (self.work(&message.message_type, message.payload), replies.clone());
        tokio::spawn(async move {
            // After `replyBefore` nobody waits, so there is nobody to tell.
            if let Ok(result) = timeout(time_until(message.reply_before), work).await {
                replies.send(reply(message.message_id, result)).await.ok();
            }
            drop(slot);
        });
        None
    }
}

fn reply(message_id: String, result: Result<Raw, TaskError>) -> Reply {
    match result {
        Ok(payload) => Reply { message_id, payload: Some(payload), error: None },
        Err(error) => Reply { message_id, payload: None, error: Some(error.into_body()) },
    }
}
