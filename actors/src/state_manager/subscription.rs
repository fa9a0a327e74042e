//! One subscription: what is wanted, what waits, and the place to resume from when it is cut.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use orc_domain::{Bug, Event, Recorded, planted};
use tokio::sync::mpsc;

use super::glob::Pattern;

type Accepts = dyn Fn(&Event) -> bool + Send + Sync;

/// Which events are wanted.
#[derive(Clone)]
pub struct Filter {
    accepts: Arc<Accepts>,
}

impl Filter {
    /// Every event.
    pub fn all() -> Self {
        Filter::new(|_| true)
    }

    /// Changes of the state keys that match.
    pub fn keys(pattern: Pattern) -> Self {
        Filter::new(
            move |event| matches!(event, Event::StateChanged(change) if pattern.matches(change.key.as_str())),
        )
    }

    /// Those for which this holds, such as those of a type or a run. Called for every event of the cluster: keep it quick.
    pub fn new(accepts: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        Filter { accepts: Arc::new(accepts) }
    }
}

/// The subscription ended because the subscriber read too slowly or events were missed: subscribe again, and read the
/// events after this number from the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subscription was cut after event {resume_after}")]
pub struct Cut {
    /// Every wanted event up to this number was given; 0 if none had happened since the node started.
    pub resume_after: u64,
}

/// Events as they happen, in order and without gaps, until it is [`Cut`]. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<Arc<Recorded>>,
    examined: Arc<AtomicU64>,
}

impl Subscription {
    /// The next event that is wanted. Cancel safe.
    pub async fn next(&mut self) -> Result<Arc<Recorded>, Cut> {
        self.events.recv().await.ok_or_else(|| Cut { resume_after: self.examined() })
    }

    /// Every wanted event up to this number has been given or waits in here; 0 if none has happened since the start.
    pub fn examined(&self) -> u64 {
        self.examined.load(Ordering::Acquire)
    }
}

pub(super) struct Subscriber {
    filter: Filter,
    events: mpsc::Sender<Arc<Recorded>>,
    examined: Arc<AtomicU64>,
}

pub(super) fn pair(filter: Filter, seen: u64, waiting_max: usize) -> (Subscriber, Subscription) {
    let (sender, events) = mpsc::channel(waiting_max);
    let examined = Arc::new(AtomicU64::new(seen));
    (Subscriber { filter, events: sender, examined: examined.clone() }, Subscription { events, examined })
}

impl Subscriber {
    /// Gives an event if it is wanted; false if the subscriber is to be dropped.
    pub(super) fn give(&self, event: &Arc<Recorded>) -> bool {
        if (self.filter.accepts)(&event.event) && self.events.try_send(event.clone()).is_err() {
            return planted(Bug::WatchSkipOnSlow) && !self.events.is_closed();
        }
        self.examined.store(event.seq, Ordering::Release);
        true
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.events.is_closed()
    }
}
