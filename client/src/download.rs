//! A file as it comes from a node in pieces: a backup, whose length is known from the beginning, or an export.
//! Knows nothing of what is in it; whoever keeps it checks it.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::Response;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::error::TransportError;
use crate::http::{number, read_problem};
use crate::wire::headers;
use crate::{Client, Error, backoff};

/// How long a node may take to copy its state before it answers, on top of the time of an attempt.
const PATIENCE: Duration = Duration::from_secs(60);
/// A node that sends nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// A file on its way; dropped, it is given up.
pub struct Download {
    node: String,
    rev: u64,
    size: u64,
    received: u64,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
}

impl Download {
    /// Asks node after node until one begins to send.
    pub(crate) async fn begin(client: &Client, target: &str) -> Result<Self, Error> {
        let give_up = Instant::now() + client.timeout();
        let nodes = u32::try_from(client.nodes().len()).unwrap_or(u32::MAX);
        let (mut position, mut attempts) = (client.preferred(), 0);
        loop {
            let failure = match Self::ask(client, position, target).await {
                Ok(download) => return Ok(download),
                Err(failure) => failure,
            };
            attempts += 1;
            let last = failure.tell(attempts);
            let pause = match attempts % nodes {
                0 => backoff::pause(attempts / nodes - 1),
                _ => Duration::ZERO,
            };
            if !last.is_retryable() || !client.retries() || Instant::now() + pause >= give_up {
                return Err(last);
            }
            tokio::time::sleep(pause).await;
            position += 1;
        }
    }

    async fn ask(client: &Client, position: usize, target: &str) -> Result<Self, Failure> {
        let within = client.attempt_timeout() + PATIENCE;
        let node = client.node(position).to_owned();
        let request = client.http().get(format!("{node}{target}"));
        let silent = || TransportError::Silent { node: node.clone(), timeout: within };
        let response = timeout(within, request.send()).await.map_err(|_| Failure::Transport(silent()))?;
        let response = response.map_err(|error| Failure::Transport(error.into()))?;
        if !response.status().is_success() {
            return Err(Failure::of(response, client.attempt_timeout()).await);
        }
        let number = |name| number(response.headers(), name);
        let (rev, size) = (number(headers::ORC_INDEX), number(reqwest::header::CONTENT_LENGTH.as_str()));
        let (rev, size) = (rev.unwrap_or(0), size.unwrap_or(0));
        Ok(Download { node, rev, size, received: 0, body: response.bytes_stream().boxed() })
    }

    /// The log index that it stands for.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.rev
    }

    /// The length of the whole file in bytes; zero if something between here and the node does not say.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The bytes that have come.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next piece of the file; none once all of it has come.
    ///
    /// # Errors
    /// [`Error::Unreachable`] if the connection breaks or the node falls silent: what came is of no use then.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        let last = match timeout(SILENCE_MAX, self.body.next()).await {
            Ok(Some(Ok(piece))) => {
                self.received += piece.len() as u64;
                return Ok(Some(piece));
            }
            Ok(None) if self.size == 0 || self.received == self.size => return Ok(None),
            Ok(None) => TransportError::Lost { node: self.node.clone() },
            Ok(Some(Err(error))) => error.into(),
            Err(_) => TransportError::Silent { node: self.node.clone(), timeout: SILENCE_MAX },
        };
        Err(Error::Unreachable { attempts: 1, executed: Some(false), last })
    }

    /// Writes all of it, and returns how many bytes that were.
    ///
    /// # Errors
    /// As [`Download::next_piece`]; [`Error::Usage`] if the writer fails.
    pub async fn write_to(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<u64, Error> {
        let failed = |error: std::io::Error| Error::Usage(format!("the file cannot be written: {error}"));
        while let Some(piece) = self.next_piece().await? {
            writer.write_all(&piece).await.map_err(failed)?;
        }
        writer.flush().await.map_err(failed)?;
        Ok(self.received)
    }
}

/// How an attempt failed.
enum Failure {
    Problem(Box<crate::Problem>),
    Transport(TransportError),
}

impl Failure {
    fn tell(self, attempts: u32) -> Error {
        match self {
            Self::Problem(problem) => Error::Problem(problem),
            Self::Transport(last) => Error::Unreachable { attempts, executed: Some(false), last },
        }
    }

    async fn of(response: Response, within: Duration) -> Self {
        let status = response.status().as_u16();
        let body = timeout(within, response.bytes()).await.ok().and_then(Result::ok);
        Self::Problem(Box::new(read_problem(status, &body.unwrap_or_default())))
    }
}
