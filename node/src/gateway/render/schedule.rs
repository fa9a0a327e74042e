//! Schedules in their public form.

use orc_client::wire::{ScheduleView, ScheduledRun};
use orc_domain::Schedule;

use super::{raw, time};

/// A schedule.
pub fn view(schedule: &Schedule) -> ScheduleView {
    let spec = &schedule.spec;
    ScheduleView {
        id: spec.id.to_string(),
        workflow: spec.workflow.to_string(),
        of_file: spec.of_file,
        cron: spec.cron.to_string(),
        timezone: spec.timezone.to_string(),
        overlap: spec.overlap.name().to_owned(),
        catch_up: spec.catch_up.into(),
        jitter: spec.jitter.into(),
        inputs: Some(raw(&spec.given)),
        paused: schedule.paused,
        version: schedule.version,
        created_at: time(schedule.created_at),
        next: schedule.next.map(time),
        last: schedule.last.as_ref().map(|last| ScheduledRun {
            run_id: last.run.to_string(),
            instant: time(last.instant),
            at: time(last.at),
        }),
        running: schedule.running.iter().map(ToString::to_string).collect(),
        waiting: schedule.waiting.len() as u64,
        started: schedule.started,
        skipped: schedule.skipped,
        missed: schedule.missed,
    }
}
