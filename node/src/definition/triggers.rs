//! What starts a workflow by itself: its `triggers`, and the `secrets` it names.
//! Knows the calendar only as far as a pattern has one; nothing of requests or of the state.

use std::time::Duration;

use orc_actors::{
    BadPattern, Pattern,
    calendar::{Calendar, CalendarError},
};
use orc_domain::{Json, Overlap, RunStatus, ScheduleSpec, Text, WorkflowName};
use serde_json::{Map, Value as JsonValue};

use super::{
    error::code,
    inputs::InputSchema,
    read::Reader,
    suggest::did_you_mean,
    tree::{Node, Value},
};

/// Triggers of one kind.
const TRIGGERS_MAX: usize = 20;
/// How late an instant may have its turn if the file does not say.
pub const CATCH_UP: Duration = Duration::from_secs(600);

/// What starts a workflow by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Triggers {
    /// Times.
    pub cron: Vec<CronTrigger>,
    /// Signed calls from outside.
    pub webhooks: Vec<WebhookTrigger>,
    /// Events.
    pub events: Vec<EventTrigger>,
    /// Ends of runs of other workflows.
    pub ends: Vec<EndTrigger>,
}

impl Triggers {
    /// Whether something that happens in the cluster starts it.
    pub fn follow_events(&self) -> bool {
        !self.events.is_empty() || !self.ends.is_empty()
    }
}

/// A schedule of a workflow's file.
#[derive(Debug, Clone, PartialEq)]
pub struct CronTrigger {
    /// Its own name, `cron-1` for the first if the file gives none.
    pub id: String,
    /// Five fields.
    pub cron: Text,
    /// Where they are read.
    pub timezone: Text,
    /// What happens while a run of it goes on.
    pub overlap: Overlap,
    /// How late an instant may have its turn.
    pub catch_up: Duration,
    /// How far instants are spread.
    pub jitter: Duration,
    /// Inputs as given, a JSON object.
    pub given: Json,
    /// The same with the workflow's defaults.
    pub inputs: Json,
}

/// A hook of a workflow's file.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookTrigger {
    /// Its name, the last part of its path.
    pub id: String,
    /// The name of the secret that callers sign with.
    pub secret: String,
    /// What lets a call through.
    pub filter: Option<Text>,
}

/// Events that start runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTrigger {
    /// Its name, `event-1` for the first if the file gives none.
    pub id: String,
    /// The events' type, or a pattern, as written.
    pub kind: Text,
    /// The same, to match with.
    pub pattern: Pattern,
    /// What lets an event through.
    pub filter: Option<Text>,
}

/// A workflow whose runs start runs when they end.
#[derive(Debug, Clone, PartialEq)]
pub struct EndTrigger {
    /// Its name, `workflow-1` for the first if the file gives none.
    pub id: String,
    /// Which workflow.
    pub workflow: WorkflowName,
    /// The ends that count.
    pub on: Vec<RunStatus>,
}

/// The triggers of a workflow called `own`.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node, inputs: &InputSchema, own: &str) -> Triggers {
    let mut triggers = Triggers::default();
    let Some(node) = root.get("triggers") else { return triggers };
    if !reader.fields(node, "`triggers`", &["cron", "webhook", "event", "workflow"], &[]) {
        return triggers;
    }
    for (place, item) in items(reader, node, "cron").iter().enumerate() {
        triggers.cron.extend(cron(reader, item, place, inputs));
    }
    for item in items(reader, node, "webhook") {
        triggers.webhooks.extend(webhook(reader, item, inputs));
    }
    for (place, item) in items(reader, node, "event").iter().enumerate() {
        triggers.events.extend(event(reader, item, place));
    }
    for (place, item) in items(reader, node, "workflow").iter().enumerate() {
        triggers.ends.extend(end(reader, item, place, own));
    }
    if triggers.follow_events() && inputs.resolve(&JsonValue::Null).is_err() {
        let message =
            "an event gives no inputs, and this workflow has some that are required: give them defaults";
        reader.report.at(node, code::CONFLICT, message);
    }
    let ids = triggers.cron.iter().map(|cron| &cron.id).chain(triggers.webhooks.iter().map(|hook| &hook.id));
    let ids = ids.chain(triggers.events.iter().map(|event| &event.id));
    let ids: Vec<&String> = ids.chain(triggers.ends.iter().map(|end| &end.id)).collect();
    if let Some(twice) = ids.iter().enumerate().find(|(place, id)| ids[..*place].contains(id)) {
        reader.report.at(node, code::DUPLICATE_ID, format!("two triggers have the id `{}`", twice.1));
    }
    triggers
}

/// The names of secrets that a workflow uses.
pub(super) fn secrets(reader: &mut Reader<'_>, root: &Node) -> Vec<String> {
    let named = reader.text_list(root, "secrets");
    named.into_iter().filter_map(|(node, name)| secret_name(reader, node, name)).collect()
}

