//! Searches for runs and tasks: those in memory and those that have ended, as one list, in the order and after the place
//! that was asked for. What has ended is found through the index, so a search reads little more than it finds.
//! Knows nothing of what filters look for.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use orc_domain::{Listed, Timestamp};

use super::{
    disk::StateDisk,
    index::{self, Group},
    keys::{Index, RowKey, Rows},
    view::{Ledger, Range, Shards},
    walk::{Branch, Walk},
};
use crate::{
    codec::{Corrupt, Stored, Why},
    error::ReadError,
};

/// Rows read for one page at most: beyond it the search is broken off, and its page says where to go on.
const ROWS_MAX: usize = 5_000;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By creation, the newest first.
    Newest,
    /// By creation, the oldest first.
    Oldest,
    /// By end, the last one first; only what has ended.
    EndedLast,
    /// By end, the first one first; only what has ended.
    EndedFirst,
}

impl Order {
    /// Only what has ended is listed.
    pub fn is_by_end(self) -> bool {
        matches!(self, Order::EndedLast | Order::EndedFirst)
    }

    fn is_forward(self) -> bool {
        matches!(self, Order::Oldest | Order::EndedFirst)
    }
}

/// A row's place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<K> {
    /// When it ended, in lists by end; zero in others.
    pub ended_at: Timestamp,
    /// Its key.
    pub key: K,
}

/// What is searched for.
#[derive(Clone)]
pub struct Query<K, V> {
    /// In which order.
    pub order: Order,
    /// Only these statuses, by number; none: any.
    pub statuses: BTreeSet<u8>,
    /// Only these workflows or actions; none: any.
    pub counted: Vec<Group>,
    /// Only rows with a label of each of these lists.
    pub labels: Vec<Vec<Group>>,
    /// Only keys from this one on.
    pub from: Option<K>,
    /// Only keys before this one.
    pub before: Option<K>,
    /// Only what is behind this place.
    pub after: Option<Place<K>>,
    /// Rows at most.
    pub limit: usize,
    /// What a row has to be, all of the above included but for status and keys.
    pub filter: Arc<dyn Fn(&V) -> bool + Send + Sync>,
    /// The filter asks for no more than status and groups say.
    pub is_plain: bool,
}

impl<K, V> Query<K, V> {
    /// Everything, the newest first.
    pub fn new(limit: usize) -> Query<K, V> {
        Query {
            order: Order::Newest,
            statuses: BTreeSet::new(),
            counted: Vec::new(),
            labels: Vec::new(),
            from: None,
            before: None,
            after: None,
            limit,
            filter: Arc::new(|_| true),
            is_plain: true,
        }
    }

    fn has_status(&self, status: u8) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// A page of rows in the order asked for.
#[derive(Debug)]
pub struct Found<K, V> {
    /// Those that were asked for.
    pub rows: Vec<Arc<V>>,
    /// There may be more behind this place.
    pub next: Option<Place<K>>,
}

/// Where rows are.
pub(super) struct Sources<'a, K, V> {
    /// In memory.
    pub shards: &'a Shards<K, V>,
    /// What else is known of them.
    pub ledger: &'a Ledger<K>,
    /// The others.
    pub disk: &'a StateDisk,
    /// Where there.
    pub rows: Rows,
}

impl<K, V> Sources<'_, K, V> {
    fn index(&self) -> Index {
        self.rows.index.expect("only tables with an index are searched")
    }
}

/// Rows of one source in order; behind `broken_off` nothing is known.
struct Part<K, V> {
    rows: Vec<(Place<K>, Arc<V>)>,
    broken_off: Option<Place<K>>,
}

