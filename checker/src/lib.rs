//! The checker: from what was recorded of a cluster it says which of the promises P1 to P18 were kept.
//! It trusts nothing of ours and depends on none of our crates; the event log is read as the HTTP API shows it.

pub mod automaton;
pub mod guards;
pub mod history;
pub mod keys;
pub mod linear;
pub mod lines;
pub mod log;
pub mod messages;
pub mod receipts;
pub mod replay;
pub mod results;
pub mod verdict;
pub mod watch;
pub mod witness;

#[cfg(test)]
mod testing;
