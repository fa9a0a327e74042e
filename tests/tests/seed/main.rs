//! The seed document, promise by promise, over real nodes: each function named in `docs/seed.md` keeps one of them. The
//! promises of a topic share a cluster of three nodes, since a start takes longer than most of them; those that change its
//! settings put them back. Knows nothing of how they are kept.

#[macro_use]
mod scene;

mod components;
mod configuration;
mod errors;
mod health;
mod moved;
mod presets;
mod qualities;
mod state;
mod switches;
mod system;
mod tasks;
mod workflows;
