//! Pages of rows, the newest first: those in memory and those that have ended, as one list.
//! Knows nothing of what filters look for.

use std::{cmp::Ordering, ops::Bound, sync::Arc};

use orc_domain::{DeadTask, KeyRecord, StateKey, TaskId};

use super::{
    disk::StateDisk,
    keys::{RowKey, Rows},
    view::{Shards, Span},
};
use crate::{codec::Stored, error::ReadError};

/// Rows read at once from each side.
const CHUNK: usize = 128;
/// Rows looked at for one page.
const SCAN_MAX: usize = 20_000;

/// A page of rows, the newest first.
#[derive(Debug, Clone)]
pub struct Page<K, V> {
    /// Those that were asked for.
    pub rows: Vec<Arc<V>>,
    /// There may be more: pass it to go on.
    pub next: Option<K>,
}

/// At most `limit` rows of a span that pass the filter, the last one first.
pub(super) fn page<K: RowKey, V: Stored + Clone>(
    (view, disk, rows): (&Shards<K, V>, &StateDisk, Rows),
    span: Span<K>,
    limit: usize,
    filter: &dyn Fn(&V) -> bool,
) -> Result<Page<K, V>, ReadError> {
    let mut page = Page { rows: Vec::new(), next: None };
    let mut rest = span;
    let mut seen = 0;
    loop {
        // Memory first: what moves to the disk in between is then seen there, or twice, but never not at all.
        let live = view.last(&rest, CHUNK);
        let archived = disk.archived_last::<K, V>(rows, &rest, CHUNK)?;
        let chunk = merge(live, archived);
        let whole = chunk.is_whole;
        for (key, row) in chunk.rows {
            seen += 1;
            if filter(&row) {
                page.rows.push(row);
            }
            if page.rows.len() >= limit || seen >= SCAN_MAX {
                page.next = Some(key);
                return Ok(page);
            }
            rest.upper = Some(key);
        }
        if whole {
            return Ok(page);
        }
    }
}

/// At most `limit` state keys that begin with `prefix` and pass the filter, in order, after `after`.
pub(super) fn keys(
    view: &Shards<StateKey, KeyRecord>,
    prefix: &str,
    after: Option<&StateKey>,
    limit: usize,
    filter: &dyn Fn(&KeyRecord) -> bool,
) -> Vec<Arc<KeyRecord>> {
    let mut found = Vec::new();
    // `a.` is no key, `a` is, and nothing that begins with `a.` comes before it.
    let start: Option<StateKey> = prefix.trim_end_matches('.').parse().ok();
    if start.is_none() && !prefix.is_empty() {
        return found;
    }
    let mut last = after.filter(|after| Some(*after) >= start.as_ref()).cloned();
    while found.len() < limit {
        let first = start.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let chunk = view.first(last.as_ref().map_or(first, Bound::Excluded), CHUNK);
        if chunk.is_empty() {
            break;
        }
        for (key, row) in chunk {
            let beyond = !key.as_str().starts_with(prefix) && key.as_str() > prefix;
            if beyond || found.len() == limit {
                return found;
            }
            if key.as_str().starts_with(prefix) && filter(&row) {
                found.push(row);
            }
            last = Some(key);
        }
    }
    found
}

/// At most `limit` rows of the dead-letter list before `before` that pass the filter, the newest task first.
pub(super) fn dead(
    view: &Shards<TaskId, DeadTask>,
    before: Option<TaskId>,
    limit: usize,
    filter: impl Fn(&DeadTask) -> bool,
) -> Vec<Arc<DeadTask>> {
    let mut found = Vec::new();
    let mut rest = Span { lower: None, upper: before };
    loop {
        let chunk = view.last(&rest, CHUNK);
        let Some((last, _)) = chunk.last() else { return found };
        rest.upper = Some(*last);
        found.extend(chunk.into_iter().map(|(_, row)| row).filter(|row| filter(row)));
        if found.len() >= limit {
            found.truncate(limit);
            return found;
        }
    }
}

struct Chunk<K, V> {
    rows: Vec<(K, Arc<V>)>,
    /// Nothing is left after it.
    is_whole: bool,
}

/// Merges two lists, last key first. A full list says nothing of what is beyond its end, so neither does the result.
fn merge<K: RowKey, V>(live: Vec<(K, Arc<V>)>, archived: Vec<(K, V)>) -> Chunk<K, V> {
    let end_of_live = (live.len() == CHUNK).then(|| live.last().map(|(key, _)| key.clone())).flatten();
    let end_of_archived =
        (archived.len() == CHUNK).then(|| archived.last().map(|(key, _)| key.clone())).flatten();
    let end = end_of_live.max(end_of_archived);
    let mut rows = Vec::with_capacity(live.len() + archived.len());
    let mut live = live.into_iter().peekable();
    let mut archived = archived.into_iter().map(|(key, row)| (key, Arc::new(row))).peekable();
    loop {
        let order = match (live.peek(), archived.peek()) {
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Greater,
            (None, Some(_)) => Ordering::Less,
            (None, None) => break,
        };
        let row = match order {
            Ordering::Greater => live.next(),
            Ordering::Less => archived.next(),
            // In both while it moves, or used again: memory is newer.
            Ordering::Equal => {
                archived.next();
                live.next()
            }
        };
        rows.extend(row);
    }
    let is_whole = end.is_none();
    if let Some(end) = end {
        rows.retain(|(key, _)| *key >= end);
    }
    Chunk { rows, is_whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::RunId;
    use uuid::Uuid;

    fn id(number: u128) -> RunId {
        RunId(Uuid::from_u128(number))
    }

    fn merged(live: &[u128], archived: &[u128]) -> (Vec<u128>, bool) {
        let live = live.iter().map(|number| (id(*number), Arc::new("live"))).collect();
        let archived = archived.iter().map(|number| (id(*number), "archived")).collect();
        let chunk = merge(live, archived);
        (chunk.rows.iter().map(|(id, _)| id.0.as_u128()).collect(), chunk.is_whole)
    }

    #[test]
    fn both_sides_make_one_list() {
        assert_eq!(merged(&[9, 5, 1], &[8, 5, 0]), (vec![9, 8, 5, 1, 0], true));
        assert_eq!(merged(&[], &[]), (vec![], true));
    }

    #[test]
    fn nothing_is_said_beyond_the_end_of_a_full_side() {
        let full: Vec<u128> = (1_000..1_000 + CHUNK as u128).rev().collect();
        let (rows, whole) = merged(&full, &[2_000, 500]);
        assert_eq!((rows.len(), rows[0], whole), (CHUNK + 1, 2_000, false));
    }
}
