//! Workflows kept by name in their public form.
//! Knows nothing of how rows are found.

use orc_client::wire::{WorkflowGraph, WorkflowStep, WorkflowVersionView, WorkflowView, paths};
use orc_domain::{Definition, Workflow, WorkflowName, WorkflowVersion};

use super::{event::hex, raw, time};
use crate::definition::{
    outline::{self, StepOutline},
    triggers::Triggers,
};

/// A workflow; its latest definition is in memory as long as it is kept.
pub fn view(workflow: &Workflow, definition: Option<&Definition>) -> WorkflowView {
    WorkflowView {
        name: workflow.name.to_string(),
        title: definition.map(|definition| definition.name.to_string()).unwrap_or_default(),
        version: workflow.version,
        digest: hex(&workflow.definition.0),
        paused: workflow.paused,
        steps: definition.map_or(0, |definition| u32::try_from(definition.steps.len()).unwrap_or(u32::MAX)),
        created_at: time(workflow.created_at),
        applied_at: time(workflow.applied_at),
        rev: workflow.rev,
        hooks: Vec::new(),
        definition: None,
    }
}

/// The paths of a workflow's hooks.
pub fn hooks(name: &str, triggers: &Triggers) -> Vec<String> {
    let path = paths::fill(paths::HOOK, name);
    triggers.webhooks.iter().map(|hook| paths::fill(&path, &hook.id)).collect()
}

/// A version, with what it says where that is wanted.
pub fn version(version: &WorkflowVersion, definition: Option<&Definition>) -> WorkflowVersionView {
    WorkflowVersionView {
        version: version.version,
        digest: hex(&version.definition.0),
        created_at: time(version.created_at),
        rev: version.rev,
        definition: definition.map(|definition| raw(&definition.source)),
    }
}

/// The steps with what each needs, and the handlers.
pub fn graph(name: &WorkflowName, version: u64, definition: &Definition) -> WorkflowGraph {
    let handlers = outline::handlers(definition).into_iter();
    WorkflowGraph {
        name: name.to_string(),
        version,
        nodes: outline::steps(definition).into_iter().map(step).collect(),
        handlers: handlers
            .map(|(word, steps)| (word.to_owned(), steps.into_iter().map(step).collect()))
            .collect(),
    }
}

/// A step of a workflow with what is inside it.
pub fn step(outline: StepOutline<'_>) -> WorkflowStep {
    WorkflowStep {
        id: outline.id.to_owned(),
        name: outline.name.to_owned(),
        kind: outline.kind.to_owned(),
        needs: outline.needs.into_iter().map(str::to_owned).collect(),
        each: outline.each.into_iter().map(step).collect(),
        compensate: outline.compensate.into_iter().map(step).collect(),
    }
}
