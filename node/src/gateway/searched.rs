//! What lists search through: runs and tasks, with the names of their fields, their texts and their keys.
//! Knows nothing of parameters.

use std::{fmt::Display, str::FromStr};

use orc_domain::{Facet, Listed, Run, RunId, Task, TaskId, Timestamp};
use uuid::Uuid;

/// A row that can be searched for.
pub trait Searched: Listed + Send + Sync + 'static {
    /// Its key.
    type Key: FromStr + Display + Clone + Ord + Send + 'static;
    /// The names of its fields in a list.
    const FIELDS: &'static [&'static str];
    /// The first key that was made at a time.
    fn key_at(at: Timestamp) -> Self::Key;
    /// The facet that a word of the counted filter stands for.
    fn counted(word: &str) -> Facet;
    /// The texts that `q` looks through.
    fn texts(&self) -> [String; 3];
}

fn uuid_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.0) << 80)
}

impl Searched for Run {
    type Key = RunId;
    const FIELDS: &'static [&'static str] = &[
        "id",
        "workflow",
        "status",
        "conclusion",
        "priority",
        "labels",
        "stepsTotal",
        "stepsDone",
        "createdAt",
        "startedAt",
        "endedAt",
        "durationMs",
        "rev",
        "workflowVersion",
        "startedBy",
    ];

    fn key_at(at: Timestamp) -> RunId {
        RunId(uuid_at(at))
    }

    fn counted(word: &str) -> Facet {
        Facet::Workflow(word.into())
    }

    fn texts(&self) -> [String; 3] {
        [self.id.to_string(), self.workflow.to_string(), String::new()]
    }
}

impl Searched for Task {
    type Key = TaskId;
    const FIELDS: &'static [&'static str] = &[
        "id",
        "name",
        "action",
        "status",
        "priority",
        "error",
        "attempts",
        "lost",
        "component",
        "token",
        "waitingFor",
        "createdAt",
        "startedAt",
        "endedAt",
        "dependencies",
        "runId",
        "stepId",
    ];

    fn key_at(at: Timestamp) -> TaskId {
        TaskId::Single(uuid_at(at))
    }

    fn counted(word: &str) -> Facet {
        Facet::Action(word.into())
    }

    fn texts(&self) -> [String; 3] {
        [self.id.to_string(), self.name.to_string(), self.action.to_string()]
    }
}
