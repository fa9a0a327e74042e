//! The loop: actors over a bare `State` behind a mutex, no Raft and no disk.
//! One binary for all of them, because linking is what costs.

mod messages;
mod polls;
mod proposals;
mod runs;
mod schedules;
mod sessions;
mod subscriptions;
mod supervision;
mod support;
