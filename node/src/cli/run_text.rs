//! A run as people read it: where it stands, what ties it to others, its steps.
//! Knows nothing of how it was fetched.

use orc_client::wire::{RunView, StepView};

use super::{
    Out,
    output::{Column, column},
    run::result_text,
    style, values,
};

const STEP_COLUMNS: [Column<StepView>; 7] = [
    column("STATUS", |step, _| style::status(step.status.as_str())),
    column("STEP", |step, _| step.id.clone()),
    column("TYPE", |step, _| step.kind.clone()),
    column("ATTEMPTS", |step, _| step.attempts.to_string()),
    column("DURATION", |step, _| values::millis(step.duration_ms)),
    column("WORKER", |step, _| match &step.cached_from {
        Some(run) => format!("cache, {run}"),
        None => values::or_dash(step.component.as_ref()),
    }),
    column("RESULT", |step, _| step_result(step)),
];

/// All of it.
pub(super) fn run_text(out: &Out, view: &RunView) -> String {
    let first = if view.status.is_terminal() {
        result_text(view)
    } else {
        let why = view
            .waiting_for
            .as_ref()
            .map(|waiting| format!(", waiting for {}", waiting.detail.as_ref().unwrap_or(&waiting.reason)));
        format!("{}{}", style::status(view.status.as_str()), why.unwrap_or_default())
    };
    let started = values::time(view.started_at.or(Some(view.created_at)), out);
    let table = out.table_text(&view.steps, &STEP_COLUMNS);
    let ties = ties(view);
    format!("{}  {}  started {started}\n{first}{ties}\n\n{table}", style::bold(&view.id), view.workflow)
}

/// What ties a run to others, a line each.
fn ties(view: &RunView) -> String {
    let parent = view.parent.as_ref().map(|parent| {
        let role = &parent.role;
        let index = role.index.map(|index| format!("[{index}]")).unwrap_or_default();
        let part = role.handler.iter().chain(&role.step).cloned().collect::<Vec<_>>().join(" ");
        format!("part of {} ({part}{index})", parent.run_id)
    });
    let origin = view.origin.as_ref().map(|origin| format!("{} of {}", origin.how, origin.run_id));
    let group = view.group.as_ref().map(|group| format!("concurrency group {group}"));
    let signals = (view.signals > 0).then(|| format!("{} signals not taken yet", view.signals));
    let handlers = view.handlers.iter().map(|one| {
        let step = one.step.as_ref().map(|step| format!(" {step}")).unwrap_or_default();
        format!("{}{step}: {}", one.kind, one.run_id)
    });
    let lines = parent.into_iter().chain(origin).chain(group).chain(signals).chain(handlers);
    lines.map(|line| format!("\n  {line}")).collect()
}

fn step_result(step: &StepView) -> String {
    if let Some(error) = &step.error {
        return format!("{}: {}", error.code, error.message.lines().next().unwrap_or_default());
    }
    if let Some(decision) = step.decision {
        return decision.to_string();
    }
    if let Some(items) = step.items.filter(|_| !step.status.is_terminal()) {
        return values::items(&items);
    }
    let waiting = step
        .waiting_for
        .as_ref()
        .map(|waiting| waiting.detail.clone().unwrap_or_else(|| waiting.reason.clone()));
    waiting.unwrap_or_else(|| values::short_json(step.output.as_ref(), 60))
}
