//! Schedules: to make, read, pause and trigger them.
//! Knows no calendar.

use reqwest::Method;
use serde_json::Value;

use crate::http::Call;
use crate::wire::{
    NextInstants, NextQuery, Page, RunStarted, ScheduleView, SchedulesQuery, SetSchedule, Timestamp, paths,
};
use crate::{Client, Error, RunHandle};

/// Calls about schedules: [`Client::schedules`].
#[derive(Clone, Debug)]
pub struct Schedules {
    client: Client,
}

impl Schedules {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a schedule; it is refused if there is one of its name.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn create(&self, schedule: &SetSchedule) -> Result<ScheduleView, Error> {
        self.client.call(Call::post(paths::SCHEDULES, schedule)?).await
    }

    /// Makes or changes a schedule.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn set(&self, id: &str, schedule: &SetSchedule) -> Result<ScheduleView, Error> {
        let call = Call::mutation(Method::PUT, paths::fill(paths::SCHEDULE, id)).json(schedule)?;
        self.client.call(call).await
    }

    /// The schedule as it is.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn get(&self, id: &str) -> Result<ScheduleView, Error> {
        self.client.call(Call::get(paths::fill(paths::SCHEDULE, id))).await
    }

    /// A page of schedules, by name.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn list(&self, query: &SchedulesQuery) -> Result<Page<ScheduleView>, Error> {
        self.client.call(Call::get(paths::SCHEDULES).query(query)).await
    }

    /// Its next instants.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn next(&self, id: &str, count: u32) -> Result<Vec<Timestamp>, Error> {
        let call = Call::get(paths::fill(paths::SCHEDULE_NEXT, id)).query(&NextQuery { n: Some(count) });
        let next: NextInstants = self.client.call(call).await?;
        Ok(next.items)
    }

    /// Gives no instant its turn until it is resumed.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn pause(&self, id: &str) -> Result<ScheduleView, Error> {
        self.client.call(Call::mutation(Method::POST, paths::fill(paths::SCHEDULE_PAUSE, id))).await
    }

    /// Goes on with the instants after now.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn resume(&self, id: &str) -> Result<ScheduleView, Error> {
        self.client.call(Call::mutation(Method::POST, paths::fill(paths::SCHEDULE_RESUME, id))).await
    }

    /// Starts a run now, whatever else goes on.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn trigger(&self, id: &str) -> Result<RunHandle, Error> {
        let call = Call::post(paths::fill(paths::SCHEDULE_TRIGGER, id), &Value::Object(Default::default()))?;
        let started: RunStarted = self.client.call(call).await?;
        Ok(self.client.runs().handle(started.run_id))
    }

    /// Forgets it; its runs go on.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.client.call_unit(Call::mutation(Method::DELETE, paths::fill(paths::SCHEDULE, id))).await
    }
}
