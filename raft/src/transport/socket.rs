//! The two ends of a connection. TLS goes here: both ends then wrap the stream before they hand it out.
//! Knows nothing of frames.

use std::{io, time::Duration};

use orc_runtime::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use tokio::{io::BufReader, time::timeout};

const READ_BUFFER: usize = 64 << 10;

/// What arrives.
pub type Reader = BufReader<OwnedReadHalf>;
/// What leaves.
pub type Writer = OwnedWriteHalf;

/// Opens a connection to `host:port`.
pub async fn connect(address: &str, patience: Duration) -> io::Result<(Reader, Writer)> {
    let stream =
        timeout(patience, TcpStream::connect(address)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    split(stream)
}

/// Takes a connection that another node opened.
pub fn split(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((BufReader::with_capacity(READ_BUFFER, reader), writer))
}
