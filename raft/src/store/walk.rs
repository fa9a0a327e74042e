//! Walks over sorted keys of the database: one range, several as one, and what several of those have in common.
//! Knows nothing of what keys stand for.

use std::ops::Bound;

use rocksdb::{DB, DBRawIteratorWithThreadMode, ReadOptions, Snapshot};

use super::view::Range;

/// Keys looked at in one walk at most.
pub const STEPS_MAX: usize = 50_000;

/// The keys with a prefix between two bounds, without the prefix, in order or against it.
pub struct Branch<'a> {
    keys: DBRawIteratorWithThreadMode<'a, DB>,
    prefix: Vec<u8>,
    forward: bool,
}

impl<'a> Branch<'a> {
    /// At its first key.
    pub fn new(
        snapshot: &'a Snapshot<'_>,
        prefix: Vec<u8>,
        bounds: Range<Vec<u8>>,
        forward: bool,
    ) -> Branch<'a> {
        let with = |key: &[u8]| [&prefix, key].concat();
        // The key right after another one is that key and a zero byte.
        let after = |key: &[u8]| [&prefix, key, &[0]].concat();
        let mut end = prefix.clone();
        *end.last_mut().expect("a prefix has bytes") += 1; // a status or the letter of a table: never 255
        let lower = match &bounds.0 {
            Bound::Included(key) => with(key),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => prefix.clone(),
        };
        let upper = match &bounds.1 {
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => with(key),
            Bound::Unbounded => end,
        };
        let mut options = ReadOptions::default();
        let lower = lower.min(upper.clone());
        options.set_iterate_range(lower..upper);
        let mut keys = snapshot.raw_iterator_opt(options);
        if forward {
            keys.seek_to_first();
        } else {
            keys.seek_to_last();
        }
        Branch { keys, prefix, forward }
    }

    /// Where it stands; none at its end.
    fn current(&self) -> Option<&[u8]> {
        self.keys.key().map(|key| &key[self.prefix.len()..])
    }

    /// Goes on by one key.
    fn advance(&mut self) {
        if self.forward {
            self.keys.next();
        } else {
            self.keys.prev();
        }
    }

    /// Goes on to a key, or to the first one behind where it would be.
    fn seek(&mut self, key: &[u8]) {
        let whole = [&self.prefix, key].concat();
        if self.forward {
            self.keys.seek(whole);
        } else {
            self.keys.seek_for_prev(whole);
        }
    }
}

/// Whether a key comes before another one.
fn is_before(forward: bool, one: &[u8], other: &[u8]) -> bool {
    if forward { one < other } else { one > other }
}

/// Several branches as one.
struct Merged<'a>(Vec<Branch<'a>>);

impl Merged<'_> {
    fn current(&self, forward: bool) -> Option<&[u8]> {
        let keys = self.0.iter().filter_map(Branch::current);
        if forward { keys.min() } else { keys.max() }
    }

    /// Goes on from a key where it stands; gives the value there.
    fn take(&mut self, key: &[u8]) -> Vec<u8> {
        let mut value = Vec::new();
        for branch in self.0.iter_mut().filter(|branch| branch.current() == Some(key)) {
            value = branch.keys.value().unwrap_or_default().to_vec();
            branch.advance();
        }
        value
    }

    fn seek(&mut self, forward: bool, key: &[u8]) {
        let is_behind =
            |branch: &Branch<'_>| branch.current().is_some_and(|current| is_before(forward, current, key));
        for branch in self.0.iter_mut().filter(|branch| is_behind(branch)) {
            branch.seek(key);
        }
    }
}

/// A key without its prefix, and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The keys that each of several merged branches has.
pub struct Walk<'a> {
    parts: Vec<Merged<'a>>,
    forward: bool,
    steps: usize,
    gave_up_at: Option<Vec<u8>>,
}

impl<'a> Walk<'a> {
    /// Over lists of branches.
    pub fn new(parts: Vec<Vec<Branch<'a>>>, forward: bool) -> Walk<'a> {
        Walk { parts: parts.into_iter().map(Merged).collect(), forward, steps: 0, gave_up_at: None }
    }

    /// The next key that all have, with its value in the first part; none at the end, and when it gave up.
    pub fn next(&mut self) -> Result<Option<Entry>, rocksdb::Error> {
        let forward = self.forward;
        let Some(mut wanted) = self.parts.first().and_then(|part| part.current(forward)).map(<[u8]>::to_vec)
        else {
            return self.end();
        };
        let mut agreed = 0;
        for place in (0..self.parts.len()).cycle() {
            let part = &mut self.parts[place];
            part.seek(forward, &wanted);
            let Some(found) = part.current(forward) else { return self.end() };
            if found == wanted {
                agreed += 1;
            } else {
                let not_in_all = std::mem::replace(&mut wanted, found.to_vec());
                agreed = 1;
                self.steps += 1;
                if self.is_exhausted() {
                    self.gave_up_at = Some(not_in_all);
                    return Ok(None);
                }
            }
            if agreed == self.parts.len() {
                break;
            }
        }
        self.steps += 1;
        let value = self.parts[0].take(&wanted);
        Ok(Some((wanted, value)))
    }

    /// Whether it has taken as many steps as it may.
    pub fn is_exhausted(&self) -> bool {
        self.steps >= STEPS_MAX
    }

    /// Where it gave up: everything up to this key is known.
    pub fn gave_up_at(&self) -> Option<&[u8]> {
        self.gave_up_at.as_deref()
    }

    /// No more keys, unless that is because of an error.
    fn end(&self) -> Result<Option<Entry>, rocksdb::Error> {
        let branches = self.parts.iter().flat_map(|part| &part.0);
        branches.filter(|branch| !branch.keys.valid()).try_for_each(|branch| branch.keys.status())?;
        Ok(None)
    }
}
