//! One event stream over many connections: where one breaks, the next one goes on after the last event, on another node.
//! Knows nothing of what events say.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::timeout;

use crate::error::is_retryable;
use crate::http::read_problem;
use crate::sse::{SseEvent, SseParser};
use crate::wire::headers;
use crate::{Client, Error, backoff};

/// Nodes send a comment every 15 s; one that is silent for three of them is left.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// A stream's target, and the connection to it while there is one.
pub(crate) struct Feed {
    client: Client,
    target: String,
    position: usize,
    /// How many connections in a row brought nothing.
    failures: u32,
    connection: Option<Connection>,
}

struct Connection {
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    parser: SseParser,
}

impl Feed {
    /// The stream at a path with its query.
    pub(crate) fn new(client: Client, target: String) -> Self {
        let position = client.preferred();
        Self { client, target, position, failures: 0, connection: None }
    }

    /// Reads one chunk, on a new connection that goes on after `last` if there is none; `Err` is final.
    pub(crate) async fn read(&mut self, last: &str) -> Result<Vec<SseEvent>, Error> {
        let mut events = Vec::new();
        let Some(connection) = &mut self.connection else {
            self.connect(last).await?;
            return Ok(events);
        };
        let goes_on = match timeout(SILENCE_MAX, connection.body.next()).await {
            Ok(Some(Ok(chunk))) => connection.parser.push(&chunk, &mut events).is_ok(),
            Ok(Some(Err(_)) | None) | Err(_) => false,
        };
        if goes_on {
            self.failures = 0;
        } else {
            tracing::debug!(target = %self.target, last, "event stream broke");
            self.connection = None;
            self.position += 1;
        }
        Ok(events)
    }

    /// Tries one node, after a pause if those before failed.
    async fn connect(&mut self, last: &str) -> Result<(), Error> {
        if self.failures > 0 {
            tokio::time::sleep(backoff::pause(self.failures - 1)).await;
        }
        self.failures = self.failures.saturating_add(1);
        let url = format!("{}{}", self.client.node(self.position), self.target);
        let mut request = self.client.http().get(url);
        if !last.is_empty() {
            request = request.header(headers::LAST_EVENT_ID, last);
        }
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
