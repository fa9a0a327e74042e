//! Pressure on every limit of a cluster at once, and ordinary calls beside it whose answers are timed.
//! Queues, tables and connections are held full at a modest rate: what is measured is the cluster, not who presses it.

mod calls;
mod fill;
mod flood;
mod holders;
mod memory;
mod probes;
mod refused;
pub mod report;
pub mod round;
mod scene;
mod sockets;
mod tally;
