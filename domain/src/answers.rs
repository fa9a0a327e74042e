//! The answers kept for callers who ask again, bounded by age and by bytes: the same ones on every node.
//! Knows nothing of what was asked.

use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

use crate::{
    answer::Answer,
    ids::{IdempotencyKey, Timestamp},
    state::AnswerRecord,
};

/// Answers by key, oldest first out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answers {
    by_age: VecDeque<AnswerRecord>,
    /// The number of each record; the first one of `by_age` has the number `first`.
    by_key: BTreeMap<IdempotencyKey, u64>,
    first: u64,
    bytes: usize,
}

impl Answers {
    pub(crate) const BYTES_MAX: usize = 128 * 1024 * 1024;
    pub(crate) const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

    pub(crate) fn get(&self, key: &IdempotencyKey) -> Option<&AnswerRecord> {
        let place = self.by_key.get(key)? - self.first;
        self.by_age.get(usize::try_from(place).ok()?)
    }

    pub(crate) fn insert(&mut self, record: AnswerRecord) {
        self.bytes += weight(&record);
        self.by_key.insert(record.idempotency.key, self.first + self.by_age.len() as u64);
        self.by_age.push_back(record);
    }

    /// Drops what is too old, and the oldest while there is too much.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some(oldest) = self.by_age.front() {
            if self.bytes <= Self::BYTES_MAX && oldest.at + Self::KEPT_FOR >= now {
                return;
            }
            self.bytes -= weight(oldest);
            if self.by_key.get(&oldest.idempotency.key) == Some(&self.first) {
                self.by_key.remove(&oldest.idempotency.key);
            }
            self.by_age.pop_front();
            self.first += 1;
        }
    }

    pub(crate) fn oldest_rev(&self) -> Option<u64> {
        self.by_age.front().map(|record| record.rev)
    }
}

/// The bytes of memory that a record takes, with its share of the index. They decide what is kept, so a change of them is a
/// change of the rules: never the size of a type.
fn weight(record: &AnswerRecord) -> usize {
    const RECORD: usize = 128;
    const TASK: usize = 32;
    RECORD
        + match &record.answer {
            Answer::Done
            | Answer::Run { .. }
            | Answer::Key { .. }
            | Answer::Count(_)
            | Answer::Snapshot(_)
            | Answer::Version { .. } => 0,
            Answer::Tasks(tasks) => TASK * (tasks.len() + 1),
            Answer::Messages(messages) => 2 * TASK * (messages.len() + 1),
            Answer::Keys(versions) => 8 * (versions.len() + 1),
            Answer::Session { component, .. } => TASK + component.as_str().len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Idempotency;

    fn record(number: u64, answer: Answer) -> AnswerRecord {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        let idempotency = Idempotency { key: IdempotencyKey(key), request: number };
        AnswerRecord { idempotency, rev: number, at: Timestamp(number), answer }
    }

    #[test]
    fn a_record_weighs_what_it_takes() {
        // Its share of the index: key and number in a node of a B-tree that is two thirds full.
        let shared = (size_of::<IdempotencyKey>() + size_of::<u64>()) * 3 / 2;
        let takes = size_of::<AnswerRecord>() + shared;
        assert!(takes <= weight(&record(1, Answer::Done)), "{takes} bytes");
    }

    #[test]
    fn the_oldest_answers_go_when_all_of_them_are_too_large() {
        let many = || {
            Answer::Tasks(
                alloc::vec![(crate::TaskId::Single(uuid::Uuid::nil()), crate::TaskStatus::Queued); 1_000],
            )
        };
        let mut answers = Answers::default();
        let fits = (Answers::BYTES_MAX / weight(&record(0, many()))) as u64;
        for number in 0..fits + 10 {
            answers.expire(Timestamp(number));
            answers.insert(record(number, many()));
        }
        answers.expire(Timestamp(fits + 10));
        assert_eq!((answers.by_age.len() as u64, answers.oldest_rev()), (fits, Some(10)));
        assert!(answers.get(&record(9, Answer::Done).idempotency.key).is_none());
        let kept = answers.get(&record(10, Answer::Done).idempotency.key).expect("it is the oldest one kept");
        assert_eq!(kept.rev, 10);
        answers.expire(Timestamp(u64::MAX));
        assert_eq!((answers.bytes, answers.by_key.len()), (0, 0));
    }
}
