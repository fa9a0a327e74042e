//! A stream's bytes as lines of the attempt's log, as they are written.
//! Knows nothing of where the log goes; the worker sends it.

use orc_client::TaskCtx;
use orc_client::wire::{LOG_LINE_BYTES_MAX, LogStream};

/// The line that is being written; each one is logged at its end.
pub(super) struct Lines {
    ctx: TaskCtx,
    stream: LogStream,
    line: Vec<u8>,
}

impl Lines {
    /// Of a stream that belongs to an attempt.
    pub(super) fn new(ctx: TaskCtx, stream: LogStream) -> Self {
        Self { ctx, stream, line: Vec::new() }
    }

    /// Takes what was written next.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        for (place, piece) in chunk.split(|&byte| byte == b'\n').enumerate() {
            if place > 0 {
                self.log();
            }
            // One byte too many is kept, so that the log sees that there was more.
            let room = (LOG_LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
            self.line.extend(&piece[..piece.len().min(room)]);
        }
    }

    /// The stream has ended, perhaps within a line.
    pub(super) fn end(mut self) {
        if !self.line.is_empty() {
            self.log();
        }
    }

    fn log(&mut self) {
        self.ctx.log_to(&self.stream, String::from_utf8_lossy(&self.line));
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::context;

    #[test]
    fn lines_are_logged_as_they_end() {
        let (ctx, _stop) = context();
        let mut lines = Lines::new(ctx.clone(), LogStream::Stderr);
        lines.push(b"on");
        assert_eq!(ctx.logged(), []);
        lines.push(b"e\r\n\ntw\xffo\nlo");
        lines.push(&vec![b'x'; 2 * LOG_LINE_BYTES_MAX]);
        lines.push(b"\nend");
        lines.end();
        let logged = ctx.logged();
        assert!(logged.iter().all(|line| line.stream == LogStream::Stderr));
        let texts: Vec<&str> = logged.iter().map(|line| line.text.as_str()).collect();
        assert_eq!((&texts[..3], texts[4]), (&["one", "", "tw\u{fffd}o"][..], "end"));
        assert!(texts[3].starts_with("lox") && texts[3].ends_with("x…"), "a long line is cut");
        assert_eq!(texts[3].len(), LOG_LINE_BYTES_MAX + '…'.len_utf8());
    }
}
