//! What waits for the reader of a stream: bounded in events and in bytes, and in bytes of all streams together. Room is taken
//! before what fills it is made; a reader that takes nothing of what waits for too long is cut. Knows nothing of what the events are.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout_at},
};

use super::budget::{Budget, Share};

/// Events that may wait.
pub const EVENTS_MAX: usize = orc_runtime::bound(1_000, 32);
/// Their bytes.
pub const BYTES_MAX: usize = 4 << 20;
/// A reader that takes nothing for this long is cut.
const PATIENCE: Duration = Duration::from_secs(30);
/// The connection gets so many bytes at a time: whoever takes them, however slowly, is not one that takes nothing.
const SLICE: usize = 64 << 10;
/// How often room is looked for that others give back.
const LOOK: Duration = Duration::from_millis(200);

/// Why nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The reader is gone.
    Gone,
    /// The reader is too slow.
    Slow,
}

struct Waiting {
    events: usize,
    bytes: usize,
    /// When the reader last took something, or something began to wait for it.
    moved: Instant,
}

struct Shared {
    waiting: Mutex<Waiting>,
    given_back: Notify,
}

impl Shared {
    fn moved(&self) {
        self.waiting.lock().moved = Instant::now();
    }
}

/// Room for a piece: so many events and bytes. Given back when it is dropped, or with the last byte of the piece.
pub struct Room {
    share: Share,
    events: usize,
    shared: Arc<Shared>,
}

impl Room {
    /// Makes it as large as the piece is: what it was taken for was a guess.
    pub fn fit(&mut self, bytes: usize, events: usize) {
        let mut waiting = self.shared.waiting.lock();
        waiting.bytes = waiting.bytes + bytes - self.share.bytes();
        waiting.events = waiting.events + events - self.events;
        self.events = events;
        self.share.become_of(bytes);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut waiting = self.shared.waiting.lock();
        waiting.bytes -= self.share.bytes();
        waiting.events -= self.events;
        drop(waiting);
        self.shared.given_back.notify_one();
    }
}

struct Piece {
    text: String,
    _room: Room,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// The end that is written to.
pub struct Outlet {
    pieces: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    budget: Arc<Budget>,
    patience: Duration,
}

/// The end that the connection reads.
pub struct Inlet {
    pieces: mpsc::Receiver<Bytes>,
    /// The rest of the piece that the connection takes.
    rest: Bytes,
    shared: Arc<Shared>,
}

/// A new stream, which shares the budget with others.
pub fn stream(budget: Arc<Budget>) -> (Outlet, Inlet) {
    patient_stream(budget, PATIENCE)
}

fn patient_stream(budget: Arc<Budget>, patience: Duration) -> (Outlet, Inlet) {
    let (pieces, taken) = mpsc::channel(EVENTS_MAX);
    let waiting = Waiting { events: 0, bytes: 0, moved: Instant::now() };
    let shared = Arc::new(Shared { waiting: Mutex::new(waiting), given_back: Notify::new() });
    let outlet = Outlet { pieces, shared: shared.clone(), budget, patience };
    (outlet, Inlet { pieces: taken, rest: Bytes::new(), shared })
}

impl Outlet {
    /// Room for so many bytes and events, if there is some now. What is greater than all room may wait alone.
    pub fn room_now(&self, bytes: usize, events: usize) -> Option<Room> {
        let mut waiting = self.shared.waiting.lock();
        let fits = waiting.bytes + bytes <= BYTES_MAX && waiting.events + events <= EVENTS_MAX;
        if !fits && waiting.events > 0 {
            return None;
        }
        let share = self.budget.take_more(bytes, waiting.bytes)?;
        if waiting.events == 0 {
            waiting.moved = Instant::now();
        }
        waiting.bytes += bytes;
        waiting.events += events;
        Some(Room { share, events, shared: self.shared.clone() })
    }

    /// Room for something short, if nothing waits.
    pub fn room_if_empty(&self, bytes: usize) -> Option<Room> {
        let is_empty = self.shared.waiting.lock().events == 0;
        if is_empty { self.room_now(bytes, 1) } else { None }
    }

    /// The same as [`Outlet::room_now`], as soon as there is some; at most until then, which gives none.
    pub async fn room(&self, bytes: usize, events: usize, until: Instant) -> Result<Option<Room>, Over> {
        loop {
            if self.pieces.is_closed() {
                return Err(Over::Gone);
            }
            if let Some(room) = self.room_now(bytes, events) {
                return Ok(Some(room));
            }
            if self.is_stuck() {
                return Err(Over::Slow);
            }
            let look = async {
                tokio::select! {
                    () = self.shared.given_back.notified() => {}
                    () = self.pieces.closed() => {}
                    () = sleep(LOOK) => {}
                }
            };
            if timeout_at(until, look).await.is_err() {
                return Ok(None);
            }
        }
    }

