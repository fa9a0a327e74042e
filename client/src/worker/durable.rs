//! Durable messages to a worker: handled one after another in the order they came, acknowledged when done.
//! Knows nothing of sessions; what it wants said is taken from it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::sync::mpsc;

use super::handler::TaskError;
use super::messages::MessageHandlers;
use crate::wire::session::{Ack, ComponentMessage, DurableOrder, Nack, Settled};

/// Handled messages that are remembered until their acknowledgement is confirmed.
const DONE_MAX: usize = 1_024;

/// A message that was handled.
struct Handled {
    /// In which session it came.
    session: u64,
    order: DurableOrder,
    result: Result<(), TaskError>,
}

/// The durable messages of a worker.
pub(super) struct Durable {
    handlers: MessageHandlers,
    waiting: VecDeque<DurableOrder>,
    /// A message is being handled.
    busy: bool,
    /// What came in rounds up to this one is void: a message before it went back.
    void: Option<u64>,
    /// Handled messages whose acknowledgement nobody has confirmed: who hears of them again acknowledges them again.
    done: BTreeSet<String>,
    /// Rounds of what was acknowledged, by token.
    rounds: BTreeMap<u64, u64>,
    /// How many sessions there were; answers of earlier ones are not sent.
    session: u64,
    handled: (mpsc::Sender<Handled>, mpsc::Receiver<Handled>),
}

impl Durable {
    pub(super) fn new(handlers: MessageHandlers) -> Self {
        Self {
            handlers,
            waiting: VecDeque::new(),
            busy: false,
            void: None,
            done: BTreeSet::new(),
            rounds: BTreeMap::new(),
            session: 0,
            handled: mpsc::channel(1),
        }
    }

    /// A new session: what waits comes again.
    pub(super) fn begin_session(&mut self) {
        self.session += 1;
        self.waiting.clear();
        self.rounds.clear();
        self.void = None;
    }

    /// Whether messages are being handled or wait for it.
    pub(super) fn is_busy(&self) -> bool {
        self.busy || !self.waiting.is_empty()
    }

    /// Takes a message; what is said at once is returned.
    pub(super) fn take(&mut self, order: DurableOrder) -> Vec<ComponentMessage> {
        if self.void.is_some_and(|void| order.round <= void) {
            return Vec::new();
        }
        self.waiting.push_back(order);
        self.go_on()
    }

    /// What became of an answer.
    pub(super) fn settle(&mut self, settled: &Settled) {
        let round = self.rounds.remove(&settled.token);
        if !settled.stale {
            self.done.remove(&settled.message_id);
        } else if let Some(round) = round {
            self.skip(round);
        }
    }

    /// Waits for the message at hand to be handled. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<ComponentMessage> {
        let handled = self.handled.1.recv().await.expect("a sender is kept beside it");
        self.busy = false;
        let Handled { session, order, result } = handled;
        if result.is_ok() {
            self.done.insert(order.message_id.clone());
            if self.done.len() > DONE_MAX {
                self.done.pop_first(); // ids are in the order of time
            }
        }
        let mut said = Vec::new();
        if session == self.session {
            said.push(self.answer(&order, result));
        }
        said.extend(self.go_on());
        said
    }

    fn answer(&mut self, order: &DurableOrder, result: Result<(), TaskError>) -> ComponentMessage {
        self.rounds.insert(order.token, order.round);
        let (message_id, token) = (order.message_id.clone(), order.token);
        match result {
            Ok(()) => Ack { message_id, token }.into(),
            Err(error) => {
                self.skip(order.round);
                Nack { message_id, token, error: error.into_body(), retry_after: None }.into()
            }
        }
    }

    fn skip(&mut self, round: u64) {
        self.void = self.void.max(Some(round));
        self.waiting.retain(|order| self.void.is_none_or(|void| order.round > void));
    }

    /// Begins with the next message, if none is at hand; those that were handled before are answered at once.
    fn go_on(&mut self) -> Vec<ComponentMessage> {
        let mut said = Vec::new();
        while !self.busy
            && let Some(order) = self.waiting.pop_front()
        {
            match self.done.contains(&order.message_id) {
                true => said.push(self.answer(&order, Ok(()))),
                false => self.begin(order),
            }
        }
        said
    }

    fn begin(&mut self, order: DurableOrder) {
        self.busy = true;
        let work = self.handlers.work(&order.message_type, order.payload.clone());
        let (session, handled) = (self.session, self.handled.0.clone());
        tokio::spawn(async move {
            let result = work.await.map(|_| ());
            // Without a receiver the worker is gone.
            handled.send(Handled { session, order, result }).await.ok();
        });
    }
}
