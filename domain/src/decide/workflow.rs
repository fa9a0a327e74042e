//! Decisions about workflows kept by name: apply, pause, delete, and whether they may start runs.
//! Knows of schedules only which a file brings.

use alloc::{boxed::Box, string::ToString, vec, vec::Vec};

use super::{Decided, holds, schedule};
use crate::{
    event::Event,
    ids::Json,
    names::{ScheduleId, WorkflowName},
    rejection::{Limited, Rejection},
    request::{ApplyWorkflow, Expect},
    run::Group,
    schedule::{ScheduleEvent, ScheduleSpec},
    state::State,
    workflow::{Workflow, WorkflowEvent},
};

/// The same content as the latest version is that version.
pub(super) fn apply(state: &State, apply: &ApplyWorkflow) -> Decided {
    let known = state.workflows.get(&apply.name);
    expected(state, &apply.name, apply.expect)?;
    let definition = &apply.definition;
    if known.is_some_and(|known| known.definition == definition.id) {
        return Ok(Vec::new());
    }
    if definition.steps.is_empty() {
        return Err(Rejection::Invalid("a workflow needs at least one step".to_string()));
    }
    if known.is_none() && state.workflows.len() >= Workflow::KEPT_MAX as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Workflows, limit: Workflow::KEPT_MAX });
    }
    let version = known.map_or(0, |known| known.version) + 1;
    if version > u64::from(Workflow::VERSIONS_MAX) {
        let (what, limit) = (Limited::WorkflowVersions, Workflow::VERSIONS_MAX);
        return Err(Rejection::LimitExceeded { what, limit });
    }
    let mut events = Vec::new();
    if !state.definitions.contains(&definition.id) {
        events.push(Event::DefinitionAdded(definition.clone()));
    }
    events.push(Event::Workflow(WorkflowEvent::Applied {
        name: apply.name.clone(),
        version,
        definition: definition.id,
    }));
    events.extend(schedules_of_file(state, apply)?);
    events.extend(others(state, &apply.others));
    Ok(events)
}

/// The schedules that the file brings are those that there are.
fn schedules_of_file(state: &State, apply: &ApplyWorkflow) -> Decided {
    let mut events = Vec::new();
    let kept = |id: &ScheduleId| apply.schedules.iter().any(|spec| spec.id == *id);
    for (id, schedule) in state.schedules.iter() {
        if schedule.spec.of_file && schedule.spec.workflow == apply.name && !kept(id) {
            events.push(Event::Schedule(ScheduleEvent::Deleted { schedule: id.clone() }));
        }
    }
    let mut count = state.schedules.len() - events.len();
    for spec in &apply.schedules {
        schedule::check(spec)?;
        let known = state.schedules.get(&spec.id);
        if known.is_some_and(|known| !known.spec.of_file || known.spec.workflow != apply.name) {
            let version = known.map_or(0, |known| known.version);
            return Err(Rejection::ScheduleConflict { schedule: spec.id.clone(), version });
        }
        count += usize::from(known.is_none());
        if known.is_none_or(|known| known.spec != *spec) {
            events.push(Event::Schedule(ScheduleEvent::Set(Box::new(spec.clone()))));
        }
    }
    schedule::within_limit(count)?;
    Ok(events)
}

/// Schedules that others made keep what they were given and get the new defaults.
fn others<'a>(
    state: &'a State,
    others: &'a [(ScheduleId, Json, Option<Group>)],
) -> impl Iterator<Item = Event> + use<'a> {
    others.iter().filter_map(|(id, inputs, group)| {
        let spec = &state.schedules.get(id).filter(|schedule| !schedule.spec.of_file)?.spec;
        let changed = ScheduleSpec { inputs: inputs.clone(), group: group.clone(), ..spec.clone() };
        (changed != *spec).then(|| Event::Schedule(ScheduleEvent::Set(Box::new(changed))))
    })
}

pub(super) fn delete(state: &State, name: &WorkflowName, expect: Expect) -> Decided {
    known(state, name)?;
    expected(state, name, expect)?;
    let of_it = state.schedules.iter().filter(|(_, schedule)| schedule.spec.workflow == *name);
    let mut events: Vec<Event> =
        of_it.map(|(id, _)| Event::Schedule(ScheduleEvent::Deleted { schedule: id.clone() })).collect();
    events.push(Event::Workflow(WorkflowEvent::Deleted { name: name.clone() }));
    Ok(events)
}

pub(super) fn pause(state: &State, name: &WorkflowName) -> Decided {
    let paused = known(state, name)?.paused;
    Ok(if paused { Vec::new() } else { vec![Event::Workflow(WorkflowEvent::Paused { name: name.clone() })] })
}

pub(super) fn resume(state: &State, name: &WorkflowName) -> Decided {
    let paused = known(state, name)?.paused;
    Ok(if paused { vec![Event::Workflow(WorkflowEvent::Resumed { name: name.clone() })] } else { Vec::new() })
}

/// Whether a run of a version may start.
pub(super) fn may_start(state: &State, name: &WorkflowName, version: u64) -> Result<(), Rejection> {
    let workflow = known(state, name)?;
    if workflow.paused {
        return Err(Rejection::WorkflowPaused { name: name.clone() });
    }
    if version == 0 || version > workflow.version {
        return Err(Rejection::WorkflowUnknown { name: name.clone() });
    }
    Ok(())
}

pub(super) fn known<'a>(state: &'a State, name: &WorkflowName) -> Result<&'a Workflow, Rejection> {
    state.workflows.get(name).ok_or_else(|| Rejection::WorkflowUnknown { name: name.clone() })
}

fn expected(state: &State, name: &WorkflowName, expect: Expect) -> Result<(), Rejection> {
    let version = state.workflows.get(name).map(|workflow| workflow.version);
    if holds(expect, version) {
        return Ok(());
    }
    Err(Rejection::WorkflowConflict { name: name.clone(), version: version.unwrap_or(0) })
}
