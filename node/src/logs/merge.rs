//! Several logs as one, in the order of their lines' times; the order within a log stays as it is.
//! Knows nothing of where lines come from.

use std::collections::VecDeque;

/// Lines of one source, in its order.
#[derive(Debug)]
pub struct Source<T> {
    /// The lines.
    pub lines: VecDeque<T>,
    /// The source has more lines, which are not here.
    pub more: bool,
}

/// The first `limit` lines of all sources together, and whether there are more. Where a source has more lines than are
/// here, nothing is said of what comes after the last one.
pub fn merge<T>(mut sources: Vec<Source<T>>, limit: usize, at: impl Fn(&T) -> u64) -> (Vec<T>, bool) {
    let mut merged = Vec::new();
    while merged.len() < limit {
        if sources.iter().any(|source| source.more && source.lines.is_empty()) {
            return (merged, true);
        }
        let heads = sources.iter_mut().filter(|source| !source.lines.is_empty());
        let next = heads.min_by_key(|source| source.lines.front().map(&at));
        match next.and_then(|source| source.lines.pop_front()) {
            Some(line) => merged.push(line),
            None => return (merged, false),
        }
    }
    (merged, sources.iter().any(|source| source.more || !source.lines.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &[(&[u64], bool)], limit: usize, expected: (&[u64], bool)) {
        let sources = sources
            .iter()
            .map(|(lines, more)| Source { lines: lines.iter().copied().collect(), more: *more });
        let (lines, more) = merge(sources.collect(), limit, |at| *at);
        assert_eq!((lines.as_slice(), more), expected);
    }

    #[test]
    fn lines_are_in_the_order_of_their_times() {
        check(&[(&[1, 4], false), (&[2, 3], false), (&[], false)], 9, (&[1, 2, 3, 4], false));
        check(&[(&[1, 4], false), (&[2, 3], false)], 3, (&[1, 2, 3], true));
        check(&[(&[5, 1], false), (&[2], false)], 9, (&[2, 5, 1], false));
        check(&[], 9, (&[], false));
    }

    #[test]
    fn nothing_is_said_beyond_what_is_known() {
        check(&[(&[1, 2], true), (&[3, 4], false)], 9, (&[1, 2], true));
        check(&[(&[1, 2], true), (&[3, 4], false)], 2, (&[1, 2], true));
    }
}
