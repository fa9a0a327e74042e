//! The regular look at the sessions of this node: silent ones end, those that the state and this node see differently
//! are set right, drained ones are said goodbye to. On the leader, also at nodes that have fallen silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use orc_domain::{
    ClusterConfig, Command, ComponentId, Concerned, Effect, HeldAttempt, NodeId, SessionEnd, SessionId,
    TaskId, Token, TroubleEvent,
};

use super::{
    desk::Desk,
    heartbeats::lost_after,
    order::{Goodbye, Order},
    session::{Kind, Session},
};

impl Desk {
    pub(super) fn check_sessions(self: &Arc<Self>) {
        let config = self.state.config();
        let sessions = self.sessions.lock().all();
        let awake_for = self.state.awake_for();
        for session in &sessions {
            if !self.is_silent(session, awake_for, &config) {
                self.compare(session);
                self.deliver_durable(session);
                self.expire_heartbeats(session, awake_for);
            }
        }
        self.end_orphans(&sessions);
        self.report_timeouts();
        self.seats.forget_empty();
    }

    /// Tells the log of requests that had no reply in time: for each component once a look, with how many there were.
    fn report_timeouts(&self) {
        for (component, count) in std::mem::take(&mut *self.timeouts.lock()) {
            let message = format!("component {component} did not reply in time").into();
            let concerned = Concerned { component: Some(component), ..Concerned::default() };
            let report = TroubleEvent::Raised { code: "COMPONENT_TIMEOUT".into(), message, concerned, count };
            let proposer = self.proposer.clone();
            self.options.runtime.spawn(async move {
                if let Err(error) = proposer.propose(Command::Report(Box::new(report))).await {
                    tracing::debug!(%error, "a time-out is not told");
                }
            });
        }
    }

    /// Ends a session that was not heard for too long.
    fn is_silent(
        self: &Arc<Self>,
        session: &Arc<Session>,
        awake_for: Duration,
        config: &ClusterConfig,
    ) -> bool {
        let limit = match session.kind {
            // Without heartbeats only the end of its connection ends a session.
            Kind::Stream if !config.switches.heartbeats => return false,
            Kind::Stream => lost_after(config),
            Kind::Poll => config.component_timeout,
        };
        let silent_for = session.silent_for(awake_for);
        if silent_for <= limit {
            return false;
        }
        tracing::warn!(component = %session.component, ?silent_for, "a component fell silent");
        self.end(session, SessionEnd::Lost);
        true
    }

    /// Fails the attempts that gave no sign of life within their time. Nobody watches an attempt whose session is lost; with
    /// the next session its time begins anew.
    fn expire_heartbeats(self: &Arc<Self>, session: &Session, awake_for: Duration) {
        let limit = |task: &TaskId| self.state.task(task)?.heartbeat_timeout;
        for HeldAttempt { task, token } in session.silent_attempts(awake_for, limit) {
            tracing::warn!(%task, token = token.0, component = %session.component, "an attempt fell silent");
            let proposer = self.proposer.clone();
            self.options.runtime.spawn(async move {
                // Refused: it has ended meanwhile. Unheard: it is told again.
                let _ = proposer.propose(Command::ExpireHeartbeat { task, token }).await;
            });
        }
    }

    /// Ends what the state takes for a session of this node and nobody here holds, once it was seen twice: its connection
    /// was given up while the proposal was on its way.
    fn end_orphans(self: &Arc<Self>, held: &[Arc<Session>]) {
        let here = self.state.node();
        let is_orphan = |live: &&orc_domain::Session| {
            live.node == here && !held.iter().any(|session| session.id == live.id)
        };
        let rows = self.state.components();
        let orphans = rows.iter().filter_map(|row| Some((row.live_session().filter(is_orphan)?.id, row)));
        let seen: BTreeMap<SessionId, ComponentId> = orphans.map(|(id, row)| (id, row.id.clone())).collect();
        let before = std::mem::replace(&mut *self.orphans.lock(), seen.keys().copied().collect());
        for (session, component) in seen.into_iter().filter(|(session, _)| before.contains(session)) {
            tracing::warn!(%component, "a session that nobody holds is ended");
            let (proposer, end) = (self.proposer.clone(), SessionEnd::Lost);
            self.options.runtime.spawn(async move {
                // Refused or unheard: the next look tries again.
                let _ = proposer.propose(Command::EndSession { component, session, end }).await;
            });
        }
    }

