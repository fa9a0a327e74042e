//! The life of a worker: session after session until it is drained, superseded or refused.
//! Decides what each message of a node does; [`Held`] knows the attempts, [`Link`] the socket.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::durable::Durable;
use super::handler::{TaskCtx, TaskError};
use super::held::Held;
use super::link::{Link, LinkError};
use super::logs::Logs;
use super::{Worker, WorkerError, attempt};
use crate::backoff;
use crate::wire::paths;
use crate::wire::session::{
    AttemptRef, Bye, ByeReason, CancelOrder, ComponentMessage, Drain, Heartbeat, NodeMessage, Reply,
    TaskOrder, encode_frame,
};

/// How long a drained worker waits for the node's `bye`.
const BYE_TIMEOUT: Duration = Duration::from_secs(2);
/// A session that ends sooner counts as a failure, so that a node that breaks every session is not hammered.
const SESSION_MIN: Duration = Duration::from_secs(1);
/// A node that answered no ping for a beat and a half is gone, but never sooner than after this.
const SILENCE_MIN: Duration = Duration::from_secs(2);
/// How many results and how many replies may wait for the loop; more wait in their own tasks.
const WAITING_MAX: usize = 64;

pub(super) type Shutdown<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// An attempt's result, as the line that tells it.
struct Ended {
    task_id: String,
    token: u64,
    line: Arc<str>,
}

/// How a session ended.
enum End {
    Broken,
    Drained,
    Superseded,
    DrainTimeout,
}

pub(super) struct Runtime {
    worker: Worker,
    held: Held,
    ended: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    replies: (mpsc::Sender<Reply>, mpsc::Receiver<Reply>),
    /// Signs of life of attempts.
    beats: (mpsc::Sender<AttemptRef>, mpsc::Receiver<AttemptRef>),
    outbox: VecDeque<Arc<str>>,
    logs: Logs,
    durable: Durable,
    /// Whether there has been a session.
    connected: watch::Sender<bool>,
    /// Set when the worker is to stop: until when attempts may take.
    drain_until: Option<Instant>,
}

impl Runtime {
    pub(super) fn new(worker: Worker) -> Self {
        let (ended, replies) = (mpsc::channel(WAITING_MAX), mpsc::channel(WAITING_MAX));
        let (outbox, logs, beats) = (VecDeque::new(), Logs::default(), mpsc::channel(WAITING_MAX));
        let (held, durable) = (Held::default(), Durable::new(worker.messages.clone()));
        let connected = watch::Sender::new(false);
        Self { worker, held, ended, replies, beats, outbox, logs, durable, connected, drain_until: None }
    }

