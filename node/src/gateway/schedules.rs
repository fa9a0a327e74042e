//! Schedules: make, read, list, pause, trigger, look ahead.
//! Knows the calendar only to refuse what has none and to look ahead; when a run starts is a rule.

use std::sync::Arc;

use orc_actors::calendar::{Calendar, CalendarError};
use orc_client::wire::{
    NextInstants, NextQuery, Reason, RunStarted, SchedulesQuery, SetSchedule, headers, paths,
};
use orc_domain::{
    Answer, BadId, Command, Expect, Json, RunId, Schedule, ScheduleId, ScheduleSpec, Timestamp, WorkflowName,
};
use uuid::Uuid;
use warp::http::header;

use super::{
    Gateway,
    access::{Accepted, unexpected},
    call::Call,
    paging,
    problem::Refusal,
    render::{self, schedule::view},
    reply::{Answered, Reply},
    runs_start::{created, resolve, schedule_group},
};
use crate::definition::triggers::{CATCH_UP, overlap_of};

/// `POST /schedules`
pub async fn create(gateway: Arc<Gateway>, call: Call) -> Answered {
    let body: SetSchedule = call.json()?;
    let id = body.id.clone().ok_or_else(|| Refusal::invalid("/id", "a schedule needs an `id`"))?;
    let id: ScheduleId = id.parse().map_err(|error: BadId| Refusal::invalid("/id", error.to_string()))?;
    gateway.set_schedule(&call, id, &body, Expect::Absent).await
}

/// `PUT /schedules/{id}`
pub async fn put(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (id, expect) = (call.schedule_id()?, call.condition()?);
    let body: SetSchedule = call.json()?;
    if body.id.as_ref().is_some_and(|named| named != id.as_str()) {
        return Err(Refusal::invalid("/id", "the path names another schedule"));
    }
    gateway.set_schedule(&call, id, &body, expect).await
}

/// `GET /schedules`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: SchedulesQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let after = paging::cursor::<ScheduleId>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    let mut rows = gateway.cluster.schedules(after.as_ref(), usize::MAX);
    rows.retain(|row| query.workflow.as_ref().is_none_or(|name| row.spec.workflow.as_str() == name));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.spec.id.clone());
    Ok(Reply::json(&paging::page(&rows, next, |row: &Arc<Schedule>| view(row))))
}

/// `GET /schedules/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.schedule_id()?;
    gateway.fresh(&call).await?;
    let row = gateway.schedule(&id)?;
    Ok(Reply::json(&view(&row)).header(header::ETAG, &headers::entity_tag(row.version)))
}

/// `GET /schedules/{id}/next`
pub async fn next(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.schedule_id()?;
    let query: NextQuery = call.query()?;
    let count = query.n.unwrap_or(5);
    if !(1..=100).contains(&count) {
        return Err(Refusal::bad_request(format!("in the query: `n` must be 1 to 100, not {count}")));
    }
    gateway.fresh(&call).await?;
    let spec = gateway.schedule(&id)?.spec.clone();
    let calendar = Calendar::new(&spec.cron, &spec.timezone).map_err(|error| refuse(&error))?;
    let later = |time: &Timestamp| calendar.after(*time);
    let instants = std::iter::successors(calendar.after(gateway.cluster.now()), later);
    let items = instants.take(count as usize).map(render::time).collect();
    Ok(Reply::json(&NextInstants { items }))
}

/// `POST /schedules/{id}/pause`
pub async fn pause(gateway: Arc<Gateway>, call: Call) -> Answered {
    let schedule = call.schedule_id()?;
    let _: Reason = call.json_or_default()?;
    let accepted = gateway.command(&call, Command::PauseSchedule { schedule: schedule.clone() }).await?;
    gateway.schedule_after(&schedule, &accepted).await
}

