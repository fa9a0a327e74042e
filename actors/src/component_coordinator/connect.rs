//! How a component is connected, connected again after this node was given up, and disconnected.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use orc_domain::{
    Answer, Command, ComponentId, HeldAttempt, Outcome, RegisterComponent, Rejection, SessionEnd, SessionId,
    Unavailable,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    desk::Desk,
    messages::{MessageError, Reply},
    order::{Goodbye, MessageId, Order},
    session::{Kind, Session},
};

/// Time a connection may take to be decided.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Why a component is not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Try again, here or at another node.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A connected component. Dropping it loses the session: the component has the grace time to come back.
pub struct SessionHandle {
    link: SessionLink,
    orders: mpsc::Receiver<Order>,
}

/// A component's side of its session, apart from the orders; cheap to clone.
#[derive(Clone)]
pub struct SessionLink {
    /// Sessions of pollers are kept at the desk itself.
    desk: Weak<Desk>,
    session: Arc<Session>,
}

impl SessionLink {
    /// The session's identity.
    pub fn id(&self) -> SessionId {
        self.session.id
    }

    /// Whose session it is.
    pub fn component(&self) -> &ComponentId {
        &self.session.component
    }

    /// The component was heard: any of its messages counts.
    pub fn heartbeat(&self) {
        self.session.hear();
    }

    /// The component works on an attempt: a sign of life of both.
    pub fn attempt_heartbeat(&self, attempt: &HeldAttempt) {
        self.session.hear_attempt(attempt);
    }

    /// The component answers a message it was given.
    pub fn reply(&self, message: MessageId, reply: Reply) -> Result<(), MessageError> {
        self.session.hear();
        let gone = MessageError::MessageUnknown { message: message.to_string() };
        self.desk.upgrade().ok_or(gone)?.reply_here(message, Some(self.session.id), reply)
    }

    /// Gives the component no new tasks; when its last attempt has ended it hears [`Goodbye::Drained`].
    pub async fn drain(&self) -> Result<Outcome, Unavailable> {
        let component = self.session.component.clone();
        let desk = self.desk.upgrade().ok_or(Unavailable::ShuttingDown)?;
        desk.proposer.propose(Command::DrainComponent { component, within: None }).await
    }

    /// Ends the session.
    pub fn disconnect(&self, end: SessionEnd) {
        if let Some(desk) = self.desk.upgrade() {
            desk.end(&self.session, end);
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.session.has_ended()
    }
}

impl SessionHandle {
    /// The next order; none when the session is over, after [`Order::Bye`] or because it was cut. Cancel safe.
    pub async fn next(&mut self) -> Option<Order> {
        self.orders.recv().await
    }

    /// An order that waits already, so that several may be sent in one frame.
    pub fn try_next(&mut self) -> Option<Order> {
        self.orders.try_recv().ok()
    }

    /// The rest of the session, for the task that reads what the component sends.
    pub fn link(&self) -> SessionLink {
        self.link.clone()
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.link.disconnect(SessionEnd::Lost);
    }
}

impl Desk {
    pub(super) async fn connect(
        self: &Arc<Self>,
        info: RegisterComponent,
        held: Vec<HeldAttempt>,
        orders_max: usize,
    ) -> Result<SessionHandle, ConnectError> {
        let delivered = held.clone();
        let handle = self.open(info.id.clone(), Kind::Stream, orders_max).await?;
        for attempt in delivered {
            handle.link.session.note_delivery(attempt.task, attempt.token);
        }
        self.decided(Command::RegisterComponent(Box::new(info))).await?;
        self.connect_session(handle, held).await
    }

    /// A session for a registered component, not connected yet. Effects may find it as soon as the state shows it.
    pub(super) async fn open(
        self: &Arc<Self>,
        component: ComponentId,
        kind: Kind,
        orders_max: usize,
    ) -> Result<SessionHandle, ConnectError> {
        let mut ready = self.ready.subscribe();
        let is_ready = tokio::time::timeout(CONNECT_WITHIN, ready.wait_for(|ready| *ready)).await;
        if self.is_closing() {
            return Err(Unavailable::ShuttingDown.into());
        }
        if !is_ready.is_ok_and(|ready| ready.is_ok()) {
            return Err(Unavailable::NoLeader.into());
        }
        let (session, orders) = Session::new(SessionId(Uuid::new_v4()), component, kind, orders_max);
        let session = Arc::new(session);
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.options.sessions_max {
            return Err(Unavailable::Overloaded { retry_after: Duration::from_secs(1) }.into());
        }
        sessions.insert(session.clone());
        drop(sessions);
        Ok(SessionHandle { link: SessionLink { desk: Arc::downgrade(self), session }, orders })
    }

    pub(super) async fn connect_session(
        &self,
        handle: SessionHandle,
        held: Vec<HeldAttempt>,
    ) -> Result<SessionHandle, ConnectError> {
        let session = &handle.link.session;
        let (component, node) = (session.component.clone(), self.state.node());
        let command = Command::ConnectComponent { component, session: session.id, node, held };
        self.decided(command).await?;
        tracing::info!(component = %session.component, session = %session.id.0, "component connected");
        self.look.notify_one();
        Ok(handle)
    }

    async fn decided(&self, command: Command) -> Result<(), ConnectError> {
        let decided = self.proposer.decide(command, || !self.is_closing());
        let outcome =
            tokio::time::timeout(CONNECT_WITHIN, decided).await.map_err(|_| Unavailable::Unknown)?;
        outcome.ok_or(Unavailable::ShuttingDown)?.result?;
        Ok(())
    }

    /// Connects a session again that the state has ended while it was alive: this node was silent for too long.
    pub(super) fn reconnect(self: &Arc<Self>, session: &Arc<Session>, draining: bool) {
        if session.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(component = %session.component, "the state gave up a live session: connecting it again");
        let current = session.keep_delivered(|task, token| self.is_current(task, token));
        let held = current.into_iter().map(|(task, token)| HeldAttempt { task, token }).collect();
        let (component, node) = (session.component.clone(), self.state.node());
        let command = Command::ReconnectComponent { component, session: session.id, node, held };
        let (desk, session) = (self.clone(), session.clone());
        self.options.runtime.spawn(async move {
            let outcome = desk.proposer.decide(command, || !session.has_ended()).await;
            let result = outcome.map(|outcome| outcome.result);
            if let Some(Err(_)) = result {
                desk.dismiss(&session, Goodbye::Deregistered);
            } else if let Some(Ok(Answer::Session { session: current, .. })) = result
                && current != session.id
            {
                desk.dismiss(&session, Goodbye::Superseded);
            } else if draining {
                // A connection ends draining; this one never was a new one.
                let command = Command::DrainComponent { component: session.component.clone(), within: None };
                desk.proposer.decide(command, || !session.has_ended()).await;
            }
            session.confirmed.store(false, Ordering::Release);
            session.busy.store(false, Ordering::Release);
            desk.look.notify_one();
        });
    }
}
