//! The unit of traffic: body length, kind, number of the request, body.
//! Knows nothing of connections.

use std::{io, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::timeout,
};

use super::FRAME_MAX;

const HEADER: usize = 4 + 1 + 8;
/// A peer that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks.
    Request,
    /// Answers the request of the same number.
    Response,
    /// Asks whether anybody is there.
    Ping,
    /// Answers a ping.
    Pong,
}

/// One message on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Which request it is or answers.
    pub id: u64,
    /// What it says.
    pub body: Bytes,
}

impl Kind {
    fn from_byte(byte: u8) -> io::Result<Kind> {
        [Kind::Request, Kind::Response, Kind::Ping, Kind::Pong]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown frame kind"))
    }
}

impl Frame {
    /// Appends the frame to what is to be written.
    pub fn put(&self, buffer: &mut BytesMut) {
        let length =
            u32::try_from(self.body.len()).expect("bodies are checked against FRAME_MAX when they are made");
        buffer.reserve(HEADER + self.body.len());
        buffer.put_u32_le(length);
        buffer.put_u8(self.kind as u8);
        buffer.put_u64_le(self.id);
        buffer.put_slice(&self.body);
    }

    /// Reads the next frame.
    pub async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
        let length = reader.read_u32_le().await? as usize;
        if length > FRAME_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
        }
        let kind = Kind::from_byte(reader.read_u8().await?)?;
        let id = reader.read_u64_le().await?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await?;
        Ok(Frame { kind, id, body: Bytes::from(body) })
    }
}

/// Waits for something to send and takes what waits; none at the end. When there was more than one the last time (`busy`),
/// also what others are about to put there. What was taken when this is dropped is in `batch`.
pub async fn gather<T>(
    waiting: &mut mpsc::Receiver<T>,
    batch: &mut Vec<T>,
    most: usize,
    busy: &mut bool,
) -> usize {
    if waiting.recv_many(batch, most).await > 0 && *busy {
        tokio::task::yield_now().await;
        while batch.len() < most
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
    }
    *busy = batch.len() > 1;
    batch.len()
}

/// Writes everything gathered and empties the buffer.
pub async fn flush(writer: &mut (impl AsyncWrite + Unpin), buffer: &mut BytesMut) -> io::Result<()> {
    timeout(WRITE_PATIENCE, writer.write_all(buffer)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    buffer.clear();
    Ok(())
}