/// A list of triggers, or one.
fn items<'n>(reader: &mut Reader<'_>, triggers: &'n Node, key: &str) -> &'n [Node] {
    let Some(node) = triggers.get(key) else { return &[] };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
            std::slice::from_ref(node)
        }
    };
    if items.len() > TRIGGERS_MAX {
        reader.report.at(node, code::LIMIT, format!("`{key}` has more than {TRIGGERS_MAX} triggers"));
        return &[];
    }
    items
}

fn cron(reader: &mut Reader<'_>, node: &Node, place: usize, inputs: &InputSchema) -> Option<CronTrigger> {
    let known = ["id", "schedule", "timezone", "overlap", "catchUp", "jitter", "inputs"];
    if !reader.fields(node, "a cron trigger", &known, &[]) {
        return None;
    }
    let id = id_or(reader, node, || format!("cron-{}", place + 1))?;
    let (cron, timezone) = calendar(reader, node)?;
    let catch_up = reader.duration(node, "catchUp").unwrap_or(CATCH_UP);
    if let Some(given) = node.get("catchUp").filter(|_| catch_up < ScheduleSpec::CATCH_UP_MIN) {
        let least = ScheduleSpec::CATCH_UP_MIN.as_secs();
        reader.report.at(given, code::BAD_DURATION, format!("`catchUp` must be at least {least}s"));
    }
    let overlap = overlap(reader, node);
    let jitter = reader.duration(node, "jitter").unwrap_or_default();
    let given = node.get("inputs").map_or_else(|| JsonValue::Object(Map::new()), Node::to_json);
    let at = node.get("inputs").unwrap_or(node);
    let resolved = match inputs.resolve(&given) {
        Ok(resolved) => resolved,
        Err(errors) => {
            for error in errors.0 {
                reader.report.at(at, error.code, format!("this trigger: {}", error.message));
            }
            return None;
        }
    };
    let given = Json::from(given.to_string());
    Some(CronTrigger { id, cron, timezone, overlap, catch_up, jitter, given, inputs: resolved })
}

fn calendar(reader: &mut Reader<'_>, node: &Node) -> Option<(Text, Text)> {
    let Some(schedule) = node.get("schedule") else {
        reader.report.at(
            node,
            code::MISSING_FIELD,
            "a cron trigger needs a `schedule`, such as \"0 3 * * *\"",
        );
        return None;
    };
    let pattern = reader.text(schedule, "`schedule`")?;
    let zone = match node.get("timezone") {
        Some(zone) => reader.text(zone, "`timezone`")?,
        None => "UTC",
    };
    if let Err(error) = Calendar::new(pattern, zone) {
        let at = match error {
            CalendarError::Zone { .. } => node.get("timezone").unwrap_or(schedule),
            CalendarError::Pattern { .. } | CalendarError::Never { .. } => schedule,
        };
        reader.report.at(at, code::BAD_VALUE, error.to_string());
        return None;
    }
    Some((Text::from(pattern), Text::from(zone)))
}

fn overlap(reader: &mut Reader<'_>, node: &Node) -> Overlap {
    let Some(given) = node.get("overlap") else { return Overlap::Skip };
    let Some(word) = reader.text(given, "`overlap`") else { return Overlap::Skip };
    overlap_of(word).unwrap_or_else(|message| {
        reader.report.at(given, code::BAD_VALUE, message);
        Overlap::Skip
    })
}

/// The policy of a word, or why there is none.
pub fn overlap_of(word: &str) -> Result<Overlap, String> {
    let found = Overlap::ALL.iter().find(|(_, known)| *known == word).map(|(overlap, _)| *overlap);
    found.ok_or_else(|| {
        let meant = did_you_mean(word, Overlap::ALL.map(|(_, word)| word));
        format!("`overlap` must be skip, queue, allow or cancelRunning, not `{word}`{meant}")
    })
}

fn webhook(reader: &mut Reader<'_>, node: &Node, inputs: &InputSchema) -> Option<WebhookTrigger> {
    if !reader.fields(node, "a webhook trigger", &["id", "secret", "filter"], &[]) {
        return None;
    }
    for (key, use_of_it) in
        [("id", "the last part of its path"), ("secret", "the name of what callers sign with")]
    {
        if node.get(key).is_none() {
            let message = format!("a webhook trigger needs `{key}`, {use_of_it}");
            reader.report.at(node, code::MISSING_FIELD, message);
        }
    }
    if inputs.resolve(&JsonValue::Null).is_err() {
        let message =
            "a hook gives no inputs, and this workflow has some that are required: give them defaults";
        reader.report.at(node, code::CONFLICT, message);
    }
    let filter = node.get("filter").and_then(|node| filter(reader, node));
    let id = trigger_id(reader, node.get("id")?)?;
    let named = node.get("secret")?;
    let secret = reader.text(named, "`secret`")?;
    Some(WebhookTrigger { id, secret: secret_name(reader, named, secret)?, filter })
}

