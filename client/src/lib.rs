//! The Rust client library of `orc`, its worker runtime ([`worker`]), and the one copy of the HTTP paths and bodies
//! ([`wire`]). Knows HTTP and WebSocket; knows nothing of consensus or of the rules.

mod approvals;
mod backoff;
mod batches;
mod channel;
mod client;
mod cluster;
mod components;
mod download;
mod error;
mod events;
mod family;
mod feed;
mod http;
mod logs;
mod run_wait;
mod runs;
mod schedules;
mod snapshots;
mod socket;
mod sse;
mod state;
mod tasks;
mod tasks_queue;
pub mod wire;
pub mod worker;
mod workflows;

pub use approvals::Approvals;
pub use batches::Batches;
pub use client::{Client, ClientBuilder};
pub use cluster::Cluster;
pub use components::{Components, Send as SendMessage};
pub use download::Download;
pub use error::{Error, TransportError};
pub use events::{EventStream, Events};
pub use logs::LogFollower;
pub use run_wait::{RunResult, RunWait};
pub use runs::{RunHandle, Runs, Start, Workflow};
pub use schedules::Schedules;
pub use snapshots::Snapshots;
pub use state::{Change, Changes, Set, State};
pub use tasks::{Schedule, TaskHandle, TaskResult, TaskWait, Tasks};
pub use wire::{ErrorBody, Priority, Problem, RunStatus, StepStatus, TaskStatus};
pub use worker::{RunningWorker, TaskCtx, TaskError, TaskHandler, Worker, WorkerError};
pub use workflows::Workflows;
