//! A session of a component connected to this node: its outbound orders, what was delivered on it, when it was heard.
//! Nothing here waits: a session whose orders are full belongs to a slow reader and is cut by the caller.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use orc_domain::{ComponentId, HeldAttempt, QueuedMessage, SessionId, TaskId, Token};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::order::Order;

/// How the component is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Orders flow as they come; it sends heartbeats.
    Stream,
    /// It comes for its orders; each poll is a heartbeat.
    Poll,
}

#[derive(Debug, Clone, Copy)]
struct Delivered {
    token: Token,
    cancelled: bool,
    /// When it was delivered, or gave its last sign of life.
    heard: Instant,
}

/// A session of a component connected to this node.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) component: ComponentId,
    pub(super) kind: Kind,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    delivered: Mutex<BTreeMap<TaskId, Delivered>>,
    /// The last durable message given, by its token.
    durable: Mutex<Token>,
    heard: Mutex<Instant>,
    /// Messages without a reply.
    pub(super) messages_waiting: AtomicUsize,
    /// The state of this node has shown it: what it shows from now on is not older.
    pub(super) confirmed: AtomicBool,
    /// It is being connected again, or looked at before it is told that it is drained.
    pub(super) busy: AtomicBool,
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    Full,
    Ended,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        component: ComponentId,
        kind: Kind,
        orders_max: usize,
    ) -> (Session, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(orders_max.max(2));
        let session = Session {
            id,
            component,
            kind,
            orders: Mutex::new(Some(sender)),
            delivered: Mutex::default(),
            durable: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            messages_waiting: AtomicUsize::new(0),
            confirmed: AtomicBool::new(false),
            busy: AtomicBool::new(false),
        };
        (session, receiver)
    }

    /// Gives an order. Messages leave half of the room to tasks and cancels.
    pub(super) fn offer(&self, order: Order) -> Result<(), NotTaken> {
        let orders = self.orders.lock();
        let Some(orders) = orders.as_ref() else { return Err(NotTaken::Ended) };
        if matches!(order, Order::Message(_) | Order::Durable(_))
            && orders.capacity() <= orders.max_capacity() / 2
        {
            return Err(NotTaken::Full);
        }
        orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Ended,
        })
    }

    /// Gives the durable messages that are with this session and were not given yet, in order, while there is room. What has
    /// none stays with the state: it is given at the next call.
    pub(super) fn offer_durable(&self, queue: Vec<Arc<QueuedMessage>>) -> usize {
        let mut last = self.durable.lock();
        let mut given = 0;
        for message in queue {
            let Some(delivery) = message.delivery.as_ref() else { break };
            let token = delivery.token;
            if delivery.session != self.id || token <= *last {
                continue;
            }
            if self.offer(Order::Durable(message)).is_err() {
                break;
            }
            *last = token;
            given += 1;
        }
        given
    }

    /// Takes no more orders; those given are still read. False if it had ended before.
    pub(super) fn end(&self) -> bool {
        self.orders.lock().take().is_some()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.orders.lock().is_none()
    }

    pub(super) fn hear(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// For no longer than this node was awake.
    pub(super) fn silent_for(&self, awake_for: Duration) -> Duration {
        self.heard.lock().elapsed().min(awake_for)
    }

    /// An attempt gave a sign of life, which is one of its component, too.
    pub(super) fn hear_attempt(&self, attempt: &HeldAttempt) {
        self.hear();
        if let Some(known) = self.delivered.lock().get_mut(&attempt.task)
            && known.token == attempt.token
        {
            known.heard = Instant::now();
        }
    }

    /// Attempts without a sign of life for longer than they may be, while this node was awake; each is told again only after
    /// as long.
    pub(super) fn silent_attempts(
        &self,
        awake_for: Duration,
        limit: impl Fn(&TaskId) -> Option<Duration>,
    ) -> Vec<HeldAttempt> {
        let mut silent = Vec::new();
        for (task, known) in &mut *self.delivered.lock() {
            if limit(task).is_some_and(|limit| known.heard.elapsed().min(awake_for) > limit) {
                known.heard = Instant::now();
                silent.push(HeldAttempt { task: *task, token: known.token });
            }
        }
        silent
    }

    /// Notes that an attempt is delivered; false if it was before.
    pub(super) fn note_delivery(&self, task: TaskId, token: Token) -> bool {
        let fresh = Delivered { token, cancelled: false, heard: Instant::now() };
        let known = self.delivered.lock().insert(task, fresh);
        match known {
            Some(known) if known.token == token => {
                self.delivered.lock().insert(task, known);
                false
            }
            Some(_) | None => true,
        }
    }

    /// Notes that an attempt is cancelled; false if it was before.
    pub(super) fn note_cancel(&self, task: TaskId, token: Token) -> bool {
        let fresh = Delivered { token, cancelled: true, heard: Instant::now() };
        let known = self.delivered.lock().insert(task, fresh);
        !known.is_some_and(|known| known.token == token && known.cancelled)
    }

    /// Attempts delivered for which this still holds; forgets the others.
    pub(super) fn keep_delivered(&self, is_current: impl Fn(&TaskId, Token) -> bool) -> Vec<(TaskId, Token)> {
        let mut delivered = self.delivered.lock();
        delivered.retain(|task, known| is_current(task, known.token));
        delivered.iter().map(|(task, known)| (*task, known.token)).collect()
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Acquire)
    }
}

/// The sessions of this node, by their id and by their component.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_id: BTreeMap<SessionId, Arc<Session>>,
    by_component: BTreeMap<ComponentId, Vec<SessionId>>,
}

impl Table {
    pub(super) fn insert(&mut self, session: Arc<Session>) {
        self.by_component.entry(session.component.clone()).or_default().push(session.id);
        self.by_id.insert(session.id, session);
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Arc<Session>> {
        let session = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_component.get_mut(&session.component) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_component.remove(&session.component);
            }
        }
        Some(session)
    }

    pub(super) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        self.by_id.get(&id).cloned()
    }

    pub(super) fn has(&self, component: &ComponentId) -> bool {
        self.by_component.contains_key(component)
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.by_id.values().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
