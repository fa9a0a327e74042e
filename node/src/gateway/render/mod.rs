//! From the domain's rows and facts to the public bodies, each in exactly one way.
//! Reads what it is given; knows nothing of requests, disks or consensus.

pub mod approval;
pub mod awaiting;
pub mod component;
mod data;
pub mod event;
mod event_family;
mod event_kept;
pub mod event_sent;
pub mod explain;
pub mod family;
pub mod message;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod state;
pub mod task;
pub mod waiting;
pub mod workflow;

use std::collections::BTreeMap;

use orc_client::wire::{self, ErrorBody, Raw};
use orc_domain::{Failure, Json, Labels, Priority, RunStatus, TaskStatus, Timestamp};
use serde_json::value::RawValue;

/// JSON text as it is; the rules carry only what was parsed once.
pub fn raw(json: &Json) -> Raw {
    RawValue::from_string(json.as_str().to_owned()).unwrap_or_else(|_| wire::raw_null())
}

/// JSON text on one line, as sessions and streams need it: a line break in JSON is always between values.
pub fn one_line(json: &Json) -> Raw {
    let text = json.as_str();
    // One by one: so they are looked for many bytes at a time, and most texts are long or have none.
    if !text.contains('\n') && !text.contains('\r') {
        return raw(json);
    }
    RawValue::from_string(text.replace(['\n', '\r'], " ")).unwrap_or_else(|_| wire::raw_null())
}

/// A time in its public form.
pub fn time(at: Timestamp) -> wire::Timestamp {
    wire::Timestamp(at.0)
}

/// A failure in its public form.
pub fn error(failure: &Failure) -> ErrorBody {
    ErrorBody::new(&*failure.code, &*failure.message)
}

/// Labels in their public form.
pub fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// A priority in its public form.
pub fn priority(priority: Priority) -> wire::Priority {
    wire::Priority::from_level(priority.level().into()).unwrap_or_default()
}

/// A run's status as it is stored.
pub fn run_status(status: RunStatus) -> wire::RunStatus {
    wire::RunStatus::from(status.name())
}

/// A task's status.
pub fn task_status(status: TaskStatus) -> wire::TaskStatus {
    wire::TaskStatus::from(status.name())
}

/// From the start to the end, or until now.
pub fn duration_ms(started: Option<Timestamp>, ended: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    let passed = ended.unwrap_or(now).since(started?);
    u64::try_from(passed.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_many_lines_fits_on_one() {
        let json = Json::from("{\n  \"a\": \"x\\ny\",\r\n  \"b\": 1\n}");
        let line = one_line(&json);
        assert_eq!(line.get().lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(line.get()).expect("it is still JSON");
        assert_eq!(value, serde_json::json!({"a": "x\ny", "b": 1}));
        assert_eq!(raw(&json).get(), json.as_str(), "elsewhere the bytes stay as they came");
    }
}
