//! Facts about workflows kept by name, written.

use crate::{
    ids::DefinitionId,
    names::WorkflowName,
    state::State,
    workflow::{Workflow, WorkflowVersion},
};

pub(super) fn applied(state: &mut State, name: &WorkflowName, version: u64, definition: DefinitionId) {
    let (rev, now) = (state.meta.rev, state.meta.now);
    let known = state.workflows.get(name);
    let workflow = Workflow {
        name: name.clone(),
        version,
        definition,
        paused: known.is_some_and(|known| known.paused),
        created_at: known.map_or(now, |known| known.created_at),
        applied_at: now,
        rev,
    };
    state.put_workflow(workflow);
    let row = WorkflowVersion { version, definition, created_at: now, rev };
    state.workflow_versions.insert_archived((name.clone(), version), row);
}

pub(super) fn paused(state: &mut State, name: &WorkflowName, paused: bool) {
    let rev = state.meta.rev;
    state.workflows.update(name, |workflow| (workflow.paused, workflow.rev) = (paused, rev));
}
