//! Events: pages of them, and streams that go on by themselves, on any node, without a gap or a double.
//! Knows nothing of what an event's data says.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use crate::error::is_retryable;
use crate::http::{Call, read_problem};
use crate::sse::{SseEvent, SseParser};
use crate::wire::{self, Event, EventPage, EventsQuery, STREAM_EVENT_RESET, StreamReset, headers, paths};
use crate::{Client, Error, backoff};

/// Nodes send a comment every 15 s; one that is silent for three of them is left.
const SILENCE_MAX: Duration = Duration::from_secs(45);

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
    types: Vec<String>,
    since: Option<u64>,
}

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, types: Vec::new(), since: None }
    }

    /// Only these types; globs such as `workflow.*`.
    #[must_use]
    pub fn types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Only events after this `seq`; 0 is the beginning.
    #[must_use]
    pub fn since(mut self, seq: u64) -> Self {
        self.since = Some(seq);
        self
    }

    /// Only events from now on: what a stream does by default.
    #[must_use]
    pub fn since_now(mut self) -> Self {
        self.since = None;
        self
    }

    /// A page of at most `limit` events; without `since` it begins with the oldest.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, limit: u32) -> Result<EventPage, Error> {
        let query = EventsQuery { since: self.since, types: self.types_text(), limit: Some(limit) };
        self.client.call(Call::get(paths::EVENTS).query(&query)).await
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
        let since = match self.since {
            Some(seq) => seq,
            None => self.last_seq().await?,
        };
        let query = EventsQuery { since: None, types: self.types_text(), limit: None };
        let target = format!("{}{}", paths::EVENTS_STREAM, wire::write_query(&query));
        Ok(subscribe(self.client, target, since))
    }

    fn types_text(&self) -> Option<String> {
        (!self.types.is_empty()).then(|| self.types.join(","))
    }
}

/// The stream of events at `target`, after `since`.
pub(crate) fn subscribe(client: Client, target: String, since: u64) -> EventStream {
    let position = client.preferred();
    let subscription = Subscription {
        client,
        target,
        last: since,
        position,
        failures: 0,
        connection: None,
        ready: VecDeque::new(),
    };
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
    client: Client,
    target: String,
    /// The newest event that was given out.
    last: u64,
    position: usize,
    /// How many connections in a row brought nothing.
    failures: u32,
    connection: Option<Connection>,
    ready: VecDeque<Result<Event, Error>>,
}

struct Connection {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    parser: SseParser,
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
            if let Err(error) = this.read().await {
                return Some((Err(error), None));
            }
        }
    }

    /// Reads one chunk, on a new connection if there is none; `Err` is final.
    async fn read(&mut self) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else {
            return self.connect().await;
        };
        let mut events = Vec::new();
        let goes_on = match timeout(SILENCE_MAX, connection.body.next()).await {
            Ok(Some(Ok(chunk))) => connection.parser.push(&chunk, &mut events).is_ok(),
            Ok(Some(Err(_)) | None) | Err(_) => false,
        };
        if goes_on {
            self.failures = 0;
        } else {
            tracing::debug!(target = %self.target, last = self.last, "event stream broke");
            self.connection = None;
            self.position += 1;
        }
        for event in events {
            self.take(&event);
        }
        Ok(())
    }

    fn take(&mut self, event: &SseEvent) {
        if event.event == STREAM_EVENT_RESET {
            match serde_json::from_str::<StreamReset>(&event.data) {
                Ok(StreamReset { first_seq }) => {
                    self.last = first_seq.saturating_sub(1);
                    self.ready.push_back(Err(Error::EventsReset { first_seq }));
                }
                Err(error) => self.ready.push_back(Err(Error::Decode(error))),
            }
            return;
        }
        match serde_json::from_str::<Event>(&event.data) {
            Ok(event) if event.seq > self.last => {
                self.last = event.seq;
                self.ready.push_back(Ok(event));
            }
            Ok(_known) => {}
            Err(error) => self.ready.push_back(Err(Error::Decode(error))),
        }
    }

    /// Tries one node, after a pause if those before failed.
    async fn connect(&mut self) -> Result<(), Error> {
        if self.failures > 0 {
            tokio::time::sleep(backoff::pause(self.failures - 1)).await;
        }
        self.failures = self.failures.saturating_add(1);
        let url = format!("{}{}", self.client.node(self.position), self.target);
        let request = self.client.http().get(url).header(headers::LAST_EVENT_ID, self.last);
        let Ok(Ok(response)) = timeout(self.client.attempt_timeout(), request.send()).await else {
            self.position += 1;
            return Ok(());
        };
        let status = response.status();
        if status.is_success() {
            let body = response.bytes_stream().boxed();
            self.connection = Some(Connection { body, parser: SseParser::default() });
            return Ok(());
        }
        let body = timeout(self.client.attempt_timeout(), response.bytes()).await;
        let problem = read_problem(status.as_u16(), &body.ok().and_then(Result::ok).unwrap_or_default());
        if status.is_client_error() && !is_retryable(&problem) {
            return Err(Error::Problem(Box::new(problem)));
        }
        self.position += 1;
        Ok(())
    }
}
