//! Decisions about durable messages: queue, deliver, acknowledge, give back, give up.
//! Knows nothing of sockets.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};
use core::time::Duration;

use super::Decided;
use crate::{
    event::Event,
    ids::{ComponentId, Text, Timestamp, Token},
    message::{
        DeadMessages, MessageCommand, MessageDelivery, MessageEvent, MessageId, NewMessage, QueuedMessage,
    },
    rejection::Rejection,
    run::Failure,
    state::State,
};

/// The longest pause that a component may ask for: all that is behind waits with it.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

pub(super) fn decide(state: &State, command: &MessageCommand) -> Decided {
    match command {
        MessageCommand::Send(messages) => send(state, messages),
        MessageCommand::Acknowledge { message, token } => {
            let known = current(state, *message, *token)?;
            Ok(one(MessageEvent::Acknowledged { place: known.place(), message: *message }))
        }
        MessageCommand::Return { message, token, failure, retry_after } => {
            let known = current(state, *message, *token)?;
            let pause = retry_after.map_or(state.config().redelivery_delay, |pause| pause.min(PAUSE_MAX));
            Ok(failed(state, known, failure, Some(pause)))
        }
        MessageCommand::Requeue(which) => requeue(state, which),
        MessageCommand::Drop(which) => Ok(dropped(selected(state, which)?, false)),
    }
}

fn one(event: MessageEvent) -> Vec<Event> {
    vec![Event::Message(event)]
}

fn send(state: &State, messages: &[NewMessage]) -> Decided {
    if !state.config().switches.message_queues {
        return Err(Rejection::SwitchedOff { setting: "components.enableMessageQueue".into() });
    }
    let mut events = Vec::new();
    for (place, new) in messages.iter().enumerate() {
        let earlier = &messages[..place];
        let taken =
            state.indexes.messages.place_of(new.id).is_some() || state.dead_messages.contains(&new.id);
        if taken || earlier.iter().any(|other| other.id == new.id) {
            return Err(Rejection::MessageExists { message: new.id });
        }
        has_room(
            state,
            &new.component,
            earlier.iter().filter(|other| other.component == new.component).count(),
        )?;
        let number = state.meta.messages_sent + 1 + place as u64;
        let (kind, payload) = (new.kind.clone(), new.payload.clone());
        events.push(queued(blank(new.id, &new.component, number, (kind, payload, state.meta.now))));
    }
    Ok(events)
}

fn has_room(state: &State, component: &ComponentId, more: usize) -> Result<(), Rejection> {
    if !state.components.contains(component) {
        return Err(Rejection::ComponentUnknown { component: component.clone() });
    }
    let limit = state.config().messages_waiting_max;
    if state.indexes.messages.depth(component) + more >= limit as usize {
        return Err(Rejection::QueueFull { component: component.clone(), limit });
    }
    Ok(())
}

fn blank(
    id: MessageId,
    component: &ComponentId,
    number: u64,
    (kind, payload, sent_at): (Text, crate::ids::Json, Timestamp),
) -> QueuedMessage {
    QueuedMessage {
        id,
        component: component.clone(),
        number,
        kind,
        payload,
        sent_at,
        deliveries: 0,
        delivery: None,
        retry_at: None,
        failure: None,
    }
}

fn queued(message: QueuedMessage) -> Event {
    Event::Message(MessageEvent::Queued(Box::new(message)))
}

fn current(state: &State, id: MessageId, token: Token) -> Result<&QueuedMessage, Rejection> {
    let place = state.indexes.messages.place_of(id).ok_or(Rejection::MessageUnknown { message: id })?;
    let message = state.messages.get(place).expect("a message in the index is live");
    let is_current = message.delivery.as_ref().is_some_and(|delivery| delivery.token == token);
    if is_current { Ok(message) } else { Err(Rejection::StaleDelivery { message: id, token }) }
}

/// The next delivery: the first message that waits for a component that is connected and has room for it.
pub(crate) fn deliver(state: &State) -> Option<Event> {
    let (component, number) = state.indexes.messages.next()?;
    let place = (component.clone(), number);
    let message = state.messages.get(&place).expect("a message in the index is live");
    let component_row = state.components.get(component)?;
    let session = component_row.live_session()?;
    let is_first = !state.indexes.messages.is_with(component);
    let delivery = MessageDelivery {
        session: session.id,
        token: Token(state.meta.token.0 + 1),
        round: component_row.rounds,
        deadline: is_first.then(|| state.meta.now + state.config().message_timeout),
    };
    Some(Event::Message(MessageEvent::Delivered { place, message: message.id, delivery }))
}

/// A delivery failed: it is tried again after a pause, or given up. What was delivered behind it is delivered again.
fn failed(state: &State, message: &QueuedMessage, failure: &Failure, pause: Option<Duration>) -> Vec<Event> {
    let is_over = message.deliveries >= state.config().deliveries_max;
    let retry_at = pause.filter(|pause| !pause.is_zero()).map(|pause| state.meta.now + pause);
    let mut events = one(match is_over {
        true => given_up(message, failure.clone()),
        false => returned(message, Some(failure.clone()), retry_at),
    });
    let behind = state.indexes.messages.with(&message.component).filter(|number| *number > message.number);
    events.extend(behind.filter_map(|number| go_back(state, &message.component, number)));
    events
}

