//! `orc healthcheck`: asks one node's `/readyz`; small, for containers.
//! Knows as much HTTP as that takes.

use std::time::Duration;

use clap::Args;
use orc_client::wire::paths::READYZ;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Failure, Global};

const TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_MAX: u64 = 16 * 1024;

/// Exits 0 if the node is ready.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc healthcheck\n  orc healthcheck --addr http://127.0.0.1:7421 --timeout 1s"
)]
pub struct HealthArgs {}

/// Does it, with the first address.
pub(super) async fn run(global: &Global, _args: &HealthArgs) -> Result<(), Failure> {
    let address = global.addr.first().map_or("127.0.0.1:7420", String::as_str);
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let answered = tokio::time::timeout(global.timeout.unwrap_or(TIMEOUT), ask(address)).await;
    match answered {
        Ok(Ok(answer)) => judge(address, &answer),
        Ok(Err(error)) => Err(Failure::NotReady(format!("{address}: {error}"))),
        Err(_) => Err(Failure::NotReady(format!("{address} does not answer"))),
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {READYZ} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(address: &str, answer: &str) -> Result<(), Failure> {
    let status = answer.split_whitespace().nth(1).unwrap_or("no status");
    if status == "200" {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    Err(Failure::NotReady(format!("{address} is not ready ({status}) {body}")))
}
