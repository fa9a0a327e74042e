//! The rules: what runs, tasks, components and state keys are and how each changes.
//! Knows no clock, randomness, IO, JSON, floats nor that there is more than one node.

#![no_std]
extern crate alloc;

mod about;
mod answer;
mod answers;
mod apply;
mod assign;
mod backlog;
mod cache;
mod child;
mod command;
mod component;
mod config;
mod decide;
mod definition;
mod effect;
mod evaluation;
mod event;
mod evolve;
mod following;
mod ids;
mod indexes;
mod key;
mod listed;
mod message;
mod names;
mod planted;
mod react;
mod recorded;
mod rejection;
mod request;
mod run;
mod schedule;
mod snapshot;
mod state;
mod step;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod trouble;
mod workflow;

pub use answer::{Answer, Outcome, Unavailable};
pub use apply::{Applied, apply};
pub use backlog::ActionBacklog;
pub use cache::{CacheEvent, CacheKey, CachedOutput};
pub use child::{
    CHUNK_ITEMS, Earlier, Fan, FanChunk, FanItem, FanKey, Handling, Item, Job, KeptItems, Parent, Repeat,
    Role,
};
pub use command::{Command, Entry, Idempotency, Proposal};
pub use component::{Component, ComponentStatus, HeldAttempt, Session, SessionEnd};
pub use config::{ClusterConfig, ConfigError, Switches};
pub use definition::{
    Cache, Concurrency, Definition, Handlers, OnConflict, OnFalse, OnTimeout, Retry, StepDef, StepKind,
};
pub use effect::{Effect, outstanding};
pub use evaluation::{ChildStart, Evaluation};
pub use event::Event;
pub use following::{AwaitedEvent, EventWait, Followed, Following, NoStart, SkippedStarts};
pub use ids::{
    ActionName, BadId, BlockIx, ComponentId, DefinitionId, IdempotencyKey, Json, Labels, NodeId, Priority,
    RunId, SessionId, StateKey, StepIx, TaskId, Text, Timestamp, Token,
};
pub use indexes::Counts;
pub use key::{ChangeOrigin, KeyChange, KeyRecord, KeyWrite, Transaction, VersionRecord};
pub use listed::{Facet, Listed};
pub use message::{
    DeadMessage, DeadMessages, MessageCommand, MessageDelivery, MessageEvent, MessageId, MessagePlace,
    NewMessage, QueuedMessage,
};
pub use names::{ScheduleId, WorkflowName};
pub use planted::{Bug, plant, planted};
pub use recorded::Recorded;
pub use rejection::{Limited, Rejection, RunWish};
pub use request::{
    ApplyWorkflow, CreateRun, DeadSelection, DeleteEnded, Dependency, Expect, NewTask, RegisterComponent,
};
pub use run::{Conclusion, Failure, Group, Run, RunStatus};
pub use schedule::{Missed, Overlap, Schedule, ScheduleEvent, ScheduleSpec, SkipCause, Started, Turn};
pub use snapshot::{NewSnapshot, RestoreSnapshot, SavedKey, SavedPlace, Snapshot, SnapshotEvent, SnapshotId};
pub use state::{AnswerRecord, Journal, Meta, State};
pub use step::{Decision, EvalPoint, Skip, Step, StepCache, StepOutcome, StepStatus, Work};
pub use table::{Change, Row, Table};
pub use task::{Assignment, Attempt, CancelRequest, DeadTask, Task, TaskStatus, WakeUp};
pub use trouble::{Concerned, HealthReport, TroubleEvent};
pub use workflow::{Origin, StartedBy, Workflow, WorkflowEvent, WorkflowRef, WorkflowVersion};
