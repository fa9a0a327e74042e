//! What attempts log, on its way to a node: bounded and in batches. What does not fit is dropped, the oldest of the attempt
//! first, and counted in a line of its own. Knows nothing of sockets; whoever has one asks what is due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::wire::session::{ComponentMessage, Log, Logged, TaskOrder, encode_frame};
use crate::wire::{LogStream, cut_log_line, dropped_log_lines};

/// How long a line may wait for others.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// So many bytes wait no longer; one message holds about as many.
const BATCH_BYTES: usize = 64 * 1024;
/// So many bytes may wait, or be taken and not written, over all attempts of a worker.
const BYTES_MAX: usize = 1024 * 1024;
/// What a line costs beyond its text.
const LINE_COST: usize = 64;

/// The lines of a worker's attempts that no node has; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By token, which no two attempts share.
    attempts: BTreeMap<u64, Attempt>,
    /// Of the lines that wait.
    bytes: usize,
    /// Of the lines that are taken and not written.
    taken: usize,
    /// Since when something waits.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Attempt {
    task_id: String,
    lines: VecDeque<Logged>,
    /// Lines dropped since the last ones were taken.
    dropped: u64,
    /// Lines taken and not written.
    taken: u64,
}

impl Logs {
    /// Takes a text, line by line.
    pub(super) fn add(&self, order: &TaskOrder, stream: &LogStream, text: &str) {
        let at = now_ms();
        let mut waiting = self.0.waiting.lock();
        let before = waiting.is_urgent();
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            let mut text = line.strip_suffix('\r').unwrap_or(line).to_owned();
            cut_log_line(&mut text);
            waiting.add(order, Logged { stream: stream.clone(), at, text });
        }
        if waiting.since.is_none() || waiting.is_urgent() != before {
            waiting.since = waiting.since.or_else(|| Some(Instant::now()));
            self.0.changed.notify_one();
        }
    }

    /// Returns once something is due. May be dropped at any time.
    pub(super) async fn due(&self) {
        loop {
            let at = match &*self.0.waiting.lock() {
                waiting if waiting.is_due() => return,
                waiting => waiting.since.map(|since| since + BATCH_TIME),
            };
            match at {
                Some(at) => {
                    tokio::select! { () = sleep_until(at) => {}, () = self.0.changed.notified() => {} }
                }
                None => self.0.changed.notified().await,
            }
        }
    }

    /// Whether something is due now.
    pub(super) fn is_due(&self) -> bool {
        self.0.waiting.lock().is_due()
    }

    /// Everything that waits, as messages.
    pub(super) fn take(&self) -> Vec<Arc<str>> {
        let mut waiting = self.0.waiting.lock();
        waiting.taken += std::mem::take(&mut waiting.bytes);
        waiting.since = None;
        let messages = waiting.attempts.iter_mut().flat_map(|(token, attempt)| attempt.messages(*token));
        messages.map(|message| encode_frame([&ComponentMessage::Log(message)]).into()).collect()
    }

    /// What was taken is written.
    pub(super) fn written(&self) {
        let mut waiting = self.0.waiting.lock();
        if waiting.taken == 0 {
            return;
        }
        waiting.taken = 0;
        waiting.attempts.retain(|_, attempt| {
            attempt.taken = 0;
            !attempt.lines.is_empty() || attempt.dropped > 0
        });
    }

    /// What was taken is lost with its connection.
    pub(super) fn lost(&self) {
        let mut waiting = self.0.waiting.lock();
        waiting.taken = 0;
        for attempt in waiting.attempts.values_mut() {
            attempt.dropped += std::mem::take(&mut attempt.taken);
        }
        if waiting.attempts.values().any(|attempt| attempt.dropped > 0) {
            waiting.since = waiting.since.or_else(|| Some(Instant::now()));
        }
    }

    /// The lines of an attempt that wait.
    pub(super) fn waiting(&self, token: u64) -> Vec<Logged> {
        let waiting = self.0.waiting.lock();
        waiting
            .attempts
            .get(&token)
            .map(|attempt| attempt.lines.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl Waiting {
    fn add(&mut self, order: &TaskOrder, line: Logged) {
        let attempt = self.attempts.entry(order.token).or_insert_with(|| Attempt {
            task_id: order.task_id.clone(),
            lines: VecDeque::new(),
            dropped: 0,
            taken: 0,
        });
        while self.bytes + self.taken + cost(&line) > BYTES_MAX {
            attempt.dropped += 1;
            match attempt.lines.pop_front() {
                Some(oldest) => self.bytes -= cost(&oldest),
                None => return,
            }
        }
        self.bytes += cost(&line);
        attempt.lines.push_back(line);
    }

    fn is_urgent(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    fn is_due(&self) -> bool {
        self.since.is_some_and(|since| self.is_urgent() || since.elapsed() >= BATCH_TIME)
    }
}

impl Attempt {
    /// Takes all its lines, with one that counts the dropped ones before them.
    fn messages(&mut self, token: u64) -> Vec<Log> {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let at = self.lines.front().map_or_else(now_ms, |line| line.at);
            let text = dropped_log_lines(dropped, "the connection to the node could not take them");
            self.lines.push_front(Logged { stream: LogStream::System, at, text });
        }
        self.taken += self.lines.len() as u64;
        let (mut messages, mut bytes) = (Vec::<Log>::new(), BATCH_BYTES);
        for line in self.lines.drain(..) {
            if bytes >= BATCH_BYTES {
                bytes = 0;
                messages.push(Log { task_id: self.task_id.clone(), token, lines: Vec::new() });
            }
            bytes += cost(&line);
            messages.last_mut().expect("one was just pushed").lines.push(line);
        }
        messages
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn cost(line: &Logged) -> usize {
    line.text.len() + LINE_COST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(token: u64) -> TaskOrder {
        let order = format!(r#"{{"taskId":"t{token}","token":{token},"action":"a"}}"#);
        serde_json::from_str(&order).expect("an order")
    }

    fn add(logs: &Logs, token: u64, text: &str) {
        logs.add(&order(token), &LogStream::Stdout, text);
    }

    /// The texts of all messages taken.
    fn texts(logs: &Logs) -> Vec<String> {
        let messages = logs.take();
        let lines = messages.iter().flat_map(|message| match ComponentMessage::from_line(message) {
            Ok(ComponentMessage::Log(log)) => log.lines,
            other => panic!("no log: {other:?}"),
        });
        lines.map(|line| line.text).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn lines_wait_for_others_but_not_for_long() {
        let logs = Logs::default();
        add(&logs, 1, "one\r\ntwo\n");
        add(&logs, 1, "");
        assert!(!logs.is_due());
        let begun = Instant::now();
        logs.due().await;
        assert_eq!(begun.elapsed(), BATCH_TIME);
        assert_eq!(texts(&logs), ["one", "two", ""]);
        assert!(!logs.is_due());
        for _ in 0..8 {
            add(&logs, 1, &"x".repeat(BATCH_BYTES / 8));
        }
        let begun = Instant::now();
        logs.due().await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "a full batch waits for nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_dropped_and_counted() {
        let logs = Logs::default();
        let line = "x".repeat(1024 - LINE_COST);
        add(&logs, 2, "another attempt keeps its lines");
        for number in 0..1100 {
            add(&logs, 1, &format!("{number:04}{}", &line[4..]));
        }
        let taken = logs.take();
        assert!(taken.iter().map(|message| message.len()).sum::<usize>() < 2 * BYTES_MAX);
        assert!(taken.iter().all(|message| message.len() < 2 * BATCH_BYTES), "one message stays small");
        add(&logs, 1, &line);
        assert_eq!(logs.waiting(1), []);
        logs.written();
        add(&logs, 1, "room again");
        let again = texts(&logs);
        assert!(again[0].starts_with("1 line was dropped here"), "{again:?}");
        assert_eq!(again[1], "room again");
        let lines: Vec<Log> = taken
            .iter()
            .map(|message| match ComponentMessage::from_line(message) {
                Ok(ComponentMessage::Log(log)) => log,
                other => panic!("no log: {other:?}"),
            })
            .collect();
        let first = &lines[0].lines;
        assert!(first[0].text.starts_with("77 lines were dropped here"), "{}", first[0].text);
        assert!(first[1].text.starts_with("0077"), "the oldest go first");
        assert_eq!(lines.last().map(|log| log.task_id.as_str()), Some("t2"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_with_a_connection_is_counted() {
        let logs = Logs::default();
        add(&logs, 1, "a\nb");
        assert_eq!(texts(&logs), ["a", "b"]);
        logs.lost();
        logs.due().await;
        assert!(texts(&logs)[0].starts_with("2 lines were dropped here"));
        logs.written();
        assert!(!logs.is_due() && logs.take().is_empty());
    }
}
