//! Streams of events: first what is kept, then what happens, without a gap or a double, on any node alike.
//! A reader that does not keep up is cut; it resumes by the last id it saw. Knows nothing of routes.

use std::{sync::Arc, time::Duration};

use orc_actors::{Filter, Pattern, SubscribeError, Subscription};
use orc_client::wire::codes;
use orc_domain::{ComponentId, Event, Recorded, RunId, Unavailable};
use orc_raft::store::EventsError;
use tokio::time::Instant;

use super::{
    Gateway,
    names::KnownNames,
    outlet::{self, Outlet, Room},
    problem::Refusal,
    render::{
        event::{envelope, kind},
        event_sent::component_of,
    },
    reply::Answered,
    sse,
};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events rendered at once.
const BATCH_MAX: usize = 128;
/// A piece that waits for the reader holds a batch or about this many bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// Which events a reader wants. A filter constrains the events that it can apply to; events that no given filter applies
/// to come only if their type was asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Their types; none: any.
    pub types: Vec<Pattern>,
    /// Their run.
    pub run: Option<RunId>,
    /// Their state key.
    pub key: Option<Pattern>,
    /// Their component.
    pub component: Option<ComponentId>,
    /// Only what happened after this rev.
    pub above_rev: u64,
}

impl Wanted {
    /// Whether this event is wanted.
    pub fn accepts(&self, event: &Event) -> bool {
        if !self.types.is_empty() && !self.types.iter().any(|pattern| pattern.matches(kind(event))) {
            return false;
        }
        if let Some(component) = &self.component {
            return component_of(event) == Some(component);
        }
        match (self.run, event.run(), &self.key, event) {
            (Some(run), Some(of), _, _) => run == of,
            (_, _, Some(pattern), Event::StateChanged(change)) => pattern.matches(change.key.as_str()),
            (run, _, key, _) => !self.types.is_empty() || (run.is_none() && key.is_none()),
        }
    }
}

impl Gateway {
    /// Answers with a stream of the events after `after`.
    pub async fn feed(self: Arc<Self>, wanted: Wanted, after: u64) -> Answered {
        let wanted = Arc::new(wanted);
        // Whether there may be one more.
        drop(self.subscribe(&wanted).await?);
        let (pieces, mut body) = outlet::stream(self.streams.clone());
        let guard = self.metrics.sse_client();
        let feed = Feed { gateway: self, wanted, after, names: KnownNames::default(), pieces };
        tokio::spawn(async move {
            let _guard = guard;
            feed.run().await;
        });
        Ok(sse::response(move |context| body.poll_next(context)))
    }

    async fn subscribe(&self, wanted: &Arc<Wanted>) -> Result<Subscription, Refusal> {
        let wanted = wanted.clone();
        let filter = Filter::new(move |event| wanted.accepts(event));
        self.hands()?.state_manager.subscribe(filter).await.map_err(|error| match error {
            SubscribeError::TooMany { .. } => {
                Refusal::new(codes::LIMIT_EXCEEDED, error.to_string()).retry_after(Duration::from_secs(5))
            }
            SubscribeError::NoAnswer(_) => {
                Unavailable::Overloaded { retry_after: Duration::from_secs(1) }.into()
            }
        })
    }
}

struct Feed {
    gateway: Arc<Gateway>,
    wanted: Arc<Wanted>,
    /// Everything wanted up to this event was sent.
    after: u64,
    names: KnownNames,
    pieces: Outlet,
}

/// The reader is gone or was cut, or the node stops.
struct Over;

/// How far the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It has what is kept.
    Live,
    /// What it has not taken yet leaves no room, or its subscription was cut.
    Behind,
}

impl Feed {
    async fn run(mut self) {
        let draining = self.gateway.draining();
        tokio::select! {
            Over = self.follow() => {}
            () = draining => {}
        }
    }

    /// Each round: what is kept, as fast as the reader takes it, then what happens, while the reader keeps up. Nothing is
    /// subscribed to, and no event is held, while the reader is waited for.
    async fn follow(&mut self) -> Over {
        if let Err(over) = self.tell(sse::RETRY.to_owned()).await {
            return over;
        }
        loop {
            if let Err(over) = self.catch_up(true).await {
                return over;
            }
            let Ok(mut live) = self.gateway.subscribe(&self.wanted).await else { return Over };
            match self.catch_up(false).await {
                Ok(Reach::Live) => {}
                Ok(Reach::Behind) => continue,
                Err(over) => return over,
            }
            if let Err(over) = self.listen(&mut live).await {
                return over;
            }
        }
    }

    /// Sends what is kept; without patience only while there is room.
    async fn catch_up(&mut self, patient: bool) -> Result<Reach, Over> {
        let few = if patient { PIECE_BYTES } else { PIECE_BYTES / 16 };
        let mut bytes = few;
        loop {
            let room = match patient {
                true => Some(self.room(bytes, BATCH_MAX).await?),
                false => self.pieces.room_now(bytes, BATCH_MAX),
            };
            let Some(room) = room else { return Ok(Reach::Behind) };
            let wanted = self.wanted.clone();
            let filter = move |recorded: &Recorded| wanted.accepts(&recorded.event);
            let most = (BATCH_MAX, few);
            match self.gateway.cluster.events_within(self.after, most, filter).await {
                Ok(page) => {
                    let found = weight(&page.events);
                    if found > bytes {
                        // One large event: it is read again when there is room for it.
                        bytes = found;
                        continue;
                    }
                    self.send_events(room, &page.events).await?;
                    self.after = self.after.max(page.upto);
                    if !page.more {
                        return Ok(Reach::Live);
                    }
                    bytes = few;
                }
                Err(EventsError::Compacted { first_seq }) => {
                    drop(room);
                    self.tell(sse::reset(first_seq)).await?;
                    self.after = first_seq.saturating_sub(1);
                }
                Err(EventsError::Read(error)) => {
                    tracing::error!(%error, "a stream of events ends");
                    return Err(Over);
                }
            }
        }
    }

