//! Decisions about components: register, connect, lose, drain, forget.
//! Knows nothing of sockets or of what a component runs.

use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;

use super::{Decided, task, trouble};
use crate::{
    component::{Component, HeldAttempt, Session, SessionEnd},
    event::Event,
    ids::{ComponentId, NodeId, SessionId},
    rejection::Rejection,
    request::RegisterComponent,
    state::State,
};

pub(super) fn register(state: &State, info: &RegisterComponent) -> Decided {
    let same = |known: &Component| {
        known.name == info.name
            && known.kind == info.kind
            && known.version == info.version
            && known.capabilities == info.capabilities
            && known.labels == info.labels
            && known.slots == info.slots
            && known.ttl == info.ttl
    };
    if state.components.get(&info.id).is_some_and(same) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ComponentRegistered(Box::new(info.clone()))])
}

fn known<'a>(state: &'a State, id: &ComponentId) -> Result<&'a Component, Rejection> {
    state.components.get(id).ok_or_else(|| Rejection::ComponentUnknown { component: id.clone() })
}

pub(super) fn connect(
    state: &State,
    id: &ComponentId,
    session: (SessionId, NodeId),
    held: &[HeldAttempt],
) -> Decided {
    let component = known(state, id)?;
    let (session, node) = session;
    if component.live_session().is_some_and(|live| live.id == session) {
        return Ok(Vec::new());
    }
    let session = Session { id: session, node, connected_at: state.meta.now, lost_until: None };
    Ok(vec![Event::ComponentConnected { component: id.clone(), session, held: held.to_vec() }])
}

pub(super) fn reconnect(
    state: &State,
    id: &ComponentId,
    session: (SessionId, NodeId),
    held: &[HeldAttempt],
) -> Decided {
    match &known(state, id)?.session {
        Some(current) if current.id != session.0 => Ok(Vec::new()),
        Some(_) | None => connect(state, id, session, held),
    }
}

pub(super) fn end_session(
    state: &State,
    id: &ComponentId,
    session: SessionId,
    end: SessionEnd,
) -> Vec<Event> {
    let Some(component) = state.components.get(id) else { return Vec::new() };
    let Some(current) = component.session.as_ref().filter(|current| current.id == session) else {
        return Vec::new();
    };
    match end {
        SessionEnd::Lost if current.lost_until.is_some() => Vec::new(),
        SessionEnd::Lost => vec![lost(state, component, current)],
        SessionEnd::Closed => vec![
            Event::SessionEnded { component: id.clone(), session, end, until: None },
            Event::ComponentDisconnected(id.clone()),
        ],
    }
}

pub(super) fn end_node_sessions(state: &State, node: NodeId, except: &[SessionId]) -> Vec<Event> {
    let sessions =
        state.components.iter().filter_map(|(_, component)| Some((component, component.live_session()?)));
    let gone = sessions.filter(|(_, session)| session.node == node && !except.contains(&session.id));
    gone.map(|(component, session)| lost(state, component, session)).collect()
}

/// At once, those within their grace time included.
pub(super) fn end_all_sessions(state: &State) -> Vec<Event> {
    let sessions =
        state.components.iter().filter_map(|(_, component)| Some((component, component.session.as_ref()?)));
    let ended = sessions.flat_map(|(component, session)| {
        let (component, session) = (component.id.clone(), session.id);
        [
            Event::SessionEnded {
                component: component.clone(),
                session,
                end: SessionEnd::Closed,
                until: None,
            },
            Event::ComponentDisconnected(component),
        ]
    });
    ended.collect()
}

fn lost(state: &State, component: &Component, session: &Session) -> Event {
    Event::SessionEnded {
        component: component.id.clone(),
        session: session.id,
        end: SessionEnd::Lost,
        until: Some(state.meta.now + state.config().disconnect_grace),
    }
}

pub(super) fn drain(state: &State, id: &ComponentId, within: Option<Duration>) -> Decided {
    let component = known(state, id)?;
    let until = within.map(|within| state.meta.now + within);
    if component.draining && (until.is_none() || component.drain_until == until) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ComponentDraining(id.clone(), until)])
}

/// What a passed deadline means for a component.
pub(super) fn due(state: &State, id: &ComponentId) -> Vec<Event> {
    let component = state.components.get(id).expect("a component in the index is there");
    if component.drain_until.is_some_and(|until| until <= state.meta.now) {
        let attempts = task::out_of_time(state, id);
        return [vec![Event::DrainTimedOut(id.clone())], attempts].concat();
    }
    if component.forgotten_at().is_some_and(|at| at <= state.meta.now) {
        return vec![Event::ComponentDeregistered(id.clone())];
    }
    [vec![Event::ComponentDisconnected(id.clone())], trouble::component_silent(state, id)].concat()
}

pub(super) fn deregister(state: &State, id: &ComponentId) -> Decided {
    known(state, id)?;
    Ok(vec![Event::ComponentDeregistered(id.clone())])
}
