//! The attempts a worker holds: those at work, and those whose results no node has accepted or refused yet.
//! Knows nothing of sockets; whoever has one asks what is due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::handler::StopHandle;
use crate::wire::session::AttemptRef;

/// How long a node may take to accept or refuse before the result is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// All attempts held, by task: a task has one attempt at a time.
#[derive(Default)]
pub(super) struct Held {
    attempts: BTreeMap<String, Attempt>,
}

struct Attempt {
    token: u64,
    stage: Stage,
}

enum Stage {
    Running { stop: StopHandle, work: AbortHandle },
    Ended { result: Arc<str>, due: Instant },
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// For `hello`: all attempts, since one that is not listed is lost.
    pub(super) fn refs(&self) -> Vec<AttemptRef> {
        self.attempts
            .iter()
            .map(|(task, attempt)| AttemptRef { task_id: task.clone(), token: attempt.token })
            .collect()
    }

    /// Whether an order is news: it is not when this attempt or a newer one of its task is held.
    pub(super) fn is_news(&self, task: &str, token: u64) -> bool {
        self.attempts.get(task).is_none_or(|attempt| attempt.token < token)
    }

    /// Holds an attempt that has begun; an older one of its task is aborted.
    pub(super) fn begin(&mut self, task: String, token: u64, stop: StopHandle, work: AbortHandle) {
        let attempt = Attempt { token, stage: Stage::Running { stop, work } };
        if let Some(older) = self.attempts.insert(task, attempt) {
            older.abort();
        }
    }

    /// An attempt has a result, due at once. One that is no longer held has none.
    pub(super) fn end(&mut self, task: &str, token: u64, result: Arc<str>) {
        if let Some(attempt) = self.get(task, token) {
            attempt.stage = Stage::Ended { result, due: Instant::now() };
        }
    }

    /// Tells an attempt to stop. `false`: it is not held.
    pub(super) fn cancel(&mut self, task: &str, token: u64, reason: &str) -> bool {
        match self.get(task, token) {
            Some(Attempt { stage: Stage::Running { stop, .. }, .. }) => stop.cancel(reason),
            Some(Attempt { stage: Stage::Ended { .. }, .. }) => {}
            None => return false,
        }
        true
    }

    /// Holds a result of an attempt that is not held, until a node has answered to it.
    pub(super) fn answer(&mut self, task: String, token: u64, result: Arc<str>) {
        let stage = Stage::Ended { result, due: Instant::now() };
        self.attempts.entry(task).or_insert(Attempt { token, stage });
    }

    /// The result is settled, or counts for nothing: what still works is aborted.
    pub(super) fn forget(&mut self, task: &str, token: u64) {
        if self.get(task, token).is_some()
            && let Some(attempt) = self.attempts.remove(task)
        {
            attempt.abort();
        }
    }

    /// The result is to be sent again after `pause`.
    pub(super) fn postpone(&mut self, task: &str, token: u64, pause: Duration) {
        if let Some(Attempt { stage: Stage::Ended { due, .. }, .. }) = self.get(task, token) {
            *due = Instant::now() + pause;
        }
    }

    /// On a new session all results are due.
    pub(super) fn all_due(&mut self) {
        let now = Instant::now();
        for attempt in self.attempts.values_mut() {
            if let Stage::Ended { due, .. } = &mut attempt.stage {
                *due = now;
            }
        }
    }

    /// When the next result is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let dues = self.attempts.values().filter_map(|attempt| match &attempt.stage {
            Stage::Ended { due, .. } => Some(*due),
            Stage::Running { .. } => None,
        });
        dues.min()
    }

    /// The results that are due now; each is due again if nobody answers.
    pub(super) fn take_due(&mut self) -> Vec<Arc<str>> {
        let now = Instant::now();
        let mut results = Vec::new();
        for attempt in self.attempts.values_mut() {
            if let Stage::Ended { result, due } = &mut attempt.stage
                && *due <= now
            {
                *due = now + ANSWER_TIMEOUT;
                results.push(Arc::clone(result));
            }
        }
        results
    }

    fn get(&mut self, task: &str, token: u64) -> Option<&mut Attempt> {
        self.attempts.get_mut(task).filter(|attempt| attempt.token == token)
    }
}

impl Attempt {
    fn abort(self) {
        match self.stage {
            Stage::Running { work, .. } => work.abort(),
            Stage::Ended { .. } => {}
        }
    }
}

impl Drop for Held {
    /// A worker that is dropped leaves nothing running.
    fn drop(&mut self) {
        for (_, attempt) in std::mem::take(&mut self.attempts) {
            attempt.abort();
        }
    }
}