fn event(reader: &mut Reader<'_>, node: &Node, place: usize) -> Option<EventTrigger> {
    if !reader.fields(node, "an event trigger", &["id", "type", "filter"], &[]) {
        return None;
    }
    let filter = node.get("filter").and_then(|node| filter(reader, node));
    let id = id_or(reader, node, || format!("event-{}", place + 1))?;
    let Some(kind) = node.get("type") else {
        let message = "an event trigger needs `type`, such as eval.finished, state.changed or workflow.*";
        reader.report.at(node, code::MISSING_FIELD, message);
        return None;
    };
    let (kind, pattern) = event_pattern(reader, kind, "`type`")?;
    Some(EventTrigger { id, kind, pattern, filter })
}

/// There is no run yet whose inputs or steps a filter could see.
fn filter(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    let around = std::mem::take(&mut reader.named);
    let filter = reader.expression(node, "`filter`");
    let named = std::mem::replace(&mut reader.named, around);
    if let Some(other) = named.iter().find(|named| named.path[0] != "trigger") {
        let message = format!("`filter` names `{}`, it sees `trigger` only", other.path[0]);
        reader.report.at(node, code::UNKNOWN_NAME, message);
        return None;
    }
    filter
}

/// The type of an event, or a pattern of several.
pub(super) fn event_pattern(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<(Text, Pattern)> {
    let text = reader.word(node, what)?;
    match text.parse() {
        Ok(pattern) => Some((Text::from(text), pattern)),
        Err(BadPattern { reason, .. }) => {
            let message = format!("`{text}` is no type of an event: {reason}");
            reader.report.at(node, code::BAD_VALUE, message);
            None
        }
    }
}

fn end(reader: &mut Reader<'_>, node: &Node, place: usize, own: &str) -> Option<EndTrigger> {
    if !reader.fields(node, "a workflow trigger", &["id", "name", "on"], &[]) {
        return None;
    }
    let id = id_or(reader, node, || format!("workflow-{}", place + 1))?;
    let on = ends(reader, node);
    let Some(named) = node.get("name") else {
        let message = "a workflow trigger needs `name`, the workflow whose end starts this one";
        reader.report.at(node, code::MISSING_FIELD, message);
        return None;
    };
    let name = reader.text(named, "`name`")?;
    if name == own {
        let message = format!("`{own}` is this workflow: its end cannot start it again, it would never stop");
        reader.report.at(named, code::CONFLICT, message);
        reader.report.hint("name another workflow, or use `triggers.cron` for what is to be repeated");
        return None;
    }
    match name.parse() {
        Ok(workflow) => Some(EndTrigger { id, workflow, on }),
        Err(bad) => {
            let bad: orc_domain::BadId = bad;
            reader.report.at(named, code::BAD_VALUE, bad.to_string());
            None
        }
    }
}

/// The statuses of `on`; a success if it is not given.
fn ends(reader: &mut Reader<'_>, node: &Node) -> Vec<RunStatus> {
    let known = [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled, RunStatus::TimedOut];
    let mut on = Vec::new();
    for (at, word) in reader.text_list(node, "on") {
        let found = known.into_iter().find(|status| status.name() == word);
        if found.is_none() {
            let meant = did_you_mean(word, known.map(RunStatus::name));
            let message = format!("`on` has completed, failed, cancelled or timed_out, not `{word}`{meant}");
            reader.report.at(at, code::BAD_VALUE, message);
        }
        if let Some(status) = found.filter(|status| !on.contains(status)) {
            on.push(status);
        }
    }
    if on.is_empty() { vec![RunStatus::Completed] } else { on }
}

fn id_or(reader: &mut Reader<'_>, node: &Node, own: impl Fn() -> String) -> Option<String> {
    match node.get("id") {
        Some(id) => trigger_id(reader, id),
        None => Some(own()),
    }
}

fn trigger_id(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let id = reader.text(node, "`id`")?;
    if id.parse::<orc_domain::WorkflowName>().is_err() {
        let message =
            format!("`{id}` cannot be a trigger's id: write [a-z0-9][a-z0-9._-]*, at most 63 characters");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some(id.to_owned())
}

fn secret_name(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<String> {
    let first = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let legal = name.len() <= 64
        && name.bytes().next().is_some_and(first)
        && name.bytes().all(|byte| first(byte) || byte.is_ascii_digit());
    if !legal {
        let message =
            format!("`{name}` cannot be a secret's name: write [A-Z_][A-Z0-9_]*, at most 64 characters");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some(name.to_owned())
}
