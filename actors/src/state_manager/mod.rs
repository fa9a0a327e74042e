//! Subscriptions to what happens, on every node: each event is looked at once and given to whoever asked for it.
//! A subscriber that reads too slowly is cut with the place to resume from; nothing is skipped silently.

mod glob;
mod subscription;

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use orc_domain::Recorded;

pub use glob::{BadPattern, Pattern};
pub use subscription::{Cut, Filter, Subscription};

use crate::{
    Options,
    following::{Heard, following},
    gauges::{Gauges, count},
    seam::{Events, ReplicatedState},
    supervision::{Door, NoAnswer, Ping, Stop},
};
use subscription::Subscriber;

/// Time a subscription may take to be made.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// As many subscriptions as this node may have.
    #[error("this node has {limit} subscriptions, which is its limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Try again.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// Subscribes to events; cheap to clone.
#[derive(Clone)]
pub struct StateManagerHandle {
    door: Door<StateManager>,
}

impl StateManagerHandle {
    pub(crate) fn new(door: Door<StateManager>) -> Self {
        StateManagerHandle { door }
    }

    /// Changes of the state keys that match, as `state.changed` events. To miss nothing: subscribe, read the archive up
    /// to its end, then take from the subscription what has a higher number.
    pub async fn watch(&self, pattern: Pattern) -> Result<Subscription, SubscribeError> {
        self.subscribe(Filter::keys(pattern)).await
    }

    /// Events from now on that pass the filter.
    pub async fn subscribe(&self, filter: Filter) -> Result<Subscription, SubscribeError> {
        self.door.send(Subscribe(filter), SUBSCRIBE_WITHIN).await?
    }
}

#[derive(Message)]
#[rtype(result = "Result<Subscription, SubscribeError>")]
struct Subscribe(Filter);

/// Gives events to subscribers.
pub struct StateManager {
    state: Arc<dyn ReplicatedState>,
    options: Options,
    gauges: Arc<Gauges>,
    subscribers: Vec<Subscriber>,
    /// Number of the last event seen.
    seen: u64,
}

impl StateManager {
    pub(crate) fn new(state: Arc<dyn ReplicatedState>, options: &Options, gauges: Arc<Gauges>) -> Self {
        StateManager { state, options: options.clone(), gauges, subscribers: Vec::new(), seen: 0 }
    }

    fn give(&mut self, event: &Arc<Recorded>) {
        if event.seq <= self.seen {
            return;
        }
        if event.seq != self.seen + 1 && self.seen != 0 {
            self.cut_all("events were missed");
        }
        self.seen = event.seq;
        let gauges = &self.gauges;
        self.subscribers.retain(|subscriber| {
            let keeps_up = subscriber.give(event);
            if !keeps_up && subscriber.is_wanted() {
                count(&gauges.subscriptions_cut);
                tracing::warn!(resume_after = event.seq - 1, "a subscriber reads too slowly: it is cut");
            }
            keeps_up
        });
    }

    fn cut_all(&mut self, why: &str) {
        tracing::warn!(subscriptions = self.subscribers.len(), why, "subscriptions are cut");
        for _ in self.subscribers.drain(..) {
            count(&self.gauges.subscriptions_cut);
        }
    }
}

impl Actor for StateManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.add_stream(following(self.state.events()));
    }
}

impl StreamHandler<Heard<Events>> for StateManager {
    fn handle(&mut self, heard: Heard<Events>, _: &mut Self::Context) {
        match heard {
            Heard::Next(events) => events.iter().for_each(|event| self.give(event)),
            // The next event shows the gap in the numbers, too; nobody should wait for it.
            Heard::Missed => self.cut_all("events were missed"),
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The state is gone: the node shuts down, and the orchestrator stops its actors.
    }
}

impl Handler<Subscribe> for StateManager {
    type Result = Result<Subscription, SubscribeError>;

    fn handle(&mut self, Subscribe(filter): Subscribe, _: &mut Self::Context) -> Self::Result {
        self.subscribers.retain(Subscriber::is_wanted);
        let limit = self.options.subscriptions_max;
        if self.subscribers.len() >= limit {
            return Err(SubscribeError::TooMany { limit });
        }
        let (subscriber, subscription) =
            subscription::pair(filter, self.seen, self.options.subscriber_events_max);
        self.subscribers.push(subscriber);
        Ok(subscription)
    }
}

impl Handler<Ping> for StateManager {
    type Result = ();

    fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
}

impl Handler<Stop> for StateManager {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
