//! The query strings: one struct per list or wait, written and read the same way on both sides.
//! Unknown parameters are refused, so that a misspelt filter does not silently match everything.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Writes a query string, with the `?` unless it is empty.
pub(crate) fn write_query<Q: Serialize>(query: &Q) -> String {
    let text =
        serde_urlencoded::to_string(query).expect("the query structs are flat, so they can be written");
    if text.is_empty() { text } else { format!("?{text}") }
}

/// Reads a query string without its `?`.
///
/// # Errors
/// A sentence that names the unknown or wrong parameter.
pub fn parse_query<Q: DeserializeOwned>(text: &str) -> Result<Q, String> {
    let mut pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(text).map_err(|error| error.to_string())?;
    if !merge(&mut pairs) {
        return serde_urlencoded::from_str(text).map_err(|error| error.to_string());
    }
    let merged = serde_urlencoded::to_string(&pairs).expect("pairs of text can be written");
    serde_urlencoded::from_str(&merged).map_err(|error| error.to_string())
}

/// Filters that may be given more than once, and what separates them when they are one: any of them, or (labels) all.
const REPEATABLE: [(&str, char); 5] =
    [("status", ','), ("workflow", ','), ("action", ','), ("fields", ','), ("label", ';')];

/// Makes one parameter of repeated ones; says whether there were any.
fn merge(pairs: &mut Vec<(String, String)>) -> bool {
    let before = pairs.len();
    for (name, separator) in REPEATABLE {
        let Some(first) = pairs.iter().position(|(known, _)| known == name) else { continue };
        let mut rest = pairs.split_off(first + 1);
        rest.retain(|(other, value)| {
            let same = other == name;
            if same {
                pairs[first].1.push(separator);
                pairs[first].1.push_str(value);
            }
            !same
        });
        pairs.append(&mut rest);
    }
    pairs.len() < before
}

/// `GET /runs`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunsQuery {
    /// Only these statuses, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only runs of these workflows, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only runs with one of these labels, `name:value` separated by commas; lists separated by `;` all count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only what was created since: a time, or a duration before now such as `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what was created before: a time, or a duration before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only runs with this text in their id or workflow, whatever the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// The order: `-createdAt` (default), `createdAt`, `-endedAt`, `endedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Only these fields of each item, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

/// Which runs a batch is about: the filters of `GET /runs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunFilter {
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// As in [`RunsQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// `GET /approvals`, `GET /runs/{id}/children`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PageQuery {
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `GET /runs/{id}/steps/{step}/items`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ItemsQuery {
    /// Only these statuses, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `GET /workflows`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkflowsQuery {
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `GET /workflows/{name}/graph`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GraphQuery {
    /// `json` (the default), `mermaid`, `dot` or `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// A version other than the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// `GET /schedules`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SchedulesQuery {
    /// Only schedules of this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `GET /schedules/{id}/next`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextQuery {
    /// How many instants, 1 to 100; 5 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
}

/// `GET /tasks`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TasksQuery {
    /// Only these statuses, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only tasks of these actions, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only tasks of this run (`run` is the same).
    #[serde(default, alias = "run", skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only tasks with one of these labels, `name:value` separated by commas; lists separated by `;` all count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Only what was created since: a time, or a duration before now such as `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what was created before: a time, or a duration before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only tasks with this text in their id, name or action, whatever the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// The order: `-createdAt` (default), `createdAt`, `-endedAt`, `endedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// Only these fields of each item, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

/// `GET /tasks/dead`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadQuery {
    /// Only tasks of this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `GET /state/keys`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeysQuery {
    /// Only keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Items per page, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `nextCursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// `POST /runs`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartQuery {
    /// Answer with the run at its end, or as it is after so many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// `GET /runs/{id}/wait`, `GET /tasks/{id}/wait`, `POST /components/{id}/messages`, `POST /components/broadcast`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// How long to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
}

/// `GET /events` and `GET /events/stream`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only events with a `seq` above this one; without it a page begins with the oldest event and a stream with the
    /// next one. `Last-Event-ID` wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Only these types, separated by commas; globs such as `workflow.*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<String>,
    /// Only what happens to this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Only changes of these state keys: an exact name or a glob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only what happens to this component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Items per page, 1 to 500; pages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /components`: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentsQuery {
    /// They offer this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// They are of this kind.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where they stand: `connected`, `lost`, `draining`, `disconnected`; several, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// `GET /state/watch`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// An exact key or a glob: `app.*`, `**`.
    pub pattern: String,
    /// Only changes with a `seq` above this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Only changes with a `rev` above this one; 410 `EVENTS_COMPACTED` where they are no longer all kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_read_as_they_are_written() {
        let query =
            RunsQuery { status: Some("failed,timed_out".into()), limit: Some(5), ..RunsQuery::default() };
        let text = write_query(&query);
        assert_eq!(text, "?status=failed%2Ctimed_out&limit=5");
        assert_eq!(parse_query(&text[1..]), Ok(query));
        assert_eq!(write_query(&RunsQuery::default()), "");
        let repeated = parse_query::<RunsQuery>("status=failed&label=a:1,a:2&q=x&status=timed_out&label=b:3");
        let repeated = repeated.expect("filters may be repeated");
        assert_eq!(repeated.status.as_deref(), Some("failed,timed_out"));
        assert_eq!(repeated.label.as_deref(), Some("a:1,a:2;b:3"));
        assert!(parse_query::<RunsQuery>("limit=1&limit=2").is_err(), "what is no filter may not");
        assert!(parse_query::<RunsQuery>("stat=failed").is_err_and(|error| error.contains("stat")));
    }
}