    /// Compares a session with what the state of this node knows of it, which may be behind until it was seen there.
    fn compare(self: &Arc<Self>, session: &Arc<Session>) {
        let row = self.state.component(&session.component);
        let known = row.as_ref().and_then(|row| row.session.as_ref());
        let is_here = known.is_some_and(|known| known.id == session.id && known.lost_until.is_none());
        if is_here {
            session.confirmed.store(true, Ordering::Release);
        }
        let delivered = session.keep_delivered(|task, token| self.is_current(task, token));
        match (&row, known) {
            (None, _) if session.is_confirmed() => self.dismiss(session, Goodbye::Deregistered),
            (Some(_), Some(other)) if session.is_confirmed() && other.id != session.id => {
                self.dismiss(session, Goodbye::Superseded);
            }
            (Some(row), _) if session.is_confirmed() && !is_here => self.reconnect(session, row.draining),
            (Some(row), _)
                if is_here && row.draining && delivered.is_empty() && !self.has_durable(session) =>
            {
                self.finish_drained(session);
            }
            (None | Some(_), _) => {}
        }
    }

    /// Whether a durable message is with this session.
    fn has_durable(&self, session: &Session) -> bool {
        let first = self.state.messages(&session.component, 1);
        let delivery = first.first().and_then(|message| message.delivery.as_ref());
        delivery.is_some_and(|delivery| delivery.session == session.id)
    }

    /// Says goodbye to a drained component, unless an attempt of it is only now on its way to this session.
    fn finish_drained(self: &Arc<Self>, session: &Arc<Session>) {
        if session.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (desk, session) = (self.clone(), session.clone());
        self.options.runtime.spawn(async move {
            let is_its = |effect: &Effect| match effect {
                Effect::DeliverTask { component, .. } | Effect::CancelAttempt { component, .. } => {
                    *component == session.component
                }
                Effect::DeliverMessages { .. }
                | Effect::Evaluate { .. }
                | Effect::CloseSession { .. }
                | Effect::SendMessage { .. }
                | Effect::PlanSchedule { .. } => false,
            };
            let is_free = desk.look_again().await.is_ok_and(|effects| !effects.iter().any(is_its));
            if !is_free {
                session.busy.store(false, Ordering::Release);
                return;
            }
            // No room for the goodbye only means that the component hears the closed connection instead.
            let _ = session.offer(Order::Bye(Goodbye::Drained));
            desk.end(&session, SessionEnd::Closed);
        });
    }

    pub(super) fn is_current(&self, task: &TaskId, token: Token) -> bool {
        self.state.task(task).is_some_and(|task| task.is_current(token))
    }

    /// Ends the sessions of nodes that have fallen silent or left the cluster, as long as the state has any.
    pub(super) fn give_up_silent_nodes(self: &Arc<Self>) {
        let silent = self.state.silent_nodes(self.state.config().disconnect_grace);
        let members = self.state.members();
        let is_gone =
            |node: &NodeId| *node != self.state.node() && (silent.contains(node) || !members.contains(node));
        let rows = self.state.components();
        let nodes = rows.iter().filter_map(|row| Some(row.live_session()?.node)).filter(is_gone);
        for node in nodes.collect::<BTreeSet<NodeId>>() {
            if !self.giving_up.lock().insert(node) {
                continue; // on its way already
            }
            tracing::warn!(%node, "a node fell silent or left: its sessions are lost");
            let desk = self.clone();
            self.options.runtime.spawn(async move {
                let leadership = desk.state.leadership();
                let command = Command::EndNodeSessions { node, except: Vec::new() };
                desk.proposer.decide(command, || leadership.borrow().is_leader && !desk.is_closing()).await;
                desk.giving_up.lock().remove(&node);
            });
        }
    }

    /// Ends the sessions of an earlier life of this node; only then components may connect.
    pub(super) async fn begin(self: Arc<Self>) {
        if *self.ready.borrow() {
            return;
        }
        let command = Command::EndNodeSessions { node: self.state.node(), except: Vec::new() };
        if self.proposer.decide(command, || !self.is_closing()).await.is_some() {
            self.ready.send_replace(true);
        }
    }

    /// Says goodbye to everyone; components have the grace time to connect elsewhere and keep their attempts.
    pub(crate) async fn close(self: &Arc<Self>) {
        self.closing.store(true, Ordering::Release);
        let sessions = self.sessions.lock().all();
        for session in &sessions {
            self.dismiss(session, Goodbye::Shutdown);
        }
        if !sessions.is_empty() {
            let command = Command::EndNodeSessions { node: self.state.node(), except: Vec::new() };
            if let Err(error) = self.proposer.propose(command).await {
                tracing::warn!(%error, "sessions could not be ended: the leader will do so");
            }
        }
    }
}
