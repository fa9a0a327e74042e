//! Kept outputs by age, and how much they take up.

use alloc::collections::BTreeSet;

use crate::cache::{CacheKey, CachedOutput};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    /// By the log index of their entries.
    by_age: BTreeSet<(u64, CacheKey)>,
    bytes: usize,
}

impl Outputs {
    pub(crate) fn add(&mut self, key: CacheKey, kept: &CachedOutput) {
        self.by_age.insert((kept.rev, key));
        self.bytes += kept.bytes();
    }

    pub(crate) fn remove(&mut self, key: CacheKey, kept: &CachedOutput) {
        self.by_age.remove(&(kept.rev, key));
        self.bytes -= kept.bytes();
    }

    /// The one that has to leave next.
    pub(crate) fn oldest_too_many(&self) -> Option<CacheKey> {
        let too_many = self.by_age.len() > CachedOutput::KEPT_MAX || self.bytes > CachedOutput::BYTES_MAX;
        self.by_age.first().filter(|_| too_many).map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Json, RunId, Timestamp};
    use uuid::Uuid;

    #[test]
    fn the_oldest_leaves_when_there_are_too_many() {
        let kept = |rev| {
            let (output, run) = (Json::null(), RunId(Uuid::from_u128(1)));
            CachedOutput { output, run, at: Timestamp(0), rev }
        };
        let key = |number: u64| CacheKey((u128::from(number) << 64).to_be_bytes());
        let mut outputs = Outputs::default();
        for number in 0..CachedOutput::KEPT_MAX as u64 {
            outputs.add(key(number), &kept(number + 1));
        }
        assert_eq!(outputs.oldest_too_many(), None);
        outputs.add(key(u64::MAX), &kept(0));
        assert_eq!(outputs.oldest_too_many(), Some(key(u64::MAX)));
        outputs.remove(key(u64::MAX), &kept(0));
        assert_eq!(outputs.oldest_too_many(), None);
    }
}
