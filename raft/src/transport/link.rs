//! One outgoing connection: opened when needed, shared by many requests, given up when the other side is silent.
//! Knows nothing of what the requests mean.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    CallError, Class, Hello, Local, Refusal,
    frame::{Frame, Kind, flush, gather},
    hello::greet,
    socket::{Reader, Writer, connect},
};
use crate::ticker;

const QUEUE: usize = 1024;
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Shorter than an election takes, so that a node that comes back hears its leader in time.
const PAUSE_MAX: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(500);
/// So long without a word while an answer is due, and we ask whether anybody is there.
const PING_AFTER: Duration = Duration::from_secs(1);
/// So long without a word, ping included, and the connection is dead: TCP itself would wait for minutes.
const CUT_AFTER: Duration = Duration::from_millis(2500);
const COALESCE: usize = 64;

/// What a caller hears: the body of the answer.
pub type Reply = oneshot::Sender<Result<Bytes, CallError>>;

/// A request on its way out.
pub struct Outgoing {
    pub kind: Kind,
    pub body: Bytes,
    pub reply: Reply,
}

/// What links to the same node share.
pub struct Target {
    pub node: u64,
    pub address: RwLock<String>,
    /// When it last said anything on any connection, in milliseconds since `epoch`; zero if never.
    pub heard: AtomicU64,
    pub epoch: Instant,
}

impl Target {
    /// Milliseconds since `epoch`, never zero.
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).expect("a process runs less than an age").max(1)
    }

    fn hear(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    fn lost(&self) -> CallError {
        CallError::Lost { node: self.node }
    }
}

/// The way into a connection; its task ends with the last clone.
#[derive(Clone)]
pub struct Link {
    queue: mpsc::Sender<Outgoing>,
}

impl Link {
    /// A connection of this class to `target`, opened at the first request.
    pub fn start(target: Arc<Target>, class: Class, local: Local) -> Link {
        let (queue, requests) = mpsc::channel(QUEUE);
        let hello = Hello::new(local, class, Some(target.node));
        tokio::spawn(Driver { target, hello, requests, said: None }.run());
        Link { queue }
    }

    /// Queues a request, without waiting; false if too many wait.
    pub fn send(&self, request: Outgoing) -> bool {
        self.queue.try_send(request).is_ok()
    }
}

struct Driver {
    target: Arc<Target>,
    hello: Hello,
    requests: mpsc::Receiver<Outgoing>,
    /// The refusal that the log already names.
    said: Option<Refusal>,
}

impl Driver {
    async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        while let Some(first) = self.requests.recv().await {
            match self.open().await {
                Ok((reader, writer)) => {
                    pause = PAUSE_MIN;
                    Session::new(self.target.clone(), reader, writer).run(first, &mut self.requests).await;
                }
                Err(error) => {
                    let _ = first.reply.send(Err(error.clone()));
                    if self.refuse_for(pause, &error).await.is_none() {
                        return;
                    }
                    pause = PAUSE_MAX.min(pause * 2);
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(Reader, Writer), CallError> {
        let node = self.target.node;
        let address = self.target.address.read().clone();
        let unreachable =
            |error: io::Error| CallError::Unreachable { node, reason: format!("{address}: {error}") };
        let (mut reader, mut writer) = connect(&address, CONNECT_PATIENCE).await.map_err(unreachable)?;
        match greet(&mut reader, &mut writer, &self.hello).await.map_err(unreachable)? {
            Ok(()) => {
                self.said = None;
                Ok((reader, writer))
            }
            Err(refusal) => {
                if self.said.replace(refusal) != Some(refusal) {
                    tracing::warn!(peer = node, %address, class = ?self.hello.class, %refusal, "peer refuses to talk");
                }
                Err(CallError::Refused { node, refusal })
            }
        }
    }

    /// Answers requests at once while the pause lasts; `None` when nobody can ask any more.
    async fn refuse_for(&mut self, pause: Duration, error: &CallError) -> Option<()> {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Some(()),
                request = self.requests.recv() => {
                    let _ = request?.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// One open connection.
struct Session {
    target: Arc<Target>,
    writer: Writer,
    pending: Arc<Pending>,
    answers: JoinHandle<()>,
    next_id: u64,
    buffer: BytesMut,
}

/// Requests that wait for their answer. Callers who have given up do not count less: the other side owes an answer.
#[derive(Default)]
struct Pending {
    replies: Mutex<HashMap<u64, Reply>>,
    /// Since when a word is due, in milliseconds since the target's epoch; zero if none is.
    due_since: AtomicU64,
}

impl Session {
    fn new(target: Arc<Target>, reader: Reader, writer: Writer) -> Session {
        target.hear();
        let pending = Arc::new(Pending::default());
        let answers = tokio::spawn(take_answers(reader, target.clone(), pending.clone()));
        Session { target, writer, pending, answers, next_id: 0, buffer: BytesMut::new() }
    }

    async fn run(mut self, first: Outgoing, requests: &mut mpsc::Receiver<Outgoing>) {
        let mut batch = vec![first];
        let (mut tick, mut busy) = (ticker::every(TICK), false);
        loop {
            self.take(&mut batch);
            if flush(&mut self.writer, &mut self.buffer).await.is_err() {
                break;
            }
            tokio::select! {
                taken = gather(requests, &mut batch, COALESCE, &mut busy) => {
                    if taken == 0 {
                        break;
                    }
                }
                _ = &mut self.answers => break,
                _ = tick.tick() => {
                    if self.is_dead() {
                        tracing::info!(peer = self.target.node, "peer is silent, connection given up");
                        break;
                    }
                }
            }
        }
        self.answers.abort();
        for (_, reply) in self.pending.replies.lock().drain() {
            let _ = reply.send(Err(self.target.lost()));
        }
    }

    /// Numbers the requests and puts them into the buffer; nobody waits for those given up meanwhile.
    fn take(&mut self, batch: &mut Vec<Outgoing>) {
        let mut replies = self.pending.replies.lock();
        for request in batch.drain(..).filter(|request| !request.reply.is_closed()) {
            self.next_id += 1;
            Frame { kind: request.kind, id: self.next_id, body: request.body }.put(&mut self.buffer);
            replies.insert(self.next_id, request.reply);
        }
        if !replies.is_empty() && self.pending.due_since.load(Ordering::Relaxed) == 0 {
            self.pending.due_since.store(self.target.now(), Ordering::Relaxed);
        }
    }

    /// Whether the other side has said nothing for too long; asks it in between.
    fn is_dead(&mut self) -> bool {
        self.pending.replies.lock().retain(|_, reply| !reply.is_closed());
        let since = self.pending.due_since.load(Ordering::Relaxed);
        if since == 0 {
            return false;
        }
        let quiet = Duration::from_millis(self.target.now().saturating_sub(since));
        if quiet >= PING_AFTER {
            Frame { kind: Kind::Ping, id: 0, body: Bytes::new() }.put(&mut self.buffer);
        }
        quiet >= CUT_AFTER
    }
}

async fn take_answers(mut reader: Reader, target: Arc<Target>, pending: Arc<Pending>) {
    while let Ok(frame) = Frame::read(&mut reader).await {
        target.hear();
        let reply = {
            let mut replies = pending.replies.lock();
            let reply = replies.remove(&frame.id);
            let due = if replies.is_empty() { 0 } else { target.now() };
            pending.due_since.store(due, Ordering::Relaxed);
            reply
        };
        if let Some(reply) = reply {
            let _ = reply.send(Ok(frame.body));
        }
    }
}
