//! The sessions of components connected to this node: delivery, heartbeats, cancels, requests and their replies.
//! Knows nothing of sockets or HTTP. Sessions are kept beside the actor (`desk`), which delivers and looks after them.

mod check;
mod connect;
mod desk;
mod heartbeats;
mod messages;
mod order;
mod peer;
mod poll;
mod session;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use actix::prelude::*;
use orc_domain::{
    ComponentId, HeldAttempt, Json, Outcome, RegisterComponent, SessionEnd, SessionId, Unavailable,
};

pub use connect::{ConnectError, SessionHandle, SessionLink};
pub(crate) use desk::Desk;
use desk::Look;
pub use heartbeats::Heartbeats;
pub use messages::{MessageError, Outgoing, RemoteError, Reply};
pub use order::{Cancel, Delivery, Goodbye, Message, MessageId, Order};
pub use poll::Polled;

use crate::{
    following::{Heard, following},
    seam::Effects,
    supervision::{Leads, Ping, Stop, every},
};

/// Connects components and sends them messages; cheap to clone.
#[derive(Clone)]
pub struct CoordinatorHandle {
    desk: Arc<Desk>,
}

/// For whom the coordinator itself leads to: holding the handle, they would hold themselves.
#[derive(Clone)]
pub struct WeakCoordinator(Weak<Desk>);

impl WeakCoordinator {
    /// The handle, for as long as the node runs.
    pub fn upgrade(&self) -> Option<CoordinatorHandle> {
        self.0.upgrade().map(CoordinatorHandle::new)
    }
}

impl CoordinatorHandle {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        CoordinatorHandle { desk }
    }

    /// A handle that does not keep the coordinator.
    pub fn downgrade(&self) -> WeakCoordinator {
        WeakCoordinator(Arc::downgrade(&self.desk))
    }

    /// Registers and connects a component: when this returns the session is in the replicated state. `held` lists the
    /// attempts it still works on; its others are lost. At most `orders_max` orders wait for it, more cut the session.
    pub async fn connect(
        &self,
        info: RegisterComponent,
        held: Vec<HeldAttempt>,
        orders_max: usize,
    ) -> Result<SessionHandle, ConnectError> {
        self.desk.connect(info, held, orders_max).await
    }

    /// What waits for a registered component without a connection of its own, at once, else what comes within `wait`:
    /// at most `max` tasks. The first poll connects it; it is connected until `componentTimeout` passes without another.
    /// The same attempt may come again (with the same token) after its node was lost.
    pub async fn poll(
        &self,
        component: &ComponentId,
        max: usize,
        wait: Duration,
    ) -> Result<Polled, ConnectError> {
        self.desk.poll(component, max, wait).await
    }

    /// A sign of life of a component that polls; false if it is not connected.
    pub async fn heartbeat(&self, component: &ComponentId) -> bool {
        self.desk.hear(component, None).await
    }

    /// A sign of life of an attempt of a component that polls; false if it is not connected.
    pub async fn attempt_heartbeat(&self, component: &ComponentId, attempt: HeldAttempt) -> bool {
        self.desk.hear(component, Some(attempt)).await
    }

    /// Ends a session that is here.
    pub fn disconnect(&self, session: SessionId, end: SessionEnd) {
        let known = self.desk.sessions.lock().get(session);
        if let Some(session) = known {
            self.desk.end(&session, end);
        }
    }

    /// Gives a component no new tasks; when its last attempt has ended it hears [`Goodbye::Drained`].
    pub async fn drain(&self, component: &ComponentId) -> Result<Outcome, Unavailable> {
        self.desk.drain(component).await
    }

    /// Asks a component, wherever it is connected, and waits for its reply.
    pub async fn send(&self, component: &ComponentId, message: Outgoing) -> Result<Json, MessageError> {
        self.desk.send(component, message).await
    }

    /// Asks every connected component; one entry each.
    pub async fn broadcast(&self, message: Outgoing) -> BTreeMap<ComponentId, Result<Json, MessageError>> {
        self.desk.broadcast(message).await
    }

    /// A reply that came by HTTP, to any node. Those of a session go through [`SessionLink::reply`].
    pub async fn reply(&self, message: MessageId, reply: Reply) -> Result<(), MessageError> {
        self.desk.reply(message, reply).await
    }

    /// Answers what another node asked through [`Peers::ask`](crate::Peers::ask).
    pub async fn handle_ask(&self, request: &[u8]) -> Vec<u8> {
        self.desk.answer(request).await
    }

    /// Sessions connected here.
    pub fn sessions(&self) -> usize {
        self.desk.sessions.lock().len()
    }

    /// Messages sent from here to components connected here that have no reply.
    pub fn messages_waiting(&self) -> usize {
        self.desk.pending.lock().len()
    }

    /// The same for each component with a session here.
    pub fn message_queues(&self) -> Vec<(ComponentId, usize)> {
        let sessions = self.desk.sessions.lock().all();
        let waiting = |session: &Arc<session::Session>| session.messages_waiting.load(Ordering::Acquire);
        sessions.iter().map(|session| (session.component.clone(), waiting(session))).collect()
    }

    /// When the components connected here were last heard.
    pub fn heartbeats(&self) -> Heartbeats {
        self.desk.heartbeats()
    }
}

