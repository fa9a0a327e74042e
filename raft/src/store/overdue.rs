//! Retention: which rows have been kept long enough.
//! Knows nothing of who deletes them.

use std::{marker::PhantomData, ops::Bound};

use orc_domain::{Listed, Timestamp};

use super::{
    disk::StateDisk,
    index,
    keys::{RowKey, Rows},
    search::{end_of, ended_statuses},
    walk::{Branch, Walk},
};
use crate::{codec::Stored, error::ReadError};

/// What is kept of rows that have ended.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Those that ended since, and of earlier ones those that say so themselves.
    pub ended_since: Timestamp,
    /// The latest to end, so many.
    pub max: u64,
    /// The present, for those that say themselves how long they are kept.
    pub now: Timestamp,
}

/// Where a search for rows kept long enough has come to. The disk is slow to pass over what was deleted just now.
#[derive(Debug)]
pub struct Reached<K> {
    ends: Option<Vec<u8>>,
    expiries: Option<Vec<u8>>,
    key: PhantomData<K>,
}

impl<K> Default for Reached<K> {
    fn default() -> Self {
        Reached { ends: None, expiries: None, key: PhantomData }
    }
}

/// Rows that have been kept long enough, the first to end first.
pub(super) fn overdue<K: RowKey, V: Stored + Listed>(
    (disk, rows): (&StateDisk, Rows),
    kept: Kept,
    reached: &mut Reached<K>,
    limit: usize,
) -> Result<Vec<K>, ReadError> {
    let index = rows.index.expect("only tables with an index have ends");
    let too_many = index::count_kept(&disk.db, index)?.saturating_sub(kept.max);
    let snapshot = disk.db.snapshot();
    let walk = |prefixes: Vec<Vec<u8>>, after: &Option<Vec<u8>>| {
        let from = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let branch = |prefix| Branch::new(&snapshot, prefix, (from.clone(), Bound::Unbounded), true);
        Walk::new(vec![prefixes.into_iter().map(branch).collect()], true)
    };
    let ends = ended_statuses::<V>().map(|status| index::end_prefix(index, status)).collect();
    let mut found: Vec<K> = Vec::new();
    let mut by_end = walk(ends, &reached.ends);
    while found.len() < limit
        && let Some((place, value)) = by_end.next()?
    {
        let (ended_at, key) = end_of::<K, V>(&place)?;
        let is_too_many = (found.len() as u64) < too_many;
        if ended_at >= kept.ended_since && !is_too_many {
            break;
        }
        if is_too_many || !index::has_own_time(&value) {
            found.push(key);
        }
        reached.ends = Some(place);
    }
    let mut by_expiry = walk(vec![index::expiry_prefix(index)], &reached.expiries);
    while found.len() < limit
        && let Some((place, _)) = by_expiry.next()?
    {
        let (kept_until, key) = end_of::<K, V>(&place)?;
        if kept_until > kept.now {
            break;
        }
        found.push(key);
        reached.expiries = Some(place);
    }
    Ok(found)
}
