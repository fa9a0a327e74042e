//! What the apply thread shows to everybody else: rows, events, effects, how far it is.
//! Knows nothing of who looks; it never waits for anybody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use orc_domain::{ClusterConfig, Effect, Recorded, State, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, watch};

use super::{events::Ring, view::View};
use crate::{clock::Reckoning, ticker::Ticker, types::LogId};

/// Effects of one log record, in order. None at all: a snapshot was installed, and what led to it was missed.
pub type Effects = Arc<[Effect]>;
/// Events of one log record, in order. None at all: a snapshot was installed, and what led to it was missed.
pub type Events = Arc<[Arc<Recorded>]>;

/// Records whose effects or events a receiver may lag behind.
const LAG_MAX: usize = 4_096;

/// What everybody sees.
pub struct Published {
    /// Rows in memory.
    pub view: View,
    /// The latest events.
    pub ring: RwLock<Ring>,
    /// Number of the first event that can still be read.
    pub events_first: AtomicU64,
    /// Events as they happen.
    pub events: broadcast::Sender<Events>,
    /// Effects as they arise.
    pub effects: broadcast::Sender<Effects>,
    /// No row and no event that can be seen is of a record after this one; its rows may be about to be shown.
    pub newest: AtomicU64,
    /// The last record applied: all of it can be seen.
    pub applied: watch::Sender<Option<LogId>>,
    /// Up to here the state survives a power cut.
    pub durable: watch::Sender<Option<LogId>>,
    /// When time alone changes the state next.
    pub next_due: watch::Sender<Option<Timestamp>>,
    /// The cluster's time, in milliseconds since 1970, as of the last record.
    pub now: AtomicU64,
    /// The cluster's time as this node reckons it.
    pub reckoned: Mutex<Reckoning>,
    /// What that goes on by.
    pub ticker: Ticker,
    /// The cluster's settings.
    pub config: RwLock<Arc<ClusterConfig>>,
    /// Rows, events and answers that wait for the disk.
    pub waiting: AtomicUsize,
    /// Held while rows that have ended leave memory because the disk has them.
    pub moving: RwLock<()>,
}

impl Published {
    /// Shows a state as it was loaded.
    pub fn new(state: &State, applied: Option<LogId>, events_first: u64) -> Published {
        let published = Published {
            view: View::default(),
            ring: RwLock::new(Ring::new(state.meta.seq + 1)),
            events_first: AtomicU64::new(events_first),
            events: broadcast::Sender::new(LAG_MAX),
            effects: broadcast::Sender::new(LAG_MAX),
            newest: AtomicU64::new(applied.map_or(0, |id| id.index)),
            applied: watch::Sender::new(applied),
            durable: watch::Sender::new(applied),
            next_due: watch::Sender::new(state.next_due()),
            now: AtomicU64::new(state.meta.now.0),
            reckoned: Mutex::new(Reckoning::new(state.meta.now, Duration::ZERO)),
            ticker: Ticker::new(),
            config: RwLock::new(state.config().clone()),
            waiting: AtomicUsize::new(0),
            moving: RwLock::new(()),
        };
        published.view.replace(state);
        published
    }

    /// Shows what one record led to; rows first, so that whoever hears of an effect finds them.
    pub(super) fn show(
        &self,
        state: &mut State,
        applied: LogId,
        news: &[Arc<Recorded>],
        effects: Vec<Effect>,
    ) {
        self.newest.store(applied.index, Ordering::Release);
        self.view.refresh(state);
        if !news.is_empty() {
            self.ring.write().push(news);
            if self.events.receiver_count() > 0 {
                // Nobody listens any more: fine.
                let _ = self.events.send(news.into());
            }
        }
        self.show_facts(state, applied);
        if !effects.is_empty() && self.effects.receiver_count() > 0 {
            let _ = self.effects.send(effects.into());
        }
    }

    /// The disk keeps no event before this one; told before they go.
    pub(super) fn raise_events_first(&self, seq: u64) {
        self.events_first.fetch_max(seq, Ordering::AcqRel);
    }

    /// Told before anybody can read the disk of another state: what its rows are of, and which events it has.
    pub(super) fn announce(&self, applied: Option<LogId>, events_first: u64) {
        self.newest.fetch_max(applied.map_or(0, |id| id.index), Ordering::AcqRel);
        self.raise_events_first(events_first);
    }

    /// Shows another state altogether; receivers of events and effects hear that they missed some.
    pub(super) fn replace(&self, state: &State, applied: LogId, events_first: u64) {
        self.newest.store(applied.index, Ordering::Release);
        self.view.replace(state);
        *self.ring.write() = Ring::new(state.meta.seq + 1);
        self.events_first.store(events_first, Ordering::Release);
        self.durable.send_replace(Some(applied));
        self.show_facts(state, applied);
        // Nobody listens: fine.
        let _ = self.events.send(Arc::new([]));
        let _ = self.effects.send(Arc::new([]));
    }

    fn show_facts(&self, state: &State, applied: LogId) {
        self.waiting.store(state.waiting(), Ordering::Relaxed);
        let config = state.config();
        if !Arc::ptr_eq(config, &self.config.read()) {
            *self.config.write() = config.clone();
        }
        self.applied.send_replace(Some(applied));
        self.now.store(state.meta.now.0, Ordering::Release);
        self.reckoned.lock().hear(Reckoning::new(state.meta.now, self.ticker.look().counted));
        let due = state.next_due();
        self.next_due.send_if_modified(|shown| {
            let changed = *shown != due;
            *shown = due;
            changed
        });
    }
}
