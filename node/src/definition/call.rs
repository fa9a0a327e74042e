//! Steps that turn to something else: another workflow, state keys, components, watchers of events, a coding agent.
//! Knows the fields of one form at a time.

use std::{str::FromStr, time::Duration};

use orc_domain::{ComponentId, Json, StateKey, StepKind, Text};
use serde_json::{Map, Value as JsonValue};

use super::{
    error::code,
    form::{made, merge_env, object},
    read::Reader,
    step::{Defaults, Options},
    template,
    tree::{Node, Value},
    wait::inner_limit,
};

/// Time for the reply to a message unless the file says otherwise.
const REPLY_WAIT: Duration = Duration::from_secs(30);
/// The longest type of an event.
const EVENT_TYPE_MAX: usize = 128;
/// First parts of the types of built-in events.
const BUILT_IN: [&str; 15] = [
    "workflow",
    "step",
    "task",
    "component",
    "message",
    "state",
    "snapshot",
    "error",
    "health",
    "deadlock",
    "cluster",
    "definition",
    "schedule",
    "action",
    "trigger",
];

/// Reads a step that runs another workflow.
pub(super) fn workflow(reader: &mut Reader<'_>, node: &Node) -> StepKind {
    let target = reader.needed(node, "workflow", "a workflow step");
    let (name, version) = target.and_then(|target| workflow_name(reader, target)).unwrap_or_default();
    let mut inputs = Map::new();
    if let Some(given) = node.get("inputs").filter(|given| given.value != Value::Null) {
        if given.entries().is_none() {
            reader.wrong_type(given, "`inputs`", "a map");
        }
        reader.templates(given);
        inputs = object(given);
    }
    let detach = reader.switch(node, "detach").unwrap_or(false);
    if let Some(timeout) = node.get("timeout").filter(|_| detach) {
        let message = "nobody waits for a detached run: give that workflow its own `timeout`";
        reader.report.at(timeout, code::CONFLICT, message);
    }
    let inputs = Json::from(JsonValue::Object(inputs).to_string());
    StepKind::Workflow { name: Text::from(name), version, inputs, detach }
}

