//! A broadcast as a stream for an actor: what came, or that something was missed.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What an actor that follows a broadcast is given.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// The next.
    Next(T),
    /// Some were missed, because too many came or because the state was replaced: read the state.
    Missed,
}

pub(crate) fn following<T: Send + Sync + 'static>(
    receiver: Receiver<Arc<[T]>>,
) -> impl Stream<Item = Heard<Arc<[T]>>> + 'static {
    let next = |mut receiver: Receiver<Arc<[T]>>| async move {
        match receiver.recv().await {
            Ok(items) if items.is_empty() => Some((Heard::Missed, receiver)),
            Ok(items) => Some((Heard::Next(items), receiver)),
            Err(RecvError::Lagged(_)) => Some((Heard::Missed, receiver)),
            Err(RecvError::Closed) => None,
        }
    };
    stream::unfold(receiver, next).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn whoever_lags_and_whoever_keeps_up_with_a_replaced_state_hear_that_they_missed_some() {
        let (sender, receiver) = broadcast::channel::<Arc<[u8]>>(2);
        let mut heard = following(receiver).map(|heard| match heard {
            Heard::Next(items) => items.to_vec(),
            Heard::Missed => vec![],
        });
        for items in [&[1, 2][..], &[]] {
            sender.send(items.into()).expect("somebody listens");
            assert_eq!(heard.next().await, Some(items.to_vec()));
        }
        for item in 3..7 {
            sender.send([item].into()).expect("somebody listens");
        }
        assert_eq!(heard.next().await, Some(vec![]));
        assert_eq!(heard.next().await, Some(vec![5]));
        drop(sender);
        assert_eq!(heard.collect::<Vec<_>>().await, [[6]]);
    }
}
