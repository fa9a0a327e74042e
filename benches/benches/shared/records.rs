//! Log records, packed as a leader packs them.
//! Knows nothing of where they go.

use bytes::Bytes;
use orc_domain::Timestamp;
use orc_raft::types::{Batch, LeaderId, LogEntry, LogId, Payload};

/// Proposals in the form of the log.
pub fn pack(proposals: &[Bytes]) -> Batch {
    Batch::pack(Timestamp(1_700_000_000_000), proposals).expect("it is small enough")
}

/// Where a record belongs.
pub fn place(index: u64) -> LogId {
    LogId::new(LeaderId::new(1, 1), index)
}

/// A record of the log.
pub fn entry(index: u64, batch: &Batch) -> LogEntry {
    LogEntry { log_id: place(index), payload: Payload::Normal(batch.clone()) }
}
