//! What was refused: how often each limit gave which answer. Knows nothing of what an answer should be.

use std::{collections::BTreeMap, fmt::Display};

use std::sync::{Mutex, PoisonError};

/// Answers by the limit that gave them.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Tally {
    /// One more.
    pub fn count(&self, limit: &'static str, answer: impl Display) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((limit, answer.to_string())).or_default() += 1;
    }

    /// Everything so far, by limit and answer.
    pub fn all(&self) -> BTreeMap<(&'static str, String), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