/// `name` or `name@version`.
fn workflow_name(reader: &mut Reader<'_>, node: &Node) -> Option<(String, Option<u32>)> {
    let text = reader.text(node, "`workflow`")?;
    let (name, version) = match text.split_once('@') {
        None => (text, None),
        Some((name, version)) => (name, Some(version.parse::<u32>().ok().filter(|version| *version > 0))),
    };
    if name.parse::<ComponentId>().is_err() || version == Some(None) {
        let message =
            format!("`{text}` names no workflow: write its name or name@version, such as publish-model@3");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some((name.to_owned(), version.flatten()))
}

/// Reads a step that writes and reads state keys.
pub(super) fn state(reader: &mut Reader<'_>, node: &Node) -> StepKind {
    let (mut writes, mut templated, mut if_version, mut snapshot) = (Vec::new(), false, None, None);
    let [mut reads, mut deletes] = [const { Vec::new() }; 2];
    let of_step = reader.needed(node, "state", "a state step");
    let known = ["set", "get", "delete", "snapshot", "ifVersion"];
    if let Some(state) = of_step
        && reader.fields(state, "`state`", &known, &[])
    {
        if known[..4].iter().all(|field| state.get(field).is_none()) {
            reader.report.at(
                state,
                code::MISSING_FIELD,
                "`state` needs `set`, `get`, `delete` or `snapshot`",
            );
        }
        (writes, templated) = state.get("set").map(|set| read_writes(reader, set)).unwrap_or_default();
        for (field, keys) in [("get", &mut reads), ("delete", &mut deletes)] {
            for (at, key) in reader.text_list(state, field) {
                keys.extend(state_key(key).map_err(|message| reader.report.at(at, code::BAD_VALUE, message)));
            }
        }
        for (at, deleted) in reader.text_list(state, "delete") {
            if writes.iter().any(|(key, _)| key.as_str() == deleted) {
                reader.report.at(at, code::CONFLICT, "this step sets this key");
            }
        }
        snapshot = state.get("snapshot").and_then(|about| read_snapshot(reader, about));
        if_version = reader.whole(state, "ifVersion", (0, u32::MAX)).map(u64::from);
        if let Some(at) = state.get("ifVersion").filter(|_| writes.len() != 1) {
            let message = format!("`ifVersion` goes with one key in `set`, this step sets {}", writes.len());
            reader.report.at(at, code::CONFLICT, message);
        }
    }
    StepKind::State { writes, templated, reads, if_version, deletes, snapshot }
}

/// What is said about a snapshot: nothing (`true`), or an object.
fn read_snapshot(reader: &mut Reader<'_>, about: &Node) -> Option<Json> {
    match &about.value {
        Value::Bool(wanted) => wanted.then(|| Json::from("{}")),
        _ if about.entries().is_some() => Some(Json::from(JsonValue::Object(object(about)).to_string())),
        _ => {
            reader.wrong_type(about, "`snapshot`", "true, or a map such as { description: ... }");
            None
        }
    }
}

fn read_writes(reader: &mut Reader<'_>, set: &Node) -> (Vec<(StateKey, Json)>, bool) {
    let Some(entries) = set.entries() else {
        reader.wrong_type(set, "`set`", "a map of keys and values");
        return Default::default();
    };
    if entries.is_empty() {
        reader.report.at(set, code::BAD_VALUE, "`set` is empty");
    }
    let (mut writes, mut templated) = (Vec::new(), false);
    for entry in entries {
        templated |= reader.templates(&entry.value);
        match state_key(&entry.key) {
            Ok(key) => writes.push((key, Json::from(entry.value.to_json().to_string()))),
            Err(message) => reader.report.at_key(entry, code::BAD_VALUE, message),
        }
    }
    (writes, templated)
}

fn state_key(text: &str) -> Result<StateKey, String> {
    StateKey::from_str(text).map_err(|bad| bad.to_string())
}

/// Reads a step that sends a message.
pub(super) fn message(reader: &mut Reader<'_>, node: &Node, options: &mut Options) -> StepKind {
    let mut request = Map::new();
    let mut templated = false;
    let known = ["component", "broadcast", "type", "payload", "timeout"];
    if let Some(message) = reader.needed(node, "message", "a message step")
        && reader.fields(message, "`message`", &known, &[])
    {
        inner_limit(reader, node, message, options);
        read_receiver(reader, message);
        if let Some(kind) = reader.needed(message, "type", "`message`") {
            reader.text(kind, "`type`");
        }
        templated = reader.templates(message);
        request = object(message);
        request.remove("timeout");
        if request.get("broadcast") == Some(&JsonValue::Bool(false)) {
            request.remove("broadcast");
        }
    }
    options.limit = options.limit.or(Some(REPLY_WAIT));
    StepKind::Message { request: Json::from(JsonValue::Object(request).to_string()), templated }
}

fn read_receiver(reader: &mut Reader<'_>, message: &Node) {
    let broadcast = reader.switch(message, "broadcast").unwrap_or(false);
    match message.get("component") {
        Some(component) if broadcast => {
            let text = "a message goes to a `component` or is a `broadcast`, not both";
            reader.report.at(component, code::CONFLICT, text);
        }
        Some(component) => {
            let id = reader.text(component, "`component`").filter(|id| !template::has_any(id));
            if let Some(Err(bad)) = id.map(str::parse::<ComponentId>) {
                reader.report.at(component, code::BAD_VALUE, bad.to_string());
            }
        }
        None if broadcast => {}
        None => {
            let text = "`message` needs a `component`, or `broadcast: true`";
            reader.report.at(message, code::MISSING_FIELD, text);
        }
    }
}

/// Reads a step that makes an event of the user's own.
pub(super) fn emit(reader: &mut Reader<'_>, node: &Node) -> StepKind {
    let (mut kind, mut data, mut templated) = (Text::from(""), JsonValue::Null, false);
    if let Some(emit) = reader.needed(node, "emit", "an emit step")
        && reader.fields(emit, "`emit`", &["type", "data"], &[])
    {
        let given = reader.needed(emit, "type", "`emit`");
        kind = given.and_then(|given| event_type(reader, given)).unwrap_or(kind);
        if let Some(given) = emit.get("data") {
            templated = reader.templates(given);
            data = given.to_json();
        }
    }
    StepKind::Emit { kind, data: Json::from(data.to_string()), templated }
}

fn event_type(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    let text = reader.text(node, "`type`")?;
    own_event_type(text).map_err(|message| reader.report.at(node, code::BAD_VALUE, message)).ok()
}

/// The type of an event of a user's own, or why it is none.
pub fn own_event_type(text: &str) -> Result<Text, String> {
    let legal_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let legal = text.len() <= EVENT_TYPE_MAX
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(legal_byte));
    if !legal {
        return Err(format!(
            "an event's type is made of letters, digits, `_` and `-` with dots between, at most {EVENT_TYPE_MAX} bytes"
        ));
    }
    let first = text.split('.').next().unwrap_or(text);
    if BUILT_IN.contains(&first) {
        return Err(format!("`{text}` looks like a built-in event: begin with another word than `{first}`"));
    }
    Ok(Text::from(text))
}

/// Reads a step that asks a coding agent.
pub(super) fn agent(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults) -> StepKind {
    let known = ["provider", "prompt", "workdir", "allowedTools", "maxTurns", "model", "outputSchema"];
    let Some(agent) = reader.needed(node, "agent", "an agent step") else {
        return made("agent", Map::new(), false);
    };
    if !reader.fields(agent, "`agent`", &known, &[]) {
        return made("agent", Map::new(), false);
    }
    for key in ["provider", "prompt"] {
        reader.needed(agent, key, "`agent`");
    }
    for key in ["provider", "prompt", "workdir", "model"] {
        if let Some(given) = agent.get(key) {
            reader.text(given, &format!("`{key}`"));
        }
    }
    reader.text_list(agent, "allowedTools");
    reader.whole(agent, "maxTurns", (1, 10_000));
    if let Some(schema) = agent.get("outputSchema").filter(|schema| schema.entries().is_none()) {
        reader.wrong_type(schema, "`outputSchema`", "a JSON Schema, a map");
    }
    let templated = reader.task_templates(agent);
    let mut json = object(agent);
    let with_env = merge_env(reader, node, defaults, &mut json);
    made("agent", json, templated || with_env)
}
