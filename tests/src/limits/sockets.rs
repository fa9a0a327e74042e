//! Plain connections: made from an address of choice, written to, and read as far as wanted.
//! Knows nothing of why somebody would not read.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::scene::socket_of;

/// A head, and the time to connect, comes within this.
const PATIENCE: Duration = Duration::from_secs(75);

/// A connection to a node from one of the addresses of this machine, with room for so many bytes on their way in.
pub async fn connect(url: &str, from: IpAddr, room: u32) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(room)?;
    socket.bind((from, 0).into())?;
    let stream = timeout(PATIENCE, socket.connect(socket_of(url)?)).await.context("connecting")??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The head of a `GET` of a path below `/api/v1`.
pub fn get(path: &str) -> String {
    format!("GET /api/v1{path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Sends bytes.
pub async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    Ok(timeout(PATIENCE, stream.write_all(bytes)).await.context("writing")??)
}

/// Reads an answer up to its end or its first KiB or so: its status and the code of its problem.
pub async fn answer(stream: &mut TcpStream) -> Result<String> {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = timeout(PATIENCE, stream.read(&mut piece)).await.context("reading")??;
        text.extend_from_slice(&piece[..count]);
        let told = String::from_utf8_lossy(&text);
        let status = told.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        match status {
            Some(status) if status.starts_with('2') => return Ok(status.to_owned()),
            Some(status) => {
                let code = told.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
                if let Some((code, _)) = code {
                    return Ok(format!("{status} {code}"));
                }
                if count == 0 || told.contains("content-length: 0") {
                    return Ok(status.to_owned());
                }
            }
            None if count == 0 => bail!("closed"),
            None => {}
        }
    }
}

/// Reads until the other side ends or `bytes` came.
pub async fn take(stream: &mut TcpStream, bytes: usize) -> Result<bool> {
    let mut piece = vec![0; bytes.min(64 << 10)];
    let mut left = bytes;
    while left > 0 {
        let wanted = left.min(piece.len());
        let count = stream.read(&mut piece[..wanted]).await?;
        if count == 0 {
            return Ok(false);
        }
        left -= count;
    }
    Ok(true)
}
