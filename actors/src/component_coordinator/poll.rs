//! Components that come for their orders over plain HTTP: a session kept for them between polls, at one node; polls
//! that arrive elsewhere are asked there. A poller cannot say what it holds, so it is taken to hold all it was given.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use orc_domain::{Command, ComponentId, Effect, HeldAttempt, Outcome, QueuedMessage, Rejection, Unavailable};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    connect::{ConnectError, SessionHandle},
    desk::Desk,
    order::{Cancel, Delivery, Message, Order},
    peer::{Request, Response},
    session::Kind,
};

/// What waited for a poller, or came while it waited.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// Attempts to start.
    pub tasks: Vec<Delivery>,
    /// Attempts to stop.
    pub cancels: Vec<Cancel>,
    /// Messages to answer.
    pub messages: Vec<Message>,
    /// Durable messages to acknowledge.
    pub durable: Vec<Arc<QueuedMessage>>,
}

/// Cancels and messages that one poll brings at most.
const OTHERS_MAX: usize = 100;

impl Polled {
    fn is_empty(&self) -> bool {
        let others = self.cancels.is_empty() && self.messages.is_empty() && self.durable.is_empty();
        self.tasks.is_empty() && others
    }

    /// Takes an order; false if it says goodbye.
    fn take(&mut self, order: Order) -> bool {
        match order {
            Order::Task(delivery) => self.tasks.push(delivery),
            Order::Cancel(cancel) => self.cancels.push(cancel),
            Order::Message(message) => self.messages.push(message),
            Order::Durable(message) => self.durable.push(message),
            Order::Bye(_) => return false,
        }
        true
    }

    fn has_room(&self, max: usize) -> bool {
        let others = [self.cancels.len(), self.messages.len(), self.durable.len()];
        self.tasks.len() < max && others.iter().all(|count| *count < OTHERS_MAX)
    }
}

type Seat = Arc<tokio::sync::Mutex<Option<SessionHandle>>>;

/// A seat per polling component, for one poll at a time.
#[derive(Default)]
pub(super) struct Seats(Mutex<BTreeMap<ComponentId, Seat>>);

impl Seats {
    fn of(&self, component: &ComponentId) -> Seat {
        self.0.lock().entry(component.clone()).or_default().clone()
    }

    fn existing(&self, component: &ComponentId) -> Option<Seat> {
        self.0.lock().get(component).cloned()
    }

    /// Forgets the seats whose session has ended and that nobody polls on.
    pub(super) fn forget_empty(&self) {
        self.0.lock().retain(|_, seat| match seat.try_lock() {
            Ok(session) => session.as_ref().is_some_and(|session| !session.link().has_ended()),
            Err(_) => true,
        });
    }
}

impl Desk {
    pub(super) async fn poll(
        self: &Arc<Self>,
        component: &ComponentId,
        max: usize,
        wait: Duration,
    ) -> Result<Polled, ConnectError> {
        // A waiting poll must not look like silence.
        let wait = wait.min(self.state.config().component_timeout / 2);
        let row = self.state.component(component);
        let row = row.ok_or_else(|| Rejection::ComponentUnknown { component: component.clone() })?;
        let elsewhere =
            row.live_session().map(|session| session.node).filter(|node| *node != self.state.node());
        if let Some(node) = elsewhere {
            let request = Request::Poll { component: component.clone(), max, wait };
            match self.ask(node, &request, wait).await {
                Ok(Response::Polled(Some(polled))) => return Ok(polled),
                // It may have taken orders that are lost with the answer; they come again with the next session.
                Err(Unavailable::Unknown) => return Err(Unavailable::Unknown.into()),
                Ok(_) | Err(_) => tracing::info!(%component, %node, "a poller moves here"),
            }
        }
        let deadline = Instant::now() + wait;
        let seat = self.seats.of(component);
        let Ok(mut seat) = timeout_at(deadline, seat.lock()).await else { return Ok(Polled::default()) };
        if seat.as_ref().is_none_or(|session| session.link().has_ended()) {
            *seat = None;
            *seat = Some(self.sit_down(component).await?);
        }
        Ok(self.without_void(component, collect(&mut seat, max, deadline).await))
    }

