//! A broadcast as a stream for an actor: what came, or that something was missed.

use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What an actor that follows a broadcast is given.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// The next.
    Next(T),
    /// This many were missed: read the state.
    Missed(u64),
}

pub(crate) fn following<T: Clone + Send + 'static>(
    receiver: Receiver<T>,
) -> impl Stream<Item = Heard<T>> + 'static {
    let next = |mut receiver: Receiver<T>| async move {
        match receiver.recv().await {
            Ok(item) => Some((Heard::Next(item), receiver)),
            Err(RecvError::Lagged(missed)) => Some((Heard::Missed(missed), receiver)),
            Err(RecvError::Closed) => None,
        }
    };
    stream::unfold(receiver, next).boxed()
}
