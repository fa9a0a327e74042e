//! Where work runs and what a socket is: threads and the system's network; or, with the feature `simulation`, one thread
//! for all nodes of a simulated cluster, and turmoil's network. Nothing else tells the two apart.
//! Knows nothing of what the work is.

pub mod fail_point;
pub mod net;
mod reads;
pub mod simulation;
mod worker;

pub use fail_point::fail_point;
pub use reads::reading;
pub use worker::Worker;

/// Whether this program is a simulation.
pub const SIMULATED: bool = cfg!(feature = "simulation");

/// A bound on what waits; a simulated node has a small one, so that it is reached.
pub const fn bound(most: usize, simulated: usize) -> usize {
    if SIMULATED { simulated } else { most }
}

/// The work was given up: it panicked, or the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was given up")]
pub struct GivenUp;

/// Does work that blocks where nobody else has to wait for it. In a simulation nothing takes time.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
    if SIMULATED {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| GivenUp)
}
