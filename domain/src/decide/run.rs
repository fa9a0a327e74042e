//! Decisions about runs as wholes: create, pause, resume, cancel, terminate.
//! Knows nothing of how single steps start or of what follows the last one.

use alloc::{boxed::Box, string::ToString, vec, vec::Vec};

use super::{Decided, handler, task, workflow};
use crate::{
    definition::OnConflict,
    event::Event,
    ids::{Json, RunId, TaskId, Text},
    rejection::{Limited, Rejection, RunWish},
    request::CreateRun,
    run::{Conclusion, Failure, Run, RunStatus},
    state::State,
    step::{StepOutcome, StepStatus},
    workflow::WorkflowRef,
};

pub(super) fn create(state: &State, create: &CreateRun) -> Decided {
    if create.parent.is_some() || create.block != 0 {
        return Err(Rejection::Invalid("only a run makes child runs".to_string()));
    }
    if state.runs.contains(&create.id) {
        return Err(Rejection::RunExists { run: create.id });
    }
    let limit = state.config().runs_live_max;
    if state.runs.len() >= limit as usize {
        return Err(Rejection::LimitExceeded { what: Limited::Runs, limit });
    }
    if alive_twin(state, create).is_some() {
        return Ok(Vec::new());
    }
    if let Some(WorkflowRef { name, version }) = &create.origin.workflow {
        workflow::may_start(state, name, *version)?;
    }
    let mut events = make_room(state, create)?;
    if !state.definitions.contains(&create.definition) {
        let unknown = Rejection::DefinitionUnknown { definition: create.definition };
        let body = create.body.as_ref().filter(|body| body.id == create.definition).ok_or(unknown)?;
        if body.steps.is_empty() {
            return Err(Rejection::Invalid("a workflow needs at least one step".to_string()));
        }
        events.push(Event::DefinitionAdded(body.clone()));
    }
    events.push(Event::RunCreated(Box::new(CreateRun { body: None, ..create.clone() })));
    Ok(events)
}

/// The live run of the same workflow with the same word, if there is one: it is the answer.
pub(crate) fn alive_twin(state: &State, create: &CreateRun) -> Option<RunId> {
    let word = create.dedupe.as_ref()?;
    let definition = state.definitions.get(&create.definition).or(create.body.as_deref())?;
    state.indexes.twin(&definition.name, word)
}

/// What a full concurrency group means for a further run.
pub(super) fn make_room(state: &State, create: &CreateRun) -> Result<Vec<Event>, Rejection> {
    let Some(group) = &create.group else { return Ok(Vec::new()) };
    let definition = state.definitions.get(&create.definition).or(create.body.as_deref());
    let Some(definition) = definition else { return Ok(Vec::new()) };
    let (active, waiting) = state.indexes.group(&definition.name, &group.name);
    match group.on_conflict {
        OnConflict::Queue => Ok(Vec::new()),
        OnConflict::Reject => match active.first().or(waiting.first()) {
            Some(run) if active.len() + waiting.len() >= group.limit as usize => {
                Err(Rejection::GroupBusy { group: group.name.clone(), limit: group.limit, run: *run })
            }
            Some(_) | None => Ok(Vec::new()),
        },
        OnConflict::CancelRunning => {
            let reason = Text::from("a newer run of its concurrency group was started");
            let going = |id: &&RunId| state.runs.get(id).is_some_and(|run| !run.is_winding_down());
            let older: Vec<RunId> = active.iter().filter(going).chain(&waiting).copied().collect();
            let surplus = (older.len() + 1).saturating_sub(group.limit as usize);
            let ended = older.iter().take(surplus);
            Ok(ended.flat_map(|run| cancel(state, *run, &reason).unwrap_or_default()).collect())
        }
    }
}

pub(super) fn cancel(state: &State, id: RunId, reason: &Text) -> Decided {
    let run = live(state, id)?;
    match run.status {
        RunStatus::Queued => Ok(vec![Event::RunEnded {
            run: id,
            status: RunStatus::Cancelled,
            conclusion: Conclusion::Cancelled,
            outputs: Json::null(),
            failure: Some(Failure::new("CANCELLED", reason.clone())),
            parent: run.parent.clone(),
        }]),
        RunStatus::Running | RunStatus::Paused if run.finishing => Ok(vec![
            Event::RunCancelRequested { run: id, reason: reason.clone() },
            handler::over(run, Conclusion::Cancelled, Json::null(), None),
        ]),
        RunStatus::Running | RunStatus::Paused => {
            Ok(vec![Event::RunCancelRequested { run: id, reason: reason.clone() }])
        }
        RunStatus::Cancelling => Ok(Vec::new()),
        status @ (RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled | RunStatus::TimedOut) => {
            Err(Rejection::RunTransition { run: id, status, wish: RunWish::Cancelled })
        }
    }
}

pub(super) fn pause(state: &State, id: RunId) -> Decided {
    let run = live(state, id)?;
    if run.status == RunStatus::Running && !run.timing_out {
        return Ok(vec![Event::RunPaused { run: id }]);
    }
    Err(Rejection::RunTransition { run: id, status: run.status, wish: RunWish::Paused })
}

pub(super) fn resume(state: &State, id: RunId) -> Decided {
    let run = live(state, id)?;
    if run.status == RunStatus::Paused {
        return Ok(vec![Event::RunResumed { run: id }]);
    }
    Err(Rejection::RunTransition { run: id, status: run.status, wish: RunWish::Resumed })
}

/// Ends a run, its children and their attempts, all in this entry.
pub(super) fn terminate(state: &State, id: RunId, reason: &Text) -> Decided {
    let run = live(state, id)?;
    let mut events = Vec::new();
    if matches!(run.status, RunStatus::Running | RunStatus::Paused) {
        events.push(Event::RunCancelRequested { run: id, reason: reason.clone() });
    }
    for child in state.indexes.children(&id) {
        events.extend(terminate(state, child, reason)?);
    }
    for (place, step) in (0..).zip(&run.steps) {
        if step.status == StepStatus::Running {
            let task = task::wind_down(state, TaskId::Step(id, place), reason);
            events
                .extend(task.into_iter().filter(|event| matches!(event, Event::TaskCancelRequested { .. })));
            let outcome = StepOutcome::Cancelled(reason.clone());
            events.push(Event::StepEnded { run: id, step: place, outcome });
        }
    }
    let (outputs, parent) = (Json::null(), run.parent.clone());
    let failure = Some(Failure::new("TERMINATED", reason.clone()));
    let (status, conclusion) = (RunStatus::Cancelled, Conclusion::Cancelled);
    events.push(Event::RunEnded { run: id, status, conclusion, outputs, failure, parent });
    Ok(events)
}

pub(super) fn live(state: &State, id: RunId) -> Result<&Run, Rejection> {
    state.runs.get(&id).ok_or(Rejection::RunNotLive { run: id })
}
