//! Schedules, as requests and answers, and what a hook answers.
//! Knows no calendar.

use serde::{Deserialize, Serialize};

use super::{Millis, Raw, Timestamp};

/// `POST /schedules` and `PUT /schedules/{id}`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SetSchedule {
    /// Its name; `POST` only, `PUT` has it in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The workflow whose latest version it starts.
    pub workflow: String,
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// The zone in which the fields are read; UTC if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// `skip` (the default), `queue`, `allow` or `cancelRunning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<String>,
    /// How late an instant may still have its turn; 10 minutes if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<Millis>,
    /// Each instant is put off by a part of this, always the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Millis>,
    /// Inputs of its runs, an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Raw>,
}

/// `GET /schedules/{id}`, an item of the list, and the answer to every change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its name.
    pub id: String,
    /// What it starts.
    pub workflow: String,
    /// It came with the workflow's file.
    #[serde(default)]
    pub of_file: bool,
    /// Five fields.
    pub cron: String,
    /// Where they are read.
    pub timezone: String,
    /// What happens while a run of it goes on.
    pub overlap: String,
    /// How late an instant may still have its turn.
    pub catch_up: Millis,
    /// How far instants are spread.
    pub jitter: Millis,
    /// Inputs as given.
    #[serde(default)]
    pub inputs: Option<Raw>,
    /// No instant has its turn.
    pub paused: bool,
    /// The number of its changes.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The next instant, once it is computed.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// The last run it started.
    #[serde(default)]
    pub last: Option<ScheduledRun>,
    /// Its live runs.
    #[serde(default)]
    pub running: Vec<String>,
    /// How many instants wait for those.
    #[serde(default)]
    pub waiting: u64,
    /// How many runs it started.
    #[serde(default)]
    pub started: u64,
    /// How many instants had no run because of its overlap, a pause or a limit.
    #[serde(default)]
    pub skipped: u64,
    /// How many instants had no run because it was too late for them.
    #[serde(default)]
    pub missed: u64,
}

/// A run that a schedule started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledRun {
    /// Which.
    pub run_id: String,
    /// For which instant.
    pub instant: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// `GET /schedules/{id}/next`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextInstants {
    /// The instants, before jitter.
    pub items: Vec<Timestamp>,
}

/// The answer to `POST /hooks/{workflow}/{hook}`: 201 with a run, 200 if the hook's filter said no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookAnswered {
    /// A run was started.
    pub started: bool,
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}
