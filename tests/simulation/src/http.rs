//! Plain HTTP over the simulated network: one connection for each node, one request at a time on it.
//! Knows nothing of what is asked.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use orc_runtime::net::TcpStream;
use serde_json::Value;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(3);
const TO_CONNECT: Duration = Duration::from_secs(1);

/// A request to a path below `/api/v1`.
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub path: &'a str,
    /// Headers beside those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// A JSON body.
    pub body: Option<Value>,
}

impl<'a> Ask<'a> {
    /// Without headers or body.
    pub fn new(method: Method, path: &'a str) -> Self {
        Ask { method, path, headers: Vec::new(), body: None }
    }

    /// With a JSON body.
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An answer.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// The rev it is as new as.
    pub rev: Option<u64>,
    /// Its body.
    pub body: Value,
}

/// There is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Nothing was sent.
    NotSent,
    /// It may have been done.
    Unknown,
}

/// The connections of one caller.
#[derive(Default)]
pub struct Http {
    open: BTreeMap<String, http1::SendRequest<Full<Bytes>>>,
}

impl Http {
    /// Asks a node, `host:port`, and takes the whole answer.
    pub async fn ask(&mut self, node: &str, ask: Ask<'_>) -> Result<Reply, Failed> {
        let response = self.send(node, ask).await?;
        let (head, body) = response.into_parts();
        let body = timeout(PATIENCE, body.collect()).await;
        let Ok(Ok(body)) = body else {
            self.open.remove(node);
            return Err(Failed::Unknown);
        };
        let rev = head.headers.get("orc-index").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = body.to_bytes();
        let body = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
        Ok(Reply { status: head.status, rev, body: body.map_err(|_| Failed::Unknown)? })
    }

    /// Asks a node for an answer that may be without end.
    pub async fn send(&mut self, node: &str, ask: Ask<'_>) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("/api/v1{}", ask.path))
            .header("host", node)
            .header("content-type", "application/json");
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let body = ask.body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request.body(Full::new(body)).map_err(|_| Failed::NotSent)?;
        let mut connection = match self.open.remove(node).filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => connect(node).await?,
        };
        let sent = timeout(PATIENCE, async {
            connection.ready().await.map_err(|_| Failed::NotSent)?;
            connection.send_request(request).await.map_err(|_| Failed::Unknown)
        });
        let response = sent.await.map_err(|_| Failed::Unknown)??;
        self.open.insert(node.to_owned(), connection);
        Ok(response)
    }
}

async fn connect(node: &str) -> Result<http1::SendRequest<Full<Bytes>>, Failed> {
    let stream = timeout(TO_CONNECT, TcpStream::connect(node)).await;
    let stream = stream.map_err(|_| Failed::NotSent)?.map_err(|_| Failed::NotSent)?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|_| Failed::NotSent)?;
    tokio::spawn(connection);
    Ok(sender)
}
