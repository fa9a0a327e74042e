//! A parser of event streams (`text/event-stream`, WHATWG HTML 9.2), fed with whatever chunks arrive.
//! Knows nothing of what an event says or where it comes from.

/// The longest line or event that is read; a stream with a longer one is broken off.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    pub(crate) event: String,
    /// Empty: there is only a place up to which everything has come.
    pub(crate) data: String,
    pub(crate) id: String,
}

/// The stream holds a line or an event that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The state between two chunks. `retry` lines are skipped.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    /// The last byte was `\r`: a `\n` that follows belongs to it.
    after_cr: bool,
}

impl SseParser {
    /// Takes a chunk, which may end anywhere, and adds the events it completes to `events`.
    pub(crate) fn push(&mut self, chunk: &[u8], events: &mut Vec<SseEvent>) -> Result<(), TooLong> {
        for &byte in chunk {
            match byte {
                b'\n' if self.after_cr => {}
                b'\n' | b'\r' => self.end_line(events),
                other => self.line.push(other),
            }
            self.after_cr = byte == b'\r';
            if self.line.len() + self.event.data.len() > BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) || !event.id.is_empty() {
                events.push(event);
            }
            return;
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.event),
            "id" => value.clone_into(&mut self.event.id),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            // A comment (an empty field) or a field that is not used here.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, expected: &[(&str, &str, &str)]) {
        let expected: Vec<SseEvent> = expected
            .iter()
            .map(|&(id, event, data)| SseEvent { id: id.into(), event: event.into(), data: data.into() })
            .collect();
        for size in 1..=stream.len() {
            let (mut parser, mut events) = (SseParser::default(), Vec::new());
            for chunk in stream.as_bytes().chunks(size) {
                parser.push(chunk, &mut events).expect("short enough");
            }
            assert_eq!(events, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn events_are_read_whatever_the_chunks() {
        check("id: 7\ndata: {\"a\":1}\n\n", &[("7", "", "{\"a\":1}")]);
        check(": hi\n\nretry: 2000\n\nevent: reset\ndata:5\n\n: bye\n\n", &[("", "reset", "5")]);
        let two = [("", "", "zwei\n Zeilen é"), ("", "", "")];
        check("data: zwei\r\ndata:  Zeilen é\r\n\r\ndata\r\rdata: x", &two);
        check("event: lost without data\n\ndata: b\nunknown: c\n\n", &[("", "", "b")]);
        check(": heartbeat\nid: 9\n\n", &[("9", "", "")]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        let chunk = vec![b'x'; BYTES_MAX];
        assert_eq!(parser.push(&chunk, &mut events), Ok(()));
        assert_eq!(parser.push(b"y", &mut events), Err(TooLong));
    }
}
