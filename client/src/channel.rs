//! Many calls over one WebSocket to one node: opened when there is a call, closed when it is idle, given up when the node
//! is silent. What waits is written together. Knows nothing of what calls mean or where they are tried next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use reqwest::Method;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::http::read_problem;
use crate::socket::{self, OpenError};
use crate::wire::calls::{AnswerHead, CallHead, Headers, join, split};
use crate::wire::{Problem, headers, paths};

/// Calls that may wait for the writer; more wait in their own tasks.
const QUEUE: usize = 1_024;
/// Calls written together.
const TOGETHER_MAX: usize = 256;
const TICK: Duration = Duration::from_millis(500);
/// So long without a word while an answer is due, and the node is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(1);
/// So long without a word, sign of life included, and the node is gone.
const SILENCE_MAX: Duration = Duration::from_millis(3_500);
/// A node that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);
/// An unused channel is closed by us, long before the node would: no call meets a channel that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A call as it is sent.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
}

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) index: Option<u64>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum NoAnswer {
    /// The node was not reached: it has not heard of the call.
    Unreachable(Arc<str>),
    /// The node takes no channel now, and says why.
    Refused(Box<Problem>, Option<Duration>),
    /// The node, or who stands before it, does not know channels.
    NotSpoken,
    /// The connection broke: nobody can say what became of the call.
    Lost,
}

type Reply = oneshot::Sender<Result<Answer, NoAnswer>>;

struct Waiting {
    request: Request,
    reply: Reply,
}

/// The way to one node.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// The task behind it lives in the runtime of whoever called first; when that is gone another one is started.
    driver: Mutex<Option<mpsc::Sender<Waiting>>>,
    not_spoken: AtomicBool,
}

impl Channel {
    /// Whether calls have to go another way.
    pub(crate) fn is_not_spoken(&self) -> bool {
        self.not_spoken.load(Ordering::Relaxed)
    }

    /// Makes a call. When this is dropped the answer is ignored.
    pub(crate) async fn call(&self, base: &str, request: Request) -> Result<Answer, NoAnswer> {
        let (reply, answered) = oneshot::channel();
        let sent = self.queue(base).send(Waiting { request, reply }).await;
        let answer = match sent {
            Ok(()) => answered.await.unwrap_or(Err(NoAnswer::Lost)),
            Err(_) => Err(NoAnswer::Unreachable("the runtime of the connection has ended".into())),
        };
        if let Err(NoAnswer::NotSpoken) = &answer {
            self.not_spoken.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn queue(&self, base: &str) -> mpsc::Sender<Waiting> {
        let mut driver = self.driver.lock();
        match &*driver {
            Some(queue) if !queue.is_closed() => queue.clone(),
            Some(_) | None => {
                let (queue, waiting) = mpsc::channel(QUEUE);
                tokio::spawn(drive(base.to_owned(), waiting));
                driver.insert(queue).clone()
            }
        }
    }
}

async fn drive(base: String, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        match socket::open(&base, paths::CALLS).await {
            Ok(socket) => {
                let (sink, stream) = socket.split();
                Conversation::new(sink, stream).run(first, &mut waiting).await;
            }
            Err(error) => {
                let why = no_channel(&error);
                let _ = first.reply.send(Err(why.clone()));
                while let Ok(next) = waiting.try_recv() {
                    let _ = next.reply.send(Err(why.clone()));
                }
            }
        }
    }
}

/// A node that answers with a status of its own may take channels later; any other answer comes from somebody who does not
/// know them.
fn no_channel(error: &OpenError) -> NoAnswer {
    match error.answer() {
        Some(response) if response.status().as_u16() >= 429 => {
            let retry_after = response.headers().get(headers::RETRY_AFTER);
            let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            let body = response.body().as_deref().unwrap_or_default();
            let problem = read_problem(response.status().as_u16(), body);
            NoAnswer::Refused(Box::new(problem), seconds.map(Duration::from_secs))
        }
        Some(_) => NoAnswer::NotSpoken,
        None => NoAnswer::Unreachable(error.to_string().into()),
    }
}

type Socket = WebSocketStream<TcpStream>;

/// What the half that reads and the half that writes share.
struct Shared {
    pending: Mutex<HashMap<u64, Reply>>,
    heard: Mutex<Instant>,
}

impl Shared {
    fn await_answer(&self, id: u64, reply: Reply) {
        let mut pending = self.pending.lock();
        if pending.is_empty() {
            // Only now an answer is due.
            *self.heard.lock() = Instant::now();
        }
        pending.insert(id, reply);
    }
}

/// One open channel.
struct Conversation {
    sink: SplitSink<Socket, Message>,
    answers: JoinHandle<()>,
    shared: Arc<Shared>,
    next_id: u64,
    /// When it was last written to.
    used: Instant,
}

impl Conversation {
    fn new(sink: SplitSink<Socket, Message>, stream: SplitStream<Socket>) -> Self {
        let shared = Shared { pending: Mutex::default(), heard: Mutex::new(Instant::now()) };
        let shared = Arc::new(shared);
        let answers = tokio::spawn(take_answers(stream, shared.clone()));
        Self { sink, answers, shared, next_id: 0, used: Instant::now() }
    }

