//! Consensus and disk: openraft over RocksDB, the transport between nodes, snapshots and membership.
//! Knows nothing of workflows: it calls `domain::apply` and stores rows.

pub mod backup;
pub mod batcher;
pub mod clock;
pub mod codec;
pub mod election;
pub mod error;
pub mod gate;
pub mod identity;
pub mod log;
pub mod membership;
pub mod network;
pub mod reads;
pub mod replica;
pub mod status;
pub mod store;
mod ticker;
pub mod transport;
pub mod types;
