//! Opens a WebSocket to a node. Knows nothing of what is said over it.

use std::time::Duration;

use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, http::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("the node cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    #[error("the WebSocket failed: {0}")]
    Socket(Box<tungstenite::Error>),
    #[error("the node did not answer in time")]
    Silent,
}

impl OpenError {
    /// The HTTP answer of a node that does not upgrade.
    pub(crate) fn answer(&self) -> Option<&Response<Option<Vec<u8>>>> {
        match self {
            Self::Socket(error) => match &**error {
                tungstenite::Error::Http(response) => Some(response),
                _ => None,
            },
            Self::Io(_) | Self::Silent => None,
        }
    }
}

/// Connects to the node at `base`, a URL, and upgrades `path`.
pub(crate) async fn open(base: &str, path: &str) -> Result<WebSocketStream<TcpStream>, OpenError> {
    let url = Url::parse(base).map_err(std::io::Error::other)?;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    let connect = TcpStream::connect(format!("{host}:{port}"));
    let stream = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| OpenError::Silent)??;
    stream.set_nodelay(true)?;
    let upgrade = client_async(format!("ws://{host}:{port}{path}"), stream);
    match timeout(UPGRADE_TIMEOUT, upgrade).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(OpenError::Socket(Box::new(error))),
        Err(_) => Err(OpenError::Silent),
    }
}
