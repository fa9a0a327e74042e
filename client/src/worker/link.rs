//! One WebSocket to one node: to open it up to the node's welcome, to read lines, to write what waits as one frame.
//! Knows nothing of what the messages mean.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use crate::http::read_problem;
use crate::socket::{self, OpenError};
use crate::wire::Problem;
use crate::wire::session::{ByeReason, NodeMessage, Welcome, frame_lines};

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The node has to write the session into the log before it says welcome.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// A frame is closed once it is this long; one message may be longer.
const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Open(OpenError),
    #[error("the WebSocket failed: {0}")]
    Socket(#[from] tungstenite::Error),
    #[error("the node refuses the session: {0}")]
    Refused(Box<Problem>),
    #[error("the node said bye: {0}")]
    Bye(ByeReason),
    #[error("the node did not answer in time")]
    Silent,
    #[error("the node does not speak the protocol: {0}")]
    Protocol(String),
}

impl From<OpenError> for LinkError {
    fn from(error: OpenError) -> Self {
        match error.answer() {
            Some(response) if response.status().is_client_error() => {
                let body = response.body().as_deref().unwrap_or_default();
                Self::Refused(Box::new(read_problem(response.status().as_u16(), body)))
            }
            Some(_) | None => Self::Open(error),
        }
    }
}

/// An open session's WebSocket, in two halves, so that one can be read while the other waits to write.
pub(super) struct Link {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
}

/// What the node says.
pub(super) struct Incoming(SplitStream<WebSocketStream<TcpStream>>);

/// What the node is told; dropping it ends the connection.
pub(super) struct Outgoing {
    frames: mpsc::Sender<Message>,
    writer: AbortHandle,
}

impl Link {
    /// Connects, says hello and waits for the welcome; what came after it in the same frame is given too.
    pub(super) async fn open(
        base: &str,
        path: &str,
        hello: String,
    ) -> Result<(Self, Welcome, Vec<NodeMessage>), LinkError> {
        let (mut sink, incoming) = socket::open(base, path).await?.split();
        sink.send(Message::text(hello)).await?;
        let mut incoming = Incoming(incoming);
        let (welcome, rest) =
            timeout(WELCOME_TIMEOUT, incoming.welcome()).await.map_err(|_| LinkError::Silent)??;
        let (frames, receiver) = mpsc::channel(1);
        let writer = tokio::spawn(write(sink, receiver)).abort_handle();
        Ok((Self { incoming, outgoing: Outgoing { frames, writer } }, welcome, rest))
    }
}

impl Incoming {
    async fn welcome(&mut self) -> Result<(Welcome, Vec<NodeMessage>), LinkError> {
        while let Some(messages) = self.read().await {
            let mut messages = messages.into_iter();
            while let Some(message) = messages.next() {
                match message {
                    NodeMessage::Welcome(welcome) => return Ok((welcome, messages.collect())),
                    NodeMessage::Bye(bye) => return Err(LinkError::Bye(bye.reason)),
                    NodeMessage::Unknown(_) => {}
                    other => return Err(LinkError::Protocol(format!("{other:?} came before the welcome"))),
                }
            }
        }
        Err(LinkError::Silent)
    }

    /// The next messages; none when a frame holds none (a pong). `None`: the connection is gone.
    pub(super) async fn read(&mut self) -> Option<Vec<NodeMessage>> {
        match self.0.next().await? {
            Ok(Message::Text(text)) => Some(frame_lines(&text).filter_map(read_line).collect()),
            Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                Some(Vec::new())
            }
            Ok(Message::Close(_)) | Err(_) => None,
        }
    }
}

impl Outgoing {
    /// Waits until the writer is free, then gives it what waits in `outbox` as one frame. Nothing is taken out before, so
    /// this may be dropped. `None`: the connection is gone.
    pub(super) async fn write(&self, outbox: &mut VecDeque<Arc<str>>) -> Option<()> {
        let permit = self.frames.reserve().await.ok()?;
        let mut frame = String::new();
        while let Some(line) =
            outbox.pop_front_if(|line| frame.is_empty() || frame.len() + line.len() < FRAME_BYTES_MAX)
        {
            if !frame.is_empty() {
                frame.push('\n');
            }
            frame.push_str(&line);
        }
        permit.send(Message::text(frame));
        Some(())
    }

    /// Asks the node for a sign of life, unless the writer is busy.
    pub(super) fn ping(&self) {
        self.frames.try_send(Message::Ping(Bytes::new())).ok();
    }

    /// Closes the connection after what was written.
    pub(super) async fn close(&self) {
        let closed = async {
            self.frames.send(Message::Close(None)).await.ok();
            self.frames.closed().await;
        };
        timeout(CLOSE_TIMEOUT, closed).await.ok();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

fn read_line(line: &str) -> Option<NodeMessage> {
    NodeMessage::from_line(line)
        .inspect_err(|error| tracing::warn!(%error, "ignored a message that cannot be read"))
        .ok()
}

async fn write(
    mut sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    mut frames: mpsc::Receiver<Message>,
) {
    while let Some(frame) = frames.recv().await {
        let last = frame.is_close();
        if let Err(error) = sink.send(frame).await {
            tracing::debug!(%error, "the session's connection broke");
            return;
        }
        if last {
            return;
        }
    }
}
