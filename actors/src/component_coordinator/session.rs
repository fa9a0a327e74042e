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

    pub(super) fn silent_for(&self) -> Duration {
        self.heard.lock().elapsed()
    }

    /// For so long nobody listened: that was no silence.
    pub(super) fn excuse(&self, deaf_for: Duration) {
        let now = Instant::now();
        let excuse = |heard: &mut Instant| *heard = (*heard + deaf_for).min(now);
        excuse(&mut self.heard.lock());
        self.delivered.lock().values_mut().for_each(|known| excuse(&mut known.heard));
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

    /// Attempts without a sign of life for longer than they may be; each is told again only after as long.
    pub(super) fn silent_attempts(&self, limit: impl Fn(&TaskId) -> Option<Duration>) -> Vec<HeldAttempt> {
        let mut silent = Vec::new();
        for (task, known) in &mut *self.delivered.lock() {
            if limit(task).is_some_and(|limit| known.heard.elapsed() > limit) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_that_nobody_could_hear_through_does_not_count() {
        let ms = Duration::from_millis;
        let component = "builder".parse().expect("an id");
        let (session, _orders) = Session::new(SessionId(uuid::Uuid::nil()), component, Kind::Stream, 4);
        let (task, token) = (TaskId::Single(uuid::Uuid::nil()), Token(1));
        assert!(session.note_delivery(task, token));
        let ago = Instant::now().checked_sub(ms(10_000)).expect("the machine runs longer");
        *session.heard.lock() = ago;
        session.delivered.lock().values_mut().for_each(|known| known.heard = ago);
        session.excuse(ms(9_000));
        assert!(session.silent_for() >= ms(1_000) && session.silent_for() < ms(5_000));
        assert_eq!(session.silent_attempts(|_| Some(ms(5_000))), []);
        session.excuse(ms(3_600_000));
        std::thread::sleep(ms(2));
        assert!(session.silent_for() >= ms(2), "it counts from now on");
        assert_eq!(session.silent_attempts(|_| Some(ms(1))), [HeldAttempt { task, token }]);
    }
}
