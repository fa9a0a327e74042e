//! The end of a stream: everything is read, so that the writer never blocks, and the last bytes are kept.
//! Knows nothing of who writes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::lines::Lines;

const CHUNK_BYTES: usize = 16 * 1024;

/// The last bytes of a stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    /// Whether there were more.
    pub(crate) truncated: bool,
}

impl Tail {
    /// All that was kept, as text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        self.last(usize::MAX)
    }

    /// At most the last `count` bytes as text.
    pub(crate) fn last(&self, count: usize) -> String {
        let bytes: Vec<u8> =
            self.bytes.iter().skip(self.bytes.len().saturating_sub(count)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn push(&mut self, chunk: &[u8], max: usize) {
        self.bytes.extend(chunk);
        let excess = self.bytes.len().saturating_sub(max);
        self.truncated |= excess > 0;
        self.bytes.drain(..excess);
    }
}

/// Reads a stream in a task of its own.
pub(super) struct Reader {
    tail: Arc<Mutex<Tail>>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Keeps the last `max` bytes, and logs every line if there is a log.
    pub(super) fn start(
        mut stream: impl AsyncRead + Send + Unpin + 'static,
        max: usize,
        mut log: Option<Lines>,
    ) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let shared = Arc::clone(&tail);
        let task = tokio::spawn(async move {
            let mut chunk = vec![0; CHUNK_BYTES];
            // An error of a pipe is its end.
            while let Ok(count @ 1..) = stream.read(&mut chunk).await {
                shared.lock().unwrap_or_else(PoisonError::into_inner).push(&chunk[..count], max);
                if let Some(log) = &mut log {
                    log.push(&chunk[..count]);
                }
            }
            if let Some(log) = log {
                log.end();
            }
        });
        Self { tail, task }
    }

    /// What was read until the stream's end, which is waited for at most for `grace`.
    pub(super) async fn finish(mut self, grace: Duration) -> Tail {
        timeout(grace, &mut self.task).await.ok();
        std::mem::take(&mut *self.tail.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut tail = Tail::default();
        tail.push(b"hello", 5);
        assert!(!tail.truncated);
        tail.push("é".as_bytes(), 5);
        assert_eq!((tail.text().as_str(), tail.truncated), ("lloé", true));
        assert_eq!(tail.last(1), "\u{fffd}");
    }
}
