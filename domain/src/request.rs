//! What commands carry: the run, task, component or workflow that is asked for.
//! Knows nothing of how it is decided.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    child::{Earlier, FanKey, KeptItems, Parent},
    definition::{Definition, Retry},
    ids::{
        ActionName, BlockIx, ComponentId, DefinitionId, Json, Labels, Priority, RunId, StepIx, TaskId, Text,
        Timestamp,
    },
    names::{ScheduleId, WorkflowName},
    run::Group,
    schedule::ScheduleSpec,
    step::Step,
    task::TaskStatus,
    workflow::Origin,
};

/// Tasks of the dead-letter list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadSelection {
    /// These; each must be on the list.
    Tasks(Vec<TaskId>),
    /// Those of an action.
    Action(ActionName),
    /// All.
    All,
}

/// A workflow to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyWorkflow {
    /// Which.
    pub name: WorkflowName,
    /// What it says.
    pub definition: Arc<Definition>,
    /// What must hold of its version.
    pub expect: Expect,
    /// The schedules in its file.
    pub schedules: Vec<ScheduleSpec>,
    /// What the new version makes of the inputs of its other schedules, and the groups of their runs.
    pub others: Vec<(ScheduleId, Json, Option<Group>)>,
}

/// A run to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRun {
    /// Minted by the gateway.
    pub id: RunId,
    /// What it executes.
    pub definition: DefinitionId,
    /// The definition itself, where the gateway did not see it in the state.
    pub body: Option<Arc<Definition>>,
    /// Values for `inputs`, a JSON object.
    pub inputs: Json,
    /// Labels of the run.
    pub labels: Labels,
    /// Priority of its steps.
    pub priority: Priority,
    /// Where it comes from.
    pub origin: Origin,
    /// Which steps of the definition it executes; 0 for a whole workflow.
    pub block: BlockIx,
    /// Whose child it is; the rules alone make children.
    pub parent: Option<Box<Parent>>,
    /// The earlier run it repeats.
    pub earlier: Option<Earlier>,
    /// Steps of the earlier run that are taken over as they ended.
    pub carried: Vec<(StepIx, Step)>,
    /// Items of the earlier run that are taken over where their value is still the same.
    pub kept: Vec<KeptItems>,
    /// Its concurrency group.
    pub group: Option<Group>,
    /// While a run of the workflow with this word lives, it is the answer and nothing is started.
    pub dedupe: Option<Text>,
}

impl CreateRun {
    /// A run with nothing but what it executes.
    pub fn new(id: RunId, definition: DefinitionId) -> CreateRun {
        CreateRun {
            id,
            definition,
            body: None,
            inputs: Json::from("{}"),
            labels: Labels::new(),
            priority: Priority::Normal,
            block: 0,
            parent: None,
            origin: Origin::default(),
            earlier: None,
            carried: Vec::new(),
            kept: Vec::new(),
            group: None,
            dedupe: None,
        }
    }
}

/// A task to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// Minted by the gateway.
    pub id: TaskId,
    /// Name as the user wrote it.
    pub name: Text,
    /// What is asked for.
    pub action: ActionName,
    /// JSON for the component.
    pub payload: Json,
    /// How urgent.
    pub priority: Priority,
    /// What a component must have.
    pub labels: Labels,
    /// What must complete first.
    pub dependencies: Vec<Dependency>,
    /// The configured default if none.
    pub timeout: Option<Duration>,
    /// Time it may wait for a component.
    pub queue_timeout: Option<Duration>,
    /// The configured default if none.
    pub retry: Option<Retry>,
    /// It does not start before.
    pub run_at: Option<Timestamp>,
    /// Time from its creation to its end, over all attempts.
    pub total_timeout: Option<Duration>,
    /// Time an attempt may go without a sign of life.
    pub heartbeat_timeout: Option<Duration>,
    /// The task of the dead-letter list that it takes the place of.
    pub requeued_from: Option<TaskId>,
}

/// A task that must complete first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Which.
    pub task: TaskId,
    /// How it ended, where the gateway found it ended in the archive. An ended task never changes.
    pub ended: Option<TaskStatus>,
}

/// What is known of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterComponent {
    /// Identity.
    pub id: ComponentId,
    /// Name as the user wrote it.
    pub name: Text,
    /// Free word, such as `worker`.
    pub kind: Text,
    /// Free word.
    pub version: Text,
    /// Actions it offers.
    pub capabilities: Vec<ActionName>,
    /// What tasks may demand.
    pub labels: Labels,
    /// Tasks it takes at once.
    pub slots: u32,
    /// Without a connection it is forgotten after so long.
    pub ttl: Option<Duration>,
}

/// What must hold for a state write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Anything.
    Any,
    /// The key has no value.
    Absent,
    /// The key has a value.
    Present,
    /// The key is at this version.
    Version(u64),
}

/// What has ended and is deleted, [`DeleteEnded::MAX`] at most. Ids that nobody knows are passed over: the state does not
/// know what the archive has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteEnded {
    /// Which runs.
    pub runs: Vec<RunId>,
    /// Items of these runs.
    pub fans: Vec<FanKey>,
    /// Which tasks of their own.
    pub tasks: Vec<TaskId>,
}

impl DeleteEnded {
    /// What one command may delete.
    pub const MAX: usize = 1_000;

    /// How many rows it deletes.
    pub fn rows(&self) -> usize {
        self.runs.len() + self.fans.len() + self.tasks.len()
    }
}