    /// Becomes true with the first session.
    pub(super) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    pub(super) async fn run(mut self, mut shutdown: Shutdown<'_>) -> Result<(), WorkerError> {
        let nodes = u32::try_from(self.worker.client.nodes().len()).unwrap_or(u32::MAX);
        let (mut position, mut failures) = (self.worker.client.preferred(), 0_u32);
        loop {
            while let Ok(ended) = self.ended.1.try_recv() {
                self.held.end(&ended.task_id, ended.token, ended.line);
            }
            if self.drain_until.is_some() && self.held.is_empty() && !self.durable.is_busy() {
                return Ok(());
            }
            // After each round over all nodes there is a pause.
            let rounds = (failures > 0 && failures.is_multiple_of(nodes)).then_some(failures / nodes);
            let opened = tokio::select! {
                opened = self.open(position, rounds) => opened,
                () = shutdown.as_mut(), if self.drain_until.is_none() => {
                    self.drain_until = Some(Instant::now() + self.worker.drain_timeout);
                    continue;
                }
                () = until(self.drain_until) => return Err(WorkerError::DrainTimeout { held: self.held.len() }),
            };
            match opened {
                Ok(session) => {
                    let begun = Instant::now();
                    self.connected.send_replace(true);
                    match self.session(session, shutdown.as_mut()).await {
                        End::Broken if begun.elapsed() > SESSION_MIN => failures = 0,
                        End::Broken => failures = failures.saturating_add(1),
                        End::Drained => return Ok(()),
                        End::Superseded => return Err(WorkerError::Superseded),
                        End::DrainTimeout => return Err(WorkerError::DrainTimeout { held: self.held.len() }),
                    }
                }
                Err(LinkError::Refused(problem)) if problem.status != 429 && !problem.retryable => {
                    return Err(WorkerError::Refused(problem));
                }
                Err(LinkError::Bye(ByeReason::Superseded)) => return Err(WorkerError::Superseded),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::debug!(%error, node = self.worker.client.node(position), "no session");
                }
            }
            position += 1;
        }
    }

    /// Opens a session with the node at `position`, after the pause that belongs to so many failed rounds.
    async fn open(&self, position: usize, rounds: Option<u32>) -> Result<Session, LinkError> {
        if let Some(rounds) = rounds {
            sleep(backoff::pause(rounds - 1)).await;
        }
        let path = paths::fill(paths::COMPONENT_CONNECT, &self.worker.id);
        let hello = encode_frame([&ComponentMessage::Hello(self.worker.hello(self.held.refs()))]);
        let (link, welcome, first) = Link::open(self.worker.client.node(position), &path, hello).await?;
        tracing::info!(component = %welcome.component_id, node = %welcome.node, held = self.held.len(), "session open");
        let beat = Duration::from_millis(welcome.heartbeat_interval / 3).max(Duration::from_millis(10));
        Ok(Session { link, beat, first })
    }

    async fn session(&mut self, session: Session, mut shutdown: Shutdown<'_>) -> End {
        let Session { link: Link { mut incoming, outgoing }, beat, first } = session;
        self.outbox.clear();
        self.logs.lost();
        self.held.all_due();
        self.durable.begin_session();
        if self.drain_until.is_some() {
            self.say(&Drain {}.into());
        }
        for message in first {
            if let Some(end) = self.obey(message) {
                return end;
            }
        }
        let mut heartbeat = interval(beat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut emptied) = (Instant::now(), None);
        loop {
            self.fill_outbox();
            let drained = self.drain_until.is_some() && self.held.is_empty() && !self.durable.is_busy();
            emptied = if drained { emptied.or_else(|| Some(Instant::now() + BYE_TIMEOUT)) } else { None };
            tokio::select! {
                messages = incoming.read() => {
                    let Some(messages) = messages else { return End::Broken };
                    heard = Instant::now();
                    for message in messages {
                        if let Some(end) = self.obey(message) {
                            outgoing.close().await;
                            return end;
                        }
                    }
                }
                Some(ended) = self.ended.1.recv() => {
                    self.held.end(&ended.task_id, ended.token, ended.line);
                    // Attempts that began together often end together: their results are written together.
                    if self.held.len() > 1 {
                        tokio::task::yield_now().await;
                    }
                    while let Ok(ended) = self.ended.1.try_recv() {
                        self.held.end(&ended.task_id, ended.token, ended.line);
                    }
                }
                Some(reply) = self.replies.1.recv() => self.say(&reply.into()),
                said = self.durable.next() => said.iter().for_each(|message| self.say(message)),
                () = self.logs.due(), if self.outbox.is_empty() => {}
                written = outgoing.write(&mut self.outbox), if !self.outbox.is_empty() => {
                    if written.is_none() {
                        return End::Broken;
                    }
                }
                _ = heartbeat.tick() => {
                    if heard.elapsed() > (beat * 3 / 2).max(SILENCE_MIN) {
                        return End::Broken;
                    }
                    outgoing.ping();
                    self.say(&Heartbeat::default().into());
                }
                Some(attempt) = self.beats.1.recv() => self.say_alive(attempt),
                () = until(self.held.next_due()) => {}
                () = shutdown.as_mut(), if self.drain_until.is_none() => {
                    self.drain_until = Some(Instant::now() + self.worker.drain_timeout);
                    self.say(&Drain {}.into());
                }
                () = until(emptied) => {
                    outgoing.close().await;
                    return End::Drained;
                }
                () = until(self.drain_until) => return End::DrainTimeout,
            }
        }
    }

    /// Adds the results that are due, after everything that was logged before them; else what was logged, once what was
    /// said before is written.
    fn fill_outbox(&mut self) {
        let results = self.held.take_due();
        if self.outbox.is_empty() {
            self.logs.written();
        }
        if !results.is_empty() || (self.outbox.is_empty() && self.logs.is_due()) {
            self.outbox.extend(self.logs.take());
        }
        self.outbox.extend(results);
    }

    /// Says that an attempt lives, and those that said so by now.
    fn say_alive(&mut self, attempt: AttemptRef) {
        let mut attempts = vec![attempt];
        while let Ok(more) = self.beats.1.try_recv() {
            attempts.push(more);
        }
        self.say(&Heartbeat { attempts }.into());
    }

    fn say(&mut self, message: &ComponentMessage) {
        self.outbox.push_back(encode_frame([message]).into());
    }

    /// Does what a node says; `Some` when that ends the session.
    fn obey(&mut self, message: NodeMessage) -> Option<End> {
        match message {
            NodeMessage::Task(order) => self.start(order),
            NodeMessage::Cancel(order) => self.cancel(order),
            NodeMessage::Message(order) => {
                if let Some(reply) = self.worker.messages.handle(order, &self.replies.0) {
                    self.say(&reply.into());
                }
            }
            NodeMessage::Durable(order) => {
                let said = self.durable.take(order);
                said.iter().for_each(|message| self.say(message));
            }
            NodeMessage::Settled(settled) => self.durable.settle(&settled),
            NodeMessage::Accepted(accepted) => self.held.forget(&accepted.task_id, accepted.token),
            NodeMessage::Refused(refused) => {
                tracing::info!(task = %refused.task_id, token = refused.token, code = %refused.code, "result refused");
                self.held.forget(&refused.task_id, refused.token);
            }
            NodeMessage::Retry(retry) => {
                self.held.postpone(&retry.task_id, retry.token, Duration::from_millis(retry.retry_after));
            }
            NodeMessage::Bye(Bye { reason }) => {
                tracing::info!(%reason, "the node ends the session");
                return Some(match reason {
                    ByeReason::Superseded => End::Superseded,
                    ByeReason::Drained => End::Drained,
                    ByeReason::Shutdown | ByeReason::Protocol | ByeReason::Unknown(_) => End::Broken,
                });
            }
            NodeMessage::Welcome(_) | NodeMessage::Unknown(_) => {}
        }
        None
    }

    fn start(&mut self, order: TaskOrder) {
        let (task_id, token) = (order.task_id.clone(), order.token);
        if !self.held.is_news(&task_id, token) {
            return;
        }
        tracing::debug!(task = %task_id, token, attempt = order.attempt, action = %order.action, "attempt started");
        let handler = self.worker.handlers.get(&order.action).cloned();
        let (payload, limits) = (order.payload.clone(), (order.deadline, self.worker.cancel_grace));
        let (ctx, stop) = TaskCtx::attached(order, self.logs.clone(), Some(self.beats.0.clone()));
        let (ended, name, handle) = (self.ended.0.clone(), task_id.clone(), stop.clone());
        let work = tokio::spawn(async move {
            let message = attempt::run(handler, (ctx, handle), payload, limits).await;
            let line = encode_frame([&message]).into();
            // Without a receiver the worker is gone, and so is whoever could be told.
            ended.send(Ended { task_id: name, token, line }).await.ok();
        });
        self.held.begin(task_id, token, stop, work.abort_handle());
    }

    fn cancel(&mut self, order: CancelOrder) {
        let CancelOrder { task_id, token, reason } = order;
        if !self.held.cancel(&task_id, token, &reason) {
            let fail = attempt::failure(task_id.clone(), token, TaskError::cancelled(reason));
            self.held.answer(task_id, token, encode_frame([&ComponentMessage::Fail(fail)]).into());
        }
    }
}

/// An open session: its socket, how often to beat, and what came with the welcome.
struct Session {
    link: Link,
    beat: Duration,
    first: Vec<NodeMessage>,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
