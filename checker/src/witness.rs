//! The witness check: every answer carries its rev, so the log says what each operation did. Sorting is the most it costs.
//! Acknowledged effects are in the log exactly once and where the answer says (P1, P4), rejected ones are not (P3), each
//! read is the log replayed to a rev that real time allows, and revs follow real time (P2). Believes the revs; `linear` does not.

mod effects;
mod order;
mod reads;
mod starts;

use anyhow::Result;

use crate::{history::History, keys::Keys, log::Log, verdict::Findings};

pub use effects::{
    DOUBLED_WRITE, LOST_WRITE, MISPLACED_WRITE, NOBODYS_WRITE, REJECTED_APPEARS, WRONG_COMPARE,
};
pub use order::{GOES_BACK, OUT_OF_ORDER};
pub use reads::{FUTURE_READ, STALE_READ, WRONG_READ};
pub use starts::{ANSWERS_DIFFER, DOUBLED_START, LOST_START, REJECTED_START};

/// Judges a history by the log.
///
/// # Errors
/// Where the data of an event cannot be read.
pub fn check(history: &History, log: &Log, keys: &Keys, findings: &mut Findings) -> Result<()> {
    effects::check(history, log, keys, findings);
    starts::check(history, log, findings)?;
    order::check(history, (log, keys), findings);
    Ok(())
}

#[cfg(test)]
mod tests;