    /// Whether something has waited for too long for a reader that takes nothing.
    fn is_stuck(&self) -> bool {
        let waiting = self.shared.waiting.lock();
        waiting.events > 0 && waiting.moved.elapsed() >= self.patience
    }

    /// Sends a piece into room that was taken for it.
    pub fn send(&self, room: Room, text: String) -> Result<(), Over> {
        let piece = Bytes::from_owner(Piece { text, _room: room });
        // There is room for a piece of one event, so it is never full.
        self.pieces.try_send(piece).map_err(|_| Over::Gone)
    }

    /// Completes when the reader is gone.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// The same, for somebody who does not have the outlet.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + 'static {
        let pieces = self.pieces.clone();
        async move { pieces.closed().await }
    }
}

impl Inlet {
    /// The next bytes.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.rest.is_empty() {
            match self.pieces.poll_recv(context) {
                Poll::Ready(Some(piece)) => self.rest = piece,
                other => return other,
            }
        }
        self.shared.moved();
        Poll::Ready(Some(self.rest.split_to(self.rest.len().min(SLICE))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// None: there is no room.
    fn sent(outlet: &Outlet, bytes: usize, events: usize) -> Option<Result<(), Over>> {
        outlet.room_now(bytes, events).map(|room| outlet.send(room, "x".repeat(bytes)))
    }

    async fn taken(inlet: &mut Inlet) -> usize {
        poll_fn(|context| inlet.poll_next(context)).await.map_or(0, |piece| piece.len())
    }

    fn ample() -> Arc<Budget> {
        Budget::new(1 << 30)
    }

    #[tokio::test]
    async fn a_thousand_events_wait_for_the_reader_and_no_more() {
        let (outlet, mut inlet) = stream(ample());
        for _ in 0..1_000 {
            assert_eq!(sent(&outlet, 100, 1), Some(Ok(())));
        }
        assert_eq!(sent(&outlet, 100, 1), None, "it waits");
        assert_eq!(taken(&mut inlet).await, 100);
        assert_eq!(sent(&outlet, 100, 1), Some(Ok(())), "one was taken");
        drop(inlet);
        let gone = outlet.room(1, 1, Instant::now() + PATIENCE).await.err();
        assert_eq!(gone, Some(Over::Gone));
    }

    #[tokio::test]
    async fn four_mebibytes_wait_for_the_reader_and_no_more() {
        let (outlet, mut inlet) = stream(ample());
        for _ in 0..16 {
            assert_eq!(sent(&outlet, 256 << 10, 1), Some(Ok(())));
        }
        assert_eq!(sent(&outlet, 1, 1), None, "it waits");
        for _ in 0..16 * 4 {
            assert_eq!(taken(&mut inlet).await, 64 << 10);
        }
        assert_eq!(sent(&outlet, 5 << 20, 2_000), Some(Ok(())), "greater than all room, and alone");
        assert_eq!(sent(&outlet, 1, 1), None);
    }

    #[tokio::test]
    async fn readers_that_stall_hold_a_bounded_part_of_memory_and_leave_room_for_others() {
        let budget = Budget::new(64 << 20);
        let stalled: Vec<_> = (0..1_024).map(|_| stream(budget.clone())).collect();
        let mut held = 0;
        for _ in 0..20 {
            for (outlet, _inlet) in &stalled {
                held += sent(outlet, 256 << 10, 10).map_or(0, |_| 256 << 10);
            }
        }
        assert!((32 << 20..64 << 20).contains(&held), "{held} bytes");
        let (outlet, _inlet) = stream(budget);
        assert_eq!(sent(&outlet, 64 << 10, 10), Some(Ok(())), "whoever holds nothing gets room");
    }

    #[tokio::test]
    async fn a_reader_is_cut_if_it_takes_nothing_and_not_if_it_takes_little() {
        let patience = Duration::from_millis(1_500);
        let (outlet, mut inlet) = patient_stream(ample(), patience);
        assert_eq!(sent(&outlet, 5 << 20, 1), Some(Ok(())));
        let began = Instant::now();
        let slow = async {
            // Twice as long as it may take nothing.
            while began.elapsed() < 2 * patience {
                sleep(patience / 10).await;
                assert_eq!(taken(&mut inlet).await, SLICE);
            }
        };
        let far = || Instant::now() + PATIENCE;
        tokio::select! {
            room = outlet.room(1, 1, far()) => panic!("there is none yet: {:?}", room.err()),
            () = slow => {}
        }
        let stopped = Instant::now();
        assert_eq!(outlet.room(1, 1, far()).await.err(), Some(Over::Slow));
        assert!(stopped.elapsed() >= patience / 2, "too early");
    }
}
