//! Where in the log a read belongs: at the first state that it shows, not before what had ended when it was called and not
//! after its own rev. A node tells its rev when it has read: that may be newer than what was read, and never older.

use crate::{
    history::{Answer, Op},
    keys::{Change, Keys},
    verdict::{Harm, Rule},
};

/// A read shows what had been replaced before it was called.
pub const STALE_READ: Rule = Rule::new(2, "stale read").harms(Harm::Stale);
/// A read shows what was written after its rev.
pub const FUTURE_READ: Rule = Rule::new(2, "read of the future");
/// A read shows what the key never was.
pub const WRONG_READ: Rule = Rule::new(2, "read of what never was");

/// Why a read has no place.
pub(super) struct Misplaced<'a> {
    pub(super) rule: Rule,
    pub(super) what: String,
    /// The state that it should have shown and the one that it shows.
    pub(super) changes: Vec<&'a Change>,
}

/// The rev at which a read may have been made, if all before `oldest` had ended when it was called.
pub(super) fn place<'a>(op: &Op, keys: &'a Keys, oldest: u64) -> Result<u64, Misplaced<'a>> {
    let (Some(answer), Some(key)) = (op.ok(), op.call.key()) else { return Ok(oldest) };
    let changes = keys.of(key);
    let current = keys.at(key, oldest);
    if shows(answer, current) {
        return Ok(oldest);
    }
    let later = &changes[changes.partition_point(|change| change.rev <= oldest)..];
    let until_then = later.iter().take_while(|change| change.rev <= answer.rev);
    if let Some(change) = { until_then }.find(|change| shows(answer, Some(change))) {
        return Ok(change.rev);
    }
    let shown = changes.iter().rfind(|change| shows(answer, Some(change)));
    let rule = match shown {
        Some(change) if change.rev > answer.rev => FUTURE_READ,
        None if !shows(answer, None) => WRONG_READ,
        Some(_) | None => STALE_READ,
    };
    let value = current.and_then(|change| change.value.as_ref());
    let value = value.map_or_else(|| "absent".to_owned(), ToString::to_string);
    let what = format!("{key} was {value} at rev {oldest}, which had been answered before");
    Err(Misplaced { rule, what, changes: current.into_iter().chain(shown).collect() })
}

/// Whether an answer shows a key as this change left it; none: as it was before its first.
fn shows(answer: &Answer, change: Option<&Change>) -> bool {
    let value = change.and_then(|change| change.value.as_ref());
    let version = change.filter(|change| change.value.is_some()).map(|change| change.version);
    answer.value.as_ref() == value && answer.version.is_none_or(|told| Some(told) == version)
}
