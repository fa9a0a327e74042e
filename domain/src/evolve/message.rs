//! Durable messages written.
//! Knows nothing of why.

use crate::{
    message::{DeadMessage, MessageEvent, MessagePlace, QueuedMessage},
    state::State,
};

pub(super) fn changed(state: &mut State, event: &MessageEvent) {
    match event {
        MessageEvent::Queued(message) => {
            state.meta.messages_sent = message.number;
            add(state, (**message).clone());
        }
        MessageEvent::Delivered { place, delivery, .. } => {
            state.meta.token = delivery.token;
            change(state, place, |message| {
                message.delivery = Some(delivery.clone());
                message.deliveries += 1;
            });
        }
        MessageEvent::Acknowledged { place, .. } => {
            take(state, place);
            lead(state, place);
        }
        MessageEvent::Returned { place, failure, retry_at, .. } => {
            if failure.is_some() {
                begin_round(state, place);
            }
            change(state, place, |message| {
                message.delivery = None;
                message.retry_at = *retry_at;
                match failure {
                    Some(_) => message.failure.clone_from(failure),
                    None => message.deliveries -= 1,
                }
            });
        }
        MessageEvent::Ready { place, .. } => change(state, place, |message| message.retry_at = None),
        MessageEvent::DeadLettered { place, message: id, failure } => {
            begin_round(state, place);
            if let Some(message) = take(state, place) {
                let message = QueuedMessage { delivery: None, retry_at: None, ..message };
                let dead = DeadMessage { message, failure: failure.clone(), at: state.meta.now };
                state.dead_messages.insert(*id, dead);
            }
            lead(state, place);
        }
        MessageEvent::Requeued(id) => state.dead_messages.remove(id),
        MessageEvent::Dropped { messages, .. } => {
            messages.iter().for_each(|message| state.dead_messages.remove(message));
        }
    }
}

fn begin_round(state: &mut State, (component, _): &MessagePlace) {
    state.change_component(component, |component| component.rounds += 1);
}

/// The first of those that are with the component has a deadline from the time it is the first.
fn lead(state: &mut State, (component, _): &MessagePlace) {
    let first = state.indexes.messages.with(component).next();
    let Some(place) = first.map(|number| (component.clone(), number)) else { return };
    let deadline = state.meta.now + state.config().message_timeout;
    change(state, &place, |message| {
        if let Some(delivery) = &mut message.delivery {
            delivery.deadline.get_or_insert(deadline);
        }
    });
}

fn add(state: &mut State, message: QueuedMessage) {
    let place = message.place();
    state.indexes.add_message(&message, state.components.get(&message.component));
    state.messages.insert(place, message);
}

fn take(state: &mut State, place: &MessagePlace) -> Option<QueuedMessage> {
    let message = state.messages.get(place)?.clone();
    state.indexes.remove_message(&message, state.components.get(&place.0));
    state.messages.remove(place);
    Some(message)
}

fn change(state: &mut State, place: &MessagePlace, change: impl FnOnce(&mut QueuedMessage)) {
    if let Some(message) = state.messages.get(place) {
        let component = state.components.get(&place.0);
        state.indexes.remove_message(message, component);
        state.messages.update(place, change);
        let message = state.messages.get(place).expect("it was just changed");
        state.indexes.add_message(message, component);
    }
}
