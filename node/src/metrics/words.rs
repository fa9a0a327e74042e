//! Users' words as values of a label: so many, and `other` for the rest, since each one is a series for ever.
//! Knows nothing of metrics.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;

/// The label's value of every word beyond the limit.
const OTHER: &str = "other";
/// Words of one label: a histogram has some fifteen series for each.
const WORDS_MAX: usize = 100;

/// The words of one label that have series of their own; clones share them.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<BTreeSet<Box<str>>>>);

impl Words {
    /// The word, if it is one of the first hundred, else `other`.
    pub(super) fn label<'w>(&self, word: &'w str) -> &'w str {
        let mut known = self.0.lock();
        if known.contains(word) {
            return word;
        }
        if known.len() >= WORDS_MAX {
            return OTHER;
        }
        known.insert(word.into());
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_words_have_series_of_their_own() {
        let words = Words::default();
        for number in 0..100 {
            let word = format!("w{number}");
            assert_eq!(words.label(&word), word);
        }
        assert_eq!((words.label("late"), words.label("w99")), ("other", "w99"));
    }
}
