//! Facts about workflows that are kept by name and about schedules, in their public form.
//! Knows nothing of other facts.

use orc_domain::{ScheduleEvent, ScheduleId, Turn, WorkflowEvent, WorkflowName};

use super::{
    data::Data,
    event::{Told, hex},
    time,
};

/// The name of a change of a workflow.
pub(super) fn workflow_kind(event: &WorkflowEvent) -> &'static str {
    match event {
        WorkflowEvent::Applied { .. } => "definition.applied",
        WorkflowEvent::Deleted { .. } => "definition.deleted",
        WorkflowEvent::Paused { .. } => "definition.paused",
        WorkflowEvent::Resumed { .. } => "definition.resumed",
        WorkflowEvent::StartsSkipped(_) => "trigger.skipped",
    }
}

/// The name of a change of a schedule.
pub(super) fn schedule_kind(event: &ScheduleEvent) -> &'static str {
    match event {
        ScheduleEvent::Set(_) => "schedule.set",
        ScheduleEvent::Deleted { .. } => "schedule.deleted",
        ScheduleEvent::Paused { .. } => "schedule.paused",
        ScheduleEvent::Resumed { .. } => "schedule.resumed",
        ScheduleEvent::Planned { .. } => "schedule.planned",
        ScheduleEvent::Fired { .. } => "schedule.fired",
        ScheduleEvent::Skipped { .. } => "schedule.skipped",
        ScheduleEvent::Queued { .. } => "schedule.queued",
    }
}

/// Subject and data of a change of a workflow.
pub(super) fn tell_workflow(event: &WorkflowEvent) -> Told {
    match event {
        WorkflowEvent::Applied { name, version, definition } => {
            of_workflow(name).and(|data| data.with("version", *version).text("digest", hex(&definition.0)))
        }
        WorkflowEvent::Deleted { name }
        | WorkflowEvent::Paused { name }
        | WorkflowEvent::Resumed { name } => of_workflow(name),
        WorkflowEvent::StartsSkipped(skipped) => of_workflow(&skipped.workflow).and(|data| {
            let data = data.text("trigger", &skipped.trigger).with("seq", skipped.seq);
            data.with("count", skipped.count)
                .text("cause", skipped.cause.name())
                .text("detail", &skipped.detail)
        }),
    }
}

/// Subject and data of a change of a schedule.
pub(super) fn tell_schedule(event: &ScheduleEvent) -> Told {
    match event {
        ScheduleEvent::Set(spec) => of_schedule(&spec.id).and(|data| {
            let data = data.text("workflow", &spec.workflow).with("ofFile", spec.of_file);
            data.text("cron", &spec.cron)
                .text("timezone", &spec.timezone)
                .text("overlap", spec.overlap.name())
        }),
        ScheduleEvent::Deleted { schedule }
        | ScheduleEvent::Paused { schedule }
        | ScheduleEvent::Resumed { schedule } => of_schedule(schedule),
        ScheduleEvent::Planned { schedule, instant, missed } => of_schedule(schedule).and(|data| {
            data.text("instant", time(*instant)).maybe("missed", missed.as_ref().map(|missed| missed.count))
        }),
        ScheduleEvent::Fired { schedule, instant, turn, run } => of_schedule(schedule).and(|data| {
            let data = data.text("instant", time(*instant)).with("manual", *turn == Turn::Hand);
            data.text("runId", run)
        }),
        ScheduleEvent::Skipped { schedule, instant, cause, .. } => {
            of_schedule(schedule).and(|data| data.text("instant", time(*instant)).text("cause", cause.name()))
        }
        ScheduleEvent::Queued { schedule, instant } => {
            of_schedule(schedule).and(|data| data.text("instant", time(*instant)))
        }
    }
}

fn of_workflow(name: &WorkflowName) -> Told {
    Told(name.to_string(), Data::default().text("workflow", name))
}

fn of_schedule(id: &ScheduleId) -> Told {
    Told(id.to_string(), Data::default().text("schedule", id))
}
