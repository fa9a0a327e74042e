//! What the coordinator's actor and its callers share: the sessions of this node, and what they are told.
//! It outlives the actor, so that a connection does not break when the actor is recreated.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use orc_domain::{
    Command, ComponentId, Effect, NodeId, QueuedMessage, SessionEnd, SessionId, TaskId, Text, Token,
    Unavailable,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    messages::Pending,
    order::{Cancel, Delivery, Goodbye, Order},
    poll::Seats,
    session::{NotTaken, Session, Table},
};
use crate::{
    Options,
    gauges::{Gauges, count},
    proposer::ProposerHandle,
    seam::{Peers, ReplicatedState},
};

/// Time a look may take; the actor that looks may have to be recreated first.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What was outstanding at a look at the state. Looks are shared: each costs the state a walk over all that is live.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Looks begun so far.
    pub(super) begun: u64,
    /// The number of the look that found this.
    pub(super) ended: u64,
    pub(super) effects: Arc<[Effect]>,
}

pub(crate) struct Desk {
    pub(super) state: Arc<dyn ReplicatedState>,
    pub(super) peers: Arc<dyn Peers>,
    pub(super) proposer: ProposerHandle,
    pub(super) options: Options,
    pub(super) gauges: Arc<Gauges>,
    pub(super) sessions: Mutex<Table>,
    pub(super) pending: Mutex<HashMap<uuid::Uuid, Pending>>,
    pub(super) seats: Seats,
    /// Sessions of an earlier life of this node have ended in the state.
    pub(super) ready: watch::Sender<bool>,
    /// What is outstanding should be looked at.
    pub(super) look: Notify,
    /// The latest look.
    pub(super) looks: watch::Sender<Look>,
    pub(super) closing: AtomicBool,
    /// Sessions that the last look found in the state and not here.
    pub(super) orphans: Mutex<BTreeSet<SessionId>>,
    /// Requests without a reply in time that the log has not heard of, by component.
    pub(super) timeouts: Mutex<BTreeMap<ComponentId, u32>>,
    /// Nodes whose sessions are being ended.
    pub(super) giving_up: Mutex<BTreeSet<NodeId>>,
}

