//! A stream's bytes as lines of the attempt's log, as they are written.
//! Knows nothing of where the log goes; the worker sends it.

use orc_client::TaskCtx;
use orc_client::wire::{LOG_LINE_BYTES_MAX, LogStream};

/// A line that a [`Reading`] is given may be so long; it has no more of a longer one.
const READ_LINE_BYTES_MAX: usize = 1024 * 1024;

/// Makes the text for people of a line for machines.
pub(crate) type Reading = fn(&str) -> String;

/// What of a program's output goes to the attempt's log.
pub(crate) enum OutputLog {
    Nothing,
    Lines,
    /// What this makes of each line.
    Read(Reading),
}

/// The line that is being written; each one is logged at its end.
pub(super) struct Lines {
    ctx: TaskCtx,
    stream: LogStream,
    reading: Option<Reading>,
    line: Vec<u8>,
}

impl Lines {
    /// Of a stream that belongs to an attempt.
    pub(super) fn new(ctx: TaskCtx, stream: LogStream) -> Self {
        Self { ctx, stream, reading: None, line: Vec::new() }
    }

    /// Of the standard output of an attempt's program.
    pub(super) fn of_output(ctx: TaskCtx, log: &OutputLog) -> Option<Self> {
        let lines = Self::new(ctx, LogStream::Stdout);
        match log {
            OutputLog::Nothing => None,
            OutputLog::Lines => Some(lines),
            OutputLog::Read(reading) => Some(Self { reading: Some(*reading), ..lines }),
        }
    }

    /// Takes what was written next.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        for (place, piece) in chunk.split(|&byte| byte == b'\n').enumerate() {
            if place > 0 {
                self.log();
            }
            // One byte too many is kept, so that the log sees that there was more.
            let max = self.reading.map_or(LOG_LINE_BYTES_MAX + 1, |_| READ_LINE_BYTES_MAX);
            let room = max.saturating_sub(self.line.len());
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
        let line = String::from_utf8_lossy(&self.line);
        match self.reading {
            Some(reading) => self.ctx.log_to(&self.stream, reading(&line)),
            None => self.ctx.log_to(&self.stream, line),
        }
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
