//! Events: pages of them, and streams that go on by themselves, on any node, without a gap or a double.
//! Knows nothing of what an event's data says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use reqwest::Method;
use serde::Serialize;

use crate::feed::Feed;
use crate::http::Call;
use crate::sse::SseEvent;
use crate::wire::{
    self, Event, EventPage, EventPosted, EventsQuery, PostEvent, STREAM_EVENT_RESET, StreamReset, paths,
};
use crate::{Client, Error};

/// Calls about events: [`Client::events`].
///
/// ```no_run
/// # async fn example(orc: orc_client::Client) -> Result<(), orc_client::Error> {
/// use futures::StreamExt;
///
/// let mut events = orc.events().types(["workflow.*"]).since_now().stream().await?;
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{} {}", event.seq, event.kind);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Events {
    client: Client,
    filter: EventsQuery,
    types: Vec<String>,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, filter: EventsQuery::default(), types: Vec::new() }
    }

    /// Only these types; globs such as `workflow.*`.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Only what happens to a run.
    #[must_use]
    pub fn run(mut self, id: impl Into<String>) -> Self {
        self.filter.run = Some(id.into());
        self
    }

    /// Only what happens to a component: its sessions, its tasks, its durable messages.
    #[must_use]
    pub fn component(mut self, id: impl Into<String>) -> Self {
        self.filter.component = Some(id.into());
        self
    }

    /// Only events after this `seq`; 0 is the beginning.
    #[must_use]
    pub fn since(mut self, seq: u64) -> Self {
        self.filter.since = Some(seq);
        self
    }

    /// Only events from now on: what a stream does by default.
    #[must_use]
    pub fn since_now(mut self) -> Self {
        self.filter.since = None;
        self
    }

    /// A page of at most `limit` events; without `since` it begins with the oldest.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, limit: u32) -> Result<EventPage, Error> {
        let query = EventsQuery { types: self.types_text(), limit: Some(limit), ..self.filter.clone() };
        self.client.call(Call::get(paths::EVENTS).query(&query)).await
    }

    /// Makes an event of your own; workflows may be triggered by it. Its log index is returned.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn post<D: Serialize>(&self, kind: impl Into<String>, data: D) -> Result<u64, Error> {
        let data = wire::raw(&data).map_err(|error| Error::no_json_form("the data", &error))?;
        let body = PostEvent { kind: kind.into(), data: Some(data) };
        let posted: EventPosted =
            self.client.call(Call::mutation(Method::POST, paths::EVENTS).json(&body)?).await?;
        Ok(posted.rev)
    }

    /// One event.
    ///
    /// # Errors
    /// As every call: [`Error`]; `EVENTS_COMPACTED` when it is no longer kept.
    pub async fn get(&self, seq: u64) -> Result<Event, Error> {
        self.client.call(Call::get(paths::fill(paths::EVENT, &seq.to_string()))).await
    }

    /// The `seq` of the newest event there is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn last_seq(&self) -> Result<u64, Error> {
        let query = EventsQuery { limit: Some(1), ..EventsQuery::default() };
        let page: EventPage = self.client.call(Call::get(paths::EVENTS).query(&query)).await?;
        Ok(page.last_seq)
    }

    /// Follows the events.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn stream(self) -> Result<EventStream, Error> {
        let since = match self.filter.since {
            Some(seq) => seq,
            None => self.last_seq().await?,
        };
        let query = EventsQuery { since: None, types: self.types_text(), ..self.filter.clone() };
        let target = format!("{}{}", paths::EVENTS_STREAM, wire::write_query(&query));
        Ok(subscribe(self.client, target, Some(since)))
    }

    fn types_text(&self) -> Option<String> {
        (!self.types.is_empty()).then(|| self.types.join(","))
    }
}

/// The stream of events at `target`, after `since` or where the target says.
pub(crate) fn subscribe(client: Client, target: String, since: Option<u64>) -> EventStream {
    let subscription = Subscription { feed: Feed::new(client, target), last: since, ready: VecDeque::new() };
    EventStream { inner: unfold(Some(subscription), Subscription::step).boxed() }
}

/// Events in their order, without gaps or doubles; it reconnects by itself for as long as it is read.
///
/// An item may be [`Error::EventsReset`]: events were compacted before they could be read, and the stream goes on after
/// the gap. After any other error it ends.
pub struct EventStream {
    inner: BoxStream<'static, Result<Event, Error>>,
}

impl Stream for EventStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(context)
    }
}

struct Subscription {
    feed: Feed,
    /// The newest event that was given out, after which it begins, or up to which nothing else was wanted.
    last: Option<u64>,
    ready: VecDeque<Result<Event, Error>>,
}

impl Subscription {
    async fn step(subscription: Option<Self>) -> Option<(Result<Event, Error>, Option<Self>)> {
        let mut this = subscription?;
        loop {
            match this.ready.pop_front() {
                Some(item @ (Ok(_) | Err(Error::EventsReset { .. }))) => return Some((item, Some(this))),
                Some(item) => return Some((item, None)),
                None => {}
            }
            let last = this.last.map_or_else(String::new, |seq| seq.to_string());
            match this.feed.read(&last).await {
                Ok(events) => events.iter().for_each(|event| this.take(event)),
                Err(error) => return Some((Err(error), None)),
            }
        }
    }

    fn take(&mut self, event: &SseEvent) {
        if event.data.is_empty() {
            self.last = self.last.max(event.id.parse().ok());
            return;
        }
        if event.event == STREAM_EVENT_RESET {
            match serde_json::from_str::<StreamReset>(&event.data) {
                Ok(StreamReset { first_seq }) => {
                    self.last = Some(first_seq.saturating_sub(1));
                    self.ready.push_back(Err(Error::EventsReset { first_seq }));
                }
                Err(error) => self.ready.push_back(Err(Error::Decode(error))),
            }
            return;
        }
        match serde_json::from_str::<Event>(&event.data) {
            Ok(event) if self.last.is_none_or(|last| event.seq > last) => {
                self.last = Some(event.seq);
                self.ready.push_back(Ok(event));
            }
            Ok(_known) => {}
            Err(error) => self.ready.push_back(Err(Error::Decode(error))),
        }
    }
}
