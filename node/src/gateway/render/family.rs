//! What ties runs and steps together, in its public form: parents, origins, handlers, items, what a step awaits.
//! Knows nothing of how the other runs' rows are found.

use orc_client::wire::{
    HandlerView, ItemCounts, ItemView, OriginView, ParentView, RoleView, StepStatus, StepView,
};
use orc_domain::{
    Definition, Earlier, FanItem, Job, Parent, Repeat, Role, Run, StepIx, StepOutcome, StepStatus as Status,
    Work,
};

use super::{approval::ApprovalId, error, raw};

/// The id of a step, as far as it is known.
pub fn step_id(run: &Run, definition: Option<&Definition>, place: StepIx) -> String {
    let def = definition.and_then(|definition| definition.block(run.block).get(usize::from(place)));
    def.map_or_else(|| format!("step_{place}"), |def| def.id.to_string())
}

/// What a child is to its parent.
pub fn role(role: Role, parent: &Run, definition: Option<&Definition>) -> RoleView {
    let step = |place| Some(step_id(parent, definition, place));
    match role {
        Role::Item { step: place, index } => {
            RoleView { step: step(place), index: Some(index), handler: None }
        }
        Role::Step(place) => RoleView { step: step(place), ..RoleView::default() },
        Role::Handler(job) => {
            RoleView { step: undone(job).and_then(step), index: None, handler: Some(job.name().to_owned()) }
        }
    }
}

fn undone(job: Job) -> Option<StepIx> {
    match job {
        Job::Compensate(step) => Some(step),
        Job::OnFailure | Job::OnCancel | Job::Finally => None,
    }
}

/// Whose child a run is; `around` is the parent's row, where it is still there.
pub fn parent(parent: &Parent, around: Option<(&Run, Option<&Definition>)>) -> ParentView {
    let role = around.map(|(run, definition)| role(parent.role, run, definition)).unwrap_or_default();
    ParentView { run_id: parent.run.to_string(), role }
}

/// The earlier run that a run repeats.
pub fn origin(earlier: &Earlier) -> OriginView {
    let how = match earlier.how {
        Repeat::Retry => "retry",
        Repeat::Rerun => "rerun",
        Repeat::Detached => "detached",
    };
    OriginView { run_id: earlier.run.to_string(), how: how.to_owned() }
}

/// The handlers that a run has started.
pub fn handlers(run: &Run, definition: Option<&Definition>) -> Vec<HandlerView> {
    let started = run.handling.iter().flat_map(|handling| &handling.started);
    let view = |(job, child): &(Job, orc_domain::RunId)| HandlerView {
        kind: job.name().to_owned(),
        step: undone(*job).map(|step| step_id(run, definition, step)),
        run_id: child.to_string(),
    };
    started.map(view).collect()
}

/// Adds what a step without a task is about.
pub fn add_work(view: &mut StepView, run: &Run, place: StepIx) {
    let step = &run.steps[usize::from(place)];
    let waits = step.status == Status::Waiting;
    match step.work.as_deref() {
        Some(Work::Fan(fan)) => {
            let (total, running, ended, failed) = (fan.total, fan.running, fan.ended, fan.failed);
            view.items = Some(ItemCounts { total, running, ended, failed });
        }
        Some(Work::Child(child)) => view.child_run_id = Some(child.to_string()),
        Some(Work::Signal(name)) if waits => view.signal = Some(name.to_string()),
        Some(Work::Event(wait)) if waits => view.event = Some(wait.kind.to_string()),
        Some(Work::Approval(request)) if waits => {
            view.approval_id = Some(ApprovalId(run.id, place).to_string());
            view.request = Some(raw(request));
        }
        Some(Work::Signal(_) | Work::Approval(_) | Work::Message(_) | Work::Event(_)) | None => {}
    }
}

/// An item of a `foreach`; one that has not begun where its step has ended never will.
pub fn item(index: u32, item: &FanItem, step_ended: bool) -> ItemView {
    let status = match (&item.outcome, item.run) {
        (Some(outcome), _) => StepStatus::from(outcome.status().name()),
        (None, Some(_)) => StepStatus::Running,
        (None, None) if step_ended => StepStatus::Skipped,
        (None, None) => StepStatus::Pending,
    };
    let (output, why) = match &item.outcome {
        Some(StepOutcome::Completed(output)) => (Some(raw(output)), None),
        Some(outcome) => (None, outcome.failure().map(error)),
        None => (None, None),
    };
    let (value, run_id) = (raw(&item.given.value), item.run.map(|run| run.to_string()));
    let key = item.given.key.as_ref().map(|key| key.to_string());
    ItemView { index, key, status, value, output, error: why, run_id }
}
