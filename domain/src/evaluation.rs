//! What the leader found expressions to be, as a command brings it into the log.
//! Knows nothing of expressions or of what an outcome means for a run.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    cache::CacheKey,
    child::Item,
    definition::Definition,
    ids::{DefinitionId, Json, Labels, Timestamp},
    run::{Failure, Group},
    step::Decision,
    workflow::WorkflowRef,
};

/// What the leader found expressions to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evaluation {
    /// The step runs, with its templates filled in.
    Proceed {
        /// JSON, if there were templates.
        config: Option<Json>,
    },
    /// The step's `if` is false.
    Skip(Decision),
    /// A condition's value.
    Condition(Decision),
    /// The outputs of the run or of a step, a JSON object.
    Outputs(Json),
    /// An expression cannot be evaluated.
    Failed(Failure),
    /// The items of a `foreach`.
    Items(Vec<Item>),
    /// The time to wait for.
    Until(Timestamp),
    /// What a `state` step writes, in the order of its keys.
    Values(Vec<Json>),
    /// The run that a `workflow` step starts.
    Child(Box<ChildStart>),
    /// The task runs, unless an output is kept under the key.
    Cacheable {
        /// Of the step, what it does and the value of its `cache.key`.
        key: CacheKey,
        /// JSON, if there were templates.
        config: Option<Json>,
    },
}

/// A child run to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildStart {
    /// The workflow as it is kept.
    pub workflow: WorkflowRef,
    /// What it executes.
    pub definition: DefinitionId,
    /// The definition itself, where the leader did not see it in the state.
    pub body: Option<Arc<Definition>>,
    /// Its inputs, checked, a JSON object.
    pub inputs: Json,
    /// Its labels.
    pub labels: Labels,
    /// Its concurrency group.
    pub group: Option<Group>,
}
