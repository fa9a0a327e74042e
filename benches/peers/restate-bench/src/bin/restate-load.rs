//! Starts workflows over HTTP/1.1 in a closed loop, each call answered with the workflow's result.
//! One connection per caller, spread over the nodes. Prints one JSON document.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use benchkit::{Load, closed_loop, on_one_thread};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Mutex};

type Sender = http1::SendRequest<Full<Bytes>>;

#[derive(Parser)]
#[command(about = "Loads the ingress of a Restate cluster and prints what it measured as JSON")]
struct Arguments {
    /// The nodes' ingress addresses, host:port.
    #[arg(long, value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// What is called.
    #[arg(long, default_value = "/Workflow/run")]
    path: String,
    #[command(flatten)]
    load: Load,
}

fn main() -> Result<()> {
    let Arguments { nodes, path, load } = Arguments::parse();
    on_one_thread(async {
        let callers: Arc<Vec<Caller>> =
            Arc::new(nodes.iter().cycle().take(load.clients as usize).map(|node| Caller::of(node)).collect());
        let call = move |caller: usize, _| {
            let (callers, path) = (callers.clone(), path.clone());
            async move { callers[caller].call(&path).await }
        };
        closed_loop(&load, call).await?.print()
    })
}

/// A caller and its connection; only one call at a time uses it.
struct Caller {
    node: String,
    connection: Mutex<Option<Sender>>,
}

impl Caller {
    fn of(node: &str) -> Self {
        Self { node: node.to_owned(), connection: Mutex::new(None) }
    }

    async fn call(&self, path: &str) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let mut sender = match connection.take() {
            Some(sender) if !sender.is_closed() => sender,
            Some(_) | None => connect(&self.node).await?,
        };
        sender.ready().await?;
        let request = Request::post(path)
            .header(header::HOST, &self.node)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from("{}"))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        // Only a connection whose answer was read to its end is used again.
        *connection = Some(sender);
        Ok(())
    }
}

async fn connect(node: &str) -> Result<Sender> {
    let stream = TcpStream::connect(node).await.with_context(|| format!("cannot connect to {node}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with its sender; what went wrong is the sender's error too.
    tokio::spawn(connection);
    Ok(sender)
}