    /// Passes on what happens; returns when the reader falls behind or the subscription was cut.
    async fn listen(&mut self, live: &mut Subscription) -> Result<(), Over> {
        let mut beat = Instant::now() + HEARTBEAT;
        loop {
            let first = tokio::select! {
                next = live.next() => match next {
                    Ok(event) => event,
                    Err(_cut) => return Ok(()),
                },
                () = tokio::time::sleep_until(beat) => {
                    // A reader that has left no room for it has enough to read.
                    let text = sse::heartbeat(self.after);
                    if let Some(room) = self.pieces.room_now(text.len(), 1) {
                        self.send_short(room, text)?;
                    }
                    beat = Instant::now() + HEARTBEAT;
                    continue;
                }
                () = self.pieces.closed() => return Err(Over),
            };
            let mut bytes = first.weight();
            let mut batch = vec![first];
            let mut cut = false;
            while batch.len() < BATCH_MAX && bytes < PIECE_BYTES && !cut {
                match futures::FutureExt::now_or_never(live.next()) {
                    Some(Ok(event)) => {
                        bytes += event.weight();
                        batch.push(event);
                    }
                    Some(Err(_cut)) => cut = true,
                    None => break,
                }
            }
            batch.retain(|event| event.seq > self.after);
            let Some(room) = self.pieces.room_now(bytes, batch.len().max(1)) else { return Ok(()) };
            self.send_events(room, &batch).await?;
            self.after = batch.last().map_or(self.after, |event| event.seq);
            if cut {
                return Ok(());
            }
            beat = Instant::now() + HEARTBEAT;
        }
    }

    async fn send_events(&mut self, mut room: Room, events: &[Arc<Recorded>]) -> Result<(), Over> {
        let (mut text, mut count) = (String::new(), 0);
        self.gateway.learn_names(events, &mut self.names).await;
        for recorded in events.iter().filter(|recorded| recorded.rev > self.wanted.above_rev) {
            sse::event(&mut text, &envelope(recorded, &self.names));
            count += 1;
        }
        if text.is_empty() {
            return Ok(());
        }
        room.fit(text.len(), count);
        self.pieces.send(room, text).map_err(|_| Over)
    }

    /// Sends something short.
    async fn tell(&self, text: String) -> Result<(), Over> {
        let room = self.room(text.len(), 1).await?;
        self.send_short(room, text)
    }

    fn send_short(&self, mut room: Room, text: String) -> Result<(), Over> {
        room.fit(text.len(), 1);
        self.pieces.send(room, text).map_err(|_| Over)
    }

    /// Waits for room for a piece. A reader that has taken all, and waits because others have not, hears that it is not forgotten.
    async fn room(&self, bytes: usize, events: usize) -> Result<Room, Over> {
        loop {
            let room = self.pieces.room(bytes, events, Instant::now() + HEARTBEAT).await;
            match room {
                Ok(Some(room)) => return Ok(room),
                Ok(None) => {
                    let text = sse::heartbeat(self.after);
                    if let Some(room) = self.pieces.room_if_empty(text.len()) {
                        self.send_short(room, text)?;
                    }
                }
                Err(outlet::Over::Gone) => return Err(Over),
                Err(outlet::Over::Slow) => {
                    tracing::warn!(resume_after = self.after, "a reader of events is too slow: it is cut");
                    return Err(Over);
                }
            }
        }
    }
}

/// About how many bytes of memory their text will take.
fn weight(events: &[Arc<Recorded>]) -> usize {
    events.iter().map(|event| event.weight()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{ChangeOrigin, KeyChange};
    use uuid::Uuid;

    #[test]
    fn a_filter_constrains_what_it_can_apply_to() {
        let run = |number| RunId(Uuid::from_u128(number));
        let pattern = |text: &str| text.parse::<Pattern>().expect("a pattern");
        let started = |number| Event::RunStarted { run: run(number) };
        let changed = |key: &str| {
            Event::StateChanged(KeyChange {
                key: key.parse().expect("a key"),
                old: None,
                value: None,
                version: 1,
                version_min: 1,
                expires_at: None,
                origin: ChangeOrigin::Write,
            })
        };
        let all = Wanted::default();
        assert!(all.accepts(&started(1)) && all.accepts(&changed("a")));
        let one = Wanted { run: Some(run(1)), ..Wanted::default() };
        assert_eq!(
            [one.accepts(&started(1)), one.accepts(&started(2)), one.accepts(&changed("a"))],
            [true, false, false]
        );
        let both = Wanted {
            types: vec![pattern("workflow.*"), pattern("state.*")],
            run: Some(run(1)),
            key: Some(pattern("app.*")),
            ..Wanted::default()
        };
        assert_eq!([both.accepts(&started(1)), both.accepts(&started(2))], [true, false]);
        assert_eq!([both.accepts(&changed("app.x")), both.accepts(&changed("b"))], [true, false]);
    }
}