    async fn run(mut self, first: Waiting, waiting: &mut mpsc::Receiver<Waiting>) {
        let mut together = vec![first];
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !together.is_empty() && self.write(&mut together, waiting).await.is_none() {
                break;
            }
            tokio::select! {
                taken = waiting.recv_many(&mut together, TOGETHER_MAX) => if taken == 0 { break },
                _ = &mut self.answers => break,
                _ = tick.tick() => if self.look().await.is_none() { break },
            }
        }
        self.answers.abort();
        for unsent in together {
            let _ = unsent.reply.send(Err(NoAnswer::Unreachable("the connection broke".into())));
        }
        for (_, reply) in self.shared.pending.lock().drain() {
            let _ = reply.send(Err(NoAnswer::Lost));
        }
    }

    /// Writes calls together, also those of callers who are about to make one: often the same answers woke them.
    /// Those that were given up meanwhile are not made.
    async fn write(
        &mut self,
        together: &mut Vec<Waiting>,
        waiting: &mut mpsc::Receiver<Waiting>,
    ) -> Option<()> {
        if !self.shared.pending.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        while together.len() < TOGETHER_MAX
            && let Ok(next) = waiting.try_recv()
        {
            together.push(next);
        }
        self.used = Instant::now();
        for Waiting { request, reply } in together.drain(..).filter(|call| !call.reply.is_closed()) {
            self.next_id += 1;
            let message = message(self.next_id, &request);
            self.shared.await_answer(self.next_id, reply);
            timeout(WRITE_PATIENCE, self.sink.feed(message)).await.ok()?.ok()?;
        }
        timeout(WRITE_PATIENCE, self.sink.flush()).await.ok()?.ok()
    }

    /// Asks a silent node for a sign of life; `None` when it is gone, or nobody needs the channel.
    async fn look(&mut self) -> Option<()> {
        let quiet = {
            let mut pending = self.shared.pending.lock();
            pending.retain(|_, reply| !reply.is_closed());
            if pending.is_empty() {
                return (self.used.elapsed() < IDLE_MAX).then_some(());
            }
            self.shared.heard.lock().elapsed()
        };
        if quiet > SILENCE_MAX {
            return None;
        }
        if quiet > PING_AFTER {
            timeout(WRITE_PATIENCE, self.sink.send(Message::Ping(Bytes::new()))).await.ok()?.ok()?;
        }
        Some(())
    }
}

fn message(id: u64, request: &Request) -> Message {
    let headers = request.headers.iter().map(|(name, value)| ((*name).into(), value.as_str().into()));
    let head = CallHead {
        id,
        method: request.method.as_str().into(),
        target: request.target.as_str().into(),
        headers: headers.collect(),
    };
    Message::Binary(join(&head, request.body.as_deref().unwrap_or_default()))
}

async fn take_answers(mut stream: SplitStream<Socket>, shared: Arc<Shared>) {
    while let Some(Ok(message)) = stream.next().await {
        *shared.heard.lock() = Instant::now();
        let Message::Binary(message) = message else { continue };
        let Ok((AnswerHead { id, status, headers }, body)) = split(&message) else {
            tracing::warn!("ignored an answer that cannot be read");
            continue;
        };
        let reply = shared.pending.lock().remove(&id);
        if let Some(reply) = reply {
            let index = number(&headers, headers::ORC_INDEX);
            let retry_after = number(&headers, headers::RETRY_AFTER).map(Duration::from_secs);
            let _ = reply.send(Ok(Answer { status, index, retry_after, body }));
        }
    }
}

fn number(headers: &Headers<'_>, name: &str) -> Option<u64> {
    headers.iter().find(|(known, _)| known == name)?.1.parse().ok()
}