/// A look walks over all that is live, so the pause after one is this many times as long: a thousand connections cost
/// a few looks.
const LOOK_PAUSE_FACTOR: u32 = 20;
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(20);
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Delivers to the components connected to this node and looks after their sessions.
pub struct ComponentCoordinator {
    desk: Arc<Desk>,
    leads: bool,
}

impl ComponentCoordinator {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        ComponentCoordinator { desk, leads: false }
    }

    /// Waits until somebody wants a look at what is outstanding, looks, pauses in proportion, and so on.
    fn look_when_asked(&mut self, ctx: &mut Context<Self>) {
        let desk = self.desk.clone();
        let looked = async move {
            desk.look.notified().await;
            desk.looks.send_modify(|look| look.begun += 1);
            let began = Instant::now();
            (desk.state.outstanding().await, began.elapsed())
        };
        ctx.spawn(looked.into_actor(self).map(|(effects, took), coordinator, ctx| {
            let desk = &coordinator.desk;
            effects.iter().for_each(|effect| desk.carry_out(effect));
            desk.looks
                .send_modify(|look| *look = Look { ended: look.begun, effects: effects.into(), ..*look });
            ctx.run_later(
                (took * LOOK_PAUSE_FACTOR).clamp(LOOK_PAUSE_MIN, LOOK_PAUSE_MAX),
                Self::look_when_asked,
            );
        }));
    }

    fn check(&mut self, _: &mut Context<Self>) {
        self.desk.check_sessions();
        if self.leads {
            self.desk.give_up_silent_nodes();
        }
    }
}

impl Actor for ComponentCoordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.add_stream(following(self.desk.state.effects()));
        self.desk.look.notify_one();
        self.look_when_asked(ctx);
        ctx.spawn(self.desk.clone().begin().into_actor(self));
        every(ctx, self.desk.options.session_check_interval, Self::check);
    }
}

impl StreamHandler<Heard<Effects>> for ComponentCoordinator {
    fn handle(&mut self, heard: Heard<Effects>, _: &mut Self::Context) {
        match heard {
            // One record often moves several messages of one component.
            Heard::Next(effects) => {
                let mut before = None;
                for effect in effects.iter() {
                    if before.replace(effect) != Some(effect) {
                        self.desk.carry_out(effect);
                    }
                }
            }
            Heard::Missed => {
                tracing::warn!("effects were missed: looking at what is outstanding");
                self.desk.look.notify_one();
            }
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The state is gone: the node shuts down, and the orchestrator stops its actors.
    }
}

impl Handler<Leads> for ComponentCoordinator {
    type Result = ();

    fn handle(&mut self, Leads(leadership): Leads, _: &mut Self::Context) {
        self.leads = leadership.is_leader;
    }
}

impl Handler<Ping> for ComponentCoordinator {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for ComponentCoordinator {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