/// `POST /schedules/{id}/resume`
pub async fn resume(gateway: Arc<Gateway>, call: Call) -> Answered {
    let schedule = call.schedule_id()?;
    let _: Reason = call.json_or_default()?;
    let accepted = gateway.command(&call, Command::ResumeSchedule { schedule: schedule.clone() }).await?;
    gateway.schedule_after(&schedule, &accepted).await
}

/// `POST /schedules/{id}/trigger`
pub async fn trigger(gateway: Arc<Gateway>, call: Call) -> Answered {
    let schedule = call.schedule_id()?;
    let _: Reason = call.json_or_default()?;
    let run = RunId(Uuid::now_v7());
    let accepted = gateway.command(&call, Command::TriggerSchedule { schedule, run }).await?;
    let Answer::Run { id, status } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let started = RunStarted::of(id.to_string(), render::run_status(status));
    Ok(created(Reply::json(&started), &started).rev(accepted.rev).replayed(accepted.replayed))
}

/// `DELETE /schedules/{id}`
pub async fn delete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let schedule = call.schedule_id()?;
    let accepted = gateway.command(&call, Command::DeleteSchedule { schedule }).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

fn refuse(error: &CalendarError) -> Refusal {
    let pointer = match error {
        CalendarError::Zone { .. } => "/timezone",
        CalendarError::Pattern { .. } | CalendarError::Never { .. } => "/cron",
    };
    Refusal::invalid(pointer, error.to_string())
}

impl Gateway {
    fn schedule(&self, id: &ScheduleId) -> Result<Arc<Schedule>, Refusal> {
        let row = self.cluster.schedule(id);
        row.ok_or_else(|| orc_domain::Rejection::ScheduleUnknown { schedule: id.clone() }.into())
    }

    async fn set_schedule(
        &self,
        call: &Call,
        id: ScheduleId,
        body: &SetSchedule,
        expect: Expect,
    ) -> Answered {
        self.fresh(call).await?;
        let spec = Box::new(self.spec(id.clone(), body).await?);
        let accepted = self.command(call, Command::SetSchedule { spec, expect }).await?;
        let Answer::Version { version, made } = accepted.answer else {
            return Err(unexpected(&accepted.answer));
        };
        let reply = self.schedule_after(&id, &accepted).await?;
        let created = made && version == 1;
        Ok(if created { reply.created(&paths::fill(paths::SCHEDULE, id.as_str())) } else { reply })
    }

    async fn spec(&self, id: ScheduleId, body: &SetSchedule) -> Result<ScheduleSpec, Refusal> {
        let illegal = |error: BadId| Refusal::invalid("/workflow", error.to_string());
        let workflow: WorkflowName = body.workflow.parse().map_err(illegal)?;
        let timezone = body.timezone.as_deref().unwrap_or("UTC");
        Calendar::new(&body.cron, timezone).map_err(|error| refuse(&error))?;
        let overlap = body.overlap.as_deref().unwrap_or("skip");
        let overlap = overlap_of(overlap).map_err(|message| Refusal::invalid("/overlap", message))?;
        let given = body.inputs.as_ref().map_or("{}", |inputs| inputs.get());
        let stored = self.stored(&workflow, None).await?;
        let inputs = serde_json::from_str(given).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let inputs = resolve(&stored.compiled, &inputs)?;
        Ok(ScheduleSpec {
            group: schedule_group(&stored.definition, &id, &inputs)?,
            id,
            workflow,
            of_file: false,
            cron: body.cron.as_str().into(),
            timezone: timezone.into(),
            overlap,
            catch_up: body.catch_up.map_or(CATCH_UP, Into::into),
            jitter: body.jitter.map(Into::into).unwrap_or_default(),
            given: Json::from(given),
            inputs,
        })
    }

    async fn schedule_after(&self, id: &ScheduleId, accepted: &Accepted) -> Result<Reply, Refusal> {
        self.cluster.wait_applied(accepted.rev).await?;
        let row = self.schedule(id)?;
        let reply = Reply::json(&view(&row)).header(header::ETAG, &headers::entity_tag(row.version));
        Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
    }
}