fn returned(message: &QueuedMessage, failure: Option<Failure>, retry_at: Option<Timestamp>) -> MessageEvent {
    MessageEvent::Returned { place: message.place(), message: message.id, failure, retry_at }
}

fn given_up(message: &QueuedMessage, failure: Failure) -> MessageEvent {
    MessageEvent::DeadLettered { place: message.place(), message: message.id, failure }
}

/// Back into the queue, through no fault of its own.
fn go_back(state: &State, component: &ComponentId, number: u64) -> Option<Event> {
    let message = state.messages.get(&(component.clone(), number))?;
    Some(Event::Message(returned(message, None, None)))
}

/// What the end of a component's session, or of the component, means for its messages. Of those that were with it the first
/// may be what broke it, so its delivery counts.
pub(super) fn give_back(state: &State, id: &ComponentId) -> Vec<Event> {
    let index = &state.indexes.messages;
    let message = |number| state.messages.get(&(id.clone(), number));
    let Some(component) = state.components.get(id) else {
        let gone = Failure::new("COMPONENT_DEREGISTERED", "the component was deregistered");
        let all = index.all(id).filter_map(message);
        return all.map(|message| Event::Message(given_up(message, gone.clone()))).collect();
    };
    let session = component.live_session().map(|session| session.id);
    let lost = |message: &&QueuedMessage| {
        message.delivery.as_ref().is_some_and(|delivery| Some(delivery.session) != session)
    };
    let broke = Failure::new("CONNECTION_BROKE", "the connection ended before it was acknowledged");
    match index.with(id).filter_map(message).find(lost) {
        Some(first) => failed(state, first, &broke, None),
        None => Vec::new(),
    }
}

/// What a passed deadline means for a message.
pub(super) fn due(state: &State, place: &(ComponentId, u64)) -> Vec<Event> {
    let message = state.messages.get(place).expect("a message in the index is live");
    if message.delivery.is_none() {
        return one(MessageEvent::Ready { place: place.clone(), message: message.id });
    }
    let limit = state.config().message_timeout.as_millis();
    let late = Failure::new("COMPONENT_TIMEOUT", alloc::format!("it was not acknowledged within {limit} ms"));
    failed(state, message, &late, Some(state.config().redelivery_delay))
}

fn selected(state: &State, which: &DeadMessages) -> Result<Vec<MessageId>, Rejection> {
    let dead = &state.dead_messages;
    Ok(match which {
        DeadMessages::Messages(ids) => match ids.iter().find(|id| !dead.contains(id)) {
            Some(absent) => return Err(Rejection::MessageNotDead { message: *absent }),
            None => ids.iter().copied().collect::<BTreeSet<MessageId>>().into_iter().collect(),
        },
        DeadMessages::Component(component) => {
            dead.iter().filter(|(_, row)| row.message.component == *component).map(|(id, _)| *id).collect()
        }
        DeadMessages::All => dead.iter().map(|(id, _)| *id).collect(),
    })
}

/// Back at the end of their queues, as if they were new. Of those that nobody named, those that have no room or whose component
/// is gone stay where they are.
fn requeue(state: &State, which: &DeadMessages) -> Decided {
    let mut events = Vec::new();
    let mut joined: BTreeMap<&ComponentId, usize> = BTreeMap::new();
    let mut number = state.meta.messages_sent;
    for id in selected(state, which)? {
        let dead = &state.dead_messages.get(&id).expect("it was just selected").message;
        let before = joined.entry(&dead.component).or_default();
        match has_room(state, &dead.component, *before) {
            Ok(()) => *before += 1,
            Err(rejection) if matches!(which, DeadMessages::Messages(_)) => return Err(rejection),
            Err(_) => continue,
        }
        number += 1;
        events.push(Event::Message(MessageEvent::Requeued(id)));
        let content = (dead.kind.clone(), dead.payload.clone(), dead.sent_at);
        events.push(queued(blank(id, &dead.component, number, content)));
    }
    Ok(events)
}

/// The oldest leave a list that is too long.
pub(super) fn trim(state: &State) -> Vec<Event> {
    let over = state.dead_messages.len().saturating_sub(state.config().messages_dead_max as usize);
    if over == 0 {
        return Vec::new();
    }
    let mut oldest: Vec<_> = state.dead_messages.iter().map(|(id, row)| (row.at, *id)).collect();
    oldest.sort_unstable();
    dropped(oldest.into_iter().take(over).map(|(_, id)| id).collect(), true)
}

fn dropped(messages: Vec<MessageId>, overflow: bool) -> Vec<Event> {
    if messages.is_empty() {
        return Vec::new();
    }
    one(MessageEvent::Dropped { messages, overflow })
}