impl Desk {
    pub(crate) fn new(
        state: Arc<dyn ReplicatedState>,
        peers: Arc<dyn Peers>,
        proposer: ProposerHandle,
        options: &Options,
        gauges: Arc<Gauges>,
    ) -> Self {
        Desk {
            state,
            peers,
            proposer,
            options: options.clone(),
            gauges,
            sessions: Mutex::default(),
            pending: Mutex::default(),
            seats: Seats::default(),
            ready: watch::Sender::new(false),
            look: Notify::new(),
            looks: watch::Sender::default(),
            closing: AtomicBool::new(false),
            orphans: Mutex::default(),
            timeouts: Mutex::default(),
            giving_up: Mutex::default(),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// What is outstanding, looked at after this call; it is carried out by then, too.
    pub(super) async fn look_again(&self) -> Result<Arc<[Effect]>, Unavailable> {
        let mut looks = self.looks.subscribe();
        let begun = looks.borrow().begun;
        self.look.notify_one();
        let look = tokio::time::timeout(LOOK_WITHIN, looks.wait_for(|look| look.ended > begun)).await;
        match look {
            Ok(Ok(look)) => Ok(look.effects.clone()),
            Ok(Err(_)) | Err(_) => Err(Unavailable::ShuttingDown),
        }
    }

    /// The component's session, if its live one is here.
    pub(super) fn session_of(&self, component: &ComponentId) -> Option<Arc<Session>> {
        if !self.sessions.lock().has(component) {
            return None;
        }
        let row = self.state.component(component)?;
        let live = row.live_session().filter(|live| live.node == self.state.node())?;
        let session = self.sessions.lock().get(live.id)?;
        session.confirmed.store(true, Ordering::Release);
        Some(session)
    }

    /// Carries out what of an effect concerns a component connected here.
    pub(super) fn carry_out(self: &Arc<Self>, effect: &Effect) {
        match effect {
            Effect::DeliverTask { component, task, token } => self.deliver(component, *task, *token),
            Effect::CancelAttempt { component, task, token, reason } => {
                self.cancel(component, (*task, *token), reason)
            }
            Effect::CloseSession { component, session } => {
                let known = self.sessions.lock().get(*session);
                if let Some(session) = known {
                    let forgotten = self.state.component(component).is_none();
                    self.dismiss(
                        &session,
                        if forgotten { Goodbye::Deregistered } else { Goodbye::Superseded },
                    );
                }
            }
            Effect::DeliverMessages { component } => {
                if let Some(session) = self.session_of(component) {
                    self.deliver_durable(&session);
                }
            }
            Effect::Evaluate { .. } | Effect::SendMessage { .. } | Effect::PlanSchedule { .. } => {}
        }
    }

    /// Gives a session the durable messages that are with it.
    pub(super) fn deliver_durable(&self, session: &Session) {
        let queue = self.state.messages(&session.component, QueuedMessage::WINDOW);
        for _ in 0..session.offer_durable(queue) {
            count(&self.gauges.deliveries);
        }
    }

    fn deliver(self: &Arc<Self>, component: &ComponentId, id: TaskId, token: Token) {
        let Some(session) = self.session_of(component) else { return };
        let Some(task) = self.state.task(&id) else { return };
        if task.is_current(token) && task.cancel.is_none() && session.note_delivery(id, token) {
            tracing::debug!(task = %id, token = token.0, %component, "delivered");
            self.give(&session, Order::Task(Delivery { task, token }));
        }
    }

    fn cancel(self: &Arc<Self>, component: &ComponentId, attempt: (TaskId, Token), reason: &Text) {
        let Some(session) = self.session_of(component) else { return };
        let (task, token) = attempt;
        if session.note_cancel(task, token) {
            tracing::debug!(%task, token = token.0, %component, "cancel delivered");
            self.give(&session, Order::Cancel(Cancel { task, token, reason: reason.clone() }));
        }
    }

    /// Gives an order; a session without room for it is cut.
    fn give(self: &Arc<Self>, session: &Arc<Session>, order: Order) {
        match session.offer(order) {
            Ok(()) => count(&self.gauges.deliveries),
            Err(NotTaken::Ended) => {}
            Err(NotTaken::Full) => {
                count(&self.gauges.sessions_cut);
                tracing::warn!(component = %session.component, "a component reads too slowly: its session is cut");
                self.end(session, SessionEnd::Lost);
            }
        }
    }

    /// Ends a session that the state has ended: nothing is proposed.
    pub(super) fn dismiss(&self, session: &Arc<Session>, why: Goodbye) {
        tracing::info!(component = %session.component, why = why.name(), "session dismissed");
        // A full channel has no room for a goodbye; the closed channel says as much.
        let _ = session.offer(Order::Bye(why));
        self.forget(session);
    }

    /// Takes a session off the table; true if it was on it.
    fn forget(&self, session: &Arc<Session>) -> bool {
        let was_there = self.sessions.lock().remove(session.id).is_some();
        session.end();
        self.pending.lock().retain(|_, pending| pending.session != session.id);
        was_there
    }

    /// Ends a session and tells the state so until that is decided.
    pub(super) fn end(self: &Arc<Self>, session: &Arc<Session>, end: SessionEnd) {
        if !self.forget(session) {
            return;
        }
        tracing::info!(component = %session.component, ?end, "session ended");
        let (desk, component, session) = (self.clone(), session.component.clone(), session.id);
        self.options.runtime.spawn(async move {
            let command = Command::EndSession { component, session, end };
            desk.proposer.decide(command, || !desk.is_closing()).await
        });
    }
}
