//! What ties runs together: children and their roles, the items of a `foreach`, handlers, repeated runs.
//! Knows nothing of when a child starts or what its end means.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{Json, RunId, StepIx, Text, Timestamp},
    run::Conclusion,
    step::StepOutcome,
};

/// Whose child a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// What the child is to it.
    pub role: Role,
    /// The value that the child is about, where it is an item's.
    pub item: Option<Json>,
}

/// What a child is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// One item of a `foreach`.
    Item {
        /// The step.
        step: StepIx,
        /// The item's place, from 0.
        index: u32,
    },
    /// The workflow that a step runs.
    Step(StepIx),
    /// One of its handlers.
    Handler(Job),
}

/// What follows the last step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Job {
    /// Undo this step.
    Compensate(StepIx),
    /// `onFailure`
    OnFailure,
    /// `onCancel`
    OnCancel,
    /// `finally`
    Finally,
}

impl Job {
    /// The word of the workflow file.
    pub fn name(self) -> &'static str {
        match self {
            Job::Compensate(_) => "compensate",
            Job::OnFailure => "onFailure",
            Job::OnCancel => "onCancel",
            Job::Finally => "finally",
        }
    }
}

/// Where a run stands after its last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// How the run ends unless a handler fails.
    pub conclusion: Conclusion,
    /// What is to be done, the next one first.
    pub waiting: Vec<Job>,
    /// What is being done.
    pub current: Option<Job>,
    /// What has been started, with its run.
    pub started: Vec<(Job, RunId)>,
}

/// The earlier run that a run repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Which.
    pub run: RunId,
    /// From where.
    pub how: Repeat,
}

/// How a run repeats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repeat {
    /// It goes on from the steps that failed.
    Retry,
    /// It starts anew, or from a step that somebody named.
    Rerun,
    /// It is the workflow that a step of the other started without waiting for it.
    Detached,
}

/// What is kept of an earlier run's `foreach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptItems {
    /// The step.
    pub step: StepIx,
    /// Places with their items and outputs.
    pub items: Vec<(u32, Item, Json)>,
}

/// How far a `foreach` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fan {
    /// Items in all.
    pub total: u32,
    /// The first item that has not been looked at.
    pub next: u32,
    /// Items at work.
    pub running: u32,
    /// Items that have ended.
    pub ended: u32,
    /// Items that ended badly.
    pub failed: u32,
}

/// Items in one row.
pub const CHUNK_ITEMS: u32 = 64;

/// A row of items, [`CHUNK_ITEMS`] of them but for the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanChunk {
    /// In order.
    pub items: Vec<FanItem>,
}

/// An item of a `foreach` as it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// JSON.
    pub value: Json,
    /// What it is known by, whatever its place and value; no two items have the same.
    pub key: Option<Text>,
}

impl Item {
    /// An item without a key.
    pub fn new(value: impl Into<Json>) -> Item {
        Item { value: value.into(), key: None }
    }
}

/// One item of a `foreach`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanItem {
    /// As it was given.
    pub given: Item,
    /// Its run, once started.
    pub run: Option<RunId>,
    /// How it ended, once it has.
    pub outcome: Option<StepOutcome>,
}

/// The key of a row of items: run, step, number of the row.
pub type FanKey = (RunId, StepIx, u16);

/// The row of an item.
pub(crate) fn chunk_of(run: RunId, step: StepIx, index: u32) -> FanKey {
    let number = u16::try_from(index / CHUNK_ITEMS).expect("a foreach has at most 10,000 items");
    (run, step, number)
}

/// The place of an item in its row.
pub(crate) fn place_in_chunk(index: u32) -> usize {
    (index % CHUNK_ITEMS) as usize
}

/// The id of a child: the same on every node, and in the order of time like those that gateways mint (UUIDv7). Of those
/// made in one millisecond items come in their order.
pub(crate) fn child_id(now: Timestamp, parent: RunId, role: Role) -> RunId {
    let (kind, step, order) = match role {
        Role::Item { step, index } => (1, step, index),
        Role::Step(step) => (2, step, 0),
        Role::Handler(Job::Compensate(step)) => (3, step, 0),
        Role::Handler(Job::OnFailure) => (4, 0, 0),
        Role::Handler(Job::OnCancel) => (5, 0, 0),
        Role::Handler(Job::Finally) => (6, 0, 0),
    };
    let salt = kind << 48 | u64::from(step) << 32 | u64::from(order);
    let bits = parent.0.as_u128();
    let random = mix((bits as u64) ^ ((bits >> 64) as u64) ^ mix(salt));
    // 48 bits of time, 4 of version, 12 of order, 2 of variant, 8 of order, 54 of the rest.
    let (high, low) = (u128::from(order >> 8 & 0xFFF), u128::from(order & 0xFF));
    let rest = u128::from(random >> 10);
    RunId(Uuid::from_u128(u128::from(now.0) << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low << 54 | rest))
}

/// A fixed mixing function (splitmix64): equal on every node, unlike a random number.
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn ids_of_children_differ_and_sort_by_time() {
        let parent = RunId(Uuid::from_u128(7));
        let id = |now, role| child_id(Timestamp(now), parent, role);
        let roles = (0..1000)
            .map(|index| Role::Item { step: 1, index })
            .chain((0..100).map(Role::Step))
            .chain((0..100).map(|step| Role::Handler(Job::Compensate(step))))
            .chain([Job::OnFailure, Job::OnCancel, Job::Finally].map(Role::Handler));
        let ids: BTreeSet<RunId> = roles.map(|role| id(5, role)).collect();
        assert_eq!(ids.len(), 1203);
        let items: Vec<RunId> = (0..10_000).map(|index| id(5, Role::Item { step: 1, index })).collect();
        assert!(items.is_sorted());
        assert!(ids.iter().all(|one| *one < id(6, Role::Step(0)) && one.0.get_version_num() == 7));
        assert_eq!(id(5, Role::Step(0)), id(5, Role::Step(0)));
    }
}
