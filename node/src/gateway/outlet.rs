//! What waits for the reader of a stream: bounded in events and in bytes. A reader that takes nothing for too long while it
//! is full is cut. Knows nothing of what the events are.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// Events that may wait.
pub const EVENTS_MAX: u32 = orc_runtime::bound(1_000, 32) as u32;
/// Their bytes.
pub const BYTES_MAX: u32 = 4 << 20;
/// A reader that takes nothing for this long is cut.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The reader is gone.
    Gone,
    /// The reader is too slow.
    Slow,
}

struct Piece {
    bytes: Bytes,
    /// Its events and bytes, given back when the connection takes it.
    _room: [OwnedSemaphorePermit; 2],
}

/// The end that is written to.
pub struct Outlet {
    pieces: mpsc::Sender<Piece>,
    events: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// The end that the connection reads.
pub struct Inlet(mpsc::Receiver<Piece>);

/// A new stream.
pub fn stream() -> (Outlet, Inlet) {
    let (pieces, taken) = mpsc::channel(EVENTS_MAX as usize);
    let room = |most: u32| Arc::new(Semaphore::new(most as usize));
    (Outlet { pieces, events: room(EVENTS_MAX), bytes: room(BYTES_MAX) }, Inlet(taken))
}

impl Outlet {
    /// Sends so many events as one piece, as soon as there is room; a piece that is greater than all room waits for all of it.
    pub async fn send(&self, text: String, events: usize) -> Result<(), Over> {
        let most = |count: usize, most: u32| u32::try_from(count).unwrap_or(most).clamp(1, most);
        let (events, bytes) = (most(events, EVENTS_MAX), most(text.len(), BYTES_MAX));
        let sent = async {
            // Neither is ever closed, so only a reader that is gone ends this.
            let events = self.events.clone().acquire_many_owned(events).await.map_err(|_| Over::Gone)?;
            let bytes = self.bytes.clone().acquire_many_owned(bytes).await.map_err(|_| Over::Gone)?;
            let piece = Piece { bytes: text.into(), _room: [events, bytes] };
            self.pieces.send(piece).await.map_err(|_| Over::Gone)
        };
        tokio::select! {
            sent = timeout(PATIENCE, sent) => sent.unwrap_or(Err(Over::Slow)),
            () = self.pieces.closed() => Err(Over::Gone),
        }
    }

    /// Completes when the reader is gone.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }
}

impl Inlet {
    /// The next piece.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;
    use tokio::task::unconstrained;

    use super::*;

    /// None: it waits for room.
    fn sent(outlet: &Outlet, bytes: usize, events: usize) -> Option<Result<(), Over>> {
        unconstrained(outlet.send("x".repeat(bytes), events)).now_or_never()
    }

    #[tokio::test]
    async fn a_thousand_events_wait_for_the_reader_and_no_more() {
        let (outlet, mut inlet) = stream();
        for _ in 0..1_000 {
            assert_eq!(sent(&outlet, 100, 1), Some(Ok(())));
        }
        assert_eq!(sent(&outlet, 100, 1), None, "it waits");
        assert_eq!(poll_fn(|context| inlet.poll_next(context)).await.map(|piece| piece.len()), Some(100));
        assert_eq!(sent(&outlet, 100, 1), Some(Ok(())), "one was taken");
        drop(inlet);
        assert_eq!(sent(&outlet, 100, 1), Some(Err(Over::Gone)));
    }

    #[tokio::test]
    async fn four_mebibytes_wait_for_the_reader_and_no_more() {
        let (outlet, mut inlet) = stream();
        for _ in 0..16 {
            assert_eq!(sent(&outlet, 256 << 10, 1), Some(Ok(())));
        }
        assert_eq!(sent(&outlet, 1, 1), None, "it waits");
        for _ in 0..16 {
            assert!(poll_fn(|context| inlet.poll_next(context)).await.is_some());
        }
        assert_eq!(sent(&outlet, 5 << 20, 2_000), Some(Ok(())), "greater than all room, and alone");
        assert_eq!(sent(&outlet, 1, 1), None);
    }
}
