//! How many rows in memory have which status, in all and by what rows are counted by.
//! Knows nothing of rows on the disk.

use std::collections::HashMap;

use orc_domain::Listed;
use parking_lot::Mutex;

use super::index::Group;

/// Rows in memory by group and status.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<(Group, u8), u64>>);

/// What a row counts as: its group and status; none where lists do not show it.
pub type Counted = Option<(Group, u8)>;

/// What a row counts as.
pub fn counted<V: Listed>(row: &V) -> Counted {
    if !row.is_listed() {
        return None;
    }
    Some((Group::of(&row.counted_by()), row.status_number()))
}

impl Tally {
    /// A row counts differently from now on.
    pub fn moved(&self, before: Counted, after: Counted) {
        if before == after {
            return;
        }
        let mut counts = self.0.lock();
        if let Some((group, status)) = before {
            for group in [Group::ALL, group] {
                if let Some(count) = counts.get_mut(&(group, status)) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&(group, status));
                    }
                }
            }
        }
        if let Some((group, status)) = after {
            for group in [Group::ALL, group] {
                *counts.entry((group, status)).or_default() += 1;
            }
        }
    }

    /// Counts anew.
    pub fn replace(&self, rows: impl Iterator<Item = Counted>) {
        self.0.lock().clear();
        rows.for_each(|counted| self.moved(None, counted));
    }

    /// How many rows of a group have a status.
    pub fn get(&self, group: Group, status: u8) -> u64 {
        self.0.lock().get(&(group, status)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::Facet;

    #[test]
    fn a_row_that_changes_its_status_counts_once() {
        let tally = Tally::default();
        let flow = Group::of(&Facet::Workflow("flow".into()));
        tally.moved(None, Some((flow, 0)));
        tally.moved(Some((flow, 0)), Some((flow, 1)));
        tally.moved(None, Some((flow, 1)));
        assert_eq!((tally.get(flow, 0), tally.get(flow, 1), tally.get(Group::ALL, 1)), (0, 2, 2));
        tally.moved(Some((flow, 1)), None);
        assert_eq!(tally.get(Group::ALL, 1), 1);
        tally.replace(std::iter::empty());
        assert_eq!(tally.get(flow, 1), 0);
    }
}
