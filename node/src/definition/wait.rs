//! Steps that wait: for some time, until a time, for a signal, for an event, for people.
//! Knows nothing of who ends the wait.

use std::time::Duration;

use orc_domain::{Json, OnTimeout, StepKind, Text};
use serde_json::{Map, Value as JsonValue, json};

use super::{
    error::code,
    form::config_of,
    read::Reader,
    step::Options,
    template,
    tree::{Entry, Node, Value},
    triggers::event_pattern,
};

/// What a wait can be for; one of them.
const WAYS: [&str; 4] = ["duration", "until", "signal", "event"];

/// Reads a delay or a wait.
pub(super) fn wait(reader: &mut Reader<'_>, node: &Node, options: &mut Options) -> StepKind {
    let config = config_of(reader, node);
    let Some(given) = node.get("delay").or_else(|| node.get("wait")).or(config) else {
        reader.report.at(
            node,
            code::MISSING_FIELD,
            "a wait needs `delay: 5s`, `wait: { until: … }`, `wait: { signal: … }` or `wait: { event: … }`",
        );
        return StepKind::Delay { duration: Duration::ZERO };
    };
    let Value::Map(entries) = &given.value else {
        return StepKind::Delay { duration: reader.duration_at(given, "a delay").unwrap_or_default() };
    };
    let known = ["duration", "until", "signal", "event", "filter", "timeout"];
    reader.fields(given, "`wait`", &known, &["onTimeout"]);
    let ways: Vec<&Entry> = entries.iter().filter(|entry| WAYS.contains(&entry.key.as_str())).collect();
    if let [first, second, ..] = ways.as_slice() {
        let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
        reader.report.at_key(second, code::CONFLICT, message);
    }
    let Some(way) = ways.first() else {
        let message = "a wait needs `duration`, `until`, `signal` or `event`";
        reader.report.at(given, code::MISSING_FIELD, message);
        return StepKind::Delay { duration: Duration::ZERO };
    };
    if way.key == "event" {
        inner_limit(reader, node, given, options);
        return event(reader, given, &way.value);
    }
    if let Some(filter) = given.get("filter") {
        reader.report.at(filter, code::CONFLICT, "`filter` applies to a wait for an event");
    }
    if way.key == "signal" {
        inner_limit(reader, node, given, options);
        let name = reader.word(&way.value, "`signal`").unwrap_or_default();
        return StepKind::Signal { name: Text::from(name) };
    }
    if let Some(timeout) = given.get("timeout") {
        reader.report.at(timeout, code::CONFLICT, "`timeout` applies to a wait for a signal or an event");
    }
    if way.key == "until" {
        return StepKind::Until { expression: until(reader, &way.value).unwrap_or_else(|| Text::from("0")) };
    }
    StepKind::Delay { duration: reader.duration(given, "duration").unwrap_or_default() }
}

/// The filter sees the event beside what every expression of the step sees.
fn event(reader: &mut Reader<'_>, wait: &Node, kind: &Node) -> StepKind {
    let pattern = event_pattern(reader, kind, "`event`");
    let filter = wait.get("filter").and_then(|filter| {
        let bound = [Text::from("event")];
        reader.inside(reader.within, &bound, |reader| reader.expression(filter, "`filter`"))
    });
    StepKind::Event { kind: pattern.map_or_else(|| Text::from("**"), |(kind, _)| kind), filter }
}

/// A time as it is, or an expression that yields one.
fn until(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    if let Value::Number(number) = &node.value {
        return Some(Text::from(number.to_string()));
    }
    let text = node.text().map(str::trim).filter(|text| begins_with_date(text));
    let Some(text) = text else { return reader.expression(node, "`until`") };
    if !is_time(text) {
        let message =
            format!("`{text}` is not a time: write 2026-11-22T04:11:08Z, or with an offset such as +01:00");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some(Text::from(JsonValue::from(text).to_string()))
}

fn begins_with_date(text: &str) -> bool {
    let digits_alike = text.chars().take(8).map(|c| if c.is_ascii_digit() { '0' } else { c });
    digits_alike.eq("0000-00-".chars())
}

/// RFC 3339, with `Z` or an offset.
fn is_time(text: &str) -> bool {
    let in_utc = |text: &str| text.parse::<orc_client::wire::Timestamp>().is_ok();
    if text.ends_with('Z') {
        return in_utc(text);
    }
    let Some((local, offset)) = text.split_at_checked(text.len().saturating_sub(6)) else { return false };
    let Some((hours, minutes)) = offset.strip_prefix(['+', '-']).and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let below =
        |text: &str, bound: u8| text.len() == 2 && text.parse::<u8>().is_ok_and(|number| number < bound);
    below(hours, 24) && below(minutes, 60) && in_utc(&format!("{local}Z"))
}

/// Reads an approval.
pub(super) fn approval(reader: &mut Reader<'_>, node: &Node, options: &mut Options) -> StepKind {
    let (mut request, mut templated) = (Map::new(), false);
    let (mut approvers, mut on_timeout) = (Vec::new(), OnTimeout::default());
    let known = ["prompt", "approvers", "form", "timeout", "onTimeout"];
    if let Some(approval) = reader.needed(node, "approval", "an approval step")
        && reader.fields(approval, "`approval`", &known, &[])
    {
        if let Some(prompt) = reader.needed(approval, "prompt", "`approval`") {
            reader.text(prompt, "`prompt`");
        }
        if let Some(form) = approval.get("form").filter(|form| form.entries().is_none()) {
            reader.wrong_type(form, "`form`", "a JSON Schema, a map");
        }
        for key in ["prompt", "form"] {
            let Some(given) = approval.get(key) else { continue };
            templated |= reader.templates(given);
            request.insert(key.to_owned(), given.to_json());
        }
        approvers = read_approvers(reader, approval);
        if !approvers.is_empty() {
            let names: Vec<&str> = approvers.iter().map(|name| &**name).collect();
            request.insert("approvers".to_owned(), json!(names));
        }
        inner_limit(reader, node, approval, options);
        on_timeout = read_on_timeout(reader, approval, options);
    }
    let request = Json::from(JsonValue::Object(request).to_string());
    StepKind::Approval { request, templated, approvers, on_timeout }
}

/// Who may decide is fixed when the workflow is written.
fn read_approvers(reader: &mut Reader<'_>, approval: &Node) -> Vec<Text> {
    let mut approvers = Vec::new();
    for (node, name) in reader.text_list(approval, "approvers") {
        if template::has_any(name) {
            reader.report.at(node, code::BAD_VALUE, "`approvers` are names, without expressions");
        }
        approvers.push(Text::from(name));
    }
    approvers
}

fn read_on_timeout(reader: &mut Reader<'_>, approval: &Node, options: &Options) -> OnTimeout {
    if let Some(node) = approval.get("onTimeout").filter(|_| options.limit.is_none()) {
        reader.report.at(node, code::CONFLICT, "`onTimeout` needs a `timeout`");
    }
    let words = [("reject", OnTimeout::Reject), ("approve", OnTimeout::Approve), ("fail", OnTimeout::Fail)];
    reader.choice(approval, "onTimeout", words).unwrap_or_default()
}

/// A time limit that stands inside the form's own field, where the step's `timeout` could be.
pub(super) fn inner_limit(reader: &mut Reader<'_>, step: &Node, inner: &Node, options: &mut Options) {
    let Some(given) = inner.get("timeout") else { return };
    if step.get("timeout").is_some() {
        let message = "the time limit is given twice: as the step's `timeout` and here";
        reader.report.at(given, code::CONFLICT, message);
        return;
    }
    options.limit = reader.time_limit(inner, "timeout");
}
