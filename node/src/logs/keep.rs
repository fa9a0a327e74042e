//! The thread that writes the files and keeps them within their bounds. Nothing waits for it: what it cannot write is lost.
//! Knows nothing of readers; they see what the index says is written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::{
    Batch, LogLimits, Owner,
    index::{Index, LogFile, now_ms},
};

/// How often old logs are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// Orders carried out before readers are told.
const BURST_MAX: usize = 256;
/// A log is this many files: one that is written to, and the one before it.
const FILES_PER_LOG: usize = 2;

/// What the thread is told.
pub(super) enum Order {
    /// Write these lines; they count so many bytes in the queue.
    Append(Batch, usize),
    /// Say when everything before this is written.
    Tell(oneshot::Sender<()>),
}

/// The thread's own.
pub(super) struct Keeper {
    pub(super) folder: PathBuf,
    pub(super) limits: LogLimits,
    pub(super) index: Arc<Mutex<Index>>,
    pub(super) queued: Arc<AtomicUsize>,
    /// Told after each burst.
    pub(super) grown: watch::Sender<()>,
    /// The last write failed: that is told once.
    pub(super) failing: bool,
}

impl Keeper {
    /// Carries out orders until nobody can give any.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        self.sweep(now_ms());
        let mut swept = Instant::now();
        loop {
            let first = match orders.recv_timeout(SWEEP) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let burst = first.into_iter().chain(orders.try_iter().take(BURST_MAX));
            for order in burst {
                match order {
                    Order::Append(batch, bytes) => {
                        let appended = self.append(&batch);
                        self.queued.fetch_sub(bytes, Ordering::AcqRel);
                        self.note(batch.owner, appended);
                    }
                    Order::Tell(told) => {
                        // It stopped waiting.
                        let _ = told.send(());
                    }
                }
            }
            self.grown.send_replace(());
            if swept.elapsed() >= SWEEP || self.index.lock().bytes() > self.limits.total_bytes {
                self.sweep(now_ms());
                swept = Instant::now();
            }
        }
    }

    fn note(&mut self, owner: Owner, appended: io::Result<()>) {
        if let Err(error) = &appended
            && !self.failing
        {
            tracing::error!(%owner, %error, "logs of tasks cannot be written and are lost");
        }
        self.failing = appended.is_err();
    }

    /// Writes lines behind a log, in a new file where the one before is half of what a log may have.
    fn append(&self, batch: &Batch) -> io::Result<()> {
        let file_max = self.limits.owner_bytes / FILES_PER_LOG as u64;
        let known = self.index.lock().files(batch.owner).pop();
        let mut current = match known {
            Some(LogFile { lines: None, .. }) | None => self.open_again(batch.owner, known)?,
            Some(file) => file,
        };
        let (mut text, mut lines) = (Vec::new(), 0);
        for record in &batch.records {
            let line = serde_json::to_vec(record)?;
            let length = current.length + text.len() as u64;
            if length > 0 && length + line.len() as u64 >= file_max {
                self.write(batch.owner, &mut current, (&text, lines))?;
                (text, lines) = (Vec::new(), 0);
                current = self.next_file(batch.owner, &current);
            }
            text.extend(line);
            text.push(b'\n');
            lines += 1;
        }
        self.write(batch.owner, &mut current, (&text, lines))
    }

    /// The file of an earlier life of this node to go on with, its lines counted; a new one where there is none.
    fn open_again(&self, owner: Owner, known: Option<LogFile>) -> io::Result<LogFile> {
        let Some(mut file) = known else {
            return Ok(LogFile { start: 0, length: 0, lines_before: 0, lines: Some(0) });
        };
        let path = file.path(&self.folder, owner);
        let mut text = Vec::new();
        File::open(&path)?.read_to_end(&mut text)?;
        if text.last().is_some_and(|last| *last != b'\n') {
            // The node was stopped within a line.
            OpenOptions::new().append(true).open(&path)?.write_all(b"\n")?;
            text.push(b'\n');
        }
        file.length = text.len() as u64;
        file.lines = Some(text.iter().filter(|byte| **byte == b'\n').count() as u64);
        Ok(file)
    }

    fn next_file(&self, owner: Owner, current: &LogFile) -> LogFile {
        let lines_before = current.lines_before + current.lines.unwrap_or(0);
        let next = LogFile { start: current.end(), length: 0, lines_before, lines: Some(0) };
        let oldest = self.index.lock().take_oldest(owner, FILES_PER_LOG - 1);
        oldest.into_iter().for_each(|file| self.remove(owner, &file));
        next
    }

    fn write(&self, owner: Owner, file: &mut LogFile, (text, lines): (&[u8], u64)) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let path = file.path(&self.folder, owner);
        let mut open = OpenOptions::new().append(true).create(true).open(&path)?;
        if let Err(error) = open.write_all(text) {
            // Half a line would be taken for a part of the next one.
            open.set_len(file.length)?;
            return Err(error);
        }
        file.length += text.len() as u64;
        file.lines = file.lines.map(|count| count + lines);
        self.index.lock().put(owner, *file, now_ms());
        Ok(())
    }

    fn sweep(&self, now: u64) {
        let age_max = u64::try_from(self.limits.age_max.as_millis()).unwrap_or(u64::MAX);
        let before = now.saturating_sub(age_max);
        let old = self.index.lock().take_old(before, self.limits.total_bytes);
        if !old.is_empty() {
            tracing::info!(files = old.len(), "old logs of tasks are removed");
        }
        old.iter().for_each(|(owner, file)| self.remove(*owner, file));
    }

    fn remove(&self, owner: Owner, file: &LogFile) {
        let path = file.path(&self.folder, owner);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "an old log cannot be removed");
        }
    }
}
