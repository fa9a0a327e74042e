//! The harness of the slow rings: real nodes and workers as processes on loopback, load with its bookkeeping,
//! and the checks that hold after every fault. Knows the product only by its binary and its client library.

pub mod chaos;
mod check;
mod cluster;
mod dev;
mod durable;
mod examples;
pub mod limits;
mod load;
pub mod machines;
mod process;

pub use check::{counted_once, equal_hashes, every_run_completed, started_once};
pub use cluster::{Cluster, Options};
pub use dev::DevCluster;
pub use durable::{DurableLoad, DurableReport};
pub use examples::{example, run_example};
pub use load::{Load, Probe, Report, three_echo_steps};
pub use process::{Process, TempDir, binary, free_ports};