/// The page that a query asks for.
pub(super) fn search<K: RowKey, V: Stored + Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Result<Found<K, V>, ReadError> {
    // Memory first: what moves to the disk in between is then seen there, or twice, but never not at all.
    let mut rows =
        if query.order.is_by_end() { ended_in_memory(sources, query) } else { in_memory(sources, query) };
    let archived = if query.order.is_by_end() { by_end(sources, query)? } else { by_group(sources, query)? };
    rows.extend(archived.rows);
    // Stable: of a row that is in both, the one from memory stays.
    match query.order.is_forward() {
        true => rows.sort_by(|one, other| one.0.cmp(&other.0)),
        false => rows.sort_by(|one, other| other.0.cmp(&one.0)),
    }
    rows.dedup_by(|later, earlier| later.0.key == earlier.0.key);
    if let Some(end) = &archived.broken_off {
        let is_known = |place: &Place<K>| if query.order.is_forward() { place <= end } else { place >= end };
        rows.retain(|(place, _)| is_known(place));
    }
    let next = match rows.get(query.limit) {
        Some(_) => query.limit.checked_sub(1).map(|last| rows[last].0.clone()),
        None => archived.broken_off,
    };
    rows.truncate(query.limit);
    Ok(Found { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
}

fn is_wanted<K, V: Listed>(query: &Query<K, V>, row: &V) -> bool {
    query.has_status(row.status_number()) && row.is_listed() && (query.filter)(row)
}

/// Keys that a query by creation may find.
fn range<K: RowKey, V>(query: &Query<K, V>) -> Range<K> {
    let key_after = query.after.as_ref().filter(|_| !query.order.is_by_end()).map(|place| place.key.clone());
    let lower = query.from.clone().map_or(Bound::Unbounded, Bound::Included);
    let upper = query.before.clone().map_or(Bound::Unbounded, Bound::Excluded);
    match (key_after, query.order.is_forward()) {
        (None, _) => (lower, upper),
        (Some(after), true) if query.from.as_ref().is_none_or(|from| *from <= after) => {
            (Bound::Excluded(after), upper)
        }
        (Some(after), false) if query.before.as_ref().is_none_or(|before| *before > after) => {
            (lower, Bound::Excluded(after))
        }
        (Some(_), _) => (lower, upper),
    }
}

fn in_memory<K: RowKey, V: Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Vec<(Place<K>, Arc<V>)> {
    let tally = &sources.ledger.tally;
    if !query.statuses.is_empty() && query.statuses.iter().all(|status| tally.get(Group::ALL, *status) == 0) {
        return Vec::new();
    }
    let wanted = |row: &V| is_wanted(query, row);
    let found = sources.shards.search(&range(query), query.order.is_forward(), query.limit + 1, &wanted);
    found.into_iter().map(|(key, row)| (Place { ended_at: Timestamp(0), key }, row)).collect()
}

/// Rows that have ended and are not on the disk yet: few.
fn ended_in_memory<K: RowKey, V: Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Vec<(Place<K>, Arc<V>)> {
    let in_memory = |status| sources.ledger.tally.get(Group::ALL, status);
    if ended_statuses::<V>().map(in_memory).sum::<u64>() == 0 {
        return Vec::new();
    }
    let wanted = |row: &V| row.ended_at().is_some() && is_wanted(query, row);
    let found = sources.shards.search(&range(query), true, usize::MAX, &wanted);
    let place = |(key, row): (K, Arc<V>)| (Place { ended_at: row.ended_at().unwrap_or_default(), key }, row);
    found.into_iter().map(place).filter(|(place, _)| is_behind(query, place)).collect()
}

fn is_behind<K: RowKey, V>(query: &Query<K, V>, place: &Place<K>) -> bool {
    match &query.after {
        None => true,
        Some(after) if query.order.is_forward() => place > after,
        Some(after) => place < after,
    }
}

/// What has ended, by creation: keys that all groups have.
fn by_group<K: RowKey, V: Stored + Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Result<Part<K, V>, ReadError> {
    let index = sources.index();
    let statuses: Vec<u8> = ended_statuses::<V>().filter(|status| query.has_status(*status)).collect();
    let mut facets: Vec<&[Group]> = query.labels.iter().map(Vec::as_slice).collect();
    if !query.counted.is_empty() || facets.is_empty() {
        facets.push(if query.counted.is_empty() { &[Group::ALL] } else { &query.counted });
    }
    let snapshot = sources.disk.db.snapshot();
    let (bounds, forward) = (range(query), query.order.is_forward());
    let branches = |groups: &&[Group]| {
        let pairs = groups.iter().flat_map(|group| statuses.iter().map(move |status| (*group, *status)));
        pairs
            .map(|(group, status)| index::group_prefix(index, group, status))
            .map(|prefix| Branch::new(&snapshot, prefix, key_bounds(&bounds), forward))
            .collect()
    };
    let mut walk = Walk::new(facets.iter().map(branches).collect(), forward);
    let mut part = Part { rows: Vec::new(), broken_off: None };
    let mut read = 0;
    while part.rows.len() <= query.limit {
        let Some((bytes, _)) = walk.next()? else { break };
        let key = key_of::<K, V>(&bytes)?;
        let place = Place { ended_at: Timestamp(0), key };
        read += 1;
        if let Some(row) = wanted_row(sources, query, &place.key)? {
            part.rows.push((place.clone(), row));
        }
        if read >= ROWS_MAX || walk.is_exhausted() {
            part.broken_off = Some(place);
            break;
        }
    }
    if let Some(bytes) = walk.gave_up_at() {
        part.broken_off = Some(Place { ended_at: Timestamp(0), key: key_of::<K, V>(bytes)? });
    }
    Ok(part)
}

/// What has ended, by its end.
fn by_end<K: RowKey, V: Stored + Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Result<Part<K, V>, ReadError> {
    let index = sources.index();
    let after =
        query.after.as_ref().map(|place| Bound::Excluded(index::end_place(place.ended_at, &place.key)));
    let after = after.unwrap_or(Bound::Unbounded);
    let forward = query.order.is_forward();
    let bounds = if forward { (after, Bound::Unbounded) } else { (Bound::Unbounded, after) };
    let snapshot = sources.disk.db.snapshot();
    let branches = ended_statuses::<V>()
        .filter(|status| query.has_status(*status))
        .map(|status| Branch::new(&snapshot, index::end_prefix(index, status), bounds.clone(), forward));
    let mut walk = Walk::new(vec![branches.collect()], forward);
    let mut part = Part { rows: Vec::new(), broken_off: None };
    let mut read = 0;
    while part.rows.len() <= query.limit {
        let Some((bytes, value)) = walk.next()? else { break };
        let (ended_at, key) = end_of::<K, V>(&bytes)?;
        let place = Place { ended_at, key };
        let in_groups = |counted: Group| query.counted.is_empty() || query.counted.contains(&counted);
        let in_range = query.from.as_ref().is_none_or(|from| place.key >= *from)
            && query.before.as_ref().is_none_or(|before| place.key < *before);
        if index::counted_of(&value).is_some_and(in_groups) && in_range {
            read += 1;
            if let Some(row) = wanted_row(sources, query, &place.key)? {
                part.rows.push((place.clone(), row));
            }
        }
        if read >= ROWS_MAX || walk.is_exhausted() {
            part.broken_off = Some(place);
            break;
        }
    }
    Ok(part)
}

pub(super) fn ended_statuses<V: Listed>() -> impl Iterator<Item = u8> {
    (0..=u8::MAX).take(V::STATUSES.len()).filter(|status| V::is_ended(*status))
}

/// The row of a key that the index has; none where memory has a newer one, it is deleted, or it is not wanted.
fn wanted_row<K: RowKey, V: Stored + Listed + Clone>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
    key: &K,
) -> Result<Option<Arc<V>>, ReadError> {
    if sources.ledger.is_gone(key) || sources.shards.get(key).is_some() {
        return Ok(None);
    }
    let row: Option<V> = sources.disk.archived(sources.rows, key)?;
    Ok(row.filter(|row| is_wanted(query, row)).map(Arc::new))
}

/// How many rows a query would find; none if only a search could tell.
pub(super) fn count<K: RowKey, V: Listed>(
    sources: &Sources<'_, K, V>,
    query: &Query<K, V>,
) -> Result<Option<u64>, ReadError> {
    if !query.is_plain || !query.labels.is_empty() || query.from.is_some() || query.before.is_some() {
        return Ok(None);
    }
    let groups = if query.counted.is_empty() { &[Group::ALL][..] } else { &query.counted };
    let mut total = 0;
    for status in (0..=u8::MAX).take(V::STATUSES.len()).filter(|status| query.has_status(*status)) {
        if query.order.is_by_end() && !V::is_ended(status) {
            continue;
        }
        for group in groups.iter().collect::<BTreeSet<_>>() {
            total += sources.ledger.tally.get(*group, status);
            if V::is_ended(status) {
                total += index::count(&sources.disk.db, sources.index(), *group, status)?;
            }
        }
    }
    Ok(Some(total))
}

fn key_bounds<K: RowKey>((lower, upper): &Range<K>) -> Range<Vec<u8>> {
    let bytes = |key: &K| {
        let mut out = Vec::new();
        key.write(&mut out);
        out
    };
    (lower.as_ref().map(bytes), upper.as_ref().map(bytes))
}

fn key_of<K: RowKey, V: Stored>(bytes: &[u8]) -> Result<K, ReadError> {
    K::read(bytes).ok_or_else(damaged::<V>)
}

pub(super) fn end_of<K: RowKey, V: Stored>(bytes: &[u8]) -> Result<(Timestamp, K), ReadError> {
    index::end_of(bytes).ok_or_else(damaged::<V>)
}

/// An entry of the index of a table that no row can have.
fn damaged<V: Stored>() -> ReadError {
    Corrupt { what: V::KIND, why: Why::Parts }.into()
}
