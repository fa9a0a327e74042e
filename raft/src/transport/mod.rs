//! How nodes reach each other: one port, framed requests and answers over TCP, one connection per class of
//! traffic so that a snapshot or a burst of forwards never delays a heartbeat.
//! Knows what travels only as bytes; what they mean is in [`message`].

mod error;
#[doc(hidden)]
pub mod frame;
mod hello;
mod link;
pub mod message;
mod peers;
mod server;
pub mod snapshot;
mod socket;

pub use error::{CallError, Refusal};
pub use hello::{Class, Hello, Local};
pub use peers::{Answer, Peers, ask_once};
pub use server::{BoxFuture, Server, Service};

/// The largest frame body, in bytes; the sender of a longer one is cut off.
pub const FRAME_MAX: usize = 8 << 20;
/// The group of nodes that all traffic belongs to, until there is more than one.
pub const GROUP: u32 = 0;

#[cfg(test)]
mod tests;