    /// Leaves out durable messages that went back since they were given: they come again.
    fn without_void(&self, component: &ComponentId, mut polled: Polled) -> Polled {
        if !polled.durable.is_empty() {
            let token = |message: &QueuedMessage| message.delivery.as_ref().map(|delivery| delivery.token);
            let queue = self.state.messages(component, QueuedMessage::WINDOW);
            let current: Vec<_> = queue.iter().filter_map(|message| token(message)).collect();
            polled.durable.retain(|message| token(message).is_some_and(|token| current.contains(&token)));
        }
        polled
    }

    /// Polls a session that is here already, for another node.
    pub(super) async fn poll_here(
        &self,
        component: &ComponentId,
        max: usize,
        wait: Duration,
    ) -> Option<Polled> {
        let deadline = Instant::now() + wait;
        let seat = self.seats.existing(component)?;
        let Ok(mut seat) = timeout_at(deadline, seat.lock()).await else { return Some(Polled::default()) };
        let is_alive = seat.as_ref().is_some_and(|session| !session.link().has_ended());
        if !is_alive {
            return None;
        }
        Some(self.without_void(component, collect(&mut seat, max, deadline).await))
    }

    async fn sit_down(self: &Arc<Self>, component: &ComponentId) -> Result<SessionHandle, ConnectError> {
        let handle = self.open(component.clone(), Kind::Poll, self.options.poll_orders_max).await?;
        let effects = self.look_again().await?;
        let held = effects.iter().filter_map(|effect| match effect {
            Effect::DeliverTask { component: of, task, token }
            | Effect::CancelAttempt { component: of, task, token, .. } => {
                (of == component).then_some(HeldAttempt { task: *task, token: *token })
            }
            Effect::DeliverMessages { .. }
            | Effect::Evaluate { .. }
            | Effect::CloseSession { .. }
            | Effect::SendMessage { .. }
            | Effect::PlanSchedule { .. } => None,
        });
        // Held, yet not noted as delivered: what the last session did not hand out comes again with its token.
        self.connect_session(handle, held.collect()).await
    }

    /// A sign of life of a component without a connection of its own, or of an attempt of it.
    pub(super) async fn hear(&self, component: &ComponentId, attempt: Option<HeldAttempt>) -> bool {
        let row = self.state.component(component);
        let Some(node) = row.and_then(|row| row.live_session().map(|session| session.node)) else {
            return false;
        };
        if node == self.state.node() {
            return self.hear_here(component, attempt.as_ref());
        }
        let request = Request::Heartbeat { component: component.clone(), attempt };
        matches!(self.ask(node, &request, Duration::from_secs(1)).await, Ok(Response::Heard(true)))
    }

    pub(super) fn hear_here(&self, component: &ComponentId, attempt: Option<&HeldAttempt>) -> bool {
        let Some(session) = self.session_of(component) else { return false };
        match attempt {
            Some(attempt) => session.hear_attempt(attempt),
            None => session.hear(),
        }
        true
    }

    pub(super) async fn drain(&self, component: &ComponentId) -> Result<Outcome, Unavailable> {
        self.proposer.propose(Command::DrainComponent { component: component.clone(), within: None }).await
    }
}

/// What waits, or the first that comes before the deadline with what waits by then.
async fn collect(seat: &mut Option<SessionHandle>, max: usize, deadline: Instant) -> Polled {
    let mut polled = Polled::default();
    let Some(session) = seat.as_mut() else { return polled };
    let link = session.link();
    link.heartbeat();
    while polled.has_room(max.max(1)) {
        let order = match session.try_next() {
            Some(order) => Some(order),
            None if polled.is_empty() => timeout_at(deadline, session.next()).await.ok().flatten(),
            None => None,
        };
        if !order.is_some_and(|order| polled.take(order)) {
            break;
        }
    }
    link.heartbeat();
    polled
}
